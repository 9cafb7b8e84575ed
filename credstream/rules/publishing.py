"""Publishes a catalogue: signed with the programme's offline key, to the catalogue topic and into every lane's inbox."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from credstream.reading import committed
from schemas.catalogue import Catalogue, pack
from schemas.codec import decode, encode, headers
from schemas.errors import RefusedError, UnavailableError
from schemas.events import CatalogueAdopted, CataloguePublished, CompetencyDecided, Disposition
from schemas.topology import CATALOGUE_PUBLISHED, DECIDED, INBOX
from services.signing.jws import HEADER, sign_detached
from streams.keystore import PASSPHRASE, signer
from streams.settings import Installation
from streams.topics import ends
from streams.wording import endorsement_faults

_ANSWER_S: Final = 60.0
_AGAIN_S: Final = 10.0
_FLUSH_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was published; `new` is False when every lane had adopted it before."""

    digest: str
    adoption_no: int
    new: bool


def publish(
    installation: Installation, catalogue: Catalogue, *, say: Callable[[str], None] = lambda _: None
) -> Published:
    """Publish a catalogue and return when every lane has adopted it. Publishing the current one again changes nothing.

    Raises:
        RefusedError: An endorsement does not hold, the catalogue key cannot be used or is not the pinned one, or a lane refused
            the catalogue.
        UnavailableError: Kafka does not answer, or some lane did not answer within a minute.
    """
    if faults := list(endorsement_faults(catalogue)):
        raise RefusedError("; ".join(faults))
    digest, packed = pack(catalogue)
    adopted, last = _adopted(installation, catalogue.programme)
    if adopted == digest:
        return Published(digest=digest, adoption_no=last, new=False)
    kid, signed = _offline_key(installation, catalogue.programme)
    say(f"signed by {kid}")
    with _producer(installation) as producer:
        _archive(producer, catalogue.programme, digest, packed, signed)
        event = CatalogueAdopted(programme=catalogue.programme, adoption_no=last + 1, digest=digest, catalogue=packed)
        _have_adopted(installation, producer, event, signed, say)
    return Published(digest=digest, adoption_no=last + 1, new=True)


@contextmanager
def _producer(installation: Installation) -> Iterator[Producer]:
    producer = Producer(
        {
            "bootstrap.servers": installation.bootstrap_servers,
            "enable.idempotence": True,
            "message.max.bytes": 2_000_000,
            "compression.type": "lz4",
        }
    )
    yield producer
    producer.flush(_FLUSH_S)


def _archive(producer: Producer, programme: str, digest: str, packed: bytes, signed: Callable[[bytes], bytes]) -> None:
    """Keep the version for whoever asks for it by digest: gateway, export, verifiers."""
    event = CataloguePublished(
        programme=programme, digest=digest, published_at=time.time_ns() // 1000, catalogue=packed
    )
    value = encode(event)
    sent: list[Any] = [*headers(event, source="/publisher", event_id=digest), (HEADER, signed(value))]
    producer.produce(CATALOGUE_PUBLISHED.name, value, f"{programme}:{digest}".encode(), headers=sent)


def _have_adopted(
    installation: Installation,
    producer: Producer,
    event: CatalogueAdopted,
    signed: Callable[[bytes], bytes],
    say: Callable[[str], None],
) -> None:
    """Write the adoption into every lane's inbox, again where no answer comes, until all have answered.

    Raises:
        UnavailableError: Some have not within a minute.
    """
    starts, value = ends(installation, [DECIDED]), encode(event)
    event_id = f"adoption-{event.adoption_no}"
    sent = [*headers(event, source="/publisher", event_id=event_id), (HEADER, signed(value))]
    waiting = set(range(installation.kafka.lanes))
    deadline = time.monotonic() + _ANSWER_S
    while waiting:
        for lane in sorted(waiting):  # a repeat is known to competency and harmless
            producer.produce(INBOX.name, value, event.programme.encode(), lane, headers=list(sent))
        if producer.flush(_FLUSH_S):
            raise UnavailableError(f"Kafka at {installation.bootstrap_servers} does not acknowledge")
        say(f"waiting for {len(waiting)} lanes to adopt it")
        waiting -= _answers(installation, event.programme, event_id, starts, waiting)
        if waiting and time.monotonic() > deadline:
            lanes = ", ".join(map(str, sorted(waiting)))
            raise UnavailableError(
                f"lanes {lanes} have not adopted the catalogue; is competency running? publish it again"
            )


def _offline_key(installation: Installation, programme: str) -> tuple[str, Callable[[bytes], bytes]]:
    if programme not in installation.programmes:
        known = ", ".join(installation.programmes) or "none"
        raise RefusedError(f"{installation.folder} does not know the programme {programme}; it knows {known}")
    key = signer(installation.secret_path(f"catalogue/{programme}.pem"), installation.secret(PASSPHRASE))
    pinned = installation.programmes[programme].catalogue_keys
    kid = next((name for name, public in pinned.items() if public == key.public_multikey), None)
    if kid is None:
        raise RefusedError(f"the catalogue key of {programme} is not one that {installation.folder} pins")
    return kid, lambda payload: sign_detached(payload, key, kid)


def _adopted(installation: Installation, programme: str) -> tuple[str | None, int]:
    """Return the digest that every lane has adopted last, if they agree, and the highest adoption number of any lane."""
    per_lane: dict[int, tuple[int, str | None]] = {}
    for record in committed(installation.bootstrap_servers, DECIDED):
        if record.key != programme.encode():
            continue
        decided = decode(record.value, CompetencyDecided)
        if decided.disposition is Disposition.ADOPTED:
            number = int(decided.event_id.rpartition("-")[2])
            per_lane[decided.lane] = (number, decided.catalogue_digest)
    last = max((number for number, _ in per_lane.values()), default=0)
    digests = {digest for number, digest in per_lane.values() if number == last}
    complete = len(per_lane) == installation.kafka.lanes and len({number for number, _ in per_lane.values()}) == 1
    return (next(iter(digests)) if complete and len(digests) == 1 else None), last


def _answers(
    installation: Installation, programme: str, event_id: str, starts: Mapping[tuple[str, int], int], waiting: set[int]
) -> set[int]:
    """Return the lanes that have answered with a decision within a few seconds.

    Raises:
        RefusedError: One refused, and says why.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": installation.bootstrap_servers,
            "group.id": "publisher",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
        }
    )
    consumer.assign([TopicPartition(DECIDED.name, lane, starts[DECIDED.name, lane]) for lane in waiting])
    answered: set[int] = set()
    deadline = time.monotonic() + _AGAIN_S
    try:
        while answered != waiting and time.monotonic() < deadline:
            for message in consumer.consume(500, 0.2):
                error: Any = message.error()
                if error:
                    raise KafkaException(error)
                if message.key() != programme.encode():
                    continue
                decided = decode(message.value(), CompetencyDecided)
                if decided.event_id == event_id:
                    if decided.disposition is Disposition.REFUSED:
                        detail = "" if isinstance(decided.body, bytes) else decided.body.detail
                        raise RefusedError(f"lane {decided.lane} refused the catalogue: {detail}")
                    answered.add(decided.lane)
    finally:
        consumer.close()
    return answered
