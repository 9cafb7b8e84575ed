"""Every decision about a learner, read from the log itself, so that the answer does not wait for a view."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from credstream.learners import one_learner
from credstream.reading import committed
from credstream.rules.explaining import renewal_in_words
from schemas.codec import decode
from schemas.errors import RefusedError
from schemas.events import CompetencyDecided, Micros, Verdict
from schemas.ids import lane_of, learner_key, learner_ref
from schemas.topology import DECIDED
from services.competency.progress import Award
from streams.settings import LEARNER_SECRET, Installation

_REF: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What one decision said about one achievement. `position` is lane/number of the decision."""

    achievement: str
    verdict: Verdict
    explanation: str
    evidence: tuple[str, ...]
    rule_digest: str
    award: int | None
    level: str | None
    valid_until: Micros | None
    credential_id: str | None
    decided_at: Micros
    position: str
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """How a learner stands with an achievement now: the awards that are not forgotten, and how they are renewed."""

    achievement: str
    awards: tuple[Award, ...]
    renewal: str | None

    @property
    def holds(self) -> bool:
        """Say whether any award is neither revoked nor suspended."""
        return any(award.counts for award in self.awards)


def holdings(
    installation: Installation, programme: str, learner: str, achievement: str | None = None
) -> Sequence[Holding]:
    """Return how a learner stands with each achievement that was ever awarded, by what competency keeps.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    key = learner_key(programme, learner)
    kept, progress = one_learner(installation, lane_of(key, installation.kafka.lanes), key)
    book = kept.rulebook(programme)
    offered = {} if book is None else book.newest.achievements
    return [
        Holding(
            achievement=name,
            awards=progress.awards_of(name),
            renewal=renewal_in_words(offered[name].rule) if name in offered else None,
        )
        for name in sorted(progress.awards)
        if achievement in {None, name}
    ]


def learner_ref_of(installation: Installation, programme: str, learner: str) -> str:
    """Return the learner_ref of `scheme:identifier`; a learner_ref is returned as it is.

    Raises:
        RefusedError: It is neither.
    """
    if _REF.fullmatch(learner):
        return learner
    scheme, colon, identifier = learner.partition(":")
    if not colon or not identifier:
        raise RefusedError(
            f"{learner!r} names no learner: give scheme:identifier (email:a@example.ca) or a learner_ref"
        )
    return learner_ref(installation.secret(LEARNER_SECRET), programme, scheme, identifier)


def explain(
    installation: Installation, programme: str, learner: str, achievement: str | None = None
) -> Iterator[Explained]:
    """Yield what was decided about a learner's achievements, oldest first.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    key = learner_key(programme, learner)
    for record in committed(installation.bootstrap_servers, DECIDED, lane=lane_of(key, installation.kafka.lanes)):
        if record.key != key:
            continue
        decided = decode(record.value, CompetencyDecided)
        if isinstance(decided.body, bytes):
            continue
        for outcome in decided.body.outcomes:
            if achievement in {None, outcome.achievement}:
                yield Explained(
                    achievement=outcome.achievement,
                    verdict=outcome.verdict,
                    explanation=outcome.explanation,
                    evidence=tuple(f"{e.provider} {e.result_id} (revision {e.revision})" for e in outcome.evidence),
                    rule_digest=outcome.rule_digest,
                    award=outcome.award,
                    level=outcome.level,
                    valid_until=outcome.valid_until,
                    credential_id=outcome.credential_id,
                    decided_at=decided.decided_at,
                    position=f"{decided.lane}/{decided.decision_no}",
                    event_id=decided.event_id,
                )
