"""The three things that can go wrong with a record, and what happens next in each case (one class each)."""

from __future__ import annotations

from enum import StrEnum


class QuarantineReason(StrEnum):
    """Why a record was set aside. A closed list: metrics and alerts are labelled with it."""

    MALFORMED = "malformed"
    UNKNOWN_SCHEMA = "unknown_schema"
    INVALID_VALUE = "invalid_value"
    TOO_LARGE = "too_large"
    TOMBSTONE = "tombstone"
    WRONG_LANE = "wrong_lane"
    UNKNOWN_PROGRAMME = "unknown_programme"
    UNKNOWN_PROVIDER = "unknown_provider"
    UNKNOWN_ASSESSMENT = "unknown_assessment"
    NOT_ALLOWED = "not_allowed"
    BAD_SIGNATURE = "bad_signature"
    FUTURE_DATED = "future_dated"
    EVENT_ID_CONFLICT = "event_id_conflict"
    LEARNER_FULL = "learner_full"
    CRASH_LOOP = "crash_loop"


class PipelineError(Exception):
    """Anything that the pipe itself raises. Its text is fit for a log: positions and ids, never a person or a key."""


class MalformedError(PipelineError):
    """Quarantine: the record breaks the contract that it names."""

    def __init__(self, reason: QuarantineReason, detail: str) -> None:
        """Set the record aside for ``reason``; ``detail`` says what a provider would have to mend."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class UnavailableError(PipelineError):
    """Wait: something needed cannot answer now. The lane pauses and tries again."""


class IntegrityError(PipelineError):
    """Park the lane: going on could break a promise to a verifier."""


class GapError(IntegrityError):
    """Park the lane at a number: it, or some before it, are missing, or it comes again with another content.

    A person may decide that the lane goes on (`credstream topics accept-gap`).
    """

    def __init__(self, text: str, *, series: str, first: int, until: int) -> None:
        """Say which numbers of a series: ``first`` up to, and without, ``until`` are missing; none: ``first`` came again."""
        super().__init__(text)
        self.series, self.first, self.until = series, first, until


class RefusedError(PipelineError):
    """Do not start: settings, epoch, keys or topics are not what this installation was made with (exit code 78)."""
