"""What tests ask of rules: what the second evaluator says of an example, and which criteria a rule is made of."""

from __future__ import annotations

from fractions import Fraction

from credstream.audit import evaluator
from credstream.rules.examples import Example
from credstream.rules.loader import Draft
from schemas.rules import Criterion, inside
from services.competency.progress import named


def evaluated(draft: Draft, example: Example) -> evaluator.Held | None:
    """What the second evaluator decides about an example."""
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
    held = {name: evaluator.Held(one.since, one.level) for name, one in example.holds.items()}
    return evaluator.attained([(0, rule)], shown, held)


def kinds(criterion: Criterion) -> set[str]:
    """The kinds of criterion in a criterion."""
    return {type(criterion).__name__}.union(*(kinds(inner) for inner in inside(criterion)))
