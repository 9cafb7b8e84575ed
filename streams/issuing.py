"""The stage that signs: claims in, credentials out. It signs nothing that is not a claim in the log.

A claim whose signer is away waits in the lane's state, and those of its programme that follow it queue up behind it, while the
claims of others go on. They are signed in order when the signer is back: the same bytes, only later. One whose key is known to be
compromised by then is voided instead: an outcome that says so takes the place of its credential.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from schemas.catalogue import Catalogue, Key, unpack
from schemas.codec import decode, encode, headers
from schemas.errors import GapError, IntegrityError, UnavailableError
from schemas.events import CatalogueAdopted, CredentialClaimed, CredentialIssued, Micros
from schemas.topology import CLAIMED, ISSUED, ISSUING_PROGRESS, Processor
from services.issuing.credential import document, shape_key, slot_values
from services.issuing.documents import verification_method
from services.issuing.formats import date_time
from services.issuing.wording import Wording
from services.signing.data_integrity import sign
from services.signing.keys import SAMPLED, Signer
from services.signing.shape import Shape
from streams.gaps import is_accepted
from streams.keystore import signers
from streams.settings import Installation
from streams.stage import Output, Record, Step
from streams.voiding import voided
from streams.waiting import WaitingClaim, WaitingCounts, note_key_ends, read_waiting, waiting_key
from streams.wording import MARKUP, wording

log = logging.getLogger(__name__)
_REMEMBERED: Final = 10_000
"""How many claims of a programme and lane are remembered by digest, to tell a repeat from a conflict."""
_MAX_SHAPES: Final = 512
_MAX_WAITING: Final = 20_000
"""How many claims of a programme wait in a lane (about 20 MB); with more, the lane itself waits."""
_AT_ONCE: Final = 500
"""How many waiting claims of a programme are signed in one transaction."""
_TURN_S: Final = 0.5
"""How long a slow signer may sign in one turn of a lane; its programme's other claims wait for the next, so others get theirs."""
_SLOW_S: Final = 0.01
"""What a signature takes on average where the signer is slow. A key in memory takes a hundredth of it, busy machines included."""
CATALOGUE_PREFIX: Final = b"\x00catalogue:"
LANE_KEY: Final = b"\x00lane"
"""Under which key a lane keeps its own state."""
_TRACE: Final = "traceparent"


class Progress(Struct, frozen=True, array_like=True):
    """The lane's own state, by programme: the last claim number taken, the first that waits, the catalogue adopted last."""

    version: int
    last: Mapping[str, int]
    waiting: Mapping[str, int] = {}
    adopted: Mapping[str, str] = {}
    lane: int = -1


class _Turn:
    """What a programme's signer has taken since the lane was last idle."""

    seconds = 0.0
    signatures = 0

    @property
    def is_over(self) -> bool:
        return self.seconds > max(_TURN_S, _SLOW_S * self.signatures)


_DECODER: Final = msgspec.msgpack.Decoder(Progress)  # made once, here: see `schemas.codec`


def read_progress(kept: bytes | None) -> Progress:
    """Return a lane's own state as it was kept, or a fresh one."""
    return _DECODER.decode(kept) if kept else Progress(1, {})


