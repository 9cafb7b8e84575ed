"""The lane on a real Kafka: whatever happens to its workers, what it publishes is the pure replay of its input."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from support import toy
from support.pipe import until

from credstream.reading import committed
from schemas.codec import decode
from schemas.events import RecordQuarantined
from schemas.topology import QUARANTINED

SCRIPT = Path(toy.__file__)


class Bench:
    """A fresh set of topics, and workers on them."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.name = f"toy-{uuid4().hex[:8]}"
        self.toy = toy.create_topics(kafka, self.name)
        self.log = folder / "workers.log"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.sent = 0

    def worker(self, *args: str, **env: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            command = [sys.executable, str(SCRIPT), self.kafka, self.name, *args]
            paths = os.pathsep.join([str(SCRIPT.parents[1]), str(SCRIPT.parents[2])])
            process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": paths, **env})
        self.processes.append(process)
        return process

    def send(
        self, count: int, value: Callable[[int], bytes | None] = lambda i: b"v%d" % i, lane: int | None = None
    ) -> None:
        producer = Producer({"bootstrap.servers": self.kafka})
        for i in range(self.sent, self.sent + count):
            producer.produce(
                self.toy.input.name, value(i), b"key-%d" % (i % 37), i % toy.LANES if lane is None else lane
            )
        producer.flush(20)
        self.sent += count

    def read(self, topic: Any) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = defaultdict(list)
        for record in committed(self.kafka, topic):
            found[record.partition].append(record)
        return found

    def published(self) -> int:
        return sum(len(records) for records in self.read(self.toy.output).values())

    def wait_for(self, count: int, timeout_s: float = 60) -> None:
        for _ in until(f"{count} outputs; {self.published()} are there", timeout_s, 0.3):
            if self.published() >= count:
                return

    def check(self) -> None:
        """Compare every output and the state with a pure replay."""
        outputs, kept = self.read(self.toy.output), self.read(self.toy.state_topic)
        for lane, records in self.read(self.toy.input).items():
            state: dict[bytes, bytes] = {}
            expected, number = [], 0
            for record in records:
                if record.value is not None:
                    state[record.key] = hashlib.sha256(state.get(record.key, b"") + record.value).hexdigest().encode()
                    expected.append((record.key, b"%d %b" % (number, state[record.key])))
                    number += 1
            assert [(r.key, r.value) for r in outputs[lane]] == expected
            last = {r.key: r.value for r in kept[lane]}
            assert {k: v for k, v in last.items() if not k.startswith(b"\x00")} == state


@pytest.fixture
def bench(kafka: str, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(kafka, tmp_path)
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()


@contextmanager
def frozen(bench: Bench) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a worker that has stopped inside a transaction."""
    order = bench.folder / "freeze"
    worker = bench.worker(str(order))
    bench.send(200)
    bench.wait_for(200)
    order.touch()
    bench.send(200)
    for _ in until("the worker to freeze"):
        if order.with_suffix(".frozen").exists():
            break
    yield worker


@pytest.mark.fault("P3")
def test_a_worker_publishes_the_replay_and_stops_when_asked(bench: Bench) -> None:
    worker = bench.worker()
    bench.send(3_000)
    bench.wait_for(3_000)
    worker.terminate()
    assert worker.wait(30) == 0
    bench.check()


@pytest.mark.fault("P1")
def test_kill_9_inside_a_transaction_loses_and_doubles_nothing(bench: Bench) -> None:
    with frozen(bench) as worker:
        worker.kill()
    bench.worker()
    bench.send(200)
    bench.wait_for(600)
    bench.check()


@pytest.mark.fault("P4")
def test_a_zombie_that_wakes_inside_its_transaction_is_fenced_and_leaves(bench: Bench) -> None:
    with frozen(bench) as zombie:
        bench.worker()
        bench.wait_for(400)
        zombie.send_signal(signal.SIGCONT)
        assert zombie.wait(60) != 0
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
def test_a_record_that_kills_every_worker_is_set_aside_and_its_lane_goes_on(bench: Bench) -> None:
    worker, deaths = bench.worker(TOY_STARTS="2"), 0
    bench.send(100, lambda i: b"die" if i == 50 else b"v%d" % i)
    for _ in until("the other 99", 120, 0.3):
        if worker.poll() is not None:
            assert worker.returncode == -signal.SIGKILL
            worker, deaths = bench.worker(TOY_STARTS="2"), deaths + 1
        elif bench.published() == 99:
            break
    assert 2 <= deaths <= 4
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
