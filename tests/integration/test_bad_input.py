"""Whatever is written into the inbox, it is set aside with its bytes, position and reason, and the pipe goes on."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest
from confluent_kafka import Producer
from support.pipe import PROGRAMME, Pipe, completion, until

from credstream.demo.generator import broken_records
from credstream.reading import committed
from schemas.codec import decode
from schemas.events import RecordQuarantined
from schemas.ids import lane_of, learner_key
from schemas.topology import INBOX, QUARANTINED


def quarantined(pipe: Pipe) -> dict[tuple[int, int], RecordQuarantined]:
    found = (
        decode(r.value, RecordQuarantined, max_bytes=QUARANTINED.max_bytes)
        for r in committed(pipe.place.bootstrap_servers, QUARANTINED)
    )
    return {(q.partition, q.offset): q for q in found if q.topic == INBOX.name}


@pytest.mark.fault("E7", "E8", "E9", "E11", "E18")
def test_broken_records_are_set_aside_with_their_bytes_and_the_lane_goes_on(pipe: Pipe) -> None:
    learner = "f" * 32
    key = learner_key(PROGRAMME, learner)
    lane = lane_of(key, pipe.place.kafka.lanes)
    where: list[tuple[int, int]] = []

    def delivered(error: Any, message: Any) -> None:
        assert error is None
        where.append((message.partition(), message.offset()))

    producer = Producer({"bootstrap.servers": pipe.place.bootstrap_servers})
    broken = broken_records(PROGRAMME, learner, time.time_ns() // 1000)
    for _, record_key, value in broken:
        producer.produce(INBOX.name, value, record_key, lane, on_delivery=delivered, headers=[("odd\x07name", b"\xff")])
        producer.flush(10)
    [line] = pipe.send([completion("after", learner_ref=learner, learner=None)])
    assert line.accepted
    pipe.fate("after-0")
    for _ in until("the quarantine"):  # a transaction's topics become visible one after the other
        found = quarantined(pipe)
        if set(where) <= found.keys():
            break
    for position, (reason, record_key, value) in zip(where, broken, strict=True):
        mine = found[position]
        assert (mine.reason, mine.key, mine.value) == (reason, record_key, value)
        assert mine.sha256 == hashlib.sha256(value or b"").hexdigest()
        assert mine.headers[0].value == b"\xff"


@pytest.mark.fault("E2")
def test_the_same_event_id_with_other_content_is_set_aside_and_the_first_stands(pipe: Pipe) -> None:
    pipe.send([completion("conflict"), completion("conflict", score=90)])
    fates = []
    for _ in range(50):
        fates = pipe.fate("conflict-0")
        if len(fates) == 2:
            break
        time.sleep(0.2)
    assert [f["disposition"] for f in fates] == ["recorded", "quarantined"]
    assert fates[1]["detail"].startswith("event_id_conflict")


@pytest.mark.fault("E1")
def test_the_same_event_again_is_known_and_issues_nothing(pipe: Pipe) -> None:
    pipe.send([completion("again")] * 3)
    fates = []
    for _ in range(50):
        fates = pipe.fate("again-0")
        if len(fates) == 3:
            break
        time.sleep(0.2)
    assert [f["disposition"] for f in fates] == ["recorded", "known", "known"]
    assert [o["verdict"] for f in fates for o in f["outcomes"] if o["achievement"] == "site-safety"] == ["granted"]
