"""Reads a lane's state back from its compacted topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from schemas.errors import IntegrityError

State = dict[bytes, bytes]
_BLOCK_S: Final = 10.0
_CHUNK: Final = 10_000


def remember(state: State, changes: Mapping[bytes, bytes | None]) -> None:
    """Apply changes; None forgets the key."""
    for key, value in changes.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value


def restorer(client: dict[str, Any]) -> Callable[[TopicPartition], State]:
    """Return what reads a lane's state, through one admin client that outlives every call."""
    admin = AdminClient(client)
    return lambda lane: restore(admin, client, lane)


def restore(admin: AdminClient, client: Mapping[str, Any], lane: TopicPartition) -> State:
    """Read a compacted partition to its end. Its only other writer has been fenced, so nothing is open and the end is fixed.

    Commit markers move the end but are never delivered: only the end-of-partition event carries a position past them, and
    such events can come early, so each is compared with the end.

    Raises:
        IntegrityError: A torn transaction hides what follows it and nobody is left to end it.
        KafkaException: The broker does not answer.
    """
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    end, stable = (
        admin.list_offsets({lane: latest}, isolation_level=level)[lane].result(_BLOCK_S).offset
        for level in (IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED)
    )
    if stable < end:
        raise IntegrityError(f"{lane.topic}/{lane.partition}: a torn transaction at {stable}")
    consumer = Consumer(
        {
            **client,
            "group.id": "unused",  # assigned by hand, commits nothing
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
            "queued.min.messages": 1_000_000,
        }
    )
    consumer.assign([TopicPartition(lane.topic, lane.partition, 0)])
    state: State = {}
    try:
        while end:
            for record in consumer.consume(_CHUNK, 0.1):
                if (error := record.error()) is None:
                    remember(state, {record.key() or b"": record.value()})
                elif error.code() == KafkaError._PARTITION_EOF:
                    end = 0 if record.offset() >= end else end
                elif error.fatal():
                    raise KafkaException(error)
    finally:
        consumer.close()
    return state
