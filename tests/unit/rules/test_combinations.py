"""Whatever words of the language are put together is read as it is written, or refused with a place; nothing else happens."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from credstream.rules import grammar
from credstream.rules.explaining import explained_rule, names_of
from credstream.rules.loader import CatalogueError, Draft, load
from credstream.zones import zone_in
from schemas.catalogue import pack, unpack
from schemas.rules import Count, Rule, Selection, inside
from services.competency.wording import Language

FILES = {
    "programme.yaml": (
        "programme: p\nversion: 1\ntime_zone: America/Toronto\nissuer: {name: I}\nproviders: [{id: college, name: C}]\n"
    ),
    "assessments.yaml": (
        "- {id: theory, name: Theory, providers: [college], levels: [weak, sound]}\n"
        "- {id: ward, name: Ward, providers: [college], levels: [weak, sound]}\n"
    ),
}
HEAD = "- {id: block, name: B, description: D, criteria: C, rule: {requires: {result: {assessment: theory}}, "
HEAD += "levels: {merit: {result: {assessment: theory}}}}}\n- id: a\n  name: A\n  description: D\n  criteria: C\n"
WRITTEN: Mapping[str, str] = {
    "at_least": "60 %",
    "take": "latest",
    "passed": "true",
    "level": "sound",
    "role": "mentor",
    "site": "[north, south]",
    "evidence": "true",
    "critical": "false",
    "not_before": "2026-01-01",
    "by": "2026-06-30",
    "attempts": "4",
    "gap": "1 day",
    "recent": "2 years",
    "distinct": "{day: 2}",
    "within": "90 days",
    "missing": "blocks",
}
NEEDED: Mapping[str, str] = {
    "result": "assessments: [theory, ward]",
    "count": "number: 3, assessments: [theory, ward]",
    "weighted": "parts: {theory: 1, ward: 2}, at_least: 60 %",
    "mean": "assessments: [theory, ward], at_least: 60 %",
    "holds": "achievement: block",
}
REFUSED = {("count", frozenset({"within", "recent"}))}
COUNTED_IN_THE_ZONE = {"not_before", "by", "gap", "recent", "distinct", "within"}
LANGUAGES: tuple[Language, ...] = ("en", "fr")


def together(kind: str) -> Iterator[frozenset[str]]:
    """Every one and every two of the words that a kind of criterion may have."""
    words = [word for word in sorted(grammar.CRITERIA[kind].known.keys() & WRITTEN.keys()) if word not in NEEDED[kind]]
    words = ["recent"] if kind == "holds" else words
    yield from (frozenset(some) for size in (1, 2) for some in itertools.combinations(words, size))


def said(kind: str, words: frozenset[str]) -> str:
    return f"{{{kind}: {{{', '.join([NEEDED[kind], *(f'{word}: {WRITTEN[word]}' for word in sorted(words))])}}}}}"


def read(folder: Path, requires: str, *lines: str) -> Draft:
    (folder / "achievements").mkdir(exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")
    text = f"{HEAD}  rule:\n    requires: {requires}\n" + "".join(f"{line}\n" for line in lines)
    (folder / "achievements" / "a.yaml").write_text(text, "utf-8")
    return load(folder)


@pytest.mark.parametrize("kind", NEEDED)
def test_any_two_words_of_a_criterion_are_read_together(tmp_path: Path, kind: str) -> None:
    asked = [words for words in together(kind) if (kind, words) not in REFUSED]
    draft = read(tmp_path, "{all: [" + ", ".join(said(kind, words) for words in asked) + "]}")
    rule = draft.achievements[1].rule
    for words, criterion in zip(asked, inside(rule.requires), strict=True):
        if words & COUNTED_IN_THE_ZONE:
            assert zone_in(Rule(requires=criterion)) == "America/Toronto", words
    for language in LANGUAGES:
        told = [line.text for line in explained_rule(draft.achievements[1], names_of(draft), language)]
        assert not [line for line in told if "{" in line or "T0" in line or ":59" in line]


@pytest.mark.parametrize(("kind", "words"), REFUSED)
def test_what_contradicts_itself_is_refused(tmp_path: Path, kind: str, words: frozenset[str]) -> None:
    with pytest.raises(CatalogueError, match="not asked together"):
        read(tmp_path, said(kind, words))


def test_a_day_on_which_results_differ_is_one_of_the_time_zone(tmp_path: Path) -> None:
    draft = read(tmp_path, "{count: {number: 2, assessments: theory, distinct: day}}")
    rule = draft.achievements[1].rule.requires
    assert isinstance(rule, Count)
    assert rule.zone == draft.time_zone == "America/Toronto"


def test_a_day_by_which_something_is_shown_is_told_as_that_day(tmp_path: Path) -> None:
    draft = read(tmp_path, "{result: {assessment: theory, not_before: 2026-01-01, by: 2026-06-30}}")
    rule = draft.achievements[1].rule.requires
    assert isinstance(rule, Selection)
    assert "not before 2026-01-01, by 2026-06-30)" in explained_rule(draft.achievements[1], {})[1].text


@pytest.mark.parametrize(
    ("requires", "told"),
    [
        ("{weighted: {parts: {'*': 40, ward: 60}, at_least: 50 %}}", "ward has a weight already"),
        ("{mean: {assessments: theory, at_least: 0 %}}", "every mean is at least 0 %: ask for more"),
        (
            "{count: {number: 5, assessments: [theory, ward], attempts: 2}}",
            "5 results are asked for, and at most 4 count",
        ),
        (
            "{count: {number: 2, assessments: theory, distinct: {site: 3}, attempts: 2}}",
            "3 results are asked for, and at most 2 count",
        ),
        (
            "{count: {number: 2, assessments: theory, distinct: day, within: calendar day}}",
            "different days are never within one calendar day",
        ),
        ("{count: {number: 2, assessments: theory, distinct: assessment}}", "there is only 1 assessment here"),
        (
            "{count: {number: 2, assessments: theory, distinct: {}}}",
            "things to differ in and how many: {assessor: 2} are wanted here",
        ),
        (
            "{result: {assessment: theory, recent: 1 day2 days}}",
            "1 day2 days: a length of time is wanted here: 90 days, 24 months, 1 year 6 months",
        ),
        ("{result: {assessment: theory, assessments: ward}}", "one of assessment and assessments is wanted here"),
        ("{result: {take: latest}}", "one of assessment and assessments is wanted here"),
        ("{holds: {achievement: a, level: merit}}", "a has no levels: add levels there first"),
        ("{count: {number: 1001, assessments: theory}}", "1001: at most 1,000 can be asked for"),
        ("{result: {assessment: theory, recent: 101 years}}", "101 years: lengths of time end at a hundred years"),
        ("{at_least: {number: 2, of: [{holds: block}]}}", "there is only 1 criterion here"),
    ],
)
def test_what_nobody_could_show_or_mean_is_refused(tmp_path: Path, requires: str, told: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        read(tmp_path, requires)
    assert any(line.startswith("a.yaml:7:") and line.endswith(f": {told}") for line in caught.value.mistakes), caught


def test_what_every_lane_would_refuse_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError) as caught:
        read(tmp_path, "{holds: block}", "  credits: 1000.001")
    assert list(caught.value.mistakes) == ["a.yaml:2:3: a: credits are from 0 to 1,000"]
    rule = "rule: {requires: {result: {assessment: theory}}}"
    many = "".join(f"- {{id: a-{n}, name: N, description: D, criteria: C, {rule}}}\n" for n in range(201))
    (tmp_path / "achievements" / "b.yaml").write_text(many, "utf-8")
    with pytest.raises(CatalogueError) as caught:
        read(tmp_path, "{holds: block}")
    assert list(caught.value.mistakes) == ["assessments.yaml:1:3: theory: more than 200 achievements look at it"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("image: drawn.png", "drawn.png: an http or https address is wanted here"),
        ("image: 'javascript:alert(1)'", "javascript:alert(1): an http or https address is wanted here"),
        ("language: english please", "english please: a language by its code (en, fr-CA) is wanted here"),
        (
            "achievement_type: Microcredential",
            "Microcredential: an achievement type of Open Badges 3.0, or ext: and a word, is wanted here",
        ),
        ("alignments: [{target_name: N, target_url: noc}]", "noc: an http or https address is wanted here"),
        ("tags: [a, a]", "a stands twice"),
    ],
)
def test_what_no_credential_may_carry_is_refused(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        read(tmp_path, "{holds: block}", f"  {line}")
    assert any(line.startswith("a.yaml:8:") and line.endswith(f": {told}") for line in caught.value.mistakes), caught


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("score: 120", "score: from 0 to of (100 unless given)"),
        ("score: 1, of: 0", "of: greater than 0"),
        ("of: 50", "of is the maximum of a score: score is missing"),
        ("level: sond", "unknown level of theory sond; did you mean sound?"),
        ("evidence: in the folder", "evidence: an http or https address of at most 2000 characters"),
    ],
)
def test_an_example_has_what_a_provider_could_send(tmp_path: Path, result: str, told: str) -> None:
    example = f"    - {{name: x, results: [{{assessment: theory, date: 2026-01-01, {result}}}], attained: true}}"
    with pytest.raises(CatalogueError) as caught:
        read(tmp_path, "{holds: block}", "  examples:", example)
    assert any(line.startswith("a.yaml:9:") and line.endswith(f": {told}") for line in caught.value.mistakes), caught


def test_a_default_that_is_written_out_is_the_same_rule_and_can_be_adopted(tmp_path: Path) -> None:
    written_out = (
        "take: best, missing: zero}}, {result: {assessment: theory, take: any}}]}",
        "    attained: first",
        "    on_loss: revoke",
        "  transition: keep",
        "  achievement_type: MicroCredential",
        "  language: en",
    )
    digests = set[str]()
    for at, (end, *lines) in enumerate([written_out, ("}}, {result: {assessment: theory}}]}",)]):
        (place := tmp_path / str(at)).mkdir()
        weighted = "{all: [{weighted: {parts: {theory: 1, ward: 1}, at_least: 50 %, " + end
        catalogue = read(place, weighted, *lines).build(base_url="https://badges.example", keys=())
        digest, packed = pack(catalogue)
        assert unpack(packed, digest) == catalogue
        digests.add(digest)
    assert len(digests) == 1
