"""The stage that signs: claims in, credentials out. It signs nothing that is not a claim in the log."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from schemas.catalogue import Catalogue, unpack
from schemas.codec import decode, encode, headers
from schemas.errors import IntegrityError, UnavailableError
from schemas.events import CatalogueAdopted, CredentialClaimed, CredentialIssued
from schemas.topology import CLAIMED, ISSUED, ISSUING_PROGRESS, Processor
from services.issuing.credential import document, shape_key, slot_values
from services.issuing.documents import verification_method
from services.issuing.formats import date_time
from services.issuing.wording import Wording
from services.signing.data_integrity import sign
from services.signing.keys import Signer
from services.signing.shape import Shape
from streams.keystore import signers
from streams.settings import Installation
from streams.stage import Output, Record, Step
from streams.wording import MARKUP, wording

_REMEMBERED: Final = 10_000
"""How many claims of a programme and lane are remembered by digest, to tell a repeat from a conflict."""
_MAX_SHAPES: Final = 4096
_LANE: Final = b"\x00lane"
_TRACE: Final = "traceparent"


class Progress(Struct, frozen=True, array_like=True):
    """The lane's own state: the last claim number done of each programme."""

    version: int
    last: Mapping[str, int]


class IssuingStage:
    """Signs each claim once. Deterministic: the same claim gives the same bytes."""

    processor = Processor.ISSUING
    input = CLAIMED
    state_topic = ISSUING_PROGRESS
    has_idle_work = False

    def __init__(self, keys: Mapping[tuple[str, str], Signer]) -> None:
        """Sign with these keys, by programme and key id."""
        self._keys = keys
        self._catalogues: dict[str, Wording] = {}
        self._shapes: OrderedDict[tuple[Any, ...], Shape] = OrderedDict()

    def restored(self, lane: int, state: Mapping[bytes, bytes]) -> Progress:  # noqa: ARG002
        """Return the lane's numbers."""
        kept = state.get(_LANE)
        return msgspec.msgpack.decode(kept, type=Progress) if kept else Progress(1, {})

    def kept(self, before: Progress, after: Progress) -> Mapping[bytes, bytes | None]:  # noqa: ARG002
        """Return what to write of them."""
        return {_LANE: msgspec.msgpack.encode(after)}

    def idle(self, lane: Progress, state: Mapping[bytes, bytes], now: int) -> None:
        """Nothing is due by time alone."""

    def step(self, lane: Progress, state: Mapping[bytes, bytes], record: Record) -> Step[Progress]:
        """Sign a claim, or take in a catalogue that later claims name.

        Raises:
            MalformedError: The record is neither.
            UnavailableError: The claim's key is not in this keystore.
            IntegrityError: A claim number is missing, or comes again with another content.
        """
        event = decode(record.value, CredentialClaimed, CatalogueAdopted)
        if isinstance(event, CatalogueAdopted):
            unpack(event.catalogue, event.digest)
            return Step(lane, changes={_catalogue_key(event.digest): event.catalogue})
        digest = hashlib.sha256(record.value or b"").digest()[:16]
        slot = f"claim:{event.programme}:{event.claim_no % _REMEMBERED}".encode()
        last = lane.last.get(event.programme, -1)
        if event.claim_no <= last:
            _check_repeat(event, last, digest, state.get(slot))
            return Step(lane)
        if event.claim_no != last + 1:
            raise IntegrityError(f"claim {event.claim_no} of {event.programme} follows {last}: claims are missing")
        issued = self._issue(event, state)
        trace = record.header(_TRACE)
        sent = headers(issued, source=f"/programmes/{event.programme}", event_id=event.credential_id, traceparent=trace)
        output = Output(topic=ISSUED, key=record.key, value=encode(issued), headers=sent)
        after = Progress(1, {**lane.last, event.programme: event.claim_no})
        return Step(after, (output,), {slot: event.claim_no.to_bytes(8, "big") + digest}, event.caused_at)

    def _issue(self, claim: CredentialClaimed, state: Mapping[bytes, bytes]) -> CredentialIssued:
        words = self._catalogue(claim, state)
        signer = self._keys.get((claim.programme, claim.key_id))
        if signer is None:
            raise UnavailableError(f"the key {claim.key_id} of {claim.programme} is not in this keystore")
        _check_published(words.catalogue, claim.key_id, signer)
        shape = self._shape(claim, words)
        values = slot_values(claim, words)
        credential = sign(
            shape,
            [values[name] for name in shape.slots],
            signer,
            verification_method=verification_method(words.catalogue, claim.key_id),
            created=date_time(claim.claimed_at),
        )
        shared = {name: getattr(claim, name) for name in _SHARED}
        return CredentialIssued(
            **shared, digest=f"sha256-{hashlib.sha256(credential).hexdigest()}", credential=credential
        )

    def _catalogue(self, claim: CredentialClaimed, state: Mapping[bytes, bytes]) -> Wording:
        if claim.catalogue_digest not in self._catalogues:
            packed = state.get(_catalogue_key(claim.catalogue_digest))
            if packed is None:
                raise IntegrityError(f"claim {claim.claim_no} of {claim.programme} names a catalogue that never came")
            self._catalogues[claim.catalogue_digest] = wording(unpack(packed, claim.catalogue_digest))
        return self._catalogues[claim.catalogue_digest]

    def _shape(self, claim: CredentialClaimed, words: Wording) -> Shape:
        key = shape_key(claim, words)
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = Shape(document(claim, words, MARKUP))
            if len(self._shapes) > _MAX_SHAPES:
                self._shapes.popitem(last=False)
        return shape


_SHARED: Final = tuple(
    name for name in CredentialClaimed.__struct_fields__ if name in CredentialIssued.__struct_fields__
)


def _catalogue_key(digest: str) -> bytes:
    return f"\x00catalogue:{digest}".encode()


def _check_repeat(claim: CredentialClaimed, last: int, digest: bytes, remembered: bytes | None) -> None:
    if claim.claim_no <= last - _REMEMBERED or remembered is None:
        return
    number, known = int.from_bytes(remembered[:8], "big"), remembered[8:]
    if number == claim.claim_no and known != digest:
        raise IntegrityError(f"claim {claim.claim_no} of {claim.programme} comes again with another content")


def _check_published(catalogue: Catalogue, key_id: str, signer: Signer) -> None:
    published = next((key for key in catalogue.keys if key.id == key_id), None)
    if published is None or published.public_key_multibase != signer.public_multikey:
        raise IntegrityError(f"the key {key_id} of {catalogue.programme} is not the one that its catalogue publishes")


def stage(installation: Installation) -> IssuingStage:
    """Return the stage with the installation's keys.

    Raises:
        RefusedError: A key file cannot be used.
    """
    return IssuingStage(signers(installation))
