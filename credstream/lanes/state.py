"""What a lane keeps, and up to where it has come: read at one moment, or changed in one transaction while no worker has it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from msgspec import Struct

from credstream.audit.log import LogRecord
from schemas.errors import IntegrityError, RefusedError, UnavailableError
from schemas.topology import TOPICS, Processor, Topic, inputs
from streams.clients import producer_settings, transactional_id
from streams.restore import State, restorer
from streams.settings import Installation
from streams.stage import Record
from streams.topics import committed_positions, group_lanes

_TRANSACTION_S: Final = 900.0
_BLOCK_S: Final = 30.0
_TRIES: Final = 20
_PAUSE_S: Final = 0.5


class Kept(Struct, frozen=True, kw_only=True):
    """A lane of a processor at one moment: what it keeps, and the next offset of its input."""

    processor: Processor
    lane: int
    position: int
    state: State


def input_of(processor: Processor) -> Topic:
    """Return the one topic that a processor on lanes reads."""
    return inputs(processor)[0]


def state_topic_of(processor: Processor) -> Topic:
    """Return where a processor on lanes keeps what it remembers: the topic that it both writes and reads."""
    return next(topic for topic in TOPICS if processor in topic.writers and processor in topic.readers)


def as_read(record: LogRecord) -> Record:
    """Return a record as a lane reads it."""
    return Record(
        topic=record.topic,
        lane=record.lane,
        offset=record.offset,
        appended_at=record.appended_at,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )


def position_of(installation: Installation, processor: Processor, lane: int) -> int:
    """Return the next offset of a processor's input; 0 where nothing was committed."""
    return max(0, committed_positions(installation, processor).get((input_of(processor).name, lane), 0))


def kept(installation: Installation, processor: Processor, lane: int) -> Kept:
    """Return what a lane keeps, with the position to which it belongs. Nothing is written, and no group is joined.

    Raises:
        UnavailableError: Kafka does not answer, or the lane is too busy for a moment to be found.
    """
    restore = restorer({"bootstrap.servers": installation.bootstrap_servers})
    place = TopicPartition(state_topic_of(processor).name, lane)
    for _ in range(_TRIES):
        before = position_of(installation, processor, lane)
        try:
            state = restore(place)
        except IntegrityError:  # a transaction is open
            state = None
        except KafkaException as error:
            raise UnavailableError(f"Kafka at {installation.bootstrap_servers}: {error}") from None
        if state is not None and position_of(installation, processor, lane) == before:
            return Kept(processor=processor, lane=lane, position=before, state=state)
        time.sleep(_PAUSE_S)
    raise UnavailableError(f"lane {lane} of {processor} does not come to rest; stop {processor}, or try again later")


def check_unheld(installation: Installation, processor: Processor) -> None:
    """Check that no worker of a processor has lanes.

    Raises:
        RefusedError: Some has; it must be stopped first.
    """
    held = group_lanes(installation).get(processor, 0)
    if held:
        raise RefusedError(
            f"{processor} is running: its workers have {held} lanes. Stop it first, and start it again afterwards; "
            "nothing is lost meanwhile, what comes in waits in its topic"
        )


def write(
    installation: Installation,
    processor: Processor,
    lane: int,
    changes: Mapping[bytes, bytes | None],
    *,
    expected: int | None = None,
    position: int | None = None,
    outputs: tuple[tuple[Topic, bytes | None, bytes, Any], ...] = (),
) -> None:
    """Change what a lane keeps, and with ``position`` where it goes on, in one transaction; ``outputs`` are written with it.

    Whoever had the lane is fenced. What a lane keeps goes to its state topic, None forgets a key. ``expected``: where the lane
    stood when the changes were worked out.

    Raises:
        RefusedError: A worker has the processor's lanes, or the lane has gone on meanwhile.
        UnavailableError: Kafka does not answer; nothing was changed.
    """
    check_unheld(installation, processor)
    client = {"bootstrap.servers": installation.bootstrap_servers}
    name = transactional_id(processor, installation.epoch, lane)
    producer = Producer(producer_settings(client, name, _TRANSACTION_S))
    consumer = Consumer({**client, "group.id": processor.value, "enable.auto.commit": False})
    try:
        producer.init_transactions(_BLOCK_S)
        if expected is not None and position_of(installation, processor, lane) != expected:
            raise RefusedError(f"lane {lane} of {processor} has gone on meanwhile; nothing was changed, do it again")
        producer.begin_transaction()
        for key, value in changes.items():
            producer.produce(state_topic_of(processor).name, value, key, lane)
        for topic, name_of, content, headers in outputs:
            producer.produce(topic.name, content, name_of, lane, headers=headers)
        if position is not None:
            place = TopicPartition(input_of(processor).name, lane, position)
            producer.send_offsets_to_transaction([place], consumer.consumer_group_metadata(), _BLOCK_S)
        producer.commit_transaction(_BLOCK_S)
    except KafkaException as error:
        raise UnavailableError(f"Kafka at {installation.bootstrap_servers}: {error}; nothing was changed") from None
    finally:
        consumer.close()
