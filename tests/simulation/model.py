"""A model of Kafka in memory: logs with markers, transactions with epochs, consumer groups with generations.

Its clients have the methods of confluent-kafka's that a worker calls, and raise its errors. Each call is a point at which the
scheduler may go on with another worker, or end this one as kill -9 would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from schemas.errors import IntegrityError
from streams.restore import State
from streams.surroundings import Surroundings

START_MS = 1_800_000_000_000
IDLE_MS = 50  # what a look for records takes


@dataclass(slots=True, eq=False)
class Transaction:
    """What one producer wrote between begin and end, and the offsets that go with it."""

    state: str = "open"
    partitions: set[tuple[str, int]] = field(default_factory=set)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Entry:
    """A record in a log, or (without a value of its own) the marker of a transaction's end."""

    key: bytes | None
    value: bytes | None
    headers: Any
    appended_ms: int
    transaction: Transaction | None = None
    is_marker: bool = False


@dataclass(slots=True)
class Group:
    """A consumer group: its members in order of joining, who has given up its lanes, and what is committed."""

    lanes: int
    generation: int = 0
    members: list[str] = field(default_factory=list)
    joined: set[str] = field(default_factory=set)
    rebalancing: bool = False
    assigned: dict[str, tuple[int, list[int]]] = field(default_factory=dict)

    def join(self, member: str) -> None:
        """Begin a rebalance: everybody has to give up its lanes and join anew."""
        self.members.append(member)
        self.rebalancing, self.joined = True, set()

    def leave(self, member: str) -> None:
        """End a membership, whether the member knows or not."""
        if member in self.members:
            self.members.remove(member)
            self.assigned.pop(member, None)
            self.rebalancing, self.joined = True, set()

    def settle(self) -> None:
        """Assign the lanes once all have joined (range)."""
        if not self.rebalancing or not self.members or set(self.members) != self.joined:
            return
        self.generation += 1
        self.rebalancing = False
        share, more = divmod(self.lanes, len(self.members))
        start = 0
        for at, member in enumerate(self.members):
            end = start + share + (at < more)
            self.assigned[member] = (self.generation, list(range(start, end)))
            start = end


class Broker:
    """Logs, transactions and groups. Time passes with each record."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.logs: dict[tuple[str, int], list[Entry]] = {}
        self.epochs: dict[str, int] = {}
        self.open: dict[str, Transaction] = {}
        self.groups: dict[str, Group] = {}
        self.committed: dict[tuple[str, str, int], int] = {}
        self.notes: dict[tuple[str, str, int], str] = {}
        self.now_ms = START_MS

    def group(self, name: str) -> Group:
        return self.groups.setdefault(name, Group(self.lanes))

    def append(self, topic: str, lane: int, entry: Entry) -> int:
        log = self.logs.setdefault((topic, lane), [])
        log.append(entry)
        return len(log) - 1

    def write(self, topic: str, lane: int, key: bytes | None, value: bytes | None, headers: Any = ()) -> None:
        """Append a record of no transaction."""
        self.now_ms += 1
        self.append(topic, lane, Entry(key, value, headers, self.now_ms))

    def stable(self, topic: str, lane: int) -> int:
        """Return the last stable offset: that of the first record whose transaction is open."""
        log = self.logs.get((topic, lane), [])
        still = (at for at, entry in enumerate(log) if entry.transaction and entry.transaction.state == "open")
        return next(still, len(log))

    def visible(self, topic: str, lane: int, start: int = 0) -> list[tuple[int, Entry]]:
        """Return what a reader of committed records sees from an offset on."""
        log = self.logs.get((topic, lane), [])
        return [
            (at, log[at])
            for at in range(start, self.stable(topic, lane))
            if not log[at].is_marker and (log[at].transaction is None or log[at].transaction.state == "committed")  # type: ignore[union-attr]
        ]

    def end(self, name: str, outcome: str, group: str | None = None) -> None:
        """End the open transaction of a producer: markers first, then its offsets count."""
        transaction = self.open.pop(name, None)
        if transaction is None:
            return
        transaction.state = outcome
        self.now_ms += 1
        for topic, lane in sorted(transaction.partitions):
            self.append(topic, lane, Entry(None, None, None, self.now_ms, is_marker=True))
        if outcome == "committed" and group is not None:
            for (topic, lane), offset in transaction.offsets.items():
                self.committed[group, topic, lane] = offset
                self.notes.pop((group, topic, lane), None)

    def state(self, topic: str, lane: int) -> State:
        """Return what a compacted partition holds.

        Raises:
            IntegrityError: A transaction is open, and nobody is left to end it.
        """
        if self.stable(topic, lane) < len(self.logs.get((topic, lane), [])):
            raise IntegrityError(f"{topic}/{lane}: a torn transaction")
        kept: State = {}
        for _, entry in self.visible(topic, lane):
            if entry.value is None:
                kept.pop(entry.key or b"", None)
            else:
                kept[entry.key or b""] = entry.value
        return kept


class Killed(BaseException):
    """The process is gone; nothing that it still does has any effect."""


@dataclass
class Process:
    """One worker's process, as its clients know it. `pause` lets the scheduler decide what happens next."""

    name: str
    broker: Broker
    pause: Callable[[str], None]
    dead: bool = False
    trouble: list[str] = field(default_factory=list)  # errors that the next calls are to meet

    def point(self, what: str) -> None:
        """Let others go on; come back, or be gone."""
        if not self.dead:
            self.pause(what)
        if self.dead:
            raise Killed

    def surroundings(self) -> Surroundings:
        return Surroundings(
            consumer=lambda settings: Consumer(self, settings["group.id"]),
            producer=lambda settings: Producer(self, settings["transactional.id"]),
            restorer=lambda _: self.restore,
            pool=OneByOne,  # type: ignore[arg-type]
            monotonic=lambda: self.broker.now_ms / 1000,
            sleep=self.sleep,
            watch=lambda _: None,
            call_off=lambda: None,
        )

    def sleep(self, seconds: float) -> None:
        self.broker.now_ms += int(seconds * 1000)
        self.point("sleep")

    def restore(self, lane: TopicPartition) -> State:
        self.point("restore")
        return self.broker.state(lane.topic, lane.partition)


