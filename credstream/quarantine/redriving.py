"""Gives records in quarantine to the inbox again, each once, with the link to where it was set aside; or dismisses them.

A redriven record has the same bytes and headers, and one more header, `redriven-from`; then the quarantine says where it stands.
Who dies between the two writes nothing twice: the next one finds the record in the inbox by that header.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from credstream.quarantine.cases import Case, Position, Wanted, cases, contents
from credstream.quarantine.foreseeing import Foresight
from schemas.codec import encode, headers
from schemas.errors import QuarantineReason, RefusedError, UnavailableError
from schemas.events import REDRIVEN_FROM, QuarantineResolved, RecordQuarantined, Resolution
from schemas.topology import INBOX, MAX_RECORD_BYTES, QUARANTINED
from streams.settings import Installation
from streams.topics import ends, settled

_AT_ONCE: Final = 500
_FLUSH_S: Final = 30.0
_PATIENCE_S: Final = 30.0
_BLOCK_S: Final = 10.0
_CHUNK: Final = 10_000
Advance = Callable[[int], None]
Placed = Mapping[str, tuple[int, int]]
"""By the position where a record was set aside (`topic/lane@offset`): lane and offset where it stands in the inbox again."""


def redrive(
    installation: Installation,
    chosen: Sequence[Case],
    foresight: Foresight,
    by: str,
    *,
    note: str | None = None,
    advance: Advance = lambda _: None,
) -> int:
    """Give open cases to the inbox again, oldest first in each lane, and return how many were given now.

    Those that an earlier run gave it, and died, are only noted.

    Raises:
        RefusedError: One of them was not set aside by competency.
        UnavailableError: Kafka does not acknowledge; doing it again is safe.
    """
    waiting = [case for case in chosen if case.is_open]
    for case in waiting:
        if case.position.topic != INBOX.name:
            raise RefusedError(
                f"{case.position} is not of {INBOX.name}: what credstream itself wrote cannot be redriven"
            )
    given = 0
    known = _standing_in_inbox(installation, waiting)
    with _producer(installation) as producer:
        for some in _batches(contents(installation, waiting)):
            placed = dict[str, tuple[int, int]]()
            for case, aside in some:
                if case.position.source in known:
                    placed[case.position.source] = known[case.position.source]
                else:
                    _give(producer, case, aside, foresight.destination(aside), placed)
                    given += 1
            _acknowledged(installation, producer, placed, len(some))
            done = [_redriven(case, placed[case.position.source], by, note) for case, _ in some]
            _write(installation, producer, done)
            advance(len(some))
    return given


def dismiss(installation: Installation, chosen: Sequence[Case], by: str, note: str) -> int:
    """Say of open cases that nothing is to be done about them, and return of how many.

    Raises:
        UnavailableError: Kafka does not acknowledge; doing it again is safe.
    """
    waiting = [case for case in chosen if case.is_open]
    with _producer(installation) as producer:
        _write(installation, producer, [_resolved(case, Resolution.DISMISSED, by, note) for case in waiting])
    return len(waiting)


def redrive_known(installation: Installation, programme: str, say: Callable[[str], None]) -> int:
    """Redrive what providers known then sent for assessments that were unknown then, and that every lane knows now.

    Raises:
        UnavailableError: Kafka does not answer; doing it again is safe.
    """
    settled(
        installation, QUARANTINED
    )  # what a lane set aside before it adopted is there, though its marker may come late
    wanted = Wanted(reasons=(QuarantineReason.UNKNOWN_ASSESSMENT,), programme=programme)
    waiting = [case for case in cases(installation) if case.is_open and wanted.holds(case)]
    if not waiting:
        return 0
    foresight = Foresight(installation)
    good = [case for case, aside in contents(installation, waiting) if foresight.fault(case, aside) is None]
    if not good:
        return 0
    given = redrive(installation, good, foresight, "publisher", note="its assessment is known now")
    say(f"{given:,} completions that had waited in quarantine for their assessment were redriven")
    return given


def _batches(found: Iterator[tuple[Case, RecordQuarantined]]) -> Iterator[list[tuple[Case, RecordQuarantined]]]:
    batch: list[tuple[Case, RecordQuarantined]] = []
    for one in found:
        batch.append(one)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _give(
    producer: Producer,
    case: Case,
    aside: RecordQuarantined,
    destination: tuple[bytes | None, int],
    placed: dict[str, tuple[int, int]],
) -> None:
    source = case.position.source

    def acknowledged(error: Any, message: Any) -> None:
        if error is None:
            placed[source] = message.partition(), message.offset()

    key, lane = destination
    sent: list[tuple[str, Any]] = [(header.name, header.value) for header in aside.headers]
    sent.append((REDRIVEN_FROM, source.encode()))
    _produce(producer, INBOX.name, aside.value, key, lane, headers=sent, on_delivery=acknowledged)


def _redriven(case: Case, place: tuple[int, int], by: str, note: str | None) -> QuarantineResolved:
    lane, offset = place
    return _resolved(case, Resolution.REDRIVEN, by, note, redriven_partition=lane, redriven_offset=offset)


def _resolved(case: Case, resolution: Resolution, by: str, note: str | None, **about: int) -> QuarantineResolved:
    stage, topic, lane, offset = case.position
    return QuarantineResolved(
        stage=stage,
        topic=topic,
        partition=lane,
        offset=offset,
        resolution=resolution,
        resolved_by=by,
        resolved_at=time.time_ns() // 1000,
        note=note,
        **about,
    )


def _write(installation: Installation, producer: Producer, resolved: Sequence[QuarantineResolved]) -> None:
    """Say in the quarantine what was done, in the lane where it says what was set aside."""
    placed = dict[str, tuple[int, int]]()
    for event in resolved:
        where = Position(event.stage, event.topic, event.partition, event.offset)

        def acknowledged(error: Any, message: Any, name: str = f"{where.stage} {where.source}") -> None:
            if error is None:
                placed[name] = message.partition(), message.offset()

        name = f"{where.source}:{event.resolution}"
        sent = list(headers(event, source=f"/staff/{event.resolved_by}", event_id=name))
        _produce(
            producer, QUARANTINED.name, encode(event), None, event.partition, headers=sent, on_delivery=acknowledged
        )
    _acknowledged(installation, producer, placed, len(resolved))


def _produce(producer: Producer, topic: str, value: bytes | None, key: bytes | None, lane: int, **about: Any) -> None:
    while True:
        try:
            producer.produce(topic, value, key, lane, **about)
        except BufferError:
            producer.poll(0.1)
        else:
            return


def _acknowledged(installation: Installation, producer: Producer, placed: Placed, wanted: int) -> None:
    if producer.flush(_FLUSH_S) or len(placed) < wanted:
        raise UnavailableError(
            f"Kafka at {installation.bootstrap_servers} does not acknowledge; do it again, nothing is done twice"
        )


@contextmanager
def _producer(installation: Installation) -> Iterator[Producer]:
    producer = Producer(
        {
            "bootstrap.servers": installation.bootstrap_servers,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "message.max.bytes": MAX_RECORD_BYTES + 65_536,
        }
    )
    yield producer
    producer.flush(_FLUSH_S)


def _standing_in_inbox(installation: Installation, waiting: Sequence[Case]) -> Placed:
    """Return which of these stand in the inbox again already, since a run that died gave them to it before it could say so."""
    if not waiting:
        return {}
    wanted = {case.position.source.encode(): case.position.source for case in waiting}
    oldest = min(case.appended_at for case in waiting) // 1000
    consumer = Consumer(
        {
            "bootstrap.servers": installation.bootstrap_servers,
            "group.id": "staff",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
        }
    )
    found: dict[str, tuple[int, int]] = {}
    try:
        for message in _from(installation, consumer, oldest):
            source = wanted.get(_last_source(message.headers() or ()))
            if source is not None:
                found.setdefault(source, (message.partition(), message.offset()))
    except KafkaException as error:
        raise UnavailableError(f"Kafka at {installation.bootstrap_servers}: {error}") from None
    finally:
        consumer.close()
    return found


def _from(installation: Installation, consumer: Any, since_ms: int) -> Iterator[Any]:
    """Yield what stands in the inbox from a time on. Nobody writes there in transactions, so each offset is a record's."""
    left = {lane: end for (_, lane), end in ends(installation, [INBOX]).items() if end}
    asked = [TopicPartition(INBOX.name, lane, since_ms) for lane in left]
    starts = [place for place in consumer.offsets_for_times(asked, _BLOCK_S) if asked and place.offset >= 0]
    left = {place.partition: left[place.partition] for place in starts}
    consumer.assign(starts)
    deadline = time.monotonic() + _PATIENCE_S
    while left:
        for message in consumer.consume(_CHUNK, 0.2):
            error: Any = message.error()
            if error:
                raise KafkaException(error)
            deadline = time.monotonic() + _PATIENCE_S
            yield message
            if message.offset() + 1 >= left.get(message.partition(), 0):
                left.pop(message.partition(), None)
        if time.monotonic() > deadline:
            raise UnavailableError(f"Kafka at {installation.bootstrap_servers} does not hand out {INBOX.name}")


def _last_source(sent: Sequence[tuple[str, bytes | None]]) -> bytes:
    return next((value or b"" for name, value in reversed(sent) if name == REDRIVEN_FROM), b"")
