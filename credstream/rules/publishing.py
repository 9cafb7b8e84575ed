"""Publishes a catalogue: signed with the programme's offline keys, to the catalogue topic and into every lane's inbox."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from credstream.people import catalogue_signer, settings_of
from credstream.quarantine.cases import set_aside
from credstream.quarantine.redriving import redrive_known
from credstream.reading import committed
from credstream.rules import proposals
from credstream.rules.adopted import AdoptedVersion, history, lanes_kept
from credstream.rules.proposals import Proposal
from schemas.catalogue import Catalogue
from schemas.codec import decode, headers
from schemas.errors import RefusedError, UnavailableError
from schemas.events import (
    CatalogueAdopted,
    CataloguePublished,
    CompetencyDecided,
    Disposition,
    Micros,
)
from schemas.topology import CATALOGUE_PUBLISHED, DECIDED, INBOX, QUARANTINED
from services.signing.jws import HEADER
from services.signing.schedule import MIN_LEAD, schedule_faults
from streams.settings import Installation
from streams.topics import ends
from streams.wording import endorsement_faults

_ANSWER_S: Final = 60.0
_AGAIN_S: Final = 10.0
_FLUSH_S: Final = 30.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was published; `new` is False when every lane had adopted it before."""

    digest: str
    adoption_no: int
    new: bool


def publish(
    installation: Installation,
    catalogue: Catalogue,
    *,
    effective_from: Micros | None = None,
    say: Say = lambda _: None,
) -> Published:
    """Publish a catalogue and return when every lane has adopted it.

    Publishing the current one again changes nothing, unless it is to be in force from another time.

    Raises:
        RefusedError: The catalogue key cannot be used or is not pinned, more people must sign, or a lane refused the catalogue.
        UnavailableError: Kafka does not answer, or some lane did not answer within a minute.
    """
    proposal, current = prepared(installation, catalogue, effective_from, say=say)
    if current is not None:
        return Published(digest=current.digest, adoption_no=current.number, new=False)
    kid, signer = catalogue_signer(installation, catalogue.programme)
    say(f"signed by {kid}")
    return adopt(installation, proposal.signed(signer, kid), say=say)


def prepared(
    installation: Installation,
    catalogue: Catalogue,
    effective_from: Micros | None,
    *,
    say: Say = lambda _: None,
    lead: Micros = MIN_LEAD,
) -> tuple[Proposal, AdoptedVersion | None]:
    """Return a proposal that follows what was adopted last; and that, if it is the same already.

    A publisher that died left some lanes behind the others: they are given what the others have, first. A new key begins no
    sooner than ``lead`` from now.

    Raises:
        RefusedError: An endorsement does not hold, the keys do not follow from those published before, the programme is not
            known here, or the catalogue is too large.
        UnavailableError: Kafka does not answer, or some lane did not answer within a minute.
    """
    if faults := list(endorsement_faults(catalogue)):
        raise RefusedError("; ".join(faults))
    settings_of(installation, catalogue.programme)
    versions = _caught_up(installation, catalogue.programme, say)
    proposal = proposals.propose(catalogue, len(versions) + 1, effective_from)
    last = versions[-1] if versions else None
    now = time.time_ns() // 1000
    if faults := list(schedule_faults(last.catalogue if last else None, catalogue, now, lead=lead)):
        raise RefusedError(f"the keys of {catalogue.programme}: {'; '.join(faults)}")
    same = last is not None and (last.digest, last.effective_from) == (proposal.event.digest, effective_from)
    if same:
        redrive_known(installation, catalogue.programme, say)  # a publisher that died may have left some
    return proposal, last if same else None


def adopt(installation: Installation, proposal: Proposal, *, say: Say = lambda _: None) -> Published:
    """Have every lane adopt a proposal that enough people have signed; what waited in quarantine for it is redriven.

    Raises:
        RefusedError: More must sign, another version was adopted since it was made, or a lane refused the catalogue.
        UnavailableError: Kafka does not answer, or some lane did not answer within a minute.
    """
    event = proposal.event
    pinned = settings_of(installation, event.programme)
    signers, needed = proposal.signers(pinned), max(1, pinned.catalogue_signatures)
    if len(signers) < needed:
        raise RefusedError(
            f"{needed} people must sign a catalogue of {event.programme}, {', '.join(signers) or 'nobody'} has: "
            "use credstream rules propose, then credstream rules approve"
        )
    check_next(installation, proposal)
    with _producer(installation) as producer:
        _archive(producer, proposal)
        sent = [(HEADER, one.adopted.encode()) for one in proposal.signatures]
        lanes = set(range(installation.kafka.lanes))
        _have_adopted(installation, producer, (event, proposal.adopted, sent), lanes, say)
    redrive_known(installation, event.programme, say)
    return Published(digest=event.digest, adoption_no=event.adoption_no, new=True)


