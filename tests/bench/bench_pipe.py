"""The whole pipe on an embedded Kafka: completions and credentials a second, latency at half that load, CPU by process."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.pipe import Pipe, whole_pipe

from credstream.demo.generator import Generator
from credstream.local import broker
from schemas.codec import decode
from schemas.events import CredentialIssued
from schemas.topology import ISSUED
from streams import topics

COUNT = int(os.environ.get("COUNT", "20000"))
TICK_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the CPU that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK_S


class Follower(threading.Thread):
    """A subscriber of its own: when each credential was there, and how old its cause was."""

    def __init__(self, servers: str, lanes: int) -> None:
        super().__init__(daemon=True)
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "bench",
                "isolation.level": "read_committed",
                "auto.offset.reset": "latest",
                "fetch.wait.max.ms": 10,
            }
        )
        self._consumer.assign([TopicPartition(ISSUED.name, lane) for lane in range(lanes)])
        self._consumer.poll(1)
        self.arrivals: list[tuple[float, float]] = []
        self.open = True

    def run(self) -> None:
        while self.open:
            for message in self._consumer.consume(1_000, 0.02):
                if message.error() is None:
                    now = time.time()
                    self.arrivals.append((now, now - decode(message.value(), CredentialIssued).caused_at / 1e6))


def send(pipe: Pipe, seed: int, count: int, per_second: float | None) -> float:
    """Send completions, all at once or at a rate, and return how long it took."""
    sent = [s for s in Generator(seed, datetime.now(UTC), pipe.catalogue).completions(count) if s.accepted]
    for n, one in enumerate(sent):  # other learners than in the run before
        learner = {"scheme": "bench", "identifier": f"{seed}-{one.completion['learner']['identifier']}"}
        sent[n] = type(one)(one.provider, {**one.completion, "learner": learner})
    began, step = time.monotonic(), 1_000 if per_second is None else max(20, int(per_second / 20))
    for start in range(0, len(sent), step):
        for provider in sorted({s.provider for s in sent[start : start + step]}):
            pipe.send([s.completion for s in sent[start : start + step] if s.provider == provider], provider)
        if per_second is not None:
            time.sleep(max(0.0, (start + step) / per_second - (time.monotonic() - began)))
    return time.monotonic() - began


def drain(pipe: Pipe) -> None:
    while any(lag.records for lag in topics.lags(pipe.place)):
        time.sleep(0.1)


def main() -> None:
    console = Console(width=100)
    with tempfile.TemporaryDirectory() as folder, broker.running(Path(folder) / "kafka", say=console.print) as kafka:  # noqa: SIM117
        with whole_pipe(Path(folder) / "pipe", kafka.bootstrap_servers) as pipe:
            processes = {c.name: c.process.pid for c in pipe.supervisor.children if c.process} | {"kafka": kafka.pid}
            send(pipe, 1, 1_000, None)
            drain(pipe)
            follower = Follower(kafka.bootstrap_servers, pipe.place.kafka.lanes)
            follower.start()
            before, began = {name: cpu_s(pid) for name, pid in processes.items()}, time.time()
            accepted_s = send(pipe, 2, COUNT, None)
            drain(pipe)
            time.sleep(1)
            issued = len(follower.arrivals)
            took_s = max(at for at, _ in follower.arrivals) - began
            used = {name: cpu_s(pid) - before[name] for name, pid in processes.items()}
            follower.arrivals.clear()
            half = COUNT / accepted_s / 2
            send(pipe, 3, int(half * 10), half)
            drain(pipe)
            time.sleep(1)
            ages = sorted(age for _, age in follower.arrivals)
            follower.open = False
            follower.join()
    table = Table(
        "measured",
        "",
        title=f"{COUNT:,} completions at full speed, then 10 s at half of it; load made on the same machine",
    )
    table.add_row("completions accepted a second", f"{COUNT / accepted_s:,.0f}")
    table.add_row("completions through the whole pipe a second", f"{COUNT / took_s:,.0f}")
    table.add_row("credentials a second", f"{issued / took_s:,.0f}")
    table.add_row(f"append to subscriber at {half:,.0f}/s: p50", f"{statistics.median(ages) * 1000:,.0f} ms")
    table.add_row("p99", f"{ages[int(len(ages) * 0.99)] * 1000:,.0f} ms")
    for name, seconds in sorted(used.items(), key=lambda pair: -pair[1]):
        table.add_row(f"CPU of {name}, µs a completion", f"{seconds / COUNT * 1e6:,.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
