"""What a stage on lanes is: a pure step from (lane, state, record) to what follows. `streams.lane` makes it atomic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from schemas.events import Micros
from schemas.topology import Processor, Topic

L = TypeVar("L")


class Record(Struct, frozen=True, kw_only=True):
    """A Kafka record as read. `appended_at` is the broker's or the producer's timestamp, as the topic says."""

    topic: str
    lane: int
    offset: int
    appended_at: Micros
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    def header(self, name: str) -> bytes | None:
        """Return the value of the first header of this name."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[bytes | None]:
        """Return the values of every header of this name."""
        return [value for key, value in self.headers if key == name]


class Output(Struct, frozen=True, kw_only=True):
    """A record to publish, in the lane that it came from."""

    topic: Topic
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Step(Struct, Generic[L], frozen=True):
    """What follows from one record. A change to None forgets the key.

    `caused_at` is when the broker appended what ultimately caused the outputs; latency is measured from it.
    """

    lane: L
    outputs: Sequence[Output] = ()
    changes: Mapping[bytes, bytes | None] = {}
    caused_at: Micros | None = None


class Stage(Protocol[L]):
    """One stage of the pipe. Everything in it is pure: after a crash it runs again and must then say the same.

    `L`, the lane's own state, is an immutable value: after an aborted transaction the old one is simply kept.
    """

    @property
    def processor(self) -> Processor:
        """Whose stage this is; also the consumer group."""

    @property
    def input(self) -> Topic:
        """The one topic that it reads."""

    @property
    def state_topic(self) -> Topic:
        """Where its state is kept, compacted."""

    @property
    def has_idle_work(self) -> bool:
        """Whether `idle` ever does something. Such a stage never reuses state across a rebalance."""

    def restored(self, lane: int, state: Mapping[bytes, bytes]) -> L:
        """Return the lane's own state as it was kept, or a fresh one."""

    def kept(self, before: L, after: L) -> Mapping[bytes, bytes | None]:
        """Return what to write so that `restored` returns `after`; `before` is what is written already."""

    def step(self, lane: L, state: Mapping[bytes, bytes], record: Record) -> Step[L]:
        """Return what follows from one record.

        Raises:
            MalformedError: The record is set aside with its bytes.
            UnavailableError: The lane waits and the record comes again.
            IntegrityError: The lane is parked.
        """

    def idle(self, lane: L, state: Mapping[bytes, bytes], now: Micros) -> Step[L] | None:
        """Return what is due at this time without any record, or None."""


class Overlay(Mapping[bytes, bytes]):
    """The lane's keyed state with a batch's changes on top."""

    __slots__ = ("_base", "changes")

    def __init__(self, base: Mapping[bytes, bytes]) -> None:
        """Start without changes."""
        self._base = base
        self.changes: dict[bytes, bytes | None] = {}

    def __getitem__(self, key: bytes) -> bytes:
        """Return the newest value under the key."""
        value = self.changes[key] if key in self.changes else self._base[key]
        if value is None:
            raise KeyError(key)
        return value

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:  # type: ignore[override]
        """Return the newest value under the key; the hot path."""
        changes = self.changes
        return changes[key] if key in changes else self._base.get(key, default)

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the keys that have a value."""
        yield from (key for key in self._base if self.changes.get(key, b"") is not None)
        yield from (key for key, value in self.changes.items() if value is not None and key not in self._base)

    def __len__(self) -> int:
        """Return how many keys have a value."""
        return sum(1 for _ in self)
