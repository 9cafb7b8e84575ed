"""`docs/tutorial-rules.md` is true: its files are the example catalogue's, and its commands say what it shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from credstream.cli.commands import app

DOCUMENT = Path(__file__).parents[2] / "docs" / "tutorial-rules.md"
BLOCKS = re.findall(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE)
FILES = [(name, text) for kind, name, text in BLOCKS if kind == "yaml" and not name.startswith("draft")]
CONSOLES = [(name, text) for kind, name, text in BLOCKS if kind == "console" and not name.startswith("running")]
[FIRST_DRAFT] = [text for kind, name, text in BLOCKS if kind == "yaml" and name.startswith("draft")]
MENDED = (
    FIRST_DRAFT.replace("caring_routines", "caring-routines")
    .replace("at_least: 80}", "at_least: 80 %}")
    .replace("stedy", "steady")
    .replace("assesor", "assessor")
    .replace("    attained: standing\n", "")
)


@pytest.mark.parametrize(("name", "text"), FILES)
def test_what_the_tutorial_shows_of_a_file_stands_in_the_file(root: Path, name: str, text: str) -> None:
    assert text in (root / "examples" / "early-childhood" / name).read_text("utf-8")


@pytest.mark.parametrize(("state", "text"), CONSOLES)
def test_a_command_of_the_tutorial_says_what_it_shows(
    root: Path,
    tmp_path: Path,
    state: str,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "early-childhood"
    shutil.copytree(root / "examples" / "early-childhood", folder)
    written = folder / "achievements" / "early-childhood.yaml"
    final = written.read_text("utf-8")
    stages = {
        "": final,
        "draft 1": FIRST_DRAFT,
        "draft 2": MENDED,
        "changed": final.replace("distinct: {assessor: 2}}", "distinct: assessor}"),
    }
    written.write_text(stages[state], "utf-8")
    command, _, shown = text.partition("\n")
    words = command.removeprefix("$ credstream ").split()
    if state == "changed":
        words += ["--against", str(root / "examples" / "early-childhood")]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["credstream", *words])
    try:
        app(words, exit_on_error=False)
    except SystemExit:
        pass
    except Exception as error:  # noqa: BLE001  what `credstream` prints of an error
        print(f"credstream: {error}")
    said = capsys.readouterr()
    assert plain(said.out + said.err) == plain(shown)


def plain(text: str) -> str:
    """Without the breaks that a narrower terminal makes."""
    return re.sub(r"[\s│]+", " ", text).strip()
