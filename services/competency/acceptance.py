"""Which completions count: from whom, about what, with which values. Each refusal has its own reason."""

from __future__ import annotations

from schemas.completions import completion_faults, is_future_dated
from schemas.errors import MalformedError, QuarantineReason
from schemas.events import AssessmentCompleted, CompletionBody, Micros
from services.competency.rulebook import Rulebook


def accepted(completed: AssessmentCompleted, book: Rulebook, appended_at: Micros) -> CompletionBody:
    """Return the body of a completion that counts, of a programme adopted in this lane.

    Raises:
        MalformedError: The provider or assessment is unknown, that provider may not attest for it, a value cannot stand, or the
            result claims to be from the future; whichever is found first.
    """
    body = completed.body
    if isinstance(body, bytes):
        raise MalformedError(QuarantineReason.INVALID_VALUE, "body: sealed, and sealed completions are not read here")
    if completed.provider not in book.providers:
        raise MalformedError(QuarantineReason.UNKNOWN_PROVIDER, f"{completed.provider!r} is not in the catalogue")
    assessment = book.assessments.get(body.assessment)
    if assessment is None:
        raise MalformedError(QuarantineReason.UNKNOWN_ASSESSMENT, f"{body.assessment!r} is not in the catalogue")
    if completed.provider not in assessment.providers:
        raise MalformedError(
            QuarantineReason.NOT_ALLOWED, f"{completed.provider!r} may not attest for {body.assessment!r}"
        )
    if faults := completion_faults(completed):
        raise MalformedError(QuarantineReason.INVALID_VALUE, "; ".join(map(str, faults)))
    if is_future_dated(body, appended_at):
        raise MalformedError(QuarantineReason.FUTURE_DATED, "completed_at: more than five minutes after it arrived")
    return body
