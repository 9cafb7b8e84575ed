"""What competency would decide about a request: its own code, asked on what it keeps now. Nothing is sent."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from credstream.learners import LaneKept
from schemas.errors import RefusedError
from schemas.events import DecisionBody, Micros, Outcome
from services.competency import ledger as ledgers
from services.competency.decisions import Decision
from services.competency.ledger import Cause, Draft, Naming
from services.competency.progress import Award, AwardState, Progress
from services.competency.requests import Request, decide_request
from services.competency.settling import settle
from streams.competency import LEDGER_KEY
from streams.settings import CREDENTIAL_SECRET, STATUS_SECRET, Installation


class Effect(StrEnum):
    """What a decision does to one award."""

    GRANTED = "granted"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    REINSTATED = "reinstated"
    KEPT = "kept"
    REVIEW = "review"
    REISSUED = "reissued"  # a new edition supersedes its credential
    CHANGED = "changed"  # another level or end, as known here; the credential stays as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One award and what becomes of it."""

    achievement: str
    award: Award
    effect: Effect


_BY_STATE: Final = {
    AwardState.SUSPENDED: Effect.SUSPENDED,
    AwardState.KEPT: Effect.KEPT,
    AwardState.IN_REVIEW: Effect.REVIEW,
    AwardState.REVOKED_BY_RULE: Effect.REVOKED,
    AwardState.REVOKED_BY_STAFF: Effect.REVOKED,
}


def changes(before: Progress, after: Progress) -> Iterator[Change]:
    """Yield the awards of which something changed, by achievement and number."""
    for name in sorted(after.awards):
        known = {award.number: award for award in before.awards_of(name)}
        for award in after.awards_of(name):
            effect = _effect(known.get(award.number), award)
            if effect is not None:
                yield Change(achievement=name, award=award, effect=effect)


def _effect(before: Award | None, after: Award) -> Effect | None:
    if before is None:
        return Effect.GRANTED if after.stands else None
    if before.is_suspended != after.is_suspended and after.stands:
        return Effect.SUSPENDED if after.is_suspended else Effect.REINSTATED
    if before.state is not after.state and (before.stands or after.stands):
        return _BY_STATE.get(after.state)
    if after.stands and before.edition != after.edition:
        return Effect.REISSUED
    if after.stands and (before.level, before.valid_until) != (after.level, after.valid_until):
        return Effect.CHANGED
    return None


class Foresight:
    """One lane's decisions about a programme's learners, as they would be now."""

    def __init__(self, programme: str, kept: LaneKept, naming: Naming, now: Micros) -> None:
        """Foresee with what the lane keeps, at an instant.

        Raises:
            RefusedError: The lane has adopted no catalogue of the programme.
        """
        book, own = kept.rulebook(programme), kept.own.get(LEDGER_KEY)
        if book is None or own is None:
            raise RefusedError(f"lane {kept.lane} has adopted no catalogue of {programme}; publish one first")
        self.lane, self.book = kept.lane, book
        self._programme, self._naming, self._ledger = programme, naming, ledgers.decoded(own)
        self.now = max(self._ledger.clock, now)

    def decision(self, progress: Progress, request: Request) -> Decision:
        """Return what would be decided about a request."""
        return decide_request(self._draft(request.request_id, request.learner_ref), self.book, progress, request)

    def after(self, progress: Progress, requests: Sequence[Request]) -> Progress:
        """Return what would be kept of a learner after these requests."""
        for request in requests:
            progress = self.decision(progress, request).progress or progress
        return progress

    def outcome(self, learner_ref: str, progress: Progress, achievement: str) -> Outcome | None:
        """Return what its rule says of an achievement now: what counted, what is missing."""
        if achievement not in self.book.rules:
            return None
        settled = settle(self._draft("", learner_ref), self.book, progress, (achievement,))
        return settled.outcomes[-1] if settled.outcomes else None

    def _draft(self, event_id: str, learner_ref: str) -> Draft:
        cause = Cause(event_id=event_id, learner_ref=learner_ref, offset=0, appended_at=self.now)
        return Draft(self._ledger, self._programme, self._naming, cause)


def foresight(installation: Installation, programme: str, kept: LaneKept) -> Foresight:
    """Return what an installation's lane would decide now.

    Raises:
        RefusedError: The lane has adopted no catalogue of the programme, or a secret is missing.
    """
    naming = Naming(
        credential_secret=installation.secret(CREDENTIAL_SECRET),
        status_secret=installation.secret(STATUS_SECRET),
        epoch=installation.epoch,
    )
    return Foresight(programme, kept, naming, time.time_ns() // 1000)


def detail_of(decision: Decision) -> str | None:
    """Return what a decision says beside its outcomes."""
    body = decision.decided.body
    return body.detail if isinstance(body, DecisionBody) else None
