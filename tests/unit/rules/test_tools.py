"""What programme staff get from `credstream rules` before anything is published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from credstream.cli.commands import app
from credstream.rules.explaining import differences, explained_rule
from credstream.rules.loader import CatalogueError, Draft, load
from credstream.rules.testing import run_examples
from schemas.errors import RefusedError
from services.competency.reasons import render
from services.competency.wording import WORDS
from services.signing.keys import LocalSigner

FILES = {
    "programme.yaml": "programme: p\nversion: 1\nissuer: {name: Issuer}\nproviders:\n  - {id: college, name: College}\n",
    "assessments.yaml": (
        "- {id: theory, name: Theory, providers: [college]}\n"
        "- {id: ward, name: Ward round, providers: [college], levels: [weak, sound]}\n"
    ),
}
HEAD = "- id: first\n  name: First\n  description: D\n  criteria: C\n  valid: 365 days\n  rule:\n"
RULE = """\
    attained: standing
    on_loss: ask
    requires:
      all:
        - result: {assessment: theory, at_least: 80 %, take: latest}
        - count: {number: 2, assessments: [ward], level: sound, within: 90 days, distinct: {assessor: 2}}
        - none:
            - result: {assessment: ward, critical: true, recent: 3 months}
    levels:
      merit: {result: {assessment: theory, at_least: 18 of 20}}
"""
EXAMPLES = """\
  examples:
    - name: two ward rounds
      results:
        - {assessment: theory, date: 2026-01-01, score: 80}
        - {assessment: ward, date: 2026-01-02, level: sound, assessor: ana}
        - {assessment: ward, date: 2026-01-03, level: sound, assessor: ben}
      attained: ATTAINED
