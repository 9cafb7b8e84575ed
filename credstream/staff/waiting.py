"""What waits for a person: results that came too late to count by themselves, and awards that lost their evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from credstream.learners import learners
from credstream.staff.foreseeing import Change, Effect, Foresight, changes, foresight
from schemas.events import POINT, Micros, ReviewAnswer, ReviewDecided
from services.competency.progress import AwardState, Progress, Standing, named
from services.competency.rulebook import DAY
from streams.settings import Installation

Kind = Literal["late result", "lost evidence"]
ANSWERS: Final[Mapping[Kind, Sequence[ReviewAnswer]]] = {
    "late result": (ReviewAnswer.ACCEPT, ReviewAnswer.REJECT),
    "lost evidence": (ReviewAnswer.KEEP, ReviewAnswer.SUSPEND, ReviewAnswer.REVOKE),
}
_ID_CHARS: Final = 12


class Consequence(Struct, frozen=True):
    """What an answer does to one award."""

    achievement: str
    effect: Effect
    level: str | None = None


class Waiting(Struct, frozen=True, kw_only=True):
    """One thing that waits. Of a late result `shown_at`, `accepted_late_days` and what it says; of an award why its rule fails.

    `answers` has what each possible answer would do to the learner's awards, as competency would decide it now.
    """

    id: str
    kind: Kind
    programme: str
    learner_ref: str
    about: str  # the assessment, or the achievement
    provider: str | None = None
    result_id: str | None = None
    revision: int | None = None
    credential_id: str | None = None
    award: int | None = None
    shown_at: Micros
    accepted_late_days: int | None = None
    says: str = ""
    rule_digest: str | None = None
    explanation: str | None = None
    answers: dict[ReviewAnswer, tuple[Consequence, ...]]

    def days_old(self, now: Micros) -> int:
        """Return how many days ago it was shown, or attained."""
        return (now - self.shown_at) // DAY

    def names(self) -> dict[str, str | None]:
        """Return by what a `ReviewDecided` names it."""
        if self.kind == "late result":
            return {"provider": self.provider, "result_id": self.result_id}
        return {"credential_id": self.credential_id}


def queue(installation: Installation, programme: str, say: Callable[[int], None] = lambda _: None) -> Iterator[Waiting]:
    """Yield all that waits in a programme, lane by lane.

    Raises:
        UnavailableError: Kafka does not answer.
        RefusedError: A lane has adopted no catalogue of the programme.
    """
    for lane in range(installation.kafka.lanes):
        kept, found = learners(installation, lane, programme, say)
        seen = foresight(installation, programme, kept)
        for learner_ref, progress in found:
            yield from waiting_of(seen, programme, learner_ref, progress)


def waiting_of(seen: Foresight, programme: str, learner_ref: str, progress: Progress) -> Iterator[Waiting]:
    """Yield what waits of one learner."""
    for key, standing in progress.awaiting.items():
        if not standing.retracted:
            yield _late(seen, programme, learner_ref, progress, (key, standing))
    for name in progress.awards:
        for award in progress.awards_of(name):
            if award.state is AwardState.IN_REVIEW:
                about = {"credential_id": award.credential_id}
                outcome = seen.outcome(learner_ref, progress, name)
                yield Waiting(
                    id=award.credential_id,
                    kind="lost evidence",
                    programme=programme,
                    learner_ref=learner_ref,
                    about=name,
                    credential_id=award.credential_id,
                    award=award.number,
                    shown_at=award.attained_at,
                    rule_digest=None if outcome is None else outcome.rule_digest,
                    explanation=None if outcome is None else outcome.explanation,
                    answers=_answers(seen, programme, learner_ref, progress, "lost evidence", about),
                )


def _late(
    seen: Foresight, programme: str, learner_ref: str, progress: Progress, waiting: tuple[str, Standing]
) -> Waiting:
    key, standing = waiting
    provider, result_id = named(key)
    accepted = seen.book.assessments.get(standing.assessment)
    about = {"provider": provider, "result_id": result_id}
    return Waiting(
        id=late_id(programme, learner_ref, key),
        kind="late result",
        programme=programme,
        learner_ref=learner_ref,
        about=standing.assessment,
        provider=provider,
        result_id=result_id,
        revision=standing.revision,
        shown_at=standing.completed_at,
        accepted_late_days=None if accepted is None else accepted.late_after_days,
        says=said(standing),
        answers=_answers(seen, programme, learner_ref, progress, "late result", about),
    )


def late_id(programme: str, learner_ref: str, key: str) -> str:
    """Return a short name for a late result, the same for as long as it waits."""
    text = f"{programme}\0{learner_ref}\0{key}".encode()
    return f"late-{hashlib.sha256(text).hexdigest()[:_ID_CHARS]}"


def said(standing: Standing) -> str:
    """Return in a few words what a result says."""
    words = []
    if standing.score is not None and standing.score_max is not None:
        words.append(f"{standing.score / POINT:g} of {standing.score_max / POINT:g}")
    if standing.passed is not None:
        words.append("passed" if standing.passed else "not passed")
    if standing.level is not None:
        words.append(standing.level)
    if standing.critical:
        words.append("critical incident")
    return ", ".join(words)


def _answers(
    seen: Foresight, programme: str, learner_ref: str, progress: Progress, kind: Kind, about: Mapping[str, Any]
) -> dict[ReviewAnswer, tuple[Consequence, ...]]:
    found = {}
    for answer in ANSWERS[kind]:
        request = ReviewDecided(
            request_id="foreseen",
            programme=programme,
            learner_ref=learner_ref,
            answer=answer,
            requested_by="",
            requested_at=seen.now,
            **about,
        )
        found[answer] = tuple(map(_consequence, changes(progress, seen.after(progress, [request]))))
    return found


def _consequence(change: Change) -> Consequence:
    return Consequence(change.achievement, change.effect, change.award.level)
