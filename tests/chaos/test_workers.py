"""Workers killed, doubled, starved and hung, on a real Kafka: what they publish stays the pure replay of their input."""

from __future__ import annotations

import random
import signal
import time

import pytest
from confluent_kafka import Producer
from support import toy
from support.bench import Bench
from support.injection import Injection
from support.pipe import until

from credstream.reading import committed
from schemas.codec import decode
from schemas.events import RecordQuarantined
from schemas.topology import QUARANTINED


def set_aside(bench: Bench) -> list[tuple[str, bytes | None]]:
    """What the workers set aside, with the reason."""
    found = [decode(r.value, RecordQuarantined) for r in committed(bench.kafka, QUARANTINED)]
    return [(q.reason, q.value) for q in found if q.topic == bench.toy.input.name]


@pytest.mark.fault("P2")
def test_killed_again_and_again_before_their_session_ends_workers_do_no_damage(
    bench: Bench, seed: int, fault: Injection
) -> None:
    chance, ends = random.Random(seed), time.monotonic() + 25
    while time.monotonic() < ends:
        workers = [bench.worker() for _ in range(2)]
        bench.send(200)
        time.sleep(chance.uniform(0.3, 4))
        for worker in workers:
            assert worker.poll() is None, bench.log.read_text()[-2_000:]
            worker.kill()
            fault.fire("kill -9")
    bench.send(200)
    with fault.recovering():
        bench.worker()
        bench.wait_for(bench.sent)
    bench.check()


@pytest.mark.fault("P5")
def test_a_lane_forced_into_other_hands_is_given_up_and_nothing_is_doubled(bench: Bench, fault: Injection) -> None:
    worker = bench.worker()
    bench.send(200)
    bench.wait_for(200)
    thief = Producer({"bootstrap.servers": bench.kafka, "transactional.id": f"{bench.name}-e-0"})
    thief.init_transactions(20)
    bench.send(200)
    assert worker.wait(60) != 0
    fault.fire("lane taken away")
    with fault.recovering():
        bench.worker()
        bench.wait_for(400)
    bench.check()


@pytest.mark.fault("P6")
@pytest.mark.long
def test_every_lane_makes_progress_while_workers_come_and_go(bench: Bench, fault: Injection) -> None:
    bench.worker()
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        before = bench.published()
        for _ in range(5):
            bench.send(100)
            second = bench.worker()
            time.sleep(3)
            bench.send(100)
            second.terminate()
            assert second.wait(30) == 0
            fault.fire("worker come and gone")
        assert bench.published() > before
    with fault.recovering():
        bench.wait_for(bench.sent)
    bench.check()


@pytest.mark.fault("P7")
def test_a_record_that_takes_all_memory_is_set_aside_and_its_lane_goes_on(bench: Bench, fault: Injection) -> None:
    starving(bench, fault, b"eat", starts=2)
    assert "MemoryError" in bench.log.read_text()


@pytest.mark.fault("P9")
@pytest.mark.long
def test_a_worker_that_hangs_is_ended_by_its_watchdog_and_its_lane_goes_on(bench: Bench, fault: Injection) -> None:
    starving(bench, fault, b"hang", starts=1)
    assert "Timeout" in bench.log.read_text()


def starving(bench: Bench, fault: Injection, value: bytes, *, starts: int) -> None:
    """Send a record that no worker survives; return when it was set aside and all others were taken."""
    limits, tries = ["--as=6000000000"], str(starts)
    worker = bench.worker(limits=limits, TOY_STARTS=tries)
    bench.send(100, lambda i: value if i == 50 else b"v%d" % i)
    with fault.recovering():
        for _ in until("the other 99", 200, 0.3):
            if worker.poll() is not None:
                fault.fire("death")
                worker = bench.worker(limits=limits, TOY_STARTS=tries)
            elif bench.published() == 99:
                break
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert set_aside(bench) == [("crash_loop", value)]
    bench.check(set_aside=[value])
    assert len(bench.read(bench.toy.output)) == toy.LANES