"""


def folder(place: Path, achievements: str = HEAD + RULE) -> Path:
    (place / "achievements").mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (place / name).write_text(text)
    (place / "achievements" / "a.yaml").write_text(achievements)
    return place


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        app(["rules", *words], exit_on_error=False)
    return int(ended.value.code or 0)


def draft(place: Path, *words: str) -> Draft:
    return load(folder(place, *words))


def test_a_rule_is_said_in_plain_english_and_french(tmp_path: Path) -> None:
    [achievement] = draft(tmp_path).achievements
    english = [line.text for line in explained_rule(achievement, {"ward": "Ward round"})]
    assert english == [
        "Attained while this holds at the end of the evidence:",
        "all of these:",
        "the latest result of theory (at least 80 %)",
        "2 results of Ward round (at the level sound, within 90 days, 2 different assessors)",
        "none of these:",
        "a result of Ward round (critical, not more than 3 months old)",
        "At the level merit when also:",
        "a result of theory (at least 18 / 20)",
        "When the evidence is lost, a person decides what becomes of the credential.",
        "Valid for 365 days.",
    ]
    french = [line.text for line in explained_rule(achievement, {}, "fr")]
    assert french[2] == "le dernier résultat de theory (au moins 80 %)"
    assert french[3] == "2 résultats de ward (au niveau sound, en 90 jours, 2 évaluateurs différents)"
    assert len(french) == len(english)


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["en"].keys() == WORDS["fr"].keys()
    for name, text in WORDS["en"].items():
        assert text.count("{}") == WORDS["fr"][name].count("{}"), name


@pytest.mark.parametrize(
    ("attained", "passed"), [("true", True), ("2026-01-03", True), ("2026-01-02", False), ("false", False)]
)
def test_an_example_is_run(tmp_path: Path, attained: str, passed: bool) -> None:
    place = folder(tmp_path, HEAD + RULE + EXAMPLES.replace("ATTAINED", attained))
    [tested] = run_examples(load(place))
    assert tested.passed is passed
    assert run("test", str(place)) == (0 if passed else 1)
    assert run("check", str(place)) == (0 if passed else 1)


def test_what_fails_its_examples_is_not_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = folder(tmp_path / "c", HEAD + RULE + EXAMPLES.replace("ATTAINED", "false"))
    assert run("publish", str(place), "--data", str(tmp_path / "nowhere")) == 1
    said = capsys.readouterr().err
    assert "not published: 1 of 1 examples" in said
    assert "2 of 2 results of Ward round" in said


def test_a_difference_is_told_in_words(tmp_path: Path) -> None:
    before = draft(tmp_path / "a")
    changed = RULE.replace("at_least: 80 %", "at_least: 85 %").replace("on_loss: ask", "on_loss: keep")
    after = draft(tmp_path / "b", HEAD + changed + HEAD.replace("first", "second") + RULE)
    assert list(differences(before, before)) == []
    rule, added = differences(before, after)
    assert (rule.what, rule.name) == ("changed", "first")
    assert list(rule.lines) == [
        "-     the latest result of theory (at least 80 %)",
        "+     the latest result of theory (at least 85 %)",
        "- When the evidence is lost, a person decides what becomes of the credential.",
        "+ Who loses the evidence keeps the credential.",
    ]
    assert (added.what, added.kind, added.name) == ("added", "achievement", "second")
    assert run("diff", str(tmp_path / "a"), "--against", str(tmp_path / "a")) == 0
    assert run("diff", str(tmp_path / "b"), "--against", str(tmp_path / "a")) == 1


def test_the_schema_is_printed_for_editors(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run("schema") == 0
    assert json.loads(capfdbinary.readouterr().out)["$schema"].startswith("https://json-schema.org/")


def test_an_unknown_achievement_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="has no achievement frist"):
        app(["rules", "explain", "frist", "--folder", str(folder(tmp_path))], exit_on_error=False)


@pytest.mark.parametrize(
    ("attained", "passed"),
    [("2026-01-02", True), ("2026-01-03", False), ("2026-01-03T01:30:00Z", True), ("2026-01-03T01:30:01Z", False)],
)
def test_a_day_expected_is_any_time_of_that_day(
    tmp_path: Path, attained: str, passed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    place = folder(
        tmp_path,
        HEAD.replace("365 days", "90 days")
        + "    requires: {result: {assessment: theory, at_least: 50 %}}\n    repeatable: true\n"
        + "  examples:\n    - name: in the evening, in Toronto\n      results:\n"
        + '        - {assessment: theory, date: "2026-01-02T20:30:00-05:00", score: 50}\n'
        + '        - {assessment: theory, date: "2026-02-02T20:30:00-05:00", score: 50}\n'
        + f"      attained: {attained}\n      again: [2026-02-02]\n      valid_until: 2026-05-03\n",
    )
    programme = (place / "programme.yaml").read_text()
    (place / "programme.yaml").write_text(f"{programme}time_zone: America/Toronto\n")
    [tested] = run_examples(load(place))
    assert tested.passed is passed
    run("test", str(place), "--all")
    said = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert "attained on 2026-01-02 20:30 EST, again on 2026-02-02 20:30 EST, until 2026-05-03 21:30 EDT" in said


@pytest.mark.parametrize(
    ("asked", "english", "french"),
    [
        ("at_least: 79.5 %", "at least 79.5 %", "au moins 79,5 %"),
        ("attempts: 2", "among the first 2 attempts", "parmi les 2 premiers essais"),
        ("gap: 1 hour", "at least 1 hour after the attempt before", "au moins 1 heure après l'essai précédent"),
        (
            "recent: 1 year 1 day 2 hours",
            "not more than 12 months, 1 day and 2 hours old",
            "datant de 12 mois, 1 jour et 2 heures au plus",
        ),
        ("site: [north, south]", "at the site north or south", "sur le site north ou south"),
        ("distinct: {assessor: 1, day: 2}", "1 assessor, 2 different days", "1 évaluateur, 2 jours différents"),
    ],
)
def test_numbers_agree_with_what_they_count(tmp_path: Path, asked: str, english: str, french: str) -> None:
    rule = f"    requires: {{count: {{number: 2, assessments: ward, {asked}}}}}\n"
    [achievement] = draft(tmp_path, HEAD + rule).achievements
    assert explained_rule(achievement, {})[1].text == f"2 results of ward ({english})"
    assert explained_rule(achievement, {}, "fr")[1].text == f"2 résultats de ward ({french})"


def test_what_there_was_is_told_as_french_is_written(tmp_path: Path) -> None:
    rule = (
        "    requires: {all: [{mean: {assessments: [theory, ward], at_least: 50 %}}, {result: {assessment: ward}}]}\n"
    )
    shown = "  examples: [{name: x, results: [{assessment: theory, date: 2026-01-01, score: 79}], attained: false}]\n"
    [tested] = run_examples(draft(tmp_path, HEAD + rule + shown))
    assert render(tested.explanation, "fr") == [
        "✗ les 2 conditions : 0 remplie, il en manque 2",
        "  ✗ une moyenne pondérée de 50 % : 39,5 % atteints",
        "    · theory : 79 %, avec un poids de 50 %",
        "    · ward : rien de valable jusqu'ici, avec un poids de 50 %",
        "  ✗ un résultat de ward : aucun résultat valable jusqu'ici",
    ]


def test_one_attempt_is_the_first(tmp_path: Path) -> None:
    [achievement] = draft(
        tmp_path, HEAD + "    requires: {result: {assessment: ward, attempts: 1, take: best}}\n"
    ).achievements
    assert explained_rule(achievement, {})[1].text == "the best result of ward (the first attempt)"
    assert explained_rule(achievement, {}, "fr")[1].text == "le meilleur résultat de ward (le premier essai)"


def test_what_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    place = folder(tmp_path / "c")
    with pytest.raises(RefusedError, match=r"has no achievement frist; did you mean first\?"):
        app(["rules", "explain", "frist", "--folder", str(place)], exit_on_error=False)
    with pytest.raises(RefusedError, match="has no achievement xyz; it has first"):
        app(["rules", "show", str(place), "--achievement", "xyz"], exit_on_error=False)
    with pytest.raises(CatalogueError, match=r"1 mistake\n  there is no such folder: a catalogue is one"):
        load(tmp_path / "d")


def test_another_time_zone_and_another_partner_are_differences(tmp_path: Path) -> None:
    before, after = folder(tmp_path / "a"), folder(tmp_path / "b")
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    partner = f"  - {{id: ward-sisters, name: Ward sisters, key: {LocalSigner(key).public_multikey}}}\n"
    with (after / "programme.yaml").open("a") as programme:
        programme.write(f"time_zone: America/Toronto\npartners:\n{partner}")
    rule, added = differences(load(before), load(after))
    assert list(rule.lines) == [
        "- days and months are counted in UTC",
        "+ days and months are counted in America/Toronto",
    ]
    assert (added.what, added.kind, added.name) == ("added", "partner", "ward-sisters")
