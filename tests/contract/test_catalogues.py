"""The catalogues that the project ships: complete, in two languages, with examples that could fail, and honest about sources."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from support.rules import evaluated, kinds

from credstream.audit import evaluator
from credstream.rules.loader import Draft, load
from credstream.rules.testing import run_examples
from schemas.rules import Bar, Criterion, achievements_in, criteria_of, inside
from services.competency.wording import Language

PATHS = ("catalogues/ontario-pilots", "examples/early-childhood")
SECTORS = {
    "Warehousing and logistics": 7,
    "Data fluency for freight and parcel delivery": 5,
    "Internet of Things and modern web design": 6,
    "Safe patient transfer and injury prevention": 5,
    "Indigenous rights for forest practitioners": 5,
    "Workplace inclusion": 5,
    "Hospital information systems": 5,
    "Construction": 8,
}
FRAMEWORKS = {
    # host and path of a unit group's page: NOC 2021 Version 1.0, as Statistics Canada publishes it
    "NOC 2021 Version 1.0": ("www23.statcan.gc.ca", "/imdb/p3VD.pl", {"TVD": "1322554", "CVD": "1322870", "CLV": "5"}),
}
TITLES = {
    "11200": "Human resources professionals",
    "12111": "Health information management occupations",
    "13112": "Medical administrative assistants",
    "14400": "Shippers and receivers",
    "14402": "Production logistics workers",
    "14404": "Dispatchers",
    "14405": "Transportation route and crew schedulers",
    "21233": "Web designers",
    "21234": "Web developers and programmers",
    "22112": "Forestry technologists and technicians",
    "33102": "Nurse aides, orderlies and patient service associates",
    "42202": "Early childhood educators and assistants",
    "44101": "Home support workers, caregivers and related occupations",
    "75101": "Material handlers",
    "75110": "Construction trades helpers and labourers",
}
FRENCH: Language = "fr"


@pytest.fixture(params=PATHS)
def draft(root: Path, request: pytest.FixtureRequest) -> Draft:
    return load(root / request.param)


def test_the_pilots_have_all_eight_sectors(root: Path) -> None:
    found = Counter(a.sector for a in load(root / PATHS[0]).achievements)
    assert {sector: found[sector] for sector in SECTORS} == SECTORS
    assert found.keys() == SECTORS.keys()


def test_every_achievement_says_all_that_learners_and_employers_read(draft: Draft) -> None:
    for a in draft.achievements:
        assert a.rationale, a.id
        assert a.endorsed_by, a.id
        assert "(fictional)" in a.endorsed_by, a.id
        assert a.tags, a.id
        assert a.field_of_study, a.id
        assert len(a.criteria) > 80, a.id
        [french] = [t for t in a.translations if t.language == FRENCH]
        for english, other in (
            (a.name, french.name),
            (a.description, french.description),
            (a.criteria, french.criteria),
        ):
            assert other != english, a.id
        assert re.search(r"[éèêàçôî]", french.description + french.criteria), a.id
        assert "(fictional)" in draft.issuer.name or "fictional" in (draft.issuer.description or "")
    assert all("(fictional)" in provider.name for provider in draft.providers)


def test_every_achievement_has_examples_both_ways_and_both_evaluators_agree_with_them(draft: Draft) -> None:
    ways = Counter((example.achievement, example.attained is not False) for example in draft.examples)
    assert [a.id for a in draft.achievements if not ways[a.id, True] or not ways[a.id, False]] == []
    for tested in run_examples(draft):
        assert tested.passed, (tested.example.place, tested.example.name)
        expected = [(time.since, time.level) for time in tested.times if time.since is not None]
        second = evaluated(draft, tested.example)
        assert second == (evaluator.Held(*expected[0], tuple(expected[1:])) if expected else None)


def test_the_level_that_a_rule_asks_for_is_told_in_both_languages(draft: Draft) -> None:
    for a in draft.achievements:
        french = "".join(t.criteria for t in a.translations)
        for one in _leaves(a.rule.requires):
            if isinstance(one, Bar) and one.levels:
                assert f"*{one.levels[0]}*" in a.criteria, a.id
                assert f"*{one.levels[0]}*" in french, a.id
    assert all(len(a.levels) in {0, 3, 4} for a in draft.assessments)


def test_every_assessment_has_a_french_name_and_every_level_says_what_work_looks_like_there(draft: Draft) -> None:
    assert [a.id for a in draft.assessments if a.names.get(FRENCH) in {None, a.name}] == []
    for a in draft.assessments:
        assert [level.name for level in a.rubric if level.description] == list(a.levels), a.id


def _leaves(criterion: Criterion) -> Iterator[Criterion]:
    yield from (leaf for inner in inside(criterion) for leaf in _leaves(inner))
    if not inside(criterion):
        yield criterion


def test_alignments_name_a_known_framework_by_its_own_page(draft: Draft) -> None:
    for a in draft.achievements:
        for one in a.alignments:
            assert one.target_framework in FRAMEWORKS, a.id
            host, path, fixed = FRAMEWORKS[one.target_framework]
            url = urlsplit(one.target_url)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            assert (url.scheme, url.hostname, url.path) == ("https", host, path), a.id
            assert fixed.items() <= asked.items(), a.id
            assert asked["CPV"] == one.target_code, a.id
            assert TITLES[one.target_code or ""] == one.target_name, a.id


def test_the_pilots_use_the_language_for_real(root: Path) -> None:
    draft = load(root / PATHS[0])
    rules = {a.id: a.rule for a in draft.achievements}
    used = set().union(*(kinds(criterion) for rule in rules.values() for criterion in criteria_of(rule)))
    assert used == {"Result", "Count", "Weighted", "Holds", "All", "Any", "AtLeast", "Nothing", "Expression"}
    assert {rule.attained for rule in rules.values()} == {"first", "standing"}
    assert {rule.on_loss for rule in rules.values()} >= {"revoke", "suspend", "ask"}
    assert any(rule.renewal for rule in rules.values())
    assert any(rule.repeatable for rule in rules.values())

    def depth(name: str) -> int:
        blocks = {block for criterion in criteria_of(rules[name]) for block in achievements_in(criterion)}
        return 1 + max(map(depth, blocks), default=0)

    assert depth("crew-safety-lead") == 4
    assert depth("logistics-shift-lead") == 3


def test_every_assessment_is_asked_for_and_every_provider_attests(draft: Draft) -> None:
    text = repr([a.rule for a in draft.achievements])
    assert [a.id for a in draft.assessments if f"'{a.id}'" not in text] == []
    assert {p for a in draft.assessments for p in a.providers} == {p.id for p in draft.providers}
