"""What follows from one record about a learner: outcomes, claims, status decisions. A decision is a value; nothing is done here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from schemas.events import (
    AssessmentCompleted,
    CompetencyDecided,
    CompletionBody,
    CredentialClaimed,
    DecisionBody,
    Disposition,
    StatusDecided,
    StatusListOpened,
)
from services.competency.ledger import Draft, Ledger
from services.competency.progress import Progress, observe
from services.competency.rulebook import DAY, Rulebook
from services.competency.settling import Settled, settle


class Decision(Struct, frozen=True, kw_only=True):
    """All that follows from one record. `progress` is None where no learner is concerned."""

    ledger: Ledger
    progress: Progress | None
    decided: CompetencyDecided
    claims: Sequence[CredentialClaimed] = ()
    statuses: Sequence[StatusListOpened | StatusDecided] = ()


def decide_completion(
    draft: Draft, book: Rulebook, progress: Progress, completed: AssessmentCompleted, body: CompletionBody
) -> Decision:
    """Take an accepted completion in and decide every rule that it touches.

    What is known, outranked or awaits a review touches none.

    Raises:
        MalformedError: The event id is known with another content.
    """
    accepted_days = book.assessments[body.assessment].late_after_days
    age = draft.cause.arrived_at - body.completed_at
    late = accepted_days is not None and age > accepted_days * DAY
    seen = observe(progress, completed, body, late=late)
    detail = seen.detail
    if seen.disposition is Disposition.AWAITING_REVIEW:
        detail = f"it came {age // DAY} days after the assessment; more than {accepted_days} await a review"
    settled = settle(draft, book, seen.progress, book.looking_at(seen.touched))
    return decision(
        draft,
        book,
        settled,
        seen.disposition,
        detail,
        provider=completed.provider,
        result_id=body.result_id,
        correlation=completed.correlation,
    )


def decision(
    draft: Draft, book: Rulebook, settled: Settled, disposition: Disposition, detail: str | None = None, **about: Any
) -> Decision:
    """Return the decision about a learner; ``about`` are more fields of its record."""
    decided = CompetencyDecided(
        decision_no=draft.decision_no,
        lane=draft.lane,
        inbox_offset=draft.cause.offset,
        programme=draft.programme,
        learner_ref=draft.cause.learner_ref,
        event_id=draft.cause.event_id,
        disposition=disposition,
        catalogue_digest=book.newest.digest,
        decided_at=draft.clock,
        body=DecisionBody(outcomes=settled.outcomes, detail=detail),
        **about,
    )
    return Decision(
        ledger=draft.ledger(),
        progress=settled.progress,
        decided=decided,
        claims=draft.claims,
        statuses=draft.statuses,
    )
