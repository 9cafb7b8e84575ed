"""A catalogue's mistakes are told all at once, each with its place and what was meant."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from credstream.rules.loader import CatalogueError, load
from schemas.rules import Weighted

GOOD = {
    "programme.yaml": "programme: p\nversion: 1\nissuer: {name: Issuer}\nproviders:\n  - {id: college, name: College}\n",
    "assessments.yaml": "".join(f"- {{id: {n}, name: N, providers: [college]}}\n" for n in ("theory", "practice")),
    "achievements/a.yaml": (
        "- id: first\n  name: First\n  description: D\n  criteria: C\n  rule:\n    requires:\n"
        "      weighted: {at_least: 62.5 %, parts: {theory: 12.5, practice: 0.000001}}\n"
    ),
}


def write(folder: Path, **changed: str) -> Path:
    (folder / "achievements").mkdir(exist_ok=True)
    names = {"programme": "programme.yaml", "assessments": "assessments.yaml", "achievements": "achievements/a.yaml"}
    for name, text in (GOOD | {names[key]: text for key, text in changed.items()}).items():
        (folder / name).write_text(text)
    return folder


def mistakes(folder: Path) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        load(folder)
    return list(caught.value.mistakes)


def test_numbers_are_exact(tmp_path: Path) -> None:
    rule = load(write(tmp_path)).achievements[0].rule.requires
    assert isinstance(rule, Weighted)
    assert rule.at_least == 625_000
    assert [(p.assessment, p.weight) for p in rule.parts] == [("theory", 12_500_000), ("practice", 1)]


def test_the_pilots_have_every_sector_and_every_kind_of_criterion(root: Path) -> None:
    draft = load(root / "catalogues" / "ontario-pilots")
    assert len({a.sector for a in draft.achievements}) == 8
    text = repr([a.rule for a in draft.achievements])
    assert all(f"{kind}(" in text for kind in ("Result", "Count", "Weighted", "Holds", "All", "Any"))
    assert "(fictional)" in draft.providers[0].name


@pytest.mark.parametrize(
    ("requires", "told"),
    [
        ("{reslt: {assessment: theory}}", "unknown criterion reslt; did you mean result?"),
        ("{result: {assesment: theory}}", "unknown field assesment; did you mean assessment?"),
        ("{result: {assessment: theori}}", "unknown assessment theori; did you mean theory?"),
        (
            "{result: {assessment: theory, at_least: 101 %}}",
            "101 %: a share is wanted here: a percentage from 0 % to 100 %, or 18 of 25",
        ),
        (
            "{result: {assessment: theory, at_least: 70}}",
            "70: a share is wanted here: a percentage from 0 % to 100 %, or 18 of 25",
        ),
        ("{result: {assessment: theory, passed: yes please}}", "yes please: true or false is wanted here"),
        ("{count: {number: 0, assessments: [theory]}}", "0: a whole number from 1 is wanted here"),
        ("{weighted: {at_least: 40 %, parts: {theory: 0}}}", "at least one weight is more than 0"),
        (
            "{weighted: {at_least: 40 %, parts: {theory: NaN}}}",
            "NaN: a number with at most six decimals is wanted here",
        ),
        ("{holds: first}", "built on itself: first -> first"),
        ("{holds: second}", "unknown achievement second; known: first"),
        ("{all: []}", "at least one criterion is wanted here"),
        (
            "{all: [{result: {assessment: theory}}], any: []}",
            "one criterion is wanted here: result, count, weighted, mean, holds, all, any, none, at_least, expression",
        ),
        ("&a {all: [*a]}", "anchors and aliases are not read"),
    ],
)
def test_a_mistake_in_a_rule_is_told_with_its_place(tmp_path: Path, requires: str, told: str) -> None:
    head = "- id: first\n  name: First\n  description: D\n  criteria: C\n  rule:\n    requires: "
    found = mistakes(write(tmp_path, achievements=f"{head}{requires}\n"))
    assert any(line.endswith(told) for line in found), found
    assert all(line.startswith("a.yaml:") for line in found)


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    found = mistakes(
        write(
            tmp_path,
            programme="programme: Bad_Name\nversion: 1\nissuer: {}\nproviders: []\n",
            assessments="- {id: theory, name: Theory, providers: [nobody]}\n- {id: theory, name: Again, providers: []}\n",
        )
    )
    assert len(found) >= 5
    assert {line.partition(":")[0] for line in found} == {"programme.yaml", "assessments.yaml", "a.yaml"}


@pytest.mark.fault("G2")
@pytest.mark.parametrize(
    "text",
    [
        "- " + "[" * 5_000,
        "a: " + "x" * 2_000_000,
        "- {id: a, id: b}",
        "\t- tab",
        "- !!python/object:os.system {}",
        "- \x00",
        "- {a: \u202e}",
    ],
    ids=["deep", "large", "twice", "tab", "object", "nul", "override"],
)
def test_a_hostile_file_is_refused_quickly(tmp_path: Path, text: str) -> None:
    began = time.process_time()
    assert mistakes(write(tmp_path, achievements=text))
    assert time.process_time() - began < 5
