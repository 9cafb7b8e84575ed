"""The stage that publishes status lists: decisions in; signed lists, and word of what took effect, out.

A list is signed with the status key that is in force when it is published, by the catalogue adopted last; at once if the key that
signed its newest version is compromised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from schemas.catalogue import Key, key_in_force, unpack
from schemas.codec import decode, encode, headers
from schemas.errors import GapError, IntegrityError, UnavailableError
from schemas.events import (
    CatalogueAdopted,
    CredentialStatus,
    CredentialStatusChanged,
    Micros,
    StatusDecided,
    StatusListOpened,
    StatusListPublished,
    StatusReason,
)
from schemas.ids import learner_key
from schemas.topology import LIST_PUBLISHED, STATUS_CHANGED, STATUS_DECIDED, STATUS_PROGRESS, Processor
from services.signing.data_integrity import sign
from services.signing.keys import Signer
from services.signing.shape import Shape, Slot
from services.status.credential import SLOTS, document, encoded
from services.status.ledger import Cadence, ListState, decided, is_due, opened, published
from streams.gaps import is_accepted
from streams.keystore import signers
from streams.settings import Installation
from streams.stage import Output, Record, Step

_SECOND: Final = 1_000_000


class Lists(Struct, frozen=True, array_like=True):
    """The lane's own state: the lists that it keeps, by URL, and each programme's status keys. `number` is the lane's."""

    number: int
    lists: Mapping[str, ListState]
    keys: Mapping[str, tuple[Key, ...]] = {}


_DECODER: Final = msgspec.msgpack.Decoder(ListState)  # made once, here: see `schemas.codec`
_KEYS: Final = msgspec.msgpack.Decoder(tuple[Key, ...])
_KEYS_OF: Final = b"\x00keys:"


class StatusStage:
    """Keeps a lane's status lists and publishes them when they are due."""

    processor = Processor.STATUS
    input = STATUS_DECIDED
    state_topic = STATUS_PROGRESS
    has_idle_work = True

    def __init__(self, keys: Mapping[tuple[str, str], Signer], cadence: Cadence) -> None:
        """Sign with these keys, by programme and key id, at this cadence."""
        self._keys, self._cadence = keys, cadence
        self._shapes: dict[str, Shape] = {}

    def restored(self, lane: int, state: Mapping[bytes, bytes]) -> Lists:
        """Return the lane's lists and keys."""
        kept = {key.decode(): value for key, value in state.items() if not key.startswith(b"\x00")}
        keys = {key.removeprefix(_KEYS_OF): value for key, value in state.items() if key.startswith(_KEYS_OF)}
        return Lists(
            lane,
            {url: _DECODER.decode(value) for url, value in kept.items()},
            {programme.decode(): _KEYS.decode(value) for programme, value in keys.items()},
        )

    def kept(self, before: Lists, after: Lists) -> Mapping[bytes, bytes | None]:
        """Return the lists that changed."""
        changed = {url: kept for url, kept in after.lists.items() if before.lists.get(url) is not kept}
        return {url.encode(): msgspec.msgpack.encode(kept) for url, kept in changed.items()}

    def step(self, lane: Lists, state: Mapping[bytes, bytes], record: Record) -> Step[Lists]:
        """Open a list, or take in a change, of which an urgent one is published at once; or take in a programme's keys.

        Raises:
            MalformedError: The record is neither.
            UnavailableError: The list's key is not in this keystore.
            IntegrityError: A decision number is missing.
        """
        event = decode(record.value, StatusListOpened, StatusDecided, CatalogueAdopted)
        if isinstance(event, CatalogueAdopted):
            name, kept = kept_keys(event)
            return Step(replace(lane, keys={**lane.keys, event.programme: _KEYS.decode(kept)}), changes={name: kept})
        url = event.status_list
        before = lane.lists.get(url)
        if event.decision_no < (before.next_decision if before else 0):
            return Step(lane)
        if isinstance(event, StatusListOpened):
            if before is not None or event.decision_no != 0:
                raise IntegrityError(
                    f"{url} is opened by decision {event.decision_no}, and was known already or begins later"
                )
            return Step(replace(lane, lists={**lane.lists, url: opened(event)}))
        if before is None:
            raise IntegrityError(f"decision {event.decision_no} of {url}, which was never opened")
        if event.decision_no != before.next_decision:
            if not is_accepted(state, record):
                text = f"decision {event.decision_no} of {url}: {before.next_decision} is missing"
                raise GapError(text, series=url, first=before.next_decision, until=event.decision_no)
            before = replace(before, next_decision=event.decision_no)
        after = decided(before, event)
        if not event.urgent:
            return Step(replace(lane, lists={**lane.lists, url: after}))
        done, outputs = self._publish(lane, url, after, record.appended_at)
        return Step(replace(lane, lists={**lane.lists, url: done}), outputs, caused_at=event.decided_at)

    def idle(self, lane: Lists, state: Mapping[bytes, bytes], now: Micros) -> Step[Lists] | None:  # noqa: ARG002
        """Publish every list that is due.

        Raises:
            UnavailableError: A list's key is not in this keystore.
        """
        due = [
            (url, kept)
            for url, kept in lane.lists.items()
            if is_due(kept, now, self._cadence) or _is_compromised(lane, kept)
        ]
        if not due:
            return None
        lists, outputs = dict(lane.lists), list[Output]()
        for url, kept in due:
            lists[url], made = self._publish(lane, url, kept, now)
            outputs += made
        return Step(replace(lane, lists=lists), outputs)

    def _publish(self, lane: Lists, url: str, state: ListState, now: Micros) -> tuple[ListState, list[Output]]:
        """Return the list after publishing, the signed list, and word of each change that it brings."""
        key_id = _key_in_force(lane, state, now)
        signer = self._keys.get((state.programme, key_id))
        if signer is None:
            raise UnavailableError(f"the key {key_id} of {state.programme} is not in this keystore")
        done = published(replace(state, key_id=key_id), now, self._cadence)
        if url not in self._shapes:
            self._shapes[url] = Shape(document(url, state, self._cadence, [Slot(name) for name in SLOTS]))
        created = _date_time(now)
        by_name = dict(zip(SLOTS, (created, _date_time(done.valid_until), encoded(done)), strict=True))
        shape = self._shapes[url]
        signed = sign(
            shape,
            [by_name[name] for name in shape.slots],
            signer,
            verification_method=f"{state.issuer}#{key_id}",
            created=created,
        )
        event = StatusListPublished(
            programme=state.programme,
            lane=lane.number,
            status_list=url,
            version=done.version,
            key_id=key_id,
            published_at=now,
            valid_until=done.valid_until,
            set_bits=len(done.revoked),
            credential=signed,
        )
        sent = headers(event, source=f"/programmes/{state.programme}", event_id=f"{url}?version={done.version}")
        listed = Output(topic=LIST_PUBLISHED, key=url.encode(), value=encode(event), headers=sent)
        return done, [listed, *_changes(lane.number, url, state, done)]


