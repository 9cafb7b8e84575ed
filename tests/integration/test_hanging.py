"""A transaction that no coordinator will end holds up its lane; it is found, and ended by command, and nothing counts twice."""

from __future__ import annotations

import time

import pytest
from support.auditing import violations
from support.commands import credstream, stopped
from support.ghost import hang
from support.pipe import Pipe, completion, until

from credstream.lanes.hanging import hanging
from credstream.reading import committed
from schemas.codec import decode
from schemas.events import CredentialIssued
from schemas.topology import CLAIMED, INBOX, ISSUED
from streams.hanging import OpenTransactions
from streams.topics import lags, open_ends

LANE = 1


def issued(pipe: Pipe) -> list[str]:
    """The events for which credentials were issued in the lane."""
    records = committed(pipe.place.bootstrap_servers, ISSUED, lane=LANE)
    return [event.event_id for event in (decode(r.value, CredentialIssued) for r in records)]


@pytest.mark.fault("B18")
def test_a_hanging_transaction_is_found_and_ended_and_its_lane_goes_on(mended: Pipe) -> None:
    mended.drain()
    assert "no transaction hangs" in credstream(mended, "topics", "unhang")
    name = f"competency-{mended.place.epoch}-99"
    producer = hang(mended.place.bootstrap_servers, name, CLAIMED, LANE, "competency", INBOX)
    before = issued(mended)
    sent = [completion(f"hanging-{i}") for i in range(24)]
    assert all(line.accepted for line in mended.send(sent))
    for _ in until("every completion to be decided"):
        if not any(lag.records for lag in lags(mended.place) if lag.topic is INBOX):
            break
    time.sleep(2)
    assert issued(mended) == before, "who reads committed records waits behind it"
    known = OpenTransactions()
    known.seen(open_ends(mended.place), 0.0)
    assert known.seen(open_ends(mended.place), 1_000.0) == {(CLAIMED.name, LANE): 1_000.0}
    [found] = hanging(mended.place, older_than_s=0)
    assert (found.producer_id, found.transactional_id, found.took_no_effect) == (producer, name, True)
    assert found.state == "Empty"
    args = ("topics", "unhang", "--older-than-s", "0")
    assert name in credstream(mended, *args, "--dry-run")
    assert "no transaction hangs" in credstream(mended, "topics", "unhang", "--older-than-s", "3600")
    assert "competency is running" in credstream(mended, *args, "--yes", code=78)
    assert hanging(mended.place, older_than_s=0)
    with stopped(mended, "competency"):
        assert "aborted: 1" in credstream(mended, *args, "--yes")
    assert not hanging(mended.place, older_than_s=0)
    mended.drain()
    mine = [event for event in issued(mended) if event.startswith("hanging-")]
    assert mine
    assert len(set(mine)) == len(mine)
    assert known.seen(open_ends(mended.place), 2_000.0) == {(CLAIMED.name, LANE): 0.0}
    assert violations(mended.place) == []
