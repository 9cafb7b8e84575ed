"""Reads whole topics for people: every committed record from the beginning to the end at the time of the call.

With kafka-python, a second implementation of the protocol beside the lanes' librdkafka.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.errors import UnavailableError
from schemas.topology import Topic

_POLL_MS: Final = 500
_FETCH_BYTES: Final = 8_000_000


def committed(bootstrap_servers: str, topic: Topic, *, lane: int | None = None) -> Iterator[Any]:
    """Yield kafka-python's records of a topic, or of one lane of it; within a lane in the log's order.

    Raises:
        UnavailableError: Kafka does not answer, or the topic is not there.
    """
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            group_id=None,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
    except KafkaError as error:
        raise UnavailableError(
            f"Kafka at {bootstrap_servers} does not answer ({error}); is `credstream up` running?"
        ) from None
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
