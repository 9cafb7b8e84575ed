"""A completion as JSON, read strictly and exactly: numbers never pass through a float, nothing stands twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from credstream.gateway.keys import Sender
from schemas.codec import text_fault_in
from schemas.completions import completion_faults, is_future_dated
from schemas.events import POINT, AssessmentCompleted, CompletionBody, Micros, ResultKind
from schemas.ids import learner_ref

MAX_LINE_BYTES: Final = 16_384
_DECIMALS: Final = 6
_MAX_DIGITS: Final = 15


class Learner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who completed it, as the provider knows them."""

    scheme: str
    identifier: str


IDENTITY_TYPES: Final[Mapping[str, str]] = {"email": "emailAddress", "student": "sisSourcedId", "user": "userName"}
"""What OB 3.0 calls the schemes of identifiers of which credentials may carry a salted hash (IdentifierTypeEnum)."""


class NamedLearner(Learner, frozen=True, forbid_unknown_fields=True):
    """An identifier, and those of which the learner's credentials are to carry a salted hash."""

    in_credentials: tuple[Learner, ...] = ()


class Completion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One completion as providers send it. Give `learner` or `learner_ref`; `completed_at` has a time zone."""

    event_id: str | None = None
    programme: str | None = None
    learner: Learner | None = None
    learner_ref: str | None = None
    result_id: str
    revision: int = 0
    kind: ResultKind = ResultKind.COMPLETED
    assessment: str
    score: Decimal | None = None
    score_max: Decimal | None = None
    passed: bool | None = None
    level: str | None = None
    attempt: int | None = None
    completed_at: str
    evidence_url: str | None = None
    assessor_ref: str | None = None
    assessor_role: str | None = None
    site: str | None = None
    critical: bool | None = None
    correlation: str | None = None


Faults = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a completion is not taken: each field and what is wrong with it."""

    errors: Faults


def read(line: bytes, sender: Sender, learner_secret: bytes, now: Micros) -> AssessmentCompleted | Refused:
    """Return the event in one JSON object, or why it cannot be taken."""
    if len(line) > MAX_LINE_BYTES:
        return _refused("", f"{len(line):,} bytes; at most {MAX_LINE_BYTES:,} are read")
    try:
        plain = json.loads(line, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=Decimal)
        given = msgspec.convert(plain, Completion)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        return _refused(where.rstrip("`") or _field_named_in(what), what)
    except (ValueError, RecursionError) as error:
        return _refused("", f"not JSON: {error}")
    if fault := text_fault_in(plain):
        field, _, what = fault.partition(": ")
        return _refused(field, what)
    return _event(given, plain, sender, learner_secret, now)


def _event(
    given: Completion, plain: Mapping[str, Any], sender: Sender, secret: bytes, now: Micros
) -> AssessmentCompleted | Refused:
    if given.programme not in {None, sender.programme}:
        return _refused("programme", f"this key speaks for {sender.programme}")
    if (given.learner is None) == (given.learner_ref is None):
        return _refused("learner", "give either learner (scheme and identifier) or learner_ref")
    completed_at = _micros(given.completed_at)
    if completed_at is None:
        return _refused(
            "completed_at", "an RFC 3339 date and time with its offset is wanted: 2026-03-01T14:30:00-05:00"
        )
    score, score_max = _micropoints(given.score), _micropoints(given.score_max)
    for name, value, exact in (("score", given.score, score), ("score_max", given.score_max, score_max)):
        if value is not None and exact is None:
            return _refused(name, f"a number with at most {_DECIMALS} decimals and {_MAX_DIGITS} digits is wanted")
    body = CompletionBody(
        result_id=given.result_id,
        revision=given.revision,
        kind=given.kind,
        assessment=given.assessment,
        completed_at=completed_at,
        score=score,
        score_max=score_max,
        passed=given.passed,
        level=given.level,
        attempt=given.attempt,
        evidence_url=given.evidence_url,
        assessor_ref=given.assessor_ref,
        assessor_role=given.assessor_role,
        site=given.site,
        critical=given.critical,
    )
    programme = sender.programme
    learner = given.learner_ref or learner_ref(
        secret,
        programme,
        given.learner.scheme if given.learner else "",
        given.learner.identifier if given.learner else "",
    )
    event = AssessmentCompleted(
        event_id=given.event_id or _derived_id(sender, plain),
        programme=programme,
        provider=sender.provider,
        learner_ref=learner,
        received_at=now,
        correlation=given.correlation,
        body=body,
    )
    faults = [{"field": fault.field, "detail": fault.problem} for fault in completion_faults(event)]
    if is_future_dated(body, now):
        faults.append({"field": "completed_at", "detail": "lies in the future"})
    return Refused(faults) if faults else event


def _derived_id(sender: Sender, plain: Mapping[str, Any]) -> str:
    """Name a completion whose source has no event ids by its content, so that a repeat is known as one."""
    text = json.dumps([sender.provider, plain], sort_keys=True, default=str)
    return f"c-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def _micros(text: str) -> Micros | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None or "T" not in text.upper():
        return None
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * POINT + moment.microsecond


def _micropoints(value: Decimal | None) -> int | None:
    if value is None or not value.is_finite():
        return None
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or exponent < -_DECIMALS or len(digits) + max(exponent, 0) > _MAX_DIGITS:
        return None
    return int(value.scaleb(_DECIMALS))


def _refused(field: str, detail: str) -> Refused:
    return Refused(({"field": field, "detail": detail},))


def _field_named_in(message: str) -> str:
    parts = message.split("`")
    return parts[1] if len(parts) > 2 else ""  # noqa: PLR2004  "Object missing required field `x`"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
