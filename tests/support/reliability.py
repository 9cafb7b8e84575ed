"""Writes the tables of `docs/reliability.md` from the tests' marks and from what they measured.

`python -m support.reliability` (with `tests` on the path) writes them anew.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support.faults import FAULTS, GROUPS, Fault

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "reliability.md"
MEASURED: Final = ROOT / "tests" / "chaos" / "measured.json"
_BEGIN: Final = "<!-- made by `make reliability` from the tests: {} -->\n"
_END: Final = "<!-- end of {} -->\n"


@dataclass(frozen=True, slots=True)
class Proof:
    """A test that is marked with faults."""

    path: str
    name: str
    faults: tuple[str, ...]
    told: bool  # it takes the fixture `fault`

    @property
    def id(self) -> str:
        """The test's name as pytest spells it."""
        return f"{self.path}::{self.name}"


def proofs() -> list[Proof]:
    """Every marked test, as its source says."""
    return [proof for path in sorted((ROOT / "tests").rglob("test_*.py")) for proof in _in_file(path)]


def _in_file(path: Path) -> Iterator[Proof]:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = [mark for mark in node.decorator_list if _is_mark(mark)]
            faults = tuple(arg.value for mark in marks for arg in mark.args)  # type: ignore[attr-defined]
            if faults:
                told = "fault" in {arg.arg for arg in node.args.args}
                yield Proof(path.relative_to(ROOT).as_posix(), node.name, faults, told)


def _is_mark(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault"


def measured() -> Mapping[str, Any]:
    """What the tests told when they last ran with `--measured`, by their names."""
    found: Mapping[str, Any] = json.loads(MEASURED.read_text("utf-8"))
    return found


def rendered(text: str) -> str:
    """Return the document with its generated parts made anew."""
    found, told = proofs(), measured()
    by_fault = {fault.id: [proof for proof in found if fault.id in proof.faults] for fault in FAULTS}
    text = _replaced(text, "faults", "".join(_tables(by_fault, told)))
    without = [fault for fault in FAULTS if not by_fault[fault.id]]
    return _replaced(text, "rows without a test", "".join(f"- {f.id}: {f.what}.\n" for f in without) or "None.\n")


def _replaced(text: str, part: str, content: str) -> str:
    begin, end = _BEGIN.format(part), _END.format(part)
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{content}\n{end}{after}"


def _tables(by_fault: Mapping[str, list[Proof]], told: Mapping[str, Any]) -> Iterator[str]:
    for letter, group in GROUPS.items():
        rows = [fault for fault in FAULTS if fault.id.rstrip("0123456789") == letter and by_fault[fault.id]]
        yield f"### {group}\n\n| | fault | what happens | shown by | last measured |\n|---|---|---|---|---|\n"
        for fault in rows:
            yield _row(fault, by_fault[fault.id], told)
        yield "\n" if letter != list(GROUPS)[-1] else ""


def _row(fault: Fault, found: list[Proof], told: Mapping[str, Any]) -> str:
    shown = "<br>".join(f"[{_words(proof.name)}](../{proof.path})" for proof in found)
    figures = "<br>".join(_figure(told[proof.id]) for proof in found if proof.id in told)
    return f"| {fault.id} | {fault.what} | {fault.then} | {shown} | {figures} |\n"


def _words(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


def _figure(about: Mapping[str, Any]) -> str:
    fired = ", ".join(f"{count} x {what}" for what, count in about["fired"].items())
    well = f"; well after {about['recovery_s']:.1f} s" if "recovery_s" in about else ""
    return f"{fired}{well} ({about['on']})"


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(DOCUMENT.read_text("utf-8")), "utf-8")
