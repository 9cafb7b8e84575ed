"""The tables of docs/conformance.md: what verifiers say of every shape, and of a credential of which one string was changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from support import shapes
from support.others import Verify
from support.shapes import Signed
from support.tampering import tampered

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "conformance.md"
SHAPES: Final = "shapes"
STRINGS: Final = "strings"
Table: TypeAlias = dict[str, dict[str, int]]
"""Counts by row and column."""


def shapes_by_group() -> Counter[str]:
    """Return how many shapes each sector of each catalogue has."""
    return Counter(signed.group for signed in shapes.every_shape())


def verified(verify: Verify) -> tuple[Counter[str], list[str]]:
    """Return how many shapes verify, by group, and what is wrong with the others.

    A shape verifies if its credential holds, and one whose bit is set reads as revoked to whoever reads status lists.
    """
    found, wrong = Counter[str](), []
    for signed in shapes.every_shape():
        answers = {revoked: verify(signed, json.loads(signed.bytes_of(revoked=revoked))) for revoked in (False, True)}
        faults = [
            f"{signed.name}, revoked {revoked}: {answer}"
            for revoked, answer in answers.items()
            if not answer.holds or answer.revoked not in {None, revoked}
        ]
        found[signed.group] += not faults
        wrong += faults
    return found, wrong


def refused(name: str, verify: Verify, signed: Signed) -> tuple[int, list[str]]:
    """Return how many changed strings a verifier refuses, each alone, and where those stand that it lets pass."""
    document = signed.document()
    if name.endswith("JWT"):
        del document["proof"]  # the token is the proof
    holds = {path: verify(signed, other).holds for path, other in tampered(document)}
    return sum(not let for let in holds.values()), [path for path, let in holds.items() if let]


def sample_name(signed: Signed) -> str:
    """Return a sample's row."""
    return signed.name.partition(",")[0]


def written(name: str) -> Table:
    """Return a table as the document has it."""
    lines = [line for line in _between(DOCUMENT.read_text("utf-8"), name)[1].splitlines() if line.startswith("|")]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {row[0]: {column: int(cell) for column, cell in zip(head[1:], row[1:], strict=True)} for row in rows}


def write(name: str, table: Mapping[str, Mapping[str, int]], columns: Sequence[str]) -> None:
    """Write a table into the document, between its marks."""
    rows = [[row, *(str(cells[column]) for column in columns)] for row, cells in table.items()]
    lines = [["", *columns], ["---", *("--:" for _ in columns)], *rows]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    before, _, after = _between(DOCUMENT.read_text("utf-8"), name)
    DOCUMENT.write_text(f"{before}{text}{after}", "utf-8")


def _between(text: str, name: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {name}: written by `make proof` -->\n", f"<!-- end of {name} -->"
    before, _, rest = text.partition(begin)
    inside, _, after = rest.partition(end)
    return before + begin, inside, end + after