def check_next(installation: Installation, proposal: Proposal) -> Sequence[AdoptedVersion]:
    """Return what was adopted before a proposal.

    Raises:
        RefusedError: Another version was adopted since it was made.
    """
    event = proposal.event
    versions = history(lanes_kept(installation), event.programme)
    if event.adoption_no != len(versions) + 1:
        raise RefusedError(
            f"it was to be adoption {event.adoption_no}, and {len(versions)} are done: another version was published since; "
            "propose it again"
        )
    return versions


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


def _archive(producer: Producer, proposal: Proposal) -> None:
    """Keep the version for whoever asks for it by digest: gateway, export, verifiers."""
    event = decode(proposal.published, CataloguePublished)
    sent: list[Any] = [
        *headers(event, source="/publisher", event_id=event.digest),
        *((HEADER, one.published.encode()) for one in proposal.signatures),
    ]
    key = f"{event.programme}:{event.digest}".encode()
    producer.produce(CATALOGUE_PUBLISHED.name, proposal.published, key, headers=sent)


def _caught_up(installation: Installation, programme: str, say: Say) -> Sequence[AdoptedVersion]:
    """Return all adoptions, after every lane has each of them."""
    versions = history(lanes_kept(installation), programme)
    for one in versions:
        behind = set(range(installation.kafka.lanes)) - one.adopted_at.keys()
        if not behind:
            continue
        say(f"adoption {one.number} did not reach all lanes; repeating it")
        event, value, sent = _as_adopted(installation, programme, one)
        with _producer(installation) as producer:
            _have_adopted(installation, producer, (event, value, sent), behind, say)
    return versions


def _as_adopted(
    installation: Installation, programme: str, version: AdoptedVersion
) -> tuple[CatalogueAdopted, bytes, list[tuple[str, bytes]]]:
    """Return the record that a lane adopted, with its signatures."""
    for record in committed(installation.bootstrap_servers, INBOX, lane=next(iter(version.adopted_at))):
        if record.key != programme.encode():
            continue
        event = decode(record.value, CatalogueAdopted)
        if (event.adoption_no, event.digest) == (version.number, version.digest):
            return event, record.value, [(HEADER, value) for name, value in record.headers if name == HEADER]
    raise RefusedError(f"adoption {version.number} is not in the inbox any more")


def _have_adopted(
    installation: Installation,
    producer: Producer,
    adoption: tuple[CatalogueAdopted, bytes, Sequence[tuple[str, bytes]]],
    lanes: Collection[int],
    say: Say,
) -> None:
    """Write the adoption into the lanes' inboxes, again where no answer comes, until all have answered.

    Raises:
        UnavailableError: Some have not within a minute.
    """
    event, value, signatures = adoption
    starts = ends(installation, [DECIDED, QUARANTINED])
    event_id = f"adoption-{event.adoption_no}"
    sent: list[Any] = [*headers(event, source="/publisher", event_id=event_id), *signatures]
    waiting = set(lanes)
    deadline = time.monotonic() + _ANSWER_S
    while waiting:
        for lane in sorted(waiting):  # a repeat is known to competency and harmless
            producer.produce(INBOX.name, value, event.programme.encode(), lane, headers=list(sent))
        if producer.flush(_FLUSH_S):
            raise UnavailableError(f"Kafka at {installation.bootstrap_servers} does not acknowledge")
        say(f"waiting for {len(waiting)} lanes to adopt it")
        waiting -= _answers(installation, event.programme, event_id, starts, waiting)
        if waiting and time.monotonic() > deadline:
            still = ", ".join(map(str, sorted(waiting)))
            raise UnavailableError(
                f"lanes {still} have not adopted the catalogue; is competency running? publish it again"
            )


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
    consumer.assign([TopicPartition(topic, lane, at) for (topic, lane), at in starts.items()])
    answered: set[int] = set()
    deadline = time.monotonic() + _AGAIN_S
    try:
        while answered != waiting and time.monotonic() < deadline:
            for message in consumer.consume(500, 0.2):
                error: Any = message.error()
                if error:
                    raise KafkaException(error)
                if message.key() == programme.encode():
                    answered |= {lane for lane in [_answer(message, event_id)] if lane in waiting}
    finally:
        consumer.close()
    return answered


def _answer(message: Any, event_id: str) -> int | None:
    """Return the lane that adopted it, if the record says so.

    Raises:
        RefusedError: The lane refused it, or set it aside.
    """
    if message.topic() == QUARANTINED.name:
        aside = set_aside(message.value())
        if aside is None:
            return None
        ids = {header.value for header in aside.headers if header.name == "ce_id"}
        if aside.topic == INBOX.name and event_id.encode() in ids:
            raise RefusedError(
                f"lane {aside.partition} set the catalogue aside ({aside.reason}): {aside.detail}; "
                "restart competency and issuing if keys were pinned since they started"
            )
        return None
    decided = decode(message.value(), CompetencyDecided)
    if decided.event_id != event_id:
        return None
    if decided.disposition is Disposition.REFUSED:
        detail = "" if isinstance(decided.body, bytes) else decided.body.detail
        raise RefusedError(f"lane {decided.lane} refused the catalogue: {detail}")
    return decided.lane
