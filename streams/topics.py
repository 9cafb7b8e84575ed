"""The broker's side of the topology: making topics, checking them, and how far each reader is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from kafka import IsolationLevel, KafkaAdminClient, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import CoordinatorNotAvailableError, KafkaError, TopicAlreadyExistsError

from schemas.errors import RefusedError, UnavailableError
from schemas.ids import derive
from schemas.topology import TOPICS, Processor, Topic, inputs
from streams.settings import CREDENTIAL_SECRET, LEARNER_SECRET, STATUS_SECRET, Installation

_LATEST: Final = -1
_TIMEOUT_MS: Final = 15_000
_PAUSE_S: Final = 0.1


@contextmanager
def administration(bootstrap_servers: str) -> Iterator[KafkaAdminClient]:
    """Talk to Kafka about topics, groups and transactions for the length of a `with` block.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    try:
        client = KafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=_TIMEOUT_MS)
    except (KafkaError, OSError) as error:
        raise UnavailableError(f"Kafka at {bootstrap_servers} does not answer: {error}") from None
    try:
        yield client
    except KafkaError as error:
        raise UnavailableError(f"Kafka at {bootstrap_servers}: {error}") from error
    finally:
        client.close()


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the broker has it; `id` is None when it is not there."""

    topic: Topic
    id: str | None
    partitions: int


def describe(installation: Installation) -> Sequence[TopicState]:
    """Return every topic of the topology as the broker has it.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    with administration(installation.bootstrap_servers) as admin:
        return _describe(admin)


def _describe(admin: KafkaAdminClient) -> Sequence[TopicState]:
    found = {about["name"]: about for about in admin.describe_topics([topic.name for topic in TOPICS])}
    return [
        TopicState(topic, about["topic_id"] if about["error_code"] == 0 else None, len(about["partitions"]))
        for topic in TOPICS
        for about in [found[topic.name]]
    ]


def create(installation: Installation) -> Sequence[str]:
    """Make the topics that are missing and return their names.

    Raises:
        UnavailableError: Kafka does not answer.
        RefusedError: Some are there and some are not, so records may have been lost; or a partition count differs.
    """
    lanes, replication = installation.kafka.lanes, installation.kafka.replication
    with administration(installation.bootstrap_servers) as admin:
        states = _describe(admin)
        missing = [state.topic for state in states if state.id is None]
        if missing and len(missing) < len(TOPICS):
            names = ", ".join(topic.name for topic in missing)
            raise RefusedError(
                f"some topics are gone: {names}; restore them, or see what is lost: credstream topics rebind --dry-run"
            )
        if missing:
            try:
                _create(admin, missing, lanes, replication)
            except TopicAlreadyExistsError:  # another process was quicker
                states = _describe(admin)
        else:
            _check_partitions(states, lanes)
        return [topic.name for topic in missing]


def create_missing(installation: Installation) -> Sequence[str]:
    """Make the topics that are missing, though others are there, and return their names: for an operator who knows what is lost.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    with administration(installation.bootstrap_servers) as admin:
        missing = [state.topic for state in _describe(admin) if state.id is None]
        if missing:
            _create(admin, missing, installation.kafka.lanes, installation.kafka.replication)
    return [topic.name for topic in missing]


def _create(admin: KafkaAdminClient, topics: Sequence[Topic], lanes: int, replication: int) -> None:
    new = [NewTopic(t.name, lanes, replication, topic_configs=t.settings()) for t in topics]
    admin.create_topics(new, timeout_ms=_TIMEOUT_MS, wait_for_metadata=True)


def _check_partitions(states: Sequence[TopicState], lanes: int) -> None:
    for state in states:
        if state.id is not None and state.partitions != lanes:
            raise RefusedError(
                f"{state.topic.name} has {state.partitions} partitions, this installation {lanes} lanes; "
                "the number of lanes is fixed for a log"
            )


def identity(installation: Installation) -> bytes:
    """Return what a lane's state must have been made with: the epoch, the topics' ids, a check value of every secret.

    Raises:
        UnavailableError: Kafka does not answer, or a topic is missing.
        RefusedError: A partition count differs, or a secret is missing.
    """
    states = describe(installation)
    if missing := [state.topic.name for state in states if state.id is None]:
        raise UnavailableError(f"topics are missing: {', '.join(missing)}; `credstream up` creates them")
    _check_partitions(states, installation.kafka.lanes)
    about = {
        "epoch": installation.epoch,
        "topics": {state.topic.name: state.id for state in states},
        "secrets": secret_checks(installation),
    }
    return json.dumps(about, sort_keys=True, separators=(",", ":")).encode()


def secret_checks(installation: Installation) -> Mapping[str, str]:
    """Return a check value of every secret from which identifiers derive.

    Raises:
        RefusedError: One is missing, or open to others.
    """
    secrets = (LEARNER_SECRET, CREDENTIAL_SECRET, STATUS_SECRET)
    return {name: derive(installation.secret(name), "check").hex()[:16] for name in secrets}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far a processor is in one lane of one of its inputs: `committed` of `end`, both positions."""

    processor: Processor
    topic: Topic
    lane: int
    committed: int
    end: int

    @property
    def records(self) -> int:
        """Return how many positions it is behind."""
        return max(0, self.end - self.committed)


