"""What every chaos test of the whole pipe ends with: byte for byte, all that was published is the pure replay of the inbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from support.auditing import violations
from support.logs import found, latest, records
from support.pipe import Pipe, until
from support.replay import replay

from schemas.codec import decode
from schemas.events import CompetencyDecided, RecordQuarantined
from schemas.topology import (
    CLAIMED,
    DECIDED,
    INBOX,
    ISSUED,
    ISSUING_PROGRESS,
    PROGRESS,
    QUARANTINED,
    STATUS_DECIDED,
)
from streams import competency, issuing


def compare(pipe: Pipe) -> None:
    """Compare what competency and issuing published and keep with a replay of what they read."""
    inbox = records(pipe.place, INBOX)
    published, set_aside, state = replay(competency.stage(pipe.place), inbox)
    assert found(pipe.place, DECIDED, CLAIMED, STATUS_DECIDED) == published
    assert latest(pipe.place, PROGRESS) == state
    aside = [
        decode(r.value, RecordQuarantined, max_bytes=QUARANTINED.max_bytes)
        for lane in records(pipe.place, QUARANTINED).values()
        for r in lane
    ]
    assert Counter(q.partition for q in aside if q.topic == INBOX.name) == set_aside
    published, set_aside, state = replay(issuing.stage(pipe.place), records(pipe.place, CLAIMED))
    assert found(pipe.place, ISSUED) == published
    assert latest(pipe.place, ISSUING_PROGRESS) == state
    assert not set_aside


def decided_ids(pipe: Pipe) -> Counter[str]:
    """How many decisions there are on each event."""
    return Counter(
        decode(r.value, CompetencyDecided).event_id for of in records(pipe.place, DECIDED).values() for r in of
    )


def all_is_well(pipe: Pipe, accepted: Collection[str]) -> None:
    """Drain; then everything accepted was decided, every byte is the replay's, and the auditor has nothing to say."""
    for _ in until("every completion that was accepted to be decided", 180, 1):
        pipe.supervisor.tend()
        if set(accepted) <= decided_ids(pipe).keys():
            break
    pipe.drain(180)
    compare(pipe)
    assert violations(pipe.place) == []
