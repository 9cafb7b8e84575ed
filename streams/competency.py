"""competency: from the inbox to decisions, claims and status decisions.

Decodes, checks who signed, asks `services.competency`, encodes; `streams.lane` makes each step atomic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, get_args

from schemas import codec
from schemas.catalogue import Catalogue, unpack
from schemas.errors import IntegrityError, MalformedError, QuarantineReason
from schemas.events import (
    AssessmentCompleted,
    AwardRequested,
    CatalogueAdopted,
    Disposition,
    Event,
    LearnerProfiled,
    Micros,
    ProfileBody,
)
from schemas.ids import lane_of, learner_key
from schemas.topology import (
    CLAIMED,
    DECIDED,
    INBOX,
    MAX_COMPLETION_BYTES,
    MAX_RECORD_BYTES,
    PROGRESS,
    STATUS_DECIDED,
    Processor,
    Topic,
)
from services.competency import ledger as ledgers
from services.competency import progress as learners
from services.competency.acceptance import accepted
from services.competency.adoption import decide_adoption
from services.competency.decisions import Decision, decide_completion
from services.competency.ledger import Cause, Draft, Ledger, Naming, ProgrammeNumbers
from services.competency.requests import (
    Request,
    decide_request,
    take_profile,
)
from services.competency.rulebook import Adoption, Rulebook, rulebook
from services.signing.jws import HEADER, signer_of
from streams.settings import CREDENTIAL_SECRET, STATUS_SECRET, Installation, ProgrammeSettings
from streams.stage import Output, Record, Step

LEDGER_KEY: Final = b"\x00lane"
_CATALOGUE_KEY: Final = "\x00catalogue:"
_CATALOGUES: Final = 128
_MAX_IDENTITIES: Final = 8
INBOX_KINDS: Final = (AssessmentCompleted, *get_args(Request), LearnerProfiled, CatalogueAdopted)
_NOTHING_COUNTED: Final = ProgrammeNumbers()
_NOTHING_NEW: Final[Mapping[bytes, bytes]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose word counts in this installation: nothing in the log can change it."""

    base_url: str
    lanes: int
    programmes: Mapping[str, ProgrammeSettings]


def stage(installation: Installation) -> CompetencyStage:
    """Return the stage of an installation.

    Raises:
        RefusedError: A secret is missing or open to others.
    """
    naming = Naming(
        credential_secret=installation.secret(CREDENTIAL_SECRET),
        status_secret=installation.secret(STATUS_SECRET),
        epoch=installation.epoch,
    )
    trust = Trust(base_url=installation.base_url, lanes=installation.kafka.lanes, programmes=installation.programmes)
    return CompetencyStage(naming, trust)


