"""`docs/rules.md` is a specification: each of its examples is run, and both evaluators agree with it."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from credstream.audit import evaluator
from credstream.rules import grammar
from credstream.rules.loader import CatalogueError, Draft, Example, load
from credstream.rules.testing import run_examples
from schemas.rules import Criterion, inside
from services.competency.progress import named

DOCUMENT = Path(__file__).parents[2] / "docs" / "rules.md"
BLOCKS = re.findall(r"^```yaml (\w+)\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE)
RULES = [text for kind, text in BLOCKS if kind == "rule"]
BLOCK = """\
- id: block
  name: B
  description: D
  criteria: C
  rule: {requires: {result: {assessment: theory}}, levels: {merit: {result: {assessment: theory, at_least: 70 %}}}}
"""


def catalogue(folder: Path, *rules: str) -> Draft:
    (folder / "achievements").mkdir()
    files = dict(BLOCKS[:2])
    (folder / "programme.yaml").write_text(files["programme"])
    (folder / "assessments.yaml").write_text(files["assessments"])
    written = [BLOCK]
    for at, rule in enumerate(rules):
        head, _, examples = rule.partition("examples:\n")
        valid = "".join(f"  {line}\n" for line in head.splitlines() if line.startswith("valid:"))
        inner = "".join(f"    {line}\n" for line in head.splitlines() if not line.startswith("valid:"))
        told = "".join(f"  {line}\n" for line in examples.splitlines())
        written.append(
            f"- id: rule-{at}\n  name: N\n  description: D\n  criteria: C\n{valid}  rule:\n{inner}  examples:\n{told}"
        )
    (folder / "achievements" / "all.yaml").write_text("".join(written))
    return load(folder)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: re.sub(r"\s+", " ", rule.partition("examples")[0])[:60])
def test_each_example_of_the_document_is_decided_as_it_says(tmp_path: Path, rule: str) -> None:
    draft = catalogue(tmp_path, rule)
    for tested in run_examples(draft):
        assert tested.passed, (tested.example.name, tested.attained, tested.level, tested.explanation)
        second = evaluated(draft, tested.example)
        times = [(time.since, time.level) for time in tested.times]
        assert (list(second.times) if second else []) == times


def evaluated(draft: Draft, example: Example) -> evaluator.Held | None:
    rule = next(a.rule for a in draft.achievements if a.id == example.achievement)
    shown = [
        evaluator.Shown(
            assessment=s.assessment,
            at=s.completed_at,
            order=named(key),
            share=None if s.score is None or s.score_max is None else Fraction(s.score, s.score_max),
            passed=s.passed,
            level=s.level,
            role=s.assessor_role,
            site=s.site,
            assessor=s.assessor_ref,
            critical=s.critical,
            evidence=s.evidence_url,
        )
        for key, s in example.results.items()
    ]
    held = {name: evaluator.Held(since) for name, since in example.holds.items()}
    return evaluator.attained([(0, rule)], shown, held)


def kinds(criterion: Criterion) -> set[str]:
    return {type(criterion).__name__}.union(*(kinds(inner) for inner in inside(criterion)))


def test_the_document_shows_every_word_of_the_language(tmp_path: Path) -> None:
    draft = catalogue(tmp_path, *RULES)
    assert set().union(*(kinds(a.rule.requires) for a in draft.achievements)) == {
        "Result",
        "Count",
        "Weighted",
        "Holds",
        "All",
        "Any",
        "AtLeast",
        "Nothing",
        "Expression",
    }
    text = "\n".join(RULES)
    words = {word for fields in (*grammar.CRITERIA.values(), grammar.RULE) for word in fields.known} - {"on_loss"}
    assert {word for word in words | set(grammar.LISTS) if not re.search(rf"\b{word}:", text)} == {"achievements"}


def test_the_published_schema_takes_every_catalogue_here(tmp_path: Path, root: Path) -> None:
    catalogue(tmp_path, *RULES)
    schema = grammar.json_schema()
    for folder in (tmp_path, root / "catalogues" / "ontario-pilots"):
        for path in folder.rglob("*.yaml"):
            kind = {"programme": "programmeFile", "assessments": "assessmentsFile"}.get(path.stem, "achievementsFile")
            validator = jsonschema_rs.validator_for({**schema, "anyOf": [{"$ref": f"#/$defs/{kind}"}]})
            value = yaml.load(path.read_text("utf-8"), Loader=_DatesAsText)  # noqa: S506  a safe one
            assert [f"{path.name}: {e.instance_path} {e.message}" for e in validator.iter_errors(value)] == []


@pytest.mark.parametrize(
    "rule",
    [
        "{requires: {reslt: {assessment: theory}}}",
        "{requires: {result: {assesment: theory}}}",
        "{requires: {result: {assessment: theory, at_least: 80}}}",
        "{requires: {count: {number: 0, assessments: [theory]}}}",
        "{attained: sometimes, requires: {holds: block}}",
        "{requires: {count: {number: 1, assessments: [theory], within: a while}}}",
    ],
)
def test_the_published_schema_refuses_what_the_reader_refuses(tmp_path: Path, rule: str) -> None:
    schema = {**grammar.json_schema(), "anyOf": [{"$ref": "#/$defs/rule"}]}
    assert not jsonschema_rs.is_valid(schema, yaml.safe_load(rule))
    with pytest.raises(CatalogueError):
        catalogue(tmp_path, rule)


class _DatesAsText(yaml.SafeLoader):
    """As editors read YAML for a schema: a date is a text."""


_DatesAsText.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
