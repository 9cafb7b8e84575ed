"""What `docs/tutorial-rules.md` shows of a running installation is what a newcomer sees who follows it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from support.pipe import until

DOCUMENT = Path(__file__).parents[2] / "docs" / "tutorial-rules.md"
BLOCKS = re.findall(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE)
SHOWN = [(name, text) for kind, name, text in BLOCKS if kind == "console" and name.startswith("running")]
[RESULTS] = [text for kind, name, text in BLOCKS if kind == "csv"]
# What differs from one installation and day to the next, and the lines of trees and tables.
VARIABLE = re.compile(
    r"sha256-(?:[0-9a-f]{64}|…)|\b[0-9a-f]{32}\b|\brule [0-9a-f]{12}\b|\b\d{4}-\d\d-\d\d(?: \d\d:\d\d E[SD]T)?\b"
)


def test_the_tutorial_ends_as_it_says(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "early-childhood"
    shutil.copytree(root / "examples" / "early-childhood", folder)
    (tmp_path / "autumn.csv").write_text(lately(RESULTS))
    credstream(tmp_path, "init --base-url https://credentials.example --catalogue early-childhood")
    log = tmp_path / "up.log"
    with log.open("w") as file:
        command = [sys.executable, "-m", "credstream", "up"]
        up = subprocess.Popen(command, cwd=tmp_path, stdout=file, stderr=file, start_new_session=True)
    try:
        for _ in until("the installation to be up", 120):
            if "Ctrl-C stops all" in log.read_text("utf-8"):
                break
        for state, text in SHOWN:
            if "changed" in state:
                change(folder)
            expect(tmp_path, text)
    finally:
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0


def expect(folder: Path, console: str) -> None:
    """A command says what is shown, up to a line of `…`; at the latest when all that was sent is decided."""
    command, _, shown = console.partition("\n")
    shown, rest, _ = shown.partition("\n…\n")
    for _ in range(20):
        said = plain(credstream(folder, command.removeprefix("$ credstream ")))
        if (said.startswith if rest else said.__eq__)(plain(shown)):
            return
        time.sleep(0.5)
    assert said == plain(shown)


def lately(results: str) -> str:
    """Move the days so that the last one was a week ago: what is old awaits a review."""
    days = sorted(map(date.fromisoformat, set(re.findall(r"\d{4}-\d\d-\d\d", results))))
    shift = datetime.now(UTC).date() - timedelta(days=7) - days[-1]
    return re.sub(r"\d{4}-\d\d-\d\d", lambda found: str(date.fromisoformat(found[0]) + shift), results)


def change(folder: Path) -> None:
    rules = folder / "achievements" / "early-childhood.yaml"
    rules.write_text(rules.read_text("utf-8").replace("distinct: {assessor: 2}}", "distinct: assessor}"), "utf-8")
    programme = folder / "programme.yaml"
    programme.write_text(programme.read_text("utf-8").replace("2027.1", "2027.2"), "utf-8")


def credstream(folder: Path, words: str) -> str:
    command = [sys.executable, "-m", "credstream", *words.split()]
    env = {**os.environ, "COLUMNS": "110"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout


def plain(text: str) -> str:
    """Without what varies, and the breaks that a narrower terminal makes."""
    return re.sub(r"[\s│━─]+", " ", VARIABLE.sub("*", text)).strip()
