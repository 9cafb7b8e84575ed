"""What docs/conformance.md says of tests, shapes and verifiers is so."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from support import conformance, shapes
from support.conformance import SHAPES, STRINGS
from support.others import VERIFIERS

_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_FILE = re.compile(r"`((?:docs|tests)/[\w/.-]+\.(?:md|py))`")


@cache
def defined_in(path: Path) -> frozenset[str]:
    """Return the names of the tests that a file defines."""
    body = ast.parse(path.read_text("utf-8")).body if path.exists() else []
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_test_that_is_named_exists(root: Path) -> None:
    named = _TEST.findall(conformance.DOCUMENT.read_text("utf-8"))
    assert len(named) > 60
    assert [f"{path}::{name}" for path, name in named if name not in defined_in(root / path)] == []


def test_every_file_that_is_named_exists(root: Path) -> None:
    assert [name for name in _FILE.findall(conformance.DOCUMENT.read_text("utf-8")) if not (root / name).exists()] == []


def test_every_row_of_a_clause_names_its_test() -> None:
    rows = [line for line in conformance.DOCUMENT.read_text("utf-8").splitlines() if line.count("|") == 4]
    clauses = [row for row in rows if not row.startswith(("|---", "| clause |"))]
    assert len(clauses) > 30
    assert [row for row in clauses if not _TEST.search(row)] == []


def test_the_tables_have_every_sector_and_every_verifier() -> None:
    by_group, by_sample = conformance.written(SHAPES), conformance.written(STRINGS)
    assert {row: cells[SHAPES] for row, cells in by_group.items()} == conformance.shapes_by_group()
    assert {tuple(cells) for cells in by_group.values()} == {(SHAPES, *VERIFIERS)}
    assert list(by_sample) == [conformance.sample_name(signed) for signed in shapes.samples()]
    assert {tuple(cells) for cells in by_sample.values()} == {tuple(VERIFIERS)}
