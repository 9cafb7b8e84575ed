"""Logs that are not what they were: a lane that sees it parks, the other goes on, and nothing is reset or decided twice."""

from __future__ import annotations

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.structs import OffsetAndMetadata
from support.bench import Bench
from support.injection import Injection
from support.pipe import until


def stopped_after(bench: Bench, count: int) -> None:
    """Let a worker publish so much and leave."""
    worker = bench.worker()
    bench.send(count)
    bench.wait_for(count)
    worker.terminate()
    assert worker.wait(30) == 0


def goes_on_without_lane_0(bench: Bench, fault: Injection, says: str) -> None:
    """Lane 1 takes all that it is sent; lane 0 takes nothing and says why, and its worker lives."""
    before = {lane: len(records) for lane, records in bench.read(bench.toy.output).items()}
    with fault.recovering():
        worker = bench.worker()
        bench.send(100)
        for _ in until("lane 1 to go on", 60, 0.3):
            published = {lane: len(records) for lane, records in bench.read(bench.toy.output).items()}
            if published[1] == before[1] + 50:
                break
    assert published[0] == before[0]
    for _ in until("lane 0 to say why"):
        if "is parked" in bench.log.read_text():
            break
    assert worker.poll() is None
    parked = [line for line in bench.log.read_text().splitlines() if "is parked" in line]
    assert len(parked) == 1
    assert f"lane 0 of {bench.name} is parked" in parked[0]
    assert says in parked[0]


@pytest.mark.fault("B3")
def test_a_lane_whose_log_was_cut_off_behind_its_position_parks(bench: Bench, fault: Injection) -> None:
    stopped_after(bench, 200)
    admin = KafkaAdminClient(bootstrap_servers=bench.kafka)
    lane = TopicPartition(bench.toy.input.name, 0)
    admin.alter_group_offsets(bench.name, {lane: OffsetAndMetadata(5_000, "", -1)})
    admin.close()
    fault.fire("position past the end")
    goes_on_without_lane_0(bench, fault, "records are gone from the log")


@pytest.mark.fault("B9")
def test_a_lane_whose_unread_records_retention_removed_parks(bench: Bench, fault: Injection) -> None:
    stopped_after(bench, 200)
    bench.send(200)
    admin = KafkaAdminClient(bootstrap_servers=bench.kafka)
    removed = admin.delete_records({TopicPartition(bench.toy.input.name, 0): 150})
    admin.close()
    fault.fire("50 unread records removed", len(removed))
    before = {lane: len(records) for lane, records in bench.read(bench.toy.output).items()}
    assert before == {0: 100, 1: 100}
    bench.worker()
    for _ in until("lane 1 to go on", 60, 0.3):
        published = {lane: len(records) for lane, records in bench.read(bench.toy.output).items()}
        if published[1] == 200:
            break
    assert published[0] == 100
    assert "records are gone from the log" in bench.log.read_text()


@pytest.mark.fault("D5")
def test_lanes_whose_state_lost_its_offsets_park_and_decide_nothing_twice(bench: Bench, fault: Injection) -> None:
    stopped_after(bench, 200)
    admin = KafkaAdminClient(bootstrap_servers=bench.kafka)
    admin.delete_group_offsets(bench.name, [TopicPartition(bench.toy.input.name, 0)])
    admin.close()
    fault.fire("offsets deleted")
    goes_on_without_lane_0(bench, fault, "state without offsets")
