"""Every decision about a learner, read from the log itself, so that the answer does not wait for a view."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from credstream.reading import committed
from schemas.codec import decode
from schemas.errors import RefusedError
from schemas.events import CompetencyDecided, Micros, Verdict
from schemas.ids import lane_of, learner_key, learner_ref
from schemas.topology import DECIDED
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
    credential_id: str | None
    decided_at: Micros
    position: str
    event_id: str

    @property
    def holds(self) -> bool:
        """Say whether the learner holds the achievement after this decision."""
        return self.verdict in {Verdict.GRANTED, Verdict.ALREADY_HELD}


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
                    credential_id=outcome.credential_id,
                    decided_at=decided.decided_at,
                    position=f"{decided.lane}/{decided.decision_no}",
                    event_id=decided.event_id,
                )
