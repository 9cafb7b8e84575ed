"""Which values a completion may hold. The gateway and competency ask the same function, so what is accepted is decided."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schemas.events import AssessmentCompleted, CompletionBody, Micros, ResultKind
from schemas.text import MAX_ID_CHARS

MAX_URL_CHARS: Final = 2_000
MAX_AHEAD: Final[Micros] = 5 * 60 * 1_000_000
"""How far a provider's clock may be ahead of ours: five minutes."""
LAST_INSTANT: Final[Micros] = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z, the last that RFC 3339 can write."""
_MAX_COUNT: Final = 2**31 - 1
_LEARNER_REF: Final = re.compile("[0-9a-f]{32}")
_URL: Final = re.compile(r"https?://[^\s/?#]+[^\s]*")


@dataclass(frozen=True, slots=True)
class Fault:
    """A field whose value cannot stand, by its name in the JSON form, and what is wrong with it. Quotes no value."""

    field: str
    problem: str

    def __str__(self) -> str:
        """Return one line for a log or a problem document."""
        return f"{self.field}: {self.problem}"


def completion_faults(completed: AssessmentCompleted) -> list[Fault]:
    """Return every value of a completion that cannot stand; empty when all can.

    Text is not looked into (`schemas.codec.text_fault_in` does that, and decoding does it always), nor is a sealed body.
    """
    faults = [
        *_text(completed, ("event_id", "programme", "provider"), ("correlation",)),
        *_instant("received_at", completed.received_at),
    ]
    if not _LEARNER_REF.fullmatch(completed.learner_ref):
        faults.append(Fault("learner_ref", "32 hexadecimal digits, in lower case"))
    body = completed.body
    return faults if isinstance(body, bytes) else [*faults, *_body(body)]


def is_future_dated(body: CompletionBody, now: Micros) -> bool:
    """Say whether the result claims to be from later than any honest clock can say at ``now``."""
    return body.completed_at > now + MAX_AHEAD


def _body(body: CompletionBody) -> Iterator[Fault]:
    yield from _text(body, ("result_id", "assessment"), ("level", "assessor_ref", "assessor_role", "site"))
    yield from _instant("completed_at", body.completed_at)
    if not 0 <= body.revision <= _MAX_COUNT:
        yield Fault("revision", f"from 0 to {_MAX_COUNT}")
    elif body.revision == 0 and body.kind is not ResultKind.COMPLETED:
        yield Fault(
            "revision", "at least 1 when something is corrected or retracted, so that it outranks what it corrects"
        )
    if body.attempt is not None and not 1 <= body.attempt <= _MAX_COUNT:
        yield Fault("attempt", f"from 1 to {_MAX_COUNT}")
    if body.evidence_url is not None and (
        len(body.evidence_url) > MAX_URL_CHARS or not _URL.fullmatch(body.evidence_url)
    ):
        yield Fault("evidence_url", f"an http or https address of at most {MAX_URL_CHARS} characters")
    yield from _score(body)


def _score(body: CompletionBody) -> Iterator[Fault]:
    if body.score is None and body.score_max is None:
        return
    if body.score is None or body.score_max is None:
        missing = "score" if body.score is None else "score_max"
        yield Fault(missing, "score and score_max come together or not at all")
    elif body.score_max <= 0:
        yield Fault("score_max", "greater than 0")
    elif not 0 <= body.score <= body.score_max:
        yield Fault("score", "from 0 to score_max")


def _instant(name: str, instant: Micros) -> Iterator[Fault]:
    if not 0 <= instant <= LAST_INSTANT:
        yield Fault(name, "in the years from 1970 to 9999")


def _text(
    of: AssessmentCompleted | CompletionBody, required: tuple[str, ...], optional: tuple[str, ...]
) -> Iterator[Fault]:
    for name in required:
        if not 1 <= len(getattr(of, name)) <= MAX_ID_CHARS:
            yield Fault(name, f"from 1 to {MAX_ID_CHARS} characters")
    for name in optional:
        text: str | None = getattr(of, name)
        if text is not None and len(text) > MAX_ID_CHARS:
            yield Fault(name, f"at most {MAX_ID_CHARS} characters")