class OneByOne:
    """A pool whose work is done at once, in order."""

    def map(self, call: Callable[..., Any], *of: Iterable[Any]) -> list[Any]:
        return [call(*args) for args in zip(*of, strict=False)]

    def shutdown(self) -> None:
        return

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        raise NotImplementedError


@dataclass(slots=True)
class Message:
    """A record as the consumer hands it out, or an event of the consumer's own."""

    _topic: str
    _partition: int
    _offset: int
    _entry: Entry | None = None
    _error: KafkaError | None = None

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return self._error

    def key(self) -> bytes | None:
        return self._entry.key if self._entry else None

    def value(self) -> bytes | None:
        return self._entry.value if self._entry else None

    def headers(self) -> Any:
        return self._entry.headers if self._entry else None

    def timestamp(self) -> tuple[int, int]:
        return 1, self._entry.appended_ms if self._entry else 0


class Consumer:
    """A member of a consumer group, eager rebalances, read_committed."""

    def __init__(self, process: Process, group: str) -> None:
        self._process, self._broker, self._group_name = process, process.broker, group
        self._group = process.broker.group(group)
        self._topic, self._member = "", process.name
        self._handlers: dict[str, Callable[..., None]] = {}
        self._generation = -1
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()
        self._told_end: dict[int, int] = {}

    def subscribe(self, topics: list[str], **handlers: Callable[..., None]) -> None:
        self._process.point("subscribe")
        [self._topic], self._handlers = topics, handlers
        self._group.join(self._member)

    def _rebalance(self) -> None:
        """Hear of what became of the group, as inside a poll."""
        group = self._group
        if self._member not in group.members:
            self._tell("on_lost")
            group.join(self._member)
        if group.rebalancing and self._member not in group.joined:
            self._tell("on_revoke")
            group.joined.add(self._member)
        group.settle()
        generation, lanes = group.assigned.get(self._member, (-1, []))
        if not group.rebalancing and generation != self._generation:
            self._generation = generation
            self._handlers["on_assign"](self, [TopicPartition(self._topic, lane) for lane in lanes])

    def _tell(self, handler: str) -> None:
        if self._positions:
            self._handlers[handler](self, [TopicPartition(self._topic, lane) for lane in self._positions])

    def poll(self, timeout: float) -> Message | None:
        del timeout
        found = self.consume(1, 0)
        return found[0] if found else None

    def consume(self, number: int, timeout: float) -> list[Message]:
        del timeout
        self._process.point("consume")
        self._broker.now_ms += IDLE_MS
        self._rebalance()
        out: list[Message] = []
        for lane in sorted(self._positions.keys() - self._paused):
            out += self._fetched(lane, number - len(out))
        return out

    def _fetched(self, lane: int, number: int) -> list[Message]:
        position = self._positions[lane]
        if number and position > len(self._broker.logs.get((self._topic, lane), [])):
            error = KafkaError(KafkaError._AUTO_OFFSET_RESET, "out of range")
            return [Message(self._topic, lane, position, _error=error)]
        found = self._broker.visible(self._topic, lane, position)
        out = [Message(self._topic, lane, offset, entry) for offset, entry in found[:number]]
        if out:
            self._positions[lane] = out[-1].offset() + 1
        end = self._broker.stable(self._topic, lane)
        if len(found) < number and self._told_end.get(lane) != end:
            self._told_end[lane] = end
            out.append(Message(self._topic, lane, end, _error=KafkaError(KafkaError._PARTITION_EOF, "end")))
        return out

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._positions = {tp.partition: tp.offset for tp in partitions}
        self._paused, self._told_end = set(), {}

    def unassign(self) -> None:
        self.assign([])

    def seek(self, partition: TopicPartition) -> None:
        self._positions[partition.partition] = partition.offset
        self._told_end.pop(partition.partition, None)

    def pause(self, partitions: list[TopicPartition]) -> None:
        self._paused |= {tp.partition for tp in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        self._paused -= {tp.partition for tp in partitions}

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        del timeout
        self._process.point("committed")
        found = []
        for tp in partitions:
            where = (self._group_name, tp.topic, tp.partition)
            offset, note = self._broker.committed.get(where, -1001), self._broker.notes.get(where)
            found.append(TopicPartition(tp.topic, tp.partition, offset, note or ""))
        return found

    def commit(self, offsets: list[TopicPartition], *, asynchronous: bool) -> None:
        assert not asynchronous
        self._process.point("commit offsets")
        self.refuse_expelled(self._member, self._generation, transactional=False)
        for tp in offsets:
            self._broker.committed[self._group_name, tp.topic, tp.partition] = tp.offset
            self._broker.notes[self._group_name, tp.topic, tp.partition] = tp.metadata or ""

    def refuse_expelled(self, member: str, generation: int, *, transactional: bool) -> None:
        """Refuse who is no member of this generation (KIP-447)."""
        group = self._group
        current = group.assigned.get(member, (-1, []))[0]
        if member not in group.members or generation not in {current, group.generation} or current != generation:
            error = KafkaError(KafkaError.ILLEGAL_GENERATION, "expelled", txn_requires_abort=transactional)
            raise KafkaException(error)
        if group.rebalancing and not transactional:
            raise KafkaException(KafkaError(KafkaError.REBALANCE_IN_PROGRESS, "rebalancing"))

    def consumer_group_metadata(self) -> tuple[Consumer, str, int]:
        return self, self._member, self._generation

    def get_watermark_offsets(self, partition: TopicPartition, *, cached: bool) -> tuple[int, int]:
        del cached
        return 0, len(self._broker.logs.get((partition.topic, partition.partition), []))

    def close(self) -> None:
        if self._process.dead:
            return
        self._tell("on_revoke")
        self._group.leave(self._member)

    @property
    def group_name(self) -> str:
        return self._group_name


class Producer:
    """A transactional producer: whoever opens its name anew is the only one who may write under it."""

    def __init__(self, process: Process, name: str) -> None:
        self._process, self._broker, self._name = process, process.broker, name
        self._epoch = -1
        self._group: str | None = None
        self._done_unheard = False
        self._touched = False  # a transaction in which nothing was done ends without asking anybody

    def init_transactions(self, timeout: float) -> None:
        del timeout
        self._process.point("init")
        self._trouble()
        self._broker.end(self._name, "aborted")
        self._epoch = self._broker.epochs[self._name] = self._broker.epochs.get(self._name, -1) + 1

    def begin_transaction(self) -> None:
        self._done_unheard = self._touched = False

    def produce(self, topic: str, value: bytes | None, key: bytes | None, lane: int, headers: Any = None) -> None:
        self._process.point("produce")
        self._touched = True
        if self._is_fenced():
            return  # it is sent in the background: the next call tells
        transaction = self._transaction()
        transaction.partitions.add((topic, lane))
        self._broker.append(topic, lane, Entry(key, value, headers, self._broker.now_ms, transaction))

    def poll(self, timeout: float) -> int:
        del timeout
        return 0

    def send_offsets_to_transaction(
        self, offsets: list[TopicPartition], member: tuple[Consumer, str, int], timeout: float
    ) -> None:
        del timeout
        self._process.point("send offsets")
        self._refuse_fenced()
        self._trouble()
        self._touched = True
        consumer, name, generation = member
        consumer.refuse_expelled(name, generation, transactional=True)
        self._group = consumer.group_name
        self._transaction().offsets.update({(tp.topic, tp.partition): tp.offset for tp in offsets})

    def commit_transaction(self, timeout: float) -> None:
        del timeout
        self._process.point("commit")
        if self._done_unheard or not self._touched:  # it was done, and the answer was lost; or there is nothing to do
            return
        self._refuse_fenced()
        if self._process.trouble[:1] == ["after"]:
            self._process.trouble.pop()
            self._broker.end(self._name, "committed", self._group)
            self._done_unheard = True
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer", retriable=True))
        self._trouble()
        self._broker.end(self._name, "committed", self._group)
        self._process.point("committed")

    def abort_transaction(self, timeout: float) -> None:
        del timeout
        self._process.point("abort")
        if not self._touched:
            return
        self._refuse_fenced()
        self._broker.end(self._name, "aborted")

    def _transaction(self) -> Transaction:
        return self._broker.open.setdefault(self._name, Transaction())

    def _is_fenced(self) -> bool:
        return self._broker.epochs.get(self._name) != self._epoch

    def _refuse_fenced(self) -> None:
        if self._is_fenced():
            raise KafkaException(KafkaError(KafkaError._FENCED, "fenced", fatal=True))

    def _trouble(self) -> None:
        if self._process.trouble:
            aborts = self._process.trouble.pop() == "abort" and self._name in self._broker.open
            code = KafkaError._INCONSISTENT if aborts else KafkaError._TIMED_OUT
            raise KafkaException(KafkaError(code, "trouble", retriable=not aborts, txn_requires_abort=aborts))