class CompetencyStage:
    """Decides every inbox record. Keeps nothing of its own but rulebooks, made of what a lane has adopted."""

    processor: Final = Processor.COMPETENCY
    input: Final = INBOX
    state_topic: Final = PROGRESS
    has_idle_work: Final = False

    def __init__(self, naming: Naming, trust: Trust) -> None:
        """Decide with these secrets and this trust."""
        self._naming, self._trust = naming, trust
        self._source = f"{trust.base_url}/competency/{naming.epoch}"
        self._rulebooks: dict[tuple[int, str], tuple[tuple[Adoption, ...], Rulebook]] = {}

    def restored(self, lane: int, state: Mapping[bytes, bytes]) -> Ledger:
        """Return the lane's ledger as it was kept, or a fresh one.

        Raises:
            IntegrityError: It cannot be read.
        """
        kept = state.get(LEDGER_KEY)
        return Ledger(lane) if kept is None else ledgers.decoded(kept)

    def kept(self, before: Ledger, after: Ledger) -> Mapping[bytes, bytes | None]:
        """Return what to write so that `restored` returns ``after``."""
        return {} if after is before else {LEDGER_KEY: ledgers.encoded(after)}

    def idle(self, lane: Ledger, state: Mapping[bytes, bytes], now: Micros) -> Step[Ledger] | None:  # noqa: ARG002
        """Nothing happens here but by a record."""
        return None

    def step(self, lane: Ledger, state: Mapping[bytes, bytes], record: Record) -> Step[Ledger]:
        """Decide one inbox record.

        Raises:
            MalformedError: It breaks the contract of the inbox; the lane sets it aside.
            IntegrityError: What was kept cannot be read.
        """
        event = codec.decode_any(record.value, INBOX_KINDS, max_bytes=max_bytes(record.value))
        if isinstance(event, AssessmentCompleted):
            return self._completed(lane, state, record, event)
        if isinstance(event, LearnerProfiled):
            return self._profiled(lane, state, record, event)
        if isinstance(event, CatalogueAdopted):
            return self._adopted(lane, state, record, event)
        return self._requested(lane, state, record, event)

    def _completed(
        self, lane: Ledger, state: Mapping[bytes, bytes], record: Record, completed: AssessmentCompleted
    ) -> Step[Ledger]:
        key = learner_key(completed.programme, completed.learner_ref)
        kept = self._kept(lane, state, record, key)
        book = self._book(lane, state, completed.programme)
        body = accepted(completed, book, record.appended_at)
        cause = Cause(
            event_id=completed.event_id,
            learner_ref=completed.learner_ref,
            offset=record.offset,
            appended_at=record.appended_at,
            received_at=completed.received_at,
        )
        draft = Draft(lane, completed.programme, self._naming, cause)
        decision = decide_completion(draft, book, learners.decoded(kept), completed, body)
        return self._learner_step(record, key, kept, decision, adds=True)

    def _profiled(
        self, lane: Ledger, state: Mapping[bytes, bytes], record: Record, profiled: LearnerProfiled
    ) -> Step[Ledger]:
        key = learner_key(profiled.programme, profiled.learner_ref)
        kept = self._kept(lane, state, record, key)
        book = self._book(lane, state, profiled.programme)
        if isinstance(profiled.body, ProfileBody) and len(profiled.body.identities) > _MAX_IDENTITIES:
            raise MalformedError(QuarantineReason.INVALID_VALUE, f"identities: at most {_MAX_IDENTITIES}")
        cause = Cause(
            event_id=profiled.event_id,
            learner_ref=profiled.learner_ref,
            offset=record.offset,
            appended_at=record.appended_at,
            received_at=profiled.received_at,
        )
        draft = Draft(lane, profiled.programme, self._naming, cause)
        return self._learner_step(
            record, key, kept, take_profile(draft, book, learners.decoded(kept), profiled), adds=True
        )

    def _requested(self, lane: Ledger, state: Mapping[bytes, bytes], record: Record, request: Request) -> Step[Ledger]:
        key = learner_key(request.programme, request.learner_ref)
        kept = self._kept(lane, state, record, key)
        book = self._book(lane, state, request.programme)
        staff = self._pinned(request.programme).staff_keys
        if self._signer(record, staff) != request.requested_by:
            raise MalformedError(QuarantineReason.BAD_SIGNATURE, "not signed by the member of staff whom it names")
        cause = Cause(
            event_id=request.request_id,
            learner_ref=request.learner_ref,
            offset=record.offset,
            appended_at=record.appended_at,
        )
        draft = Draft(lane, request.programme, self._naming, cause)
        progress = learners.decoded(kept)
        decision = decide_request(draft, book, progress, request)
        return self._learner_step(record, key, kept, decision, adds=isinstance(request, AwardRequested))

    def _adopted(
        self, lane: Ledger, state: Mapping[bytes, bytes], record: Record, adopted: CatalogueAdopted
    ) -> Step[Ledger]:
        if record.key != adopted.programme.encode():
            raise MalformedError(QuarantineReason.WRONG_LANE, "the key of an adoption is its programme")
        pinned = self._pinned(adopted.programme)
        kids = {signer_of(jws, record.value or b"", pinned.catalogue_keys) for jws in record.all(HEADER)}
        signers = {pinned.catalogue_keys[kid] for kid in kids if kid is not None}
        if len(signers) < max(1, pinned.catalogue_signatures):
            raise MalformedError(
                QuarantineReason.BAD_SIGNATURE,
                f"signed by {len(signers)} pinned catalogue keys; {pinned.catalogue_signatures} must sign",
            )
        catalogue = unpack(adopted.catalogue, adopted.digest)
        cause = Cause(
            event_id=f"adoption-{adopted.adoption_no}",
            learner_ref="",
            offset=record.offset,
            appended_at=record.appended_at,
        )
        draft = Draft(lane, adopted.programme, self._naming, cause)
        before = lane.programmes.get(adopted.programme, _NOTHING_COUNTED).adoptions
        stored = {catalogue_key(adopted.digest): adopted.catalogue}

        def read(adoptions: Sequence[Adoption]) -> Rulebook:
            return _rulebook(state, adoptions, stored)

        decision = decide_adoption(draft, adopted, catalogue, before, self._trust.base_url, read)
        outputs = self._outputs(record, adopted.programme.encode(), decision)
        if decision.decided.disposition is not Disposition.ADOPTED:
            return Step(decision.ledger, outputs)
        forwarded = [
            Output(topic=topic, key=record.key, value=record.value, headers=record.headers)
            for topic in (CLAIMED, STATUS_DECIDED)
        ]
        return Step(decision.ledger, [*outputs, *forwarded], stored)

    def _kept(self, lane: Ledger, state: Mapping[bytes, bytes], record: Record, key: bytes) -> bytes | None:
        """Return what is kept of the learner. Whoever is kept here belongs here; the others' lane is computed."""
        if record.key != key:
            raise MalformedError(QuarantineReason.WRONG_LANE, "the key is not programme:learner_ref of the record")
        kept = state.get(key)
        if kept is None and lane_of(key, self._trust.lanes) != lane.lane:
            raise MalformedError(QuarantineReason.WRONG_LANE, f"belongs in lane {lane_of(key, self._trust.lanes)}")
        return kept

    def _pinned(self, programme: str) -> ProgrammeSettings:
        pinned = self._trust.programmes.get(programme)
        if pinned is None:
            raise MalformedError(QuarantineReason.UNKNOWN_PROGRAMME, f"{programme!r} is not pinned in the settings")
        return pinned

    def _signer(self, record: Record, keys: Mapping[str, str]) -> str | None:
        return signer_of(record.header(HEADER), record.value or b"", keys)

    def _book(self, lane: Ledger, state: Mapping[bytes, bytes], programme: str) -> Rulebook:
        numbers = lane.programmes.get(programme)
        if numbers is None:
            raise MalformedError(QuarantineReason.UNKNOWN_PROGRAMME, f"{programme!r} has adopted no catalogue here")
        adoptions, book = self._rulebooks.get((lane.lane, programme), (None, None))
        if book is None or adoptions is not numbers.adoptions:
            book = _rulebook(state, numbers.adoptions)
            self._rulebooks[lane.lane, programme] = numbers.adoptions, book
        return book

    def _learner_step(
        self, record: Record, key: bytes, kept: bytes | None, decision: Decision, *, adds: bool = False
    ) -> Step[Ledger]:
        outputs = self._outputs(record, key, decision)
        if decision.progress is None or (kept is None and decision.progress is learners.NOTHING):
            return Step(decision.ledger, outputs)
        after = learners.encoded(decision.progress)
        if adds:
            learners.check_room(decision.progress, after, kept)
        return Step(decision.ledger, outputs, {} if after == kept else {key: after})

    def _outputs(self, record: Record, key: bytes, decision: Decision) -> list[Output]:
        trace, decided = record.header("traceparent"), decision.decided
        outputs = [self._output(DECIDED, key, decided, f"{decided.lane}/{decided.decision_no}", trace)]
        outputs += [self._output(CLAIMED, key, claim, claim.credential_id, trace) for claim in decision.claims]
        for status in decision.statuses:
            name = f"{status.status_list}#{status.decision_no}"
            outputs.append(self._output(STATUS_DECIDED, status.status_list.encode(), status, name, trace))
        return outputs

    def _output(self, topic: Topic, key: bytes, event: Event, event_id: str, trace: bytes | None) -> Output:
        value = codec.encode(event)
        if len(value) > MAX_RECORD_BYTES:
            raise MalformedError(
                QuarantineReason.LEARNER_FULL,
                f"its {type(event).__name__} would be {len(value)} bytes, more than a record",
            )
        headers = codec.headers(event, source=self._source, event_id=event_id, traceparent=trace)
        return Output(topic=topic, key=key, value=value, headers=headers)


