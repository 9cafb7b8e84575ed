"""The log as Kafka has it, read with kafka-python: another implementation of the protocol than the one that wrote it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from kafka import IsolationLevel, KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import CoordinatorNotAvailableError, KafkaError

from credstream.audit.log import READ, Cut, LogRecord
from schemas.errors import UnavailableError
from schemas.topology import TOPICS, Processor, Topic

_EARLIEST: Final = -2
_LATEST: Final = -1
_POLL_MS: Final = 500
_FETCH_BYTES: Final = 8_000_000
_TIMEOUT_MS: Final = 15_000
_AT_ONCE: Final = 2_000
_QUIET: Final = 60
"""How many times in a row nothing may come before the end is reached."""


class KafkaLog:
    """Topics of one cluster."""

    def __init__(self, bootstrap_servers: str, lanes: int, *, uncommitted: bool = False) -> None:
        """Read from these servers; ``uncommitted``: also what transactions left open or aborted."""
        self.lanes = lanes
        self._servers = bootstrap_servers
        self._isolation = "read_uncommitted" if uncommitted else "read_committed"
        self._consumer: Any = None

    def cut(self) -> Cut:
        """Return how much of it there is now: positions first, then the ends, those of what follows before those of its causes.

        So all that a processor has done is before the ends, and so is the cause of each record before them.

        Raises:
            UnavailableError: Kafka does not answer, or a topic is missing.
        """
        try:
            admin = KafkaAdminClient(bootstrap_servers=self._servers, request_timeout_ms=_TIMEOUT_MS)
        except (KafkaError, OSError) as error:
            raise self._away(error) from None
        try:
            identity = self._identity(admin)
            positions = self._positions(admin)
            ends: dict[str, int] = {}
            for topic in reversed(READ):
                ends |= self._offsets(admin, topic, _LATEST)
            begins: dict[str, int] = {}
            for topic in READ:
                begins |= self._offsets(admin, topic, _EARLIEST)
        except KafkaError as error:
            raise self._away(error) from error
        finally:
            admin.close()
        return Cut(time.time_ns() // 1000, ends, begins, positions, identity)

    def records(self, topic: Topic, lane: int, start: int, end: int) -> Iterator[LogRecord]:
        """Yield the records of a lane from one position to before another.

        Raises:
            UnavailableError: Kafka does not answer.
        """
        if start >= end:
            return
        consumer, place, quiet = self._reader(), TopicPartition(topic.name, lane), 0
        consumer.assign([place])
        consumer.seek(place, start)
        while consumer.position(place) < end:
            found = consumer.poll(timeout_ms=_POLL_MS, max_records=_AT_ONCE).get(place, ())
            quiet = 0 if found else quiet + 1
            if quiet > _QUIET:
                raise UnavailableError(f"Kafka at {self._servers} does not hand out {topic.name}, lane {lane}")
            for record in found:
                if record.offset < end:
                    headers = tuple(record.headers)
                    at = record.timestamp * 1_000
                    yield LogRecord(topic.name, lane, record.offset, at, record.key, record.value, headers)

    def close(self) -> None:
        """Let go of the connection."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _reader(self) -> Any:
        if self._consumer is None:
            try:
                self._consumer = KafkaConsumer(
                    bootstrap_servers=self._servers,
                    group_id=None,
                    isolation_level=self._isolation,
                    enable_auto_commit=False,
                    auto_offset_reset="earliest",
                    max_partition_fetch_bytes=_FETCH_BYTES,
                )
            except KafkaError as error:
                raise self._away(error) from None
        return self._consumer

    def _identity(self, admin: Any) -> str:
        """Return the topics' ids, which name the log.

        Raises:
            UnavailableError: A topic is not there.
        """
        found: Sequence[Mapping[str, Any]] = admin.describe_topics([topic.name for topic in TOPICS])
        missing = sorted(about["name"] for about in found if about["error_code"])
        if missing:
            raise UnavailableError(f"topics are missing: {', '.join(missing)}; `credstream up` creates them")
        return ",".join(f"{about['name']}={about['topic_id']}" for about in sorted(found, key=lambda one: one["name"]))

    def _positions(self, admin: Any) -> dict[str, int]:
        found: dict[str, int] = {}
        for processor in Processor:
            try:
                groups = admin.list_group_offsets({processor.value: None})
            except CoordinatorNotAvailableError:  # no group has ever met here
                continue
            for place, at in groups.get(processor.value, {}).items():
                if at.offset >= 0:
                    found[f"{processor}/{place.topic}/{place.partition}"] = at.offset
        return found

    def _offsets(self, admin: Any, topic: Topic, which: int) -> dict[str, int]:
        wanted = {TopicPartition(topic.name, lane): which for lane in range(self.lanes)}
        committed = self._isolation == "read_committed"
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        found = admin.list_partition_offsets(wanted, isolation_level=level)
        return {f"{place.topic}/{place.partition}": at.offset for place, at in found.items()}

    def _away(self, error: Exception) -> UnavailableError:
        return UnavailableError(f"Kafka at {self._servers} does not answer ({error}); is `credstream up` running?")
