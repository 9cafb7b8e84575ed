"""The log that is audited, wherever it is read from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from msgspec import Struct

from schemas.topology import (
    CATALOGUE_PUBLISHED,
    CLAIMED,
    DECIDED,
    INBOX,
    ISSUED,
    LIST_PUBLISHED,
    QUARANTINED,
    STATUS_CHANGED,
    STATUS_DECIDED,
    Topic,
)

READ: tuple[Topic, ...] = (
    CATALOGUE_PUBLISHED,
    INBOX,
    DECIDED,
    QUARANTINED,
    CLAIMED,
    ISSUED,
    STATUS_DECIDED,
    STATUS_CHANGED,
    LIST_PUBLISHED,
)
"""The topics that are read, each after those that it follows from. What processors keep for themselves is not asked."""


class LogRecord(Struct, frozen=True):
    """A record as it stands. `appended_at` is in microseconds."""

    topic: str
    lane: int
    offset: int
    appended_at: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    def header(self, name: str) -> bytes | None:
        """Return the value of the first header of this name."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def position(self) -> str:
        """Return where it stands, for people."""
        return f"{self.topic}/{self.lane}@{self.offset}"


class Cut(Struct, frozen=True):
    """How much of the log is audited. All that follows from a record before a position is before the ends.

    ``ends`` (and ``begins``, what retention left) by topic and lane; ``positions``, what a processor has done with, by its name,
    topic and lane. `at` is when it was taken, in microseconds.
    """

    at: int
    ends: Mapping[str, int]
    begins: Mapping[str, int]
    positions: Mapping[str, int]
    identity: str = ""  # names the log: its topics' ids

    def end(self, topic: Topic, lane: int) -> int:
        """Return the end of a lane."""
        return self.ends.get(f"{topic.name}/{lane}", 0)

    def begin(self, topic: Topic, lane: int) -> int:
        """Return the first offset that is still there."""
        return self.begins.get(f"{topic.name}/{lane}", 0)

    def done(self, processor: str, topic: Topic, lane: int) -> int:
        """Return up to where a processor has done its work; 0 if it has done none."""
        return max(0, self.positions.get(f"{processor}/{topic.name}/{lane}", 0))


class Log(Protocol):
    """Topics of one installation."""

    @property
    def lanes(self) -> int:
        """Return how many lanes there are."""

    def cut(self) -> Cut:
        """Return how much of it there is now."""

    def records(self, topic: Topic, lane: int, start: int, end: int) -> Iterator[LogRecord]:
        """Yield the committed records of a lane from one position to before another."""