def max_bytes(value: bytes | None) -> int:
    """Return how much of a record is read at all: only a catalogue may be large."""
    if value is None or len(value) <= MAX_COMPLETION_BYTES:
        return MAX_COMPLETION_BYTES
    writer = codec.published_schemas().get(int.from_bytes(value[1:5], "big"))
    adopts = writer is not None and writer.record == CatalogueAdopted.__name__
    return MAX_RECORD_BYTES if adopts else MAX_COMPLETION_BYTES


def _rulebook(
    state: Mapping[bytes, bytes], adoptions: Sequence[Adoption], new: Mapping[bytes, bytes] = _NOTHING_NEW
) -> Rulebook:
    adopted = []
    for adoption in adoptions:
        key = catalogue_key(adoption.digest)
        packed = new.get(key) or state.get(key)
        if packed is None:
            raise IntegrityError(f"the adopted catalogue {adoption.digest} is missing from the state")
        adopted.append((adoption, _catalogue(packed, adoption.digest)))
    return rulebook(adopted)


def catalogue_key(digest: str) -> bytes:
    """Return under which key a lane keeps a catalogue that it adopted."""
    return f"{_CATALOGUE_KEY}{digest}".encode()


@lru_cache(maxsize=_CATALOGUES)
def _catalogue(packed: bytes, digest: str) -> Catalogue:
    return unpack(packed, digest)
