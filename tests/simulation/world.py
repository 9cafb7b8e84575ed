"""Workers on the model of Kafka, moved on one call at a time by a scheduler that may end, expel or trouble any of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException
from greenlet import getcurrent, greenlet
from simulation.model import Broker, Killed, Process
from support.replay import replay

from schemas.topology import QUARANTINED, Topic
from streams.lane import IDENTITY_KEY, LaneSettings, Worker
from streams.stage import Record, Stage

SETTINGS = LaneSettings(bootstrap_servers="model", epoch="e1", identity=b"simulation", max_records=3)
MOST_TURNS = 50_000


class Poisoned(BaseException):
    """A record ends the process, as a fault in a decoder written in C would."""


@dataclass(slots=True)
class Running:
    """A worker's process and where it stands."""

    process: Process
    run: greenlet


class World:
    """Stages, each with places for workers, on one broker."""

    def __init__(
        self,
        stages: Sequence[Callable[[], Stage[Any]]],
        *,
        lanes: int,
        workers: int,
        worker: type[Worker[Any]] = Worker,
    ) -> None:
        self.stages, self.lanes, self._worker = stages, lanes, worker
        self.broker = Broker(lanes)
        self.places: list[tuple[Callable[[], Stage[Any]], Running | None]] = []
        self.places = [(stage, None) for stage in stages for _ in range(workers)]
        self.happened: Counter[str] = Counter()
        self._started = 0
        self._scheduler = getcurrent()
        for at in range(len(self.places)):
            self.start(at)

    def start(self, at: int) -> None:
        """Put a fresh process into an empty place."""
        stage, running = self.places[at]
        if running is not None:
            return
        self._started += 1
        process = Process(f"member-{self._started}", self.broker, lambda _: self._scheduler.switch())
        self.places[at] = stage, Running(process, greenlet(lambda: self._work(stage, process)))

    def _work(self, stage: Callable[[], Stage[Any]], process: Process) -> None:
        try:
            self._worker(stage(), SETTINGS, process.surroundings()).run()
        except Killed:
            self.happened["killed"] += 1
        except KafkaException:
            self.happened["left"] += 1
        except Poisoned:
            process.dead = True
            self.happened["poisoned"] += 1

    def go(self, at: int) -> None:
        """Let a worker make its next call."""
        stage, running = self.places[at]
        if running is None:
            return
        running.run.switch()
        if running.run.dead:
            self.places[at] = stage, None

    def kill(self, at: int) -> None:
        """End a process as kill -9 does: its member and its transaction stay behind."""
        _, running = self.places[at]
        if running is None:
            return
        running.process.dead = True
        self.go(at)
        self.places[at] = self.places[at][0], None

    def expel(self, at: int) -> None:
        """Let a group give up one of its members, dead or merely slow (a zombie)."""
        members = [(group, member) for group in self.broker.groups.values() for member in group.members]
        if members:
            group, member = members[at % len(members)]
            group.leave(member)
            self.happened["expelled"] += 1

    def trouble(self, at: int, when: str) -> None:
        """Have a call fail: before it took effect or after, so that it may be tried again; or so that all must be (abort)."""
        _, running = self.places[at]
        if running is not None and not running.process.trouble:
            running.process.trouble.append(when)
            self.happened[f"trouble {when}"] += 1

    def drain(self, most_turns: int | None = None) -> None:
        """Start what is missing, expel the dead, and go on until nothing is left to read."""
        alive = {running.process.name for _, running in self.places if running is not None}
        for group in self.broker.groups.values():
            for member in set(group.members) - alive:
                group.leave(member)
        for turn in range(most_turns or MOST_TURNS):
            at = turn % len(self.places)
            self.start(at)
            self.go(at)
            if at == 0 and not self.left_to_read():
                return
        raise AssertionError(f"not drained: {self.left_to_read()} left; {dict(self.happened)}")

    def left_to_read(self) -> int:
        left = 0
        for stage in (make() for make in self.stages):
            for lane in range(self.lanes):
                topic = stage.input.name
                position = max(0, self.broker.committed.get((stage.processor, topic, lane), 0))
                left += len(self.broker.logs.get((topic, lane), ())) - position
        return left

    def close(self) -> None:
        """End every process."""
        for at in range(len(self.places)):
            self.kill(at)

    def records(self, topic: Topic) -> dict[int, list[Record]]:
        """Return a topic's committed records by lane."""
        return {
            lane: [
                Record(
                    topic=topic.name,
                    lane=lane,
                    offset=offset,
                    appended_at=entry.appended_ms * 1000,
                    key=entry.key,
                    value=entry.value,
                    headers=tuple(entry.headers or ()),
                )
                for offset, entry in self.broker.visible(topic.name, lane)
            ]
            for lane in range(self.lanes)
        }

    def check(self, make: Callable[[], Stage[Any]], *outputs: Topic) -> None:
        """Compare what a stage published, in order, and the state that it left, with the pure replay of its input."""
        stage = make()
        lanes = self.records(stage.input)
        published, set_aside, state = replay(make(), lanes)
        found = Counter(
            (topic.name, lane, r.key, r.value)
            for topic in outputs
            for lane, records in self.records(topic).items()
            for r in records
        )
        assert found == published, {"lost": published - found, "extra": found - published}
        quarantined = [r for records in self.records(QUARANTINED).values() for r in records]
        mine = [r for r in quarantined if ("ce_source", f"/{stage.processor}".encode()) in r.headers]
        assert len(mine) == sum(set_aside.values())
        kept = {
            (lane, key): value
            for lane in range(self.lanes)
            for key, value in self.broker.state(stage.state_topic.name, lane).items()
            if key != IDENTITY_KEY
        }
        assert kept == state
