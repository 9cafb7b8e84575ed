"""Which completions can stand, and which field is named when one cannot."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.completions import LAST_INSTANT, MAX_AHEAD, completion_faults, is_future_dated
from schemas.events import POINT, AssessmentCompleted, CompletionBody, ResultKind

BODY = CompletionBody(
    result_id="r-1",
    revision=0,
    kind=ResultKind.COMPLETED,
    assessment="quiz",
    completed_at=1_700_000_000_000_000,
    score=70 * POINT,
    score_max=100 * POINT,
    passed=True,
    attempt=1,
    evidence_url="https://college.example/evidence/1?x=%20#top",
)
COMPLETED = AssessmentCompleted(
    event_id="e-1",
    programme="demo",
    provider="college",
    learner_ref="0f" * 16,
    received_at=1_700_000_000_000_001,
    body=BODY,
)


def fields_at_fault(envelope: dict[str, Any] | None = None, **body: Any) -> list[str]:
    changed = msgspec.structs.replace(COMPLETED, body=msgspec.structs.replace(BODY, **body), **(envelope or {}))
    return [fault.field for fault in completion_faults(changed)]


def test_an_honest_completion_has_no_fault() -> None:
    assert fields_at_fault() == []
    assert fields_at_fault(score=None, score_max=None, passed=None, attempt=None, evidence_url=None) == []
    assert fields_at_fault(score=0) == []
    assert fields_at_fault(score=100 * POINT) == []
    assert fields_at_fault(kind=ResultKind.RETRACTED, revision=1) == []


@pytest.mark.fault("E6")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"score": None}, "score"),
        ({"score_max": None}, "score_max"),
        ({"score": -1}, "score"),
        ({"score": 100 * POINT + 1}, "score"),
        ({"score_max": 0}, "score_max"),
        ({"score_max": -POINT}, "score_max"),
        ({"revision": -1}, "revision"),
        ({"kind": ResultKind.CORRECTED}, "revision"),
        ({"kind": ResultKind.RETRACTED}, "revision"),
        ({"attempt": 0}, "attempt"),
        ({"completed_at": -1}, "completed_at"),
        ({"completed_at": LAST_INSTANT + 1}, "completed_at"),
        ({"result_id": ""}, "result_id"),
        ({"result_id": "r" * 201}, "result_id"),
        ({"assessment": ""}, "assessment"),
        ({"level": "l" * 201}, "level"),
        ({"site": "s" * 201}, "site"),
        ({"evidence_url": "javascript:alert(1)"}, "evidence_url"),
        ({"evidence_url": "https:///no-host"}, "evidence_url"),
        ({"evidence_url": "https://college.example/a b"}, "evidence_url"),
        ({"evidence_url": "https://college.example/" + "a" * 2_000}, "evidence_url"),
    ],
    ids=str,
)
def test_a_value_that_cannot_stand_is_named_by_its_field(body: dict[str, Any], field: str) -> None:
    assert fields_at_fault(**body) == [field]


@pytest.mark.parametrize(
    ("envelope", "field"),
    [
        ({"event_id": ""}, "event_id"),
        ({"provider": "p" * 201}, "provider"),
        ({"correlation": "c" * 201}, "correlation"),
        ({"learner_ref": "0F" * 16}, "learner_ref"),
        ({"learner_ref": "0f" * 16 + "\n"}, "learner_ref"),
        ({"received_at": LAST_INSTANT + 1}, "received_at"),
    ],
    ids=str,
)
def test_the_envelope_is_held_to_the_same(envelope: dict[str, Any], field: str) -> None:
    assert fields_at_fault(envelope) == [field]


def test_every_fault_is_told_at_once() -> None:
    assert fields_at_fault({"event_id": ""}, revision=-1, score=-1) == ["event_id", "revision", "score"]


@pytest.mark.fault("E5")
def test_a_clock_may_be_five_minutes_ahead_and_no_more() -> None:
    now = BODY.completed_at - MAX_AHEAD
    assert not is_future_dated(BODY, now)
    assert is_future_dated(BODY, now - 1)
