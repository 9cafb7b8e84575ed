"""The exactly-once lane: read, decide, write and remember, in one Kafka transaction.

Lane *p* is partition *p* of every topic that a stage reads or writes. Outputs, changed state and input offsets commit
together, so a crash, a redelivery or a zombie changes nothing. State lives in a dict of encoded bytes; its truth is a
compacted topic.

Each lane has a transactional producer of its own, named after stage, epoch and lane. Whoever is assigned a lane opens that
name: Kafka then refuses the predecessor and ends what it left open, at once. So any worker can take over any lane.
`docs/decisions/0002-lanes.md` has the traps behind each setting; they are cited here as [n].
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeAlias

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from schemas.errors import IntegrityError, MalformedError, QuarantineReason, RefusedError, UnavailableError
from streams import metrics
from streams.batch import Batch, decide
from streams.clients import consumer_settings, producer_settings, transactional_id
from streams.crashes import Trial, noted
from streams.restore import State, remember
from streams.stage import L, Output, Overlay, Record, Stage
from streams.surroundings import KAFKA, Surroundings

log = logging.getLogger(__name__)

Message: TypeAlias = Any
"""confluent-kafka's; its annotations call optional what every delivered record has."""

IDENTITY_KEY: Final = b"\x00identity"
_BLOCK_S: Final = 10.0  # one blocking client call
_PATIENCE_S: Final = (
    30.0  # one batch, or all tries of one call; then the worker leaves and its supervisor starts a fresh one
)
_TURN_S: Final = 0.25
_UNAVAILABLE_PAUSE_S: Final = 1.0
_EOF_COMMIT_S: Final = 1.0
_WAIT: Final = frozenset({KafkaError._TIMED_OUT, KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS})
_REFUSED: Final = frozenset(
    {KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS, KafkaError.UNKNOWN_MEMBER_ID}
)
_LEAVE: Final = frozenset(
    {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._FATAL}
)  # [5] [17]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """How a worker talks to Kafka. `identity` is what the lane's state must have been made with."""

    bootstrap_servers: str
    epoch: str
    identity: bytes
    max_records: int = 500
    max_starts: int = 5  # a record that ended so many processes, one after the other, is set aside unread
    window_s: float = 0.03  # how long a batch may grow once its first record is there
    session_timeout_s: float = 6.0
    transaction_timeout_s: float = 900.0  # [14] the next owner ends what is open, not time
    client: Mapping[str, Any] = field(default_factory=dict)  # TLS, SASL


@dataclass(slots=True)
class Lane(Generic[L]):
    """One lane in this worker's hands."""

    number: int
    producer: Producer
    state: State
    own: L | None
    position: int  # the next offset of the input; below 0: none was ever committed
    end: int = -1  # the position at the end of the partition, past markers, when it was last reached
    end_committed_at: float = 0.0
    waits_until: float | None = None
    parked: str | None = None
    died: Trial | None = None  # what the process before this one died of
    careful_until: int = -1  # up to this offset each record is tried alone