class IssuingStage:
    """Signs each claim once. Deterministic: the same claim gives the same bytes."""

    processor = Processor.ISSUING
    input = CLAIMED
    state_topic = ISSUING_PROGRESS
    has_idle_work = True

    def __init__(self, keys: Mapping[tuple[str, str], Signer], clock: Callable[[], float] = time.perf_counter) -> None:
        """Sign with these keys, by programme and key id. The clock only shares out time between programmes."""
        self._keys, self._clock = keys, clock
        self._catalogues: dict[str, Wording] = {}
        self._shapes: OrderedDict[tuple[Any, ...], Shape] = OrderedDict()
        self._turns: dict[int, defaultdict[str, _Turn]] = {}
        self._said: dict[str, str] = {}
        self._counts = WaitingCounts()

    def restored(self, lane: int, state: Mapping[bytes, bytes]) -> Progress:
        """Return the lane's numbers."""
        progress = read_progress(state.get(LANE_KEY))
        for digest in progress.adopted.values():
            note_key_ends(self._known(digest, state).catalogue)
        return replace(progress, lane=lane)

    def kept(self, before: Progress, after: Progress) -> Mapping[bytes, bytes | None]:  # noqa: ARG002
        """Return what to write of them."""
        return {LANE_KEY: msgspec.msgpack.encode(after)}

    def idle(self, lane: Progress, state: Mapping[bytes, bytes], now: Micros) -> Step[Progress] | None:  # noqa: ARG002
        """Begin a new turn, and sign what waits for signers that are back, in order.

        Raises:
            IntegrityError: What waits can no longer be issued by this version.
        """
        self._turns.pop(lane.lane, None)
        self._counts.note(lane.lane, {p: lane.last[p] - first + 1 for p, first in lane.waiting.items()})
        waiting, outputs, changes = dict(lane.waiting), list[Output](), dict[bytes, bytes | None]()
        caused_at: Micros | None = None
        for programme, first in lane.waiting.items():
            end = min(lane.last[programme] + 1, first + _AT_ONCE)
            for number in range(first, end):
                key = waiting_key(programme, number)
                if key not in state:  # in a gap that was accepted
                    waiting[programme] = number + 1
                    continue
                claim, output = self._signed_later(lane, state[key], state)
                if output is None:
                    break
                caused_at = claim.caused_at if caused_at is None else caused_at
                outputs.append(output)
                changes[key] = None
                waiting[programme] = number + 1
            if waiting[programme] > lane.last[programme]:
                del waiting[programme]
        return Step(replace(lane, waiting=waiting), outputs, changes, caused_at) if outputs else None

    def _signed_later(
        self, lane: Progress, kept: bytes, state: Mapping[bytes, bytes]
    ) -> tuple[CredentialClaimed, Output | None]:
        waited = read_waiting(kept)
        claim = decode(waited.value, CredentialClaimed)
        try:
            return claim, self._issue(lane, claim, waited.key, waited.trace, state)
        except UnavailableError as error:
            self._say(claim.programme, str(error))
            return claim, None

    def _say(self, programme: str, why: str) -> None:
        """Log why a programme's claims wait, once for each reason."""
        if self._said.get(programme) != why:
            self._said[programme] = why
            log.warning("claims of %s wait: %s", programme, why)

    def step(self, lane: Progress, state: Mapping[bytes, bytes], record: Record) -> Step[Progress]:
        """Sign or void a claim, or let it wait for its signer, or take in a catalogue that later claims name.

        Raises:
            MalformedError: The record is neither.
            UnavailableError: Too many claims of its programme wait already.
            IntegrityError: A claim number is missing, comes again with another content, or cannot be issued.
        """
        event = decode(record.value, CredentialClaimed, CatalogueAdopted)
        if isinstance(event, CatalogueAdopted):
            note_key_ends(unpack(event.catalogue, event.digest))
            after = replace(lane, adopted={**lane.adopted, event.programme: event.digest})
            return Step(after, changes={catalogue_key(event.digest): event.catalogue})
        digest = hashlib.sha256(record.value or b"").digest()[:16]
        slot = f"claim:{event.programme}:{event.claim_no % _REMEMBERED}".encode()
        last = lane.last.get(event.programme, -1)
        if event.claim_no <= last:
            if _is_conflict(event, last, digest, state.get(slot)) and not is_accepted(state, record):
                text = f"claim {event.claim_no} of {event.programme} comes again with another content"
                raise GapError(text, series=event.programme, first=event.claim_no, until=event.claim_no)
            return Step(lane)
        if event.claim_no != last + 1 and not is_accepted(state, record):
            text = f"claim {event.claim_no} of {event.programme} follows {last}: claims are missing"
            raise GapError(text, series=event.programme, first=last + 1, until=event.claim_no)
        after = replace(lane, last={**lane.last, event.programme: event.claim_no})
        taken = {slot: event.claim_no.to_bytes(8, "big") + digest}
        trace = record.header(_TRACE)
        if event.programme not in lane.waiting:
            try:
                output = self._issue(lane, event, record.key, trace, state)
            except UnavailableError as error:
                self._say(event.programme, str(error))
            else:
                return Step(after, (output,), taken, event.caused_at)
        first = lane.waiting.get(event.programme, event.claim_no)
        if event.claim_no - first >= _MAX_WAITING:
            raise UnavailableError(
                f"{_MAX_WAITING:,} claims of {event.programme} wait for their signer; so does the lane"
            )
        self._prepared(event, state)  # what could never be issued parks the lane here, where it stands
        kept = msgspec.msgpack.encode(WaitingClaim(record.key, trace, record.value or b""))
        after = replace(after, waiting={**lane.waiting, event.programme: first})
        return Step(after, changes={**taken, waiting_key(event.programme, event.claim_no): kept})

    # -- one claim -----------------------------------------------------------------------------------------------------

    def _issue(
        self,
        lane: Progress,
        claim: CredentialClaimed,
        key: bytes | None,
        trace: bytes | None,
        state: Mapping[bytes, bytes],
    ) -> Output:
        """Return the credential's record, or word that there is none since the claim's key is compromised.

        Raises:
            UnavailableError: The claim's key cannot sign it now.
            IntegrityError: The claim cannot be issued at all.
        """
        schedule, published = self._key_of(lane, claim, state)
        if published is not None and published.compromised_at is not None:
            return voided(claim, schedule, key, trace)
        catalogue, shape, values = self._prepared(claim, state)
        turn = self._turns.setdefault(lane.lane, defaultdict(_Turn))[claim.programme]
        if turn.is_over:
            raise UnavailableError("its signer is slow, and it has had its turn")
        signer = self._signer(claim, published)
        began = self._clock()
        try:
            credential = sign(
                shape,
                values,
                signer,
                verification_method=verification_method(catalogue, claim.key_id),
                created=date_time(claim.claimed_at),
                check=claim.claim_no % SAMPLED == 0,
            )
        finally:
            turn.seconds += self._clock() - began
            turn.signatures += 1
        shared = {name: getattr(claim, name) for name in _SHARED}
        digest = f"sha256-{hashlib.sha256(credential).hexdigest()}"
        issued = CredentialIssued(**shared, digest=digest, credential=credential)
        sent = headers(issued, source=f"/programmes/{claim.programme}", event_id=claim.credential_id, traceparent=trace)
        return Output(topic=ISSUED, key=key, value=encode(issued), headers=sent)

    def _prepared(self, claim: CredentialClaimed, state: Mapping[bytes, bytes]) -> tuple[Catalogue, Shape, list[str]]:
        words = self._catalogue(claim, state)
        shape = self._shape(claim, words)
        values = slot_values(claim, words)
        return words.catalogue, shape, [values[name] for name in shape.slots]

    def _key_of(self, lane: Progress, claim: CredentialClaimed, state: Mapping[bytes, bytes]) -> tuple[str, Key | None]:
        """Return the digest of the catalogue adopted last, and the claim's key as that publishes it: keys change at once."""
        newest = lane.adopted.get(claim.programme, claim.catalogue_digest)
        keys = (
            self._catalogue(claim, state) if newest == claim.catalogue_digest else self._known(newest, state)
        ).catalogue.keys
        return newest, next((key for key in keys if key.id == claim.key_id), None)

    def _signer(self, claim: CredentialClaimed, published: Key | None) -> Signer:
        """Return the claim's signer, if it holds the key that is published, which has not ended.

        Raises:
            UnavailableError: It is not here, is another key, or has ended. Its programme waits: the others are not concerned.
        """
        name = f"the key {claim.key_id} of {claim.programme}"
        signer = self._keys.get((claim.programme, claim.key_id))
        if signer is None:
            raise UnavailableError(f"{name} is not in this keystore")
        if published is None or published.public_key_multibase != signer.public_multikey:
            raise UnavailableError(f"{name} is not the one that its catalogue publishes")
        if published.active_until is not None and claim.claimed_at >= published.active_until:
            raise UnavailableError(f"{name} has ended; publish how long it goes on, or what follows it")
        return signer

    def _catalogue(self, claim: CredentialClaimed, state: Mapping[bytes, bytes]) -> Wording:
        if catalogue_key(claim.catalogue_digest) not in state and claim.catalogue_digest not in self._catalogues:
            raise IntegrityError(f"claim {claim.claim_no} of {claim.programme} names a catalogue that never came")
        return self._known(claim.catalogue_digest, state)

    def _known(self, digest: str, state: Mapping[bytes, bytes]) -> Wording:
        if digest not in self._catalogues:
            self._catalogues[digest] = wording(unpack(state[catalogue_key(digest)], digest))
        return self._catalogues[digest]

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


def catalogue_key(digest: str) -> bytes:
    """Return under which key a lane keeps a catalogue."""
    return CATALOGUE_PREFIX + digest.encode()


def _is_conflict(claim: CredentialClaimed, last: int, digest: bytes, remembered: bytes | None) -> bool:
    if claim.claim_no <= last - _REMEMBERED or remembered is None:
        return False
    number, known = int.from_bytes(remembered[:8], "big"), remembered[8:]
    return number == claim.claim_no and known != digest


def stage(installation: Installation) -> IssuingStage:
    """Return the stage with the installation's credential keys.

    Raises:
        RefusedError: A key cannot be used.
    """
    return IssuingStage(signers(installation, "credentials"))
