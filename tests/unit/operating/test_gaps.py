"""A gap or a conflict in the numbers parks a lane; where a person accepted it, the lane goes on, and only there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from support.audited import SIGNERS, MemoryLog, healthy
from support.competency import PROGRAMME

from credstream.replaying.comparing import Published
from credstream.replaying.issuing import ReplayedIssuing
from schemas import codec
from schemas.errors import GapError
from schemas.events import CredentialClaimed, GapAccepted, GapKind, StatusDecided
from schemas.topology import CLAIMED, STATUS_DECIDED, Processor
from services.status.ledger import Cadence
from streams.gaps import accepted_key, digest, is_accepted
from streams.stage import Record
from streams.status import StatusStage

LANE = 1


@pytest.fixture(scope="module")
def whole() -> MemoryLog:
    return healthy()


def records(log: MemoryLog, topic: Any) -> list[Record]:
    return [Record(**msgspec.structs.asdict(one)) for one in log.records_of[topic.name, LANE]]


def acceptance(record: Record, **about: Any) -> dict[bytes, bytes]:
    event = GapAccepted(
        stage="issuing",
        topic=record.topic,
        partition=record.lane,
        offset=record.offset,
        kind=GapKind.MISSING,
        first=0,
        until=1,
        requested_by="sam",
        requested_at=1,
        note="no mirror has them",
        **{"sha256": digest(record.value), **about},
    )
    return {accepted_key(record.offset): codec.encode(event)}


def issued(log: MemoryLog, run: list[Record], state: dict[bytes, bytes]) -> tuple[int, dict[str, int]]:
    """Take claims in, signed as they were; how many were signed, and up to which numbers."""
    with Published(lambda topic, lane: iter(log.records_of[topic.name, lane]), Processor.ISSUING, LANE) as published:
        stage = ReplayedIssuing(published)
        own, outputs = stage.restored(LANE, state), 0
        for record in run:
            step = stage.step(own, state, record)
            own, outputs = step.lane, outputs + len(step.outputs)
            state.update({key: value for key, value in step.changes.items() if value is not None})
    return outputs, dict(own.last)


def without_a_claim(log: MemoryLog) -> tuple[list[Record], Record, int]:
    """The claims but one, the claim after it, and the number that is missing."""
    run = records(log, CLAIMED)
    claims = [r for r in run if isinstance(codec.decode_any(r.value, codec._TYPES.values()), CredentialClaimed)]
    gone, following = claims[3], claims[4]
    return [r for r in run if r is not gone], following, codec.decode(gone.value, CredentialClaimed).claim_no


def test_missing_claims_park_the_lane_and_are_named(whole: MemoryLog) -> None:
    run, following, number = without_a_claim(whole)
    with pytest.raises(GapError, match="claims are missing") as found:
        issued(whole, run, {})
    assert (found.value.first, found.value.until) == (number, number + 1)
    assert codec.decode(following.value, CredentialClaimed).programme == found.value.series


def test_an_accepted_gap_lets_the_lane_go_on(whole: MemoryLog) -> None:
    everything, last = issued(whole, records(whole, CLAIMED), {})
    run, following, _ = without_a_claim(whole)
    assert issued(whole, run, acceptance(following)) == (everything - 1, last)


def test_another_gap_is_not_accepted_with_it(whole: MemoryLog) -> None:
    run, following, _ = without_a_claim(whole)
    with pytest.raises(GapError):
        issued(whole, run, acceptance(following, sha256=digest(b"another record")))
    state = acceptance(following)
    assert is_accepted(state, following)
    assert not is_accepted(state, replace(following, offset=following.offset + 1))
    assert not is_accepted(state, replace(following, value=b"another"))


def test_a_conflict_parks_the_lane_and_once_accepted_the_first_stands(whole: MemoryLog) -> None:
    run = records(whole, CLAIMED)
    kinds = codec._TYPES.values()
    last = next(r for r in reversed(run) if isinstance(codec.decode_any(r.value, kinds), CredentialClaimed))
    claim = codec.decode(last.value, CredentialClaimed)
    other = replace(last, offset=last.offset + 1, value=codec.encode(replace(claim, claimed_at=claim.claimed_at + 1)))
    with pytest.raises(GapError, match="comes again with another content") as found:
        issued(whole, [*run, other], {})
    assert found.value.first == found.value.until == claim.claim_no
    assert issued(whole, [*run, other], acceptance(other)) == issued(whole, run, {})
    again = replace(last, offset=last.offset + 1)
    assert issued(whole, [*run, again], {}) == issued(whole, run, {}), "the same again counts once"


def test_missing_status_decisions_park_their_lane_until_they_are_accepted(whole: MemoryLog) -> None:
    run = records(whole, STATUS_DECIDED)
    decided = [r for r in run if isinstance(codec.decode_any(r.value, codec._TYPES.values()), StatusDecided)]
    gone, following = decided[0], decided[1]
    keys = {(PROGRAMME, name): signer for name, signer in SIGNERS.items()}
    stage = StatusStage(keys, Cadence(every=1, valid=1))

    def taken(state: dict[bytes, bytes]) -> Any:
        own = stage.restored(LANE, {})
        for record in run:
            if record is not gone:
                own = stage.step(own, state, record).lane
        return own

    number = codec.decode(gone.value, StatusDecided).decision_no
    with pytest.raises(GapError) as found:
        taken({})
    assert (found.value.first, found.value.until) == (number, number + 1)
    [kept] = taken(acceptance(following)).lists.values()
    assert kept.next_decision == codec.decode(decided[-1].value, StatusDecided).decision_no + 1