class Worker(Generic[L]):
    """Runs a stage for the lanes that the consumer group gives it. One loop; each lane's batch is one transaction."""

    def __init__(self, stage: Stage[L], settings: LaneSettings, world: Surroundings = KAFKA) -> None:
        """Connect to nothing yet."""
        self._world = world
        self._stage, self._settings, self._name = stage, settings, stage.processor.value
        self._lanes: dict[int, Lane[L]] = {}
        self._put_by: dict[int, Lane[L]] = {}  # revoked, kept in case they come straight back
        self._stopping = False
        self._client = {"bootstrap.servers": settings.bootstrap_servers, "logger": log, **settings.client}
        self._restore = world.restorer(self._client)
        self._pool = world.pool()
        self._consumer = world.consumer(consumer_settings(self._client, self._name, settings.session_timeout_s))

    def stop(self) -> None:
        """Finish the batch in hand, then leave. Safe to call from a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Work until stopped.

        Raises:
            RefusedError: The state was made by another installation, epoch or log.
            KafkaException: This worker must leave (it was fenced, or Kafka stays away); a supervisor starts it again.
        """
        handlers = {"on_assign": self._assigned, "on_revoke": self._revoked, "on_lost": self._revoked}
        self._consumer.subscribe([self._stage.input.name], **handlers)
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._watch()  # leaving can block too
            self._consumer.close()
            self._pool.shutdown()
            self._world.call_off()

    def _turn(self) -> None:
        first = self._consumer.poll(_TURN_S)  # idle: sleep; busy: let the batch fill for one window
        rest = self._consumer.consume(self._settings.max_records - 1, self._settings.window_s) if first else []
        # [15] After a broker restart a client call may block past its own timeout; then only leaving helps.
        self._watch()
        if first:
            self._process([first, *rest])
        for lane in list(self._lanes.values()):
            self._resume(lane)
            self._commit_end(lane)
        if self._stage.has_idle_work:
            list(self._pool.map(self._idle, list(self._lanes.values())))
        metrics.turned(self._name)
        self._world.call_off()

    def _watch(self) -> None:
        self._world.watch(_PATIENCE_S)

    # -- one batch -----------------------------------------------------------------------------------------------------

    def _process(self, messages: Sequence[Message]) -> None:
        batches: dict[int, list[Message]] = {}
        for message in messages:
            lane = self._lanes.get(message.partition())
            if error := message.error():
                self._note(error, message, lane)
            elif lane and lane.waits_until is None and lane.parked is None:
                batches.setdefault(message.partition(), []).append(message)
        if batches:
            member = self._consumer.consumer_group_metadata()  # [6] KIP-447: the group refuses an expelled member
            list(self._pool.map(lambda p: self._take(self._lanes[p], batches[p], member), batches))

    def _note(self, error: KafkaError, message: Message, lane: Lane[L] | None) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            if lane:
                lane.end = max(lane.end, message.offset())
        elif error.fatal() or error.code() in _LEAVE:
            where = f"{message.topic()}/{message.partition()}"
            if lane and error.code() != KafkaError._FATAL:
                self._park(lane, f"{where}: records are gone from the log: {error}")
            else:
                raise KafkaException(error)
        else:
            log.warning("consumer: %s", error)  # the client mends the rest by itself

    def _take(self, lane: Lane[L], messages: Sequence[Message], member: Any) -> None:
        """Decide a lane's batch and commit it. What stopped the batch before its end is dealt with after that."""
        # [7] prefetched before a rewind or a revocation: we count offsets ourselves, also within the batch
        records = []
        position = max(lane.position, 0)
        for message in messages:
            if message.offset() >= position:
                records.append(_record(message))
                position = message.offset() + 1
        if not records or lane.own is None:
            return
        if lane.position >= lane.careful_until >= 0:
            self._decide(lane, records, member)
            return
        for some in [[record] for record in records] if lane.died else [records]:  # [22]
            if not self._try(lane, some, member):
                return

    def _try(self, lane: Lane[L], records: Sequence[Record], member: Any) -> bool:
        """Decide records after a note that they are being tried; one that ended too many processes is set aside unread."""
        offset = records[0].offset
        trial = Trial(offset, 1) if lane.died is None else lane.died.again(offset)
        if not self._note_trial(lane, trial):
            return False
        if lane.careful_until < 0:
            lane.careful_until = offset + (self._settings.max_records if lane.died else 0)
        if trial.starts <= self._settings.max_starts or lane.own is None:
            return self._decide(lane, records, member)
        why = f"it ended {self._settings.max_starts} processes, one after the other"
        log.error("lane %d of %s: %s at %d", lane.number, self._name, why, offset)
        batch = Batch(lane.own)
        error = MalformedError(QuarantineReason.CRASH_LOOP, why)
        batch.set_aside(self._stage, records[0], error, Overlay(lane.state))
        return self._commit(lane, batch, offset + 1, member)

    def _note_trial(self, lane: Lane[L], trial: Trial) -> bool:
        """Note a trial beside the lane's offset; False when the group has expelled this worker."""
        position = max(lane.position, 0)
        noted = TopicPartition(self._stage.input.name, lane.number, position, trial.note)
        try:
            self._consumer.commit(offsets=[noted], asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in _REFUSED:
                raise
            self._rewind(lane)
            return False
        lane.position = position
        return True

    def _decide(self, lane: Lane[L], records: Sequence[Record], member: Any) -> bool:
        """Decide records and commit; False when the lane goes on with none of those behind them."""
        if lane.own is None:
            return False
        began = self._world.monotonic()
        batch = decide(self._stage, lane.own, lane.state, records)
        metrics.BATCH_SECONDS.labels(self._name).observe(self._world.monotonic() - began)
        if batch.position is not None and not self._commit(lane, batch, batch.position, member):
            return False
        metrics.LAG_SECONDS.labels(self._name, lane.number).set(max(0.0, time.time() - records[-1].appended_at / 1e6))
        if isinstance(batch.stopped, UnavailableError):
            self._wait(lane, batch.stopped)
        elif batch.stopped is not None:
            self._park(lane, str(batch.stopped))
        return batch.stopped is None

    def _commit(self, lane: Lane[L], batch: Batch[L], position: int, member: Any) -> bool:
        """Make a batch true in one transaction; False when it was aborted, which changes nothing.

        [8] Retriable errors are tried again; abortable ones: abort and rewind; any other, being fenced included: leave.
        """
        changes = dict(batch.changes)
        if lane.own is not None and batch.lane is not lane.own:
            changes |= self._stage.kept(lane.own, batch.lane)
        if IDENTITY_KEY not in lane.state:
            changes[IDENTITY_KEY] = self._settings.identity
        began = self._world.monotonic()
        try:
            lane.producer.begin_transaction()
            for out in batch.outputs:
                self._produce(lane, out.topic.name, out.key, out.value, list(out.headers) or None)
            for key, value in changes.items():  # one record a key and batch, however often it changed
                self._produce(lane, self._stage.state_topic.name, key, value, None)
            offsets = [TopicPartition(self._stage.input.name, lane.number, position)]
            self._retry(lane.producer.send_offsets_to_transaction, offsets, member)
            self._retry(lane.producer.commit_transaction)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            log.warning("lane %d: transaction aborted: %s", lane.number, error.args[0])
            metrics.ABORTS.labels(self._name).inc()
            self._retry(lane.producer.abort_transaction)
            self._rewind(lane)
            return False
        remember(lane.state, changes)  # only now is it true
        lane.own, lane.position = batch.lane, position
        metrics.TRANSACTION_SECONDS.labels(self._name).observe(self._world.monotonic() - began)
        self._count(lane, batch)
        return True

    def _produce(
        self,
        lane: Lane[L],
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Any,
    ) -> None:
        while True:
            try:
                lane.producer.produce(topic, value, key, lane.number, headers=headers)
            except BufferError:  # full: let some go
                lane.producer.poll(0.05)
            else:
                return

    def _count(self, lane: Lane[L], batch: Batch[L]) -> None:
        for outcome, count in batch.outcomes.items():
            metrics.RECORDS.labels(self._name, outcome).inc(count)
        for reason, count in batch.quarantined.items():
            metrics.QUARANTINED.labels(self._name, reason).inc(count)
        for topic, count in batch.published.items():
            metrics.OUTPUTS.labels(self._name, topic).inc(count)
        now = time.time()
        latency = metrics.LATENCY_SECONDS.labels(self._name)
        for caused_at in batch.caused_at:
            latency.observe(max(0.0, now - caused_at / 1e6))
        metrics.KEYS.labels(self._name, lane.number).set(len(lane.state))

    # -- lanes that wait, rest or are parked ----------------------------------------------------------------------------

    def _wait(self, lane: Lane[L], why: UnavailableError) -> None:
        log.warning("lane %d waits: %s", lane.number, why)
        lane.waits_until = self._world.monotonic() + _UNAVAILABLE_PAUSE_S
        self._consumer.pause([self._partition(lane)])

    def _resume(self, lane: Lane[L]) -> None:
        if lane.waits_until is not None and self._world.monotonic() >= lane.waits_until:
            lane.waits_until = None
            self._rewind(lane)
            self._consumer.resume([self._partition(lane)])

    def _rewind(self, lane: Lane[L]) -> None:
        """Read again from where the lane stands, and reach the end anew: the old one would step over what comes again."""
        lane.end = -1
        self._consumer.seek(self._partition(lane))

    def _commit_end(self, lane: Lane[L]) -> None:
        """Step over the markers at the end of the log, so that a drained lane has no lag in anyone's eyes [12].

        The commit is waited for: one still under way could overtake the next transaction's and take the lane back.
        """
        behind = lane.end - max(lane.position, 0)
        metrics.LAG_RECORDS.labels(self._name, lane.number).set(
            max(0, self._high(lane) - max(lane.position, lane.end, 0))
        )
        if lane.parked or lane.waits_until is not None or behind <= 0 or IDENTITY_KEY not in lane.state:
            return
        metrics.LAG_SECONDS.labels(self._name, lane.number).set(0)
        if self._world.monotonic() - lane.end_committed_at < _EOF_COMMIT_S:
            return
        lane.end_committed_at = self._world.monotonic()
        end = TopicPartition(self._stage.input.name, lane.number, lane.end)
        try:
            self._consumer.commit(offsets=[end], asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in _REFUSED:  # of unknown outcome: leave, and the old generation is refused
                raise
        else:
            lane.position = lane.end

    def _high(self, lane: Lane[L]) -> int:
        low_high = self._consumer.get_watermark_offsets(
            TopicPartition(self._stage.input.name, lane.number), cached=True
        )
        return int(low_high[1])

    def _idle(self, lane: Lane[L]) -> None:
        if lane.parked or lane.waits_until is not None or lane.own is None or lane.position < 0:
            return
        view = Overlay(lane.state)
        try:
            step = self._stage.idle(lane.own, view, time.time_ns() // 1000)
        except UnavailableError as error:
            self._wait(lane, error)
            return
        except IntegrityError as error:
            self._park(lane, str(error))
            return
        if step is None:
            return
        batch = Batch(lane.own)
        batch.add(step, view, "idle")
        # [6] the same offsets again: they carry the group's generation, so a predecessor cannot publish
        self._commit(lane, batch, lane.position, self._consumer.consumer_group_metadata())

    def _park(self, lane: Lane[L], why: str) -> None:
        """Keep the lane, untouched, so that no other worker inherits it and dies of it too."""
        lane.parked = why
        log.error("lane %d of %s is parked: %s", lane.number, self._name, why)
        self._consumer.pause([self._partition(lane)])
        self._count_lanes()

    def _count_lanes(self) -> None:
        parked = sum(1 for lane in self._lanes.values() if lane.parked)
        metrics.LANES.labels(self._name, "running").set(len(self._lanes) - parked)
        metrics.LANES.labels(self._name, "parked").set(parked)

    def _partition(self, lane: Lane[L]) -> TopicPartition:
        return TopicPartition(self._stage.input.name, lane.number, max(lane.position, 0))

    # -- coming and going of lanes ---------------------------------------------------------------------------------------

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """No transaction is open here: callbacks run inside poll and consume, between batches."""
        for p in {tp.partition for tp in partitions} & self._lanes.keys():
            self._put_by[p] = self._lanes.pop(p)
        consumer.unassign()
        self._count_lanes()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # [9] Fence first: the predecessor's open transaction ends and it can start no other. Then offsets, end, state.
        began = self._world.monotonic()
        numbers = sorted(tp.partition for tp in partitions)
        self._watch()
        producers = dict(zip(numbers, self._pool.map(self._fence, numbers), strict=True))
        committed = self._retry(consumer.committed, partitions) if partitions else []
        self._world.call_off()
        found = {tp.partition: tp for tp in committed}
        for p in numbers:
            self._lanes[p] = self._open(p, producers[p], found[p].offset)
            self._lanes[p].died = noted(found[p].metadata)
        self._put_by.clear()  # what did not come back now is another worker's
        consumer.assign([self._partition(lane) for lane in self._lanes.values()])
        if parked := [lane for lane in self._lanes.values() if lane.parked]:
            consumer.pause([self._partition(lane) for lane in parked])
        self._count_lanes()
        if numbers:
            metrics.RESTORE_SECONDS.labels(self._name).observe(self._world.monotonic() - began)

    def _open(self, p: int, producer: Producer, position: int) -> Lane[L]:
        """Take a lane over as its state says, or park it when that cannot be trusted.

        Raises:
            RefusedError: Its state is another installation's or another log's.
        """
        lane: Lane[L] = Lane(number=p, producer=producer, state={}, own=None, position=position)
        kept = self._put_by.pop(p, None)
        try:
            if kept and not kept.parked and kept.position == position and not self._stage.has_idle_work:
                lane.state = kept.state  # [10] a change of state commits an offset: same offsets, same state
            else:
                lane.state = self._restore(TopicPartition(self._stage.state_topic.name, p))
            self._check(lane)
            lane.own = self._stage.restored(p, lane.state)
        except IntegrityError as error:
            lane.parked = str(error)
            log.error("lane %d of %s is parked: %s", p, self._name, error)  # noqa: TRY400  one line is enough
        else:
            log.info("lane %d: %d keys, from offset %d", p, len(lane.state), position)
        metrics.KEYS.labels(self._name, p).set(len(lane.state))
        return lane

    def _check(self, lane: Lane[L]) -> None:
        if lane.state and lane.position < 0:
            raise IntegrityError("state without offsets; a replay would decide twice")  # [13]
        if lane.position > 0 and not lane.state:
            raise RefusedError(
                f"lane {lane.number} of {self._name} has read up to {lane.position}, and what it kept is gone: was "
                f"{self._stage.state_topic.name} made anew? See credstream topics rebind --dry-run"
            )
        found = lane.state.get(IDENTITY_KEY, self._settings.identity if not lane.state else b"nothing")
        if found != self._settings.identity:
            raise RefusedError(
                f"lane {lane.number} of {self._name} was made by another installation or log: its state says "
                f"{found.decode()}, this one is {self._settings.identity.decode()}. If topics were made anew, or restored, see "
                "credstream topics rebind --dry-run"
            )

    def _fence(self, p: int) -> Producer:
        """[1] Become the only writer of the lane. A producer serves one assignment: it cannot be opened a second time."""
        name = transactional_id(self._name, self._settings.epoch, p)
        settings = producer_settings(self._client, name, self._settings.transaction_timeout_s)
        producer: Producer = self._world.producer(settings)
        self._retry(producer.init_transactions)
        return producer

    def _retry(self, call: Callable[..., Any], *args: Any) -> Any:
        """Try again while that is safe, but not for ever: a client that stays cut off is cured by a fresh process [15]."""
        deadline = self._world.monotonic() + _PATIENCE_S
        while True:
            try:
                return call(*args, _BLOCK_S)
            except (
                KafkaException
            ) as error:  # the producer says what may be repeated, a commit of unknown outcome included
                if self._world.monotonic() > deadline or not (
                    error.args[0].retriable() or error.args[0].code() in _WAIT
                ):
                    raise
                log.warning("%s: %s; again", call.__name__, error.args[0])
                self._world.sleep(
                    0.1
                )  # [16] some retriable errors return at once: unpaced, the worker starves the broker


def _record(message: Message) -> Record:
    return Record(
        topic=message.topic(),
        lane=message.partition(),
        offset=message.offset(),
        appended_at=message.timestamp()[1] * 1000,
        key=message.key(),
        value=message.value(),
        headers=tuple(message.headers() or ()),
    )


__all__ = ["IDENTITY_KEY", "LaneSettings", "Output", "Worker"]
