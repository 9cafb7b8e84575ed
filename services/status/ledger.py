"""One status list: which places are set, what waits to be published, and when a new version is due.

Revocation is final: no function here clears a place. Suspensions never show in a list; they live in events.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from schemas.events import CredentialStatus, Micros, StatusDecided, StatusListOpened


class Pending(Struct, frozen=True, array_like=True):
    """A change that has been decided and not yet published."""

    learner_ref: str
    credential_id: str
    status: str
    reason: str
    index: int
    decided_at: Micros
    cause: str


class ListState(Struct, frozen=True, array_like=True):
    """A list as its lane keeps it. `revoked` is sorted; `version` 0 means that nothing was published yet.

    `key_id` is the key that signed its newest version.
    """

    form: int
    programme: str
    issuer: str
    key_id: str
    next_decision: int
    revoked: tuple[int, ...] = ()
    pending: tuple[Pending, ...] = ()
    version: int = 0
    published_at: Micros = 0
    valid_until: Micros = 0


class Cadence(Struct, frozen=True, kw_only=True):
    """How often changed lists are published, and how long a published one is valid. Both in microseconds."""

    every: Micros
    valid: Micros


def opened(event: StatusListOpened) -> ListState:
    """Return a new list, all of whose places are clear."""
    return ListState(1, event.programme, event.issuer, event.key_id, next_decision=event.decision_no + 1)


def decided(state: ListState, event: StatusDecided) -> ListState:
    """Take in a decision; the caller has checked that its number is the next one."""
    revoked = state.revoked
    if event.status is CredentialStatus.REVOKED and event.status_index not in set(revoked):
        revoked = tuple(sorted((*revoked, event.status_index)))
    change = Pending(
        event.learner_ref,
        event.credential_id,
        event.status,
        event.reason,
        event.status_index,
        event.decided_at,
        event.cause,
    )
    return replace(state, next_decision=state.next_decision + 1, revoked=revoked, pending=(*state.pending, change))


def is_due(state: ListState, now: Micros, cadence: Cadence) -> bool:
    """Say whether a new version must be published: the first at once, a change at the cadence, else before it goes stale.

    One that a clock which ran ahead has dated in the future is replaced: no verifier would take it yet.
    """
    if state.version == 0 or state.published_at - now >= cadence.every:
        return True
    if state.pending:
        return now - state.published_at >= cadence.every
    return now >= state.valid_until - cadence.valid // 2


def published(state: ListState, now: Micros, cadence: Cadence) -> ListState:
    """Return the list after its next version was published."""
    return replace(state, pending=(), version=state.version + 1, published_at=now, valid_until=now + cadence.valid)
