"""What a log of completions means, said slowly: which results stand, and what is held by them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction

import msgspec

from credstream.audit import evaluator
from credstream.audit.evaluator import Shown, Versions
from schemas.events import AssessmentCompleted, CompletionBody, ResultKind
from schemas.rules import Rule

Held = dict[str, list[tuple[int, str | None]]]
"""Achievements held: each time since when, at which level."""


def body_of(completed: AssessmentCompleted) -> CompletionBody:
    assert isinstance(completed.body, CompletionBody)
    return completed.body


def content(body: CompletionBody) -> bytes:
    plain = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not None}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()[:8]


def standing(log: Sequence[AssessmentCompleted]) -> list[tuple[str, CompletionBody]]:
    """Of each result the highest revision, of equals the larger digest; then without those retracted."""
    best: dict[tuple[str, str], CompletionBody] = {}
    for completed in log:
        body = body_of(completed)
        name = (completed.provider, body.result_id)
        if name not in best or (body.revision, content(body)) > (best[name].revision, content(best[name])):
            best[name] = body
    return [(provider, body) for (provider, _), body in best.items() if body.kind is not ResultKind.RETRACTED]


def shown(log: Sequence[AssessmentCompleted]) -> list[Shown]:
    """What stands, as the evaluator reads it."""
    out = []
    for provider, body in standing(log):
        share = None if body.score is None or body.score_max is None else Fraction(body.score, body.score_max)
        out.append(
            Shown(
                assessment=body.assessment,
                at=body.completed_at,
                order=(provider, body.result_id),
                share=share,
                passed=body.passed,
                level=body.level,
                role=body.assessor_role,
                site=body.site,
                assessor=body.assessor_ref,
                critical=body.critical,
                evidence=body.evidence_url,
            )
        )
    return out


def meaning(rules: Mapping[str, Versions], log: Sequence[AssessmentCompleted]) -> Held:
    """Everything held, each time with its instant and level."""
    return {name: list(one.times) for name, one in evaluator.held(rules, shown(log)).items()}


def in_force(*adoptions: tuple[Mapping[str, Rule], int, int | None]) -> dict[str, list[tuple[int, Rule | None]]]:
    """The versions of each rule, as adopted: rules, the lane's clock then, and from when they are to be in force."""
    out: dict[str, list[tuple[int, Rule | None]]] = {}
    for rules, clock, effective_from in adoptions:
        named = 0 if effective_from is None else effective_from
        for name in out.keys() | rules.keys():
            start = max(clock, named) if name in out else named
            out.setdefault(name, []).append((start, rules.get(name)))
    return out
