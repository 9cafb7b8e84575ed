"""Taking over a full lane: a worker of competency is killed, and its successor reads the state of 10^5 and of 10^6 learners first.

Each learner has ten results and what was decided of them, encoded as competency keeps it. `LEARNERS=100000,1000000` says how many.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.competency import PROGRAMME as BENCH_PROGRAMME
from support.pipe import BASE_URL, CATALOGUE, PROGRAMME, PROVIDER, until
from support.traffic import Traffic, published
from support.workers import Workers

from credstream import installation as installations
from credstream.cli.running import create
from credstream.local import broker
from credstream.rules.loader import load as load_catalogue
from credstream.rules.publishing import publish
from schemas.codec import encode
from schemas.events import POINT, AssessmentCompleted, CompletionBody, ResultKind
from schemas.ids import learner_key
from schemas.topology import DECIDED, INBOX, PROGRESS
from streams import topics
from streams.settings import Installation, load

COUNTS = [int(n) for n in os.environ.get("LEARNERS", "100000,1000000").split(",")]
DIFFERENT = 2_000  # learners decided for real, repeated to the full number
TRIES = 3
BUDGET_S, BUDGET_MB = 15, 1_800
TICK_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Takeover:
    """One measured takeover."""

    seconds: float
    cpu_s: float
    memory_mb: float


def progress() -> list[bytes]:
    """Return the state of some learners, each with ten results of the pilots' first assessments."""
    draft, now = load_catalogue(CATALOGUE), datetime.now(UTC)
    traffic = Traffic(published(draft), now)
    mine = [a.id for a in draft.assessments if a.providers and PROVIDER in a.providers][:10]
    traffic.send((PROVIDER, one) for learner in range(DIFFERENT) for one in results(learner, mine, now))
    kept = [v for k, v in traffic.lane.state.items() if k.startswith(f"{BENCH_PROGRAMME}:".encode())]
    assert len(kept) >= DIFFERENT
    return kept


def results(learner: int, assessments: list[str], now: datetime) -> Iterator[dict[str, Any]]:
    for n in range(10):
        yield {
            "event_id": f"{learner}/{n}",
            "learner": {"scheme": "email", "identifier": f"{learner}@learners.example"},
            "result_id": f"{learner}-{n}",
            "assessment": assessments[n % len(assessments)],
            "score": 40 + (7 * n + learner) % 60,
            "score_max": 100,
            "completed_at": (now - timedelta(days=20 - n)).isoformat(timespec="seconds"),
        }


def fill(place: Installation, values: list[bytes], numbers: Iterable[int]) -> None:
    """Write learners into the only lane's state, as fast as Kafka takes them."""
    producer = Producer(
        {
            "bootstrap.servers": place.bootstrap_servers,
            "compression.type": "lz4",
            "linger.ms": 50,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for n in numbers:
        key = learner_key(PROGRAMME, f"{n:032x}")
        while True:
            try:
                producer.produce(PROGRESS.name, values[n % len(values)], key, 0)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(120)


class Probe:
    """Sends one result and sees when it is decided."""

    def __init__(self, place: Installation) -> None:
        servers = place.bootstrap_servers
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
        self._consumer = Consumer(
            {"bootstrap.servers": servers, "group.id": "probe", "isolation.level": "read_committed"}
        )
        end = topics.ends(place, [DECIDED])[DECIDED.name, 0]
        self._consumer.assign([TopicPartition(DECIDED.name, 0, end)])
        self._sent = 0

    def send(self) -> None:
        self._sent += 1
        learner, now = f"{self._sent:f>32}", time.time_ns() // 1_000_000 * 1_000
        body = CompletionBody(
            result_id=f"probe-{self._sent}",
            revision=0,
            kind=ResultKind.COMPLETED,
            assessment="site-safety-test",
            completed_at=now - 1_000_000,
            score=80 * POINT,
            score_max=100 * POINT,
        )
        event = AssessmentCompleted(
            event_id=f"probe-{self._sent}",
            programme=PROGRAMME,
            provider=PROVIDER,
            learner_ref=learner,
            received_at=now,
            body=body,
        )
        self._producer.produce(INBOX.name, encode(event), learner_key(PROGRAMME, learner), 0)
        self._producer.flush(30)

    def wait(self) -> None:
        for _ in until("a decision", 180, 0):
            if (message := self._consumer.poll(0.2)) is not None and message.error() is None:
                return


@contextmanager
def one_lane(folder: Path, servers: str) -> Iterator[Installation]:
    """An installation of one lane whose competency has the pilots' rules."""
    create(folder, base_url=BASE_URL, catalogue=CATALOGUE, lanes=1)
    settings = folder / "credstream.toml"
    settings.write_text(settings.read_text().replace('bootstrap_servers = ""', f'bootstrap_servers = "{servers}"'))
    place = load(folder)
    topics.create(place)
    workers = Workers(place, "competency", 1)
    try:
        publish(place, installations.build_catalogue(place, load_catalogue(CATALOGUE)))
    finally:
        workers.stop()
    yield place


def takeovers(place: Installation) -> list[Takeover]:
    """Kill the worker of the lane; measure until its successor has decided what was sent meanwhile."""
    workers, probe, measured = Workers(place, "competency", 1), Probe(place), []
    try:
        probe.send()
        probe.wait()
        for _ in range(TRIES):
            began = time.monotonic()
            workers.kill(0)
            probe.send()
            probe.wait()
            seconds = time.monotonic() - began
            measured.append(Takeover(seconds, *used(workers.pid(0))))
    except AssertionError:
        print(workers.log(0)[-3_000:])
        raise
    finally:
        workers.stop()
    return measured


def used(pid: int) -> tuple[float, float]:
    """Return the CPU seconds and the most memory in MB that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert peak
    return (int(fields[11]) + int(fields[12])) / TICK_S, int(peak[1]) / 1_000


def main() -> None:
    console = Console(width=110)
    table = Table(
        "learners",
        "bytes each",
        "killed → first result decided",
        "CPU until then",
        "most memory",
        title=f"taking over one lane; budget {BUDGET_S} s and {BUDGET_MB:,} MB at 10^6; session time-out 6 s included",
    )
    values = progress()
    size = sum(map(len, values)) // len(values)
    with tempfile.TemporaryDirectory() as folder, broker.running(Path(folder) / "kafka", say=console.print) as kafka:  # noqa: SIM117
        with one_lane(Path(folder) / "place", kafka.bootstrap_servers) as place:
            filled = 0
            for count in COUNTS:
                fill(place, values, range(filled, count))
                filled = count
                measured = takeovers(place)
                table.add_row(
                    f"{count:,}",
                    f"{size:,}",
                    f"{', '.join(f'{one.seconds:.1f}' for one in measured)} s",
                    f"{max(one.cpu_s for one in measured):.1f} s",
                    f"{max(one.memory_mb for one in measured):,.0f} MB",
                )
    console.print(table)


if __name__ == "__main__":
    main()