def lags(installation: Installation) -> Sequence[Lag]:
    """Return the lag of every processor that reads lanes; views keep their positions in their own database.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    readers = [(p, topic) for p in Processor if p is not Processor.VIEWS for topic in inputs(p)]
    lanes = range(installation.kafka.lanes)
    with administration(installation.bootstrap_servers) as admin:
        ends = _ends(admin, [topic for _, topic in readers], installation.kafka.lanes)
        committed = {processor: _committed(admin, processor) for processor, _ in readers}
    return [
        Lag(
            processor=processor,
            topic=topic,
            lane=lane,
            committed=max(0, committed[processor].get(TopicPartition(topic.name, lane), 0)),
            end=ends[topic.name, lane],
        )
        for processor, topic in readers
        for lane in lanes
    ]


def ends(installation: Installation, topics: Sequence[Topic] = TOPICS) -> Mapping[tuple[str, int], int]:
    """Return the end of each lane of the topics, by topic name and lane, as a reader of committed records sees it.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    with administration(installation.bootstrap_servers) as admin:
        return _ends(admin, topics, installation.kafka.lanes)


def open_ends(installation: Installation) -> Mapping[tuple[str, int], int]:
    """Return, by topic name and lane, where a transaction is open now: the last stable offset, behind the end.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    lanes = installation.kafka.lanes
    with administration(installation.bootstrap_servers) as admin:
        stable = _ends(admin, TOPICS, lanes)
        high = _ends(admin, TOPICS, lanes, IsolationLevel.READ_UNCOMMITTED)
        again = _ends(admin, TOPICS, lanes)  # what was open before and ended before its end was asked is not
    return {place: at for place, at in again.items() if stable[place] == at < high[place]}


def settled(installation: Installation, topic: Topic, patience_s: float = 15.0) -> None:
    """Wait until readers of committed records see all that stands in a topic now: a transaction's markers come after its commit.

    Raises:
        UnavailableError: Kafka does not answer, or a transaction stays open.
    """
    lanes, deadline = installation.kafka.lanes, time.monotonic() + patience_s
    with administration(installation.bootstrap_servers) as admin:
        wanted = _ends(admin, [topic], lanes, IsolationLevel.READ_UNCOMMITTED)
        while behind := [place for place, end in _ends(admin, [topic], lanes).items() if end < wanted[place]]:
            if time.monotonic() > deadline:
                names = ", ".join(f"{name}/{lane}" for name, lane in behind)
                raise UnavailableError(f"a transaction stays open in {names}; see docs/runbooks/TransactionHanging.md")
            time.sleep(_PAUSE_S)


def _ends(
    admin: KafkaAdminClient,
    topics: Sequence[Topic],
    lanes: int,
    level: IsolationLevel = IsolationLevel.READ_COMMITTED,
) -> Mapping[tuple[str, int], int]:
    wanted = {TopicPartition(topic.name, lane): _LATEST for topic in topics for lane in range(lanes)}
    found: Mapping[Any, Any] = admin.list_partition_offsets(wanted, isolation_level=level)
    return {(tp.topic, tp.partition): at.offset for tp, at in found.items()}


def committed_positions(installation: Installation, processor: Processor) -> Mapping[tuple[str, int], int]:
    """Return up to where a processor has come, by topic name and lane.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    with administration(installation.bootstrap_servers) as admin:
        return {(place.topic, place.partition): at for place, at in _committed(admin, processor).items()}


def _committed(admin: KafkaAdminClient, processor: Processor) -> Mapping[Any, int]:
    try:
        found = admin.list_group_offsets({processor.value: None})
    except CoordinatorNotAvailableError:  # no group has ever met here
        return {}
    return {tp: at.offset for tp, at in found.get(processor.value, {}).items()}


def group_lanes(installation: Installation) -> Mapping[Processor, int]:
    """Return how many lanes of its first input each processor's group has in some worker's hands.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    with administration(installation.bootstrap_servers) as admin:
        try:
            groups = admin.describe_groups([processor.value for processor in Processor])
        except CoordinatorNotAvailableError:
            return {}
    return {processor: _held(groups.get(processor.value), inputs(processor)[0]) for processor in Processor}


def _held(group: Any, topic: Topic) -> int:
    held = 0
    for member in group["members"] if group else []:
        for assigned in (member.get("member_assignment") or {}).get("assigned_partitions", []):
            if assigned["topic"] == topic.name:
                held += len(assigned["partitions"])
    return held
