"""`docs/reliability.md` says what the tests show, no more and no less."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from support.faults import FAULTS, GROUPS
from support.reliability import DOCUMENT, ROOT, measured, proofs, rendered

PROOFS = proofs()


def test_the_tables_are_those_that_the_tests_make() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert rendered(text) == text, "run `make reliability`"


def test_every_mark_names_a_row() -> None:
    known = [fault.id for fault in FAULTS]
    assert len(set(known)) == len(known)
    assert {fault.rstrip("0123456789") for fault in known} == GROUPS.keys()
    assert {mark for proof in PROOFS for mark in proof.faults} <= set(known)


def test_what_was_measured_was_measured_by_a_test_that_there_is() -> None:
    assert measured().keys() <= {proof.id for proof in PROOFS}


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "chaos").glob("test_*.py")), ids=lambda p: p.stem)
def test_every_test_of_chaos_names_its_faults_and_proves_that_they_fired(path: Path) -> None:
    told = {proof.name: proof.told for proof in PROOFS if path == ROOT / proof.path}
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert node.name in told
            assert told[node.name], f"{node.name} must tell the fixture `fault` what it did"
