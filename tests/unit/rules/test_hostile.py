"""Catalogue files that are broken or meant to do harm are refused cheaply, each with a line that says where and why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import hostile
from support.hostile import CASES, Hostile

from credstream.rules.loader import CatalogueError, load
from credstream.rules.yaml_source import MAX_MISTAKES

Said = dict[str, tuple[float, list[str]]]


@pytest.fixture(scope="module")
def said(root: Path) -> Said:
    """What the loader said about each, in a process that the operating system ends if one costs far too much."""
    ran = subprocess.run(
        [sys.executable, hostile.__file__],
        env={**os.environ, "PYTHONPATH": str(root / "tests")},
        stdout=subprocess.PIPE,
        check=False,
    )
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return {name: (cpu_s, mistakes) for name, cpu_s, mistakes in lines}


@pytest.mark.fault("G2")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_hostile_file_is_refused_with_a_line_that_says_where_and_why(said: Said, case: Hostile) -> None:
    assert case.name in said, (
        f"it or one before it was ended at {hostile.CPU_S} s of CPU or {hostile.MEMORY_BYTES} bytes"
    )
    cpu_s, mistakes = said[case.name]
    print(f"{case.name}: {cpu_s:.3f} s of CPU")
    begins, ends = case.told
    assert any(line.startswith(begins) and line.endswith(ends) for line in mistakes), mistakes[:5]
    assert len(mistakes) <= MAX_MISTAKES + 1
    assert all(len(line) < 400 and line.isprintable() for line in mistakes)


def test_no_two_cases_are_the_same() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_files_without_what_is_hostile_are_good(tmp_path: Path) -> None:
    good = hostile.requires("good", "{result: {assessment: theory, by: 9999-12-31}}", "", "")
    assert [a.id for a in load(hostile.written(good, tmp_path / "c")).achievements] == ["first"]


def test_every_kind_of_mistake_in_one_file_is_told_at_once(tmp_path: Path) -> None:
    text = (
        "- id: First\n  name: &n Name\n  name: *n\n  description: !!str D\n  criteria: x\u202ey\n  rulle: {}\n"
        "- id: second\n  <<: {name: N}\n  rule:\n    requires: {count: {number: 0, assessments: [none, 'x*']}}\n"
    )
    case = hostile.achievements("all at once", text, "", "")
    with pytest.raises(CatalogueError) as caught:
        load(hostile.written(case, tmp_path / "c"))
    told = "\n".join(caught.value.mistakes)
    for line in (
        "a.yaml:5:14: the character U+202E is not allowed",
        "a.yaml:2:9: anchors and aliases are not read",
        "a.yaml:3:9: anchors and aliases are not read",
        "a.yaml:3:3: name stands twice",
        "a.yaml:4:16: tags are not read: write the value alone",
        "a.yaml:8:3: merge keys are not read",
        "a.yaml:1:7: First: an id has lower-case letters, digits and single hyphens, at most 100 characters",
        "a.yaml:6:10: unknown field rulle; did you mean rule?",
        "a.yaml:1:3: rule is missing",
        "a.yaml:7:3: criteria is missing",
        "a.yaml:10:32: 0: a whole number from 1 is wanted here",
        "a.yaml:10:49: unknown assessment none; known: practice, theory",
        "a.yaml:10:55: x*: no assessment is meant by this",
    ):
        assert line in told, told
