"""Transactions that hang (KIP-664): open in a partition, while no coordinator knows of them, so nobody will ever end them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from kafka import IsolationLevel, TopicPartition
from kafka.admin import AbortTransactionSpec, TransactionState
from msgspec import Struct
from msgspec.structs import replace

from credstream.lanes.state import check_unheld
from schemas.topology import TOPICS, Processor
from streams.settings import Installation
from streams.topics import administration

OFFSETS: Final = "__consumer_offsets"
_LATEST: Final = -1
_LOOK_AGAIN_S: Final = 1.0
_WILL_END: Final = frozenset(
    {
        TransactionState.ONGOING,
        TransactionState.PREPARE_COMMIT,
        TransactionState.PREPARE_ABORT,
        TransactionState.PREPARE_EPOCH_FENCE,
    }
)


class Stretch(Struct, frozen=True, order=True):
    """Where a transaction is open: from this offset on readers of committed records see nothing."""

    topic: str
    partition: int
    start: int
    coordinator_epoch: int


class Hanging(Struct, frozen=True, kw_only=True):
    """A transaction that hangs. `state` is what the coordinator says of its producer now; None: it knows no such producer."""

    producer_id: int
    producer_epoch: int
    transactional_id: str | None
    state: str | None
    stretches: tuple[Stretch, ...]
    last_written_at: int  # milliseconds

    @property
    def owner(self) -> Processor | None:
        """Return whose transaction it is, if a processor's."""
        names = {processor.value: processor for processor in Processor}
        return names.get((self.transactional_id or "").partition("-")[0])

    @property
    def took_no_effect(self) -> bool:
        """Say whether the offsets of its input hang with it: then nothing of it took effect anywhere, and it comes again."""
        return any(one.topic == OFFSETS for one in self.stretches)

    def age_s(self, now_s: float) -> float:
        """Return how long ago its producer last wrote there."""
        return now_s - self.last_written_at / 1000


def hanging(installation: Installation, *, older_than_s: float) -> Sequence[Hanging]:
    """Return the transactions that hang. Two looks must say so: one that is ending meanwhile is none.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    first = {_name(one, part) for one in _look(installation) for part in one.stretches}
    if not first:
        return []
    time.sleep(_LOOK_AGAIN_S)
    found = []
    for one in _look(installation):
        parts = tuple(part for part in one.stretches if _name(one, part) in first)
        if parts and one.age_s(time.time()) >= older_than_s:
            found.append(replace(one, stretches=parts))
    return found


def end(installation: Installation, transaction: Hanging) -> None:
    """Abort a hanging transaction wherever it hangs: what it wrote there is never seen.

    Raises:
        RefusedError: A processor whose transaction it is runs; its next transaction could be ended instead.
        UnavailableError: Kafka does not answer; doing it again is safe.
    """
    if transaction.owner is not None:
        check_unheld(installation, transaction.owner)
    with administration(installation.bootstrap_servers) as admin:
        for part in transaction.stretches:
            admin.abort_transaction(
                AbortTransactionSpec(
                    topic_partition=TopicPartition(part.topic, part.partition),
                    producer_id=transaction.producer_id,
                    producer_epoch=transaction.producer_epoch,
                    coordinator_epoch=max(0, part.coordinator_epoch),
                )
            )


def _look(installation: Installation) -> Iterator[Hanging]:
    with administration(installation.bootstrap_servers) as admin:
        open_there = _open(admin, _unstable(admin, installation))
        if not open_there:
            return
        names = {
            listed.producer_id: listed.transactional_id
            for some in admin.list_transactions().values()
            for listed in some
        }
        asked = sorted({names[pid] for pid, _ in open_there if pid in names})
        described: Mapping[str, Any] = admin.describe_transactions(asked)
    for (pid, epoch), parts in open_there.items():
        name = names.get(pid)
        about = described.get(name) if name else None
        left = [(part, at) for part, at in parts if not _will_end(about, epoch, part)]
        if left:
            yield Hanging(
                producer_id=pid,
                producer_epoch=epoch,
                transactional_id=name,
                state=None if about is None else about.state.value,
                stretches=tuple(sorted(part for part, _ in left)),
                last_written_at=max(at for _, at in left),
            )


def _unstable(admin: Any, installation: Installation) -> Sequence[Any]:
    """Return the partitions, of our topics and of the groups' offsets, whose end lies behind an open transaction."""
    lanes = range(installation.kafka.lanes)
    places = [TopicPartition(topic.name, lane) for topic in TOPICS for lane in lanes]
    [offsets] = admin.describe_topics([OFFSETS])  # it is not there before any group has met
    places += [TopicPartition(OFFSETS, number) for number in range(len(offsets["partitions"]))]
    wanted = dict.fromkeys(places, _LATEST)
    stable = admin.list_partition_offsets(wanted, isolation_level=IsolationLevel.READ_COMMITTED)
    high = admin.list_partition_offsets(wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED)
    return [place for place in places if stable[place].offset < high[place].offset]


def _open(admin: Any, places: Sequence[Any]) -> Mapping[tuple[int, int], list[tuple[Stretch, int]]]:
    found: defaultdict[tuple[int, int], list[tuple[Stretch, int]]] = defaultdict(list)
    for place, state in admin.describe_producers(places).items():
        for one in state.active_producers:
            if one.current_transaction_start_offset is not None and one.current_transaction_start_offset >= 0:
                part = Stretch(
                    place.topic, place.partition, one.current_transaction_start_offset, one.coordinator_epoch or 0
                )
                found[one.producer_id, one.producer_epoch].append((part, one.last_timestamp))
    return found


def _will_end(about: Any, epoch: int, part: Stretch) -> bool:
    """Say whether the coordinator knows of this transaction, here, and so will end it or have it ended."""
    return (
        about is not None
        and about.state in _WILL_END
        and about.producer_epoch == epoch
        and TopicPartition(part.topic, part.partition) in about.topic_partitions
    )


def _name(one: Hanging, part: Stretch) -> tuple[int, int, str, int, int]:
    return one.producer_id, one.producer_epoch, part.topic, part.partition, part.start