def kept_keys(adopted: CatalogueAdopted) -> tuple[bytes, bytes]:
    """Return what a lane keeps of a catalogue, and under which key: the programme's status keys."""
    keys = tuple(key for key in unpack(adopted.catalogue, adopted.digest).keys if key.purpose == "status")
    return _KEYS_OF + adopted.programme.encode(), msgspec.msgpack.encode(keys)


def _key_in_force(lane: Lists, state: ListState, now: Micros) -> str:
    """Return which key signs a list now.

    Raises:
        UnavailableError: None does.
    """
    keys = lane.keys.get(state.programme)
    if keys is None:  # its catalogues were adopted before they came this way
        return state.key_id
    try:
        return key_in_force(keys, "status", now).id
    except LookupError as error:
        raise UnavailableError(f"{state.programme}: {error}") from None


def _is_compromised(lane: Lists, state: ListState) -> bool:
    """Say whether the key that signed the newest version of a list came into other hands."""
    keys = lane.keys.get(state.programme, ())
    return any(key.id == state.key_id and key.compromised_at is not None for key in keys)


def _changes(lane: int, url: str, before: ListState, after: ListState) -> Iterator[Output]:
    for change in before.pending:
        event = CredentialStatusChanged(
            programme=before.programme,
            lane=lane,
            learner_ref=change.learner_ref,
            credential_id=change.credential_id,
            status=CredentialStatus(change.status),
            reason=StatusReason(change.reason),
            status_list=url,
            status_index=change.index,
            list_version=after.version,
            decided_at=change.decided_at,
            effective_at=after.published_at,
            cause=change.cause,
        )
        event_id = f"{change.credential_id}:{change.status}:{after.version}"
        sent = headers(event, source=f"/programmes/{before.programme}", event_id=event_id)
        key = learner_key(before.programme, change.learner_ref)
        yield Output(topic=STATUS_CHANGED, key=key, value=encode(event), headers=sent)


def _date_time(instant: Micros) -> str:
    return datetime.fromtimestamp(instant // _SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stage(installation: Installation) -> StatusStage:
    """Return the stage with the installation's keys and cadence.

    Raises:
        RefusedError: A key file cannot be used.
    """
    settings = installation.status
    cadence = Cadence(every=int(settings.cadence_s * _SECOND), valid=int(settings.valid_s * _SECOND))
    return StatusStage(signers(installation, "status"), cadence)
