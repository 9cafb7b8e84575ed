"""Workers of the toy stage on a real Kafka, and what they must have published: the pure replay of their input."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from support import toy
from support.pipe import until

from credstream.reading import committed

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

    def worker(self, *args: str, limits: Collection[str] = (), **env: str) -> subprocess.Popen[bytes]:
        """Start a worker, under limits that `prlimit` sets."""
        with self.log.open("ab") as log:
            command = [sys.executable, str(SCRIPT), self.kafka, self.name, *args]
            command = ["prlimit", *limits, *command] if limits else command
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

    def check(self, set_aside: Collection[bytes] = ()) -> None:
        """Compare every output and the state with a pure replay, in which some values were set aside."""
        outputs, kept = self.read(self.toy.output), self.read(self.toy.state_topic)
        for lane, records in self.read(self.toy.input).items():
            state: dict[bytes, bytes] = {}
            expected, number = [], 0
            for record in records:
                if record.value is not None and record.value not in set_aside:
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
