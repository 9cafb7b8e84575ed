"""Reads topics for people: every committed record from the beginning to the end at the time of the call, or those at some offsets.

With kafka-python, a second implementation of the protocol beside the lanes' librdkafka.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.codec import decode
from schemas.errors import UnavailableError
from schemas.events import ClaimVoided, CredentialIssued
from schemas.topology import ISSUED, Topic

_POLL_MS: Final = 500
_FETCH_BYTES: Final = 8_000_000
_FEW_BYTES: Final = 65_536  # the broker sends one batch at least
_PATIENCE: Final = 20


def committed(bootstrap_servers: str, topic: Topic, *, lane: int | None = None) -> Iterator[Any]:
    """Yield kafka-python's records of a topic, or of one lane of it; within a lane in the log's order.

    Raises:
        UnavailableError: Kafka does not answer, or the topic is not there.
    """
    consumer = _consumer(bootstrap_servers, _FETCH_BYTES)
    try:
        partitions = consumer.partitions_for_topic(topic.name)
        if not partitions:
            raise UnavailableError(
                f"{topic.name} does not exist at {bootstrap_servers}; `credstream up` creates the topics"
            )
        wanted = [TopicPartition(topic.name, p) for p in sorted(partitions) if lane in {None, p}]
        consumer.assign(wanted)
        ends = consumer.end_offsets(wanted)  # of committed records, since the consumer reads only those
        consumer.seek_to_beginning(*wanted)
        while any(consumer.position(tp) < end for tp, end in ends.items()):
            for tp, records in consumer.poll(timeout_ms=_POLL_MS).items():
                yield from (record for record in records if record.offset < ends[tp])
    finally:
        consumer.close()


def credentials(bootstrap_servers: str, *, lane: int | None = None) -> Iterator[CredentialIssued]:
    """Yield every credential that was issued; claims that got none are passed over.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    for record in committed(bootstrap_servers, ISSUED, lane=lane):
        event = decode(record.value, CredentialIssued, ClaimVoided)
        if isinstance(event, CredentialIssued):
            yield event


def at_offsets(bootstrap_servers: str, topic: Topic, lane: int, offsets: Iterable[int]) -> Iterator[Any]:
    """Yield the records at these offsets of a lane, in the order in which they are asked for; none where none is any more.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    consumer = _consumer(bootstrap_servers, _FEW_BYTES)
    try:
        place = TopicPartition(topic.name, lane)
        consumer.assign([place])
        begins, ends = consumer.beginning_offsets([place])[place], consumer.end_offsets([place])[place]
        for offset in offsets:
            if begins <= offset < ends:
                consumer.seek(place, offset)
                yield from (record for record in _next(consumer, place) if record.offset == offset)
    finally:
        consumer.close()


def _next(consumer: Any, place: TopicPartition) -> Sequence[Any]:
    for _ in range(_PATIENCE):
        if records := consumer.poll(timeout_ms=_POLL_MS, max_records=1).get(place):
            return cast("Sequence[Any]", records)
    raise UnavailableError(f"Kafka does not hand out {place.topic}, lane {place.partition}")


def _consumer(bootstrap_servers: str, fetch_bytes: int) -> Any:
    try:
        return KafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            group_id=None,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=fetch_bytes,
        )
    except KafkaError as error:
        raise UnavailableError(
            f"Kafka at {bootstrap_servers} does not answer ({error}); is `credstream up` running?"
        ) from None
