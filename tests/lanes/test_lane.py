"""The lane on a real Kafka: whatever happens to its workers, what it publishes is the pure replay of its input."""

from __future__ import annotations

import signal
import time

import pytest
from support.bench import Bench, frozen
from support.injection import Injection
from support.pipe import until

from credstream.reading import committed
from schemas.codec import decode
from schemas.events import RecordQuarantined
from schemas.topology import QUARANTINED


@pytest.mark.fault("P3")
def test_a_worker_publishes_the_replay_and_stops_when_asked(bench: Bench, fault: Injection) -> None:
    worker = bench.worker()
    bench.send(3_000)
    bench.wait_for(3_000)
    worker.terminate()
    fault.fire("SIGTERM")
    with fault.recovering():
        assert worker.wait(30) == 0
    bench.check()


@pytest.mark.fault("P1")
def test_kill_9_inside_a_transaction_loses_and_doubles_nothing(bench: Bench, fault: Injection) -> None:
    with frozen(bench) as worker:
        worker.kill()
        fault.fire("kill -9 inside a transaction")
    with fault.recovering():
        bench.worker()
        bench.send(200)
        bench.wait_for(600)
    bench.check()


@pytest.mark.fault("P4")
def test_a_zombie_that_wakes_inside_its_transaction_is_fenced_and_leaves(bench: Bench, fault: Injection) -> None:
    with frozen(bench) as zombie:
        with fault.recovering():
            bench.worker()
            bench.wait_for(400)
        zombie.send_signal(signal.SIGCONT)
        assert zombie.wait(60) != 0
        fault.fire("zombie")
    bench.send(200)
    bench.wait_for(600)
    bench.check()


def test_lanes_move_between_workers_that_come_and_go(bench: Bench) -> None:
    bench.worker()
    for _ in range(3):
        bench.send(500)
        second = bench.worker()
        time.sleep(2.5)
        bench.send(500)
        second.terminate()
        second.wait(30)
    bench.wait_for(3_000)
    bench.check()


def test_a_record_that_breaks_its_contract_is_set_aside_with_its_bytes(bench: Bench) -> None:
    bench.worker()
    bench.send(100, lambda i: None if i == 50 else b"v%d" % i)
    bench.wait_for(99)
    bench.check()
    found = [decode(r.value, RecordQuarantined) for r in committed(bench.kafka, QUARANTINED)]
    [mine] = [q for q in found if q.topic == bench.toy.input.name]
    assert (mine.reason, mine.key, mine.value, mine.partition) == ("tombstone", b"key-13", None, 0)


@pytest.mark.fault("P8")
def test_a_record_that_kills_every_worker_is_set_aside_and_its_lane_goes_on(bench: Bench, fault: Injection) -> None:
    worker, deaths = bench.worker(TOY_STARTS="2"), 0
    bench.send(100, lambda i: b"die" if i == 50 else b"v%d" % i)
    for _ in until("the other 99", 120, 0.3):
        if worker.poll() is not None:
            assert worker.returncode == -signal.SIGKILL
            worker, deaths = bench.worker(TOY_STARTS="2"), deaths + 1
        elif bench.published() == 99:
            break
    assert 2 <= deaths <= 4
    fault.fire("death", deaths)
    found = [decode(r.value, RecordQuarantined) for r in committed(bench.kafka, QUARANTINED)]
    [mine] = [q for q in found if q.topic == bench.toy.input.name]
    assert (mine.reason, mine.value) == ("crash_loop", b"die")


@pytest.mark.fault("D5")
def test_a_lane_that_cannot_go_on_is_parked_and_the_other_goes_on(bench: Bench) -> None:
    worker = bench.worker()
    bench.send(10, lane=0)
    bench.send(1, lambda _: b"integrity", lane=0)
    bench.send(10, lane=0)
    bench.send(50, lane=1)
    bench.wait_for(60)
    time.sleep(2)
    assert worker.poll() is None
    assert {lane: len(records) for lane, records in bench.read(bench.toy.output).items()} == {0: 10, 1: 50}
    assert "is parked: cannot go on" in bench.log.read_text()


def test_a_lane_waits_for_what_is_away_and_then_takes_every_record_once(bench: Bench) -> None:
    ready = bench.folder / "ready"
    bench.worker(TOY_READY=str(ready))
    bench.send(10, lane=0)
    bench.send(1, lambda _: b"unavailable", lane=0)
    bench.send(10, lane=0)
    bench.wait_for(10)
    time.sleep(2)
    assert bench.published() == 10
    ready.touch()
    bench.wait_for(21)
    bench.check()


def test_state_of_another_installation_is_refused(bench: Bench) -> None:
    worker = bench.worker()
    bench.send(10)
    bench.wait_for(10)
    worker.terminate()
    worker.wait(30)
    other = bench.worker("", "another installation")
    assert other.wait(60) != 0
    assert "was made by another installation or log" in bench.log.read_text()
