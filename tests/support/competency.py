"""A programme, its providers and learners, and one lane of competency: the real stage, a dict for its state, no Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import codec
from schemas.catalogue import Achievement, Assessment, Catalogue, Issuer, Key, Provider, pack
from schemas.errors import MalformedError, QuarantineReason
from schemas.events import (
    POINT,
    AssessmentCompleted,
    CatalogueAdopted,
    CompetencyDecided,
    CompletionBody,
    CredentialClaimed,
    Event,
    LearnerProfiled,
    Micros,
    Outcome,
    ResultKind,
    StatusAction,
    StatusDecided,
    StatusListOpened,
    StatusReason,
    StatusRequested,
)
from schemas.ids import lane_of, learner_key
from schemas.rules import Criterion, Rule
from schemas.topology import CLAIMED, DECIDED, INBOX, STATUS_DECIDED, Topic
from services.competency.ledger import Ledger, Naming
from services.competency.progress import Progress, decoded
from services.competency.requests import Request
from services.signing.jws import sign_detached
from services.signing.keys import LocalSigner
from streams.competency import CompetencyStage, Trust
from streams.settings import ProgrammeSettings
from streams.stage import Record

PROGRAMME = "demo"
BASE_URL = "https://badges.example"
LEARNER = "0f" * 16
DAY = 86_400_000_000
EPOCH_START = 1_700_000_000_000_000
CATALOGUE_SIGNER = LocalSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
STAFF_SIGNER = LocalSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
OTHER_SIGNER = LocalSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34))))


def catalogue(
    rules: Mapping[str, Criterion | Rule],
    assessments: Iterable[str | Assessment] = ("quiz", "lab", "essay"),
    providers: Iterable[str] = ("college", "employer"),
    **changes: Any,
) -> Catalogue:
    """A catalogue in which every provider may attest for every assessment, however late, unless said otherwise."""
    names = tuple(providers)
    made = Catalogue(
        programme=PROGRAMME,
        version="1",
        base_url=BASE_URL,
        issuer=Issuer(name="Demo College"),
        keys=(
            Key(id="credentials-1", purpose="credentials", public_key_multibase="z6Mk1", active_from=0),
            Key(id="status-1", purpose="status", public_key_multibase="z6Mk2", active_from=0),
        ),
        providers=tuple(Provider(id=name, name=name) for name in names),
        assessments=tuple(
            a if isinstance(a, Assessment) else Assessment(id=a, name=a, providers=names, accepted_late_days=None)
            for a in assessments
        ),
        achievements=tuple(
            Achievement(
                id=name,
                name=name,
                description=name,
                criteria=name,
                rule=rule if isinstance(rule, Rule) else Rule(requires=rule),
            )
            for name, rule in rules.items()
        ),
    )
    return msgspec.structs.replace(made, **changes)


def completion(result_id: str = "r-1", at: Micros = 0, score: int | None = 80, **fields: Any) -> AssessmentCompleted:
    """A result shown ``at`` microseconds after the start; the event id tells (result, revision) unless given."""
    envelope: dict[str, Any] = {
        name: fields.pop(name)
        for name in ("event_id", "programme", "provider", "learner_ref", "received_at", "correlation")
        if name in fields
    }
    stated: dict[str, Any] = {
        "result_id": result_id,
        "revision": 0,
        "kind": ResultKind.COMPLETED,
        "assessment": "quiz",
        "completed_at": EPOCH_START + at,
        "score": None if score is None else score * POINT,
        "score_max": None if score is None else 100 * POINT,
        **fields,
    }
    body = CompletionBody(**stated)
    addressed: dict[str, Any] = {
        "event_id": f"{result_id}/{body.revision}",
        "programme": PROGRAMME,
        "provider": "college",
        "learner_ref": LEARNER,
        "received_at": EPOCH_START + 365 * DAY,
        "body": body,
        **envelope,
    }
    return AssessmentCompleted(**addressed)


class CompetencyLane:
    """One lane, record by record. Keeps what was kept and everything that came out."""

    def __init__(self, lanes: int = 1, lane: int = 0, staff: Mapping[str, str] | None = None) -> None:
        pinned = ProgrammeSettings(
            catalogue_keys={"offline": CATALOGUE_SIGNER.public_multikey},
            staff_keys={"sam": STAFF_SIGNER.public_multikey} if staff is None else staff,
        )
        self.stage = CompetencyStage(
            Naming(credential_secret=b"c" * 32, status_secret=b"s" * 32, epoch="e1"),
            Trust(base_url=BASE_URL, lanes=lanes, programmes={PROGRAMME: pinned}),
        )
        self.number, self.now = lane, EPOCH_START + 365 * DAY
        self.state: dict[bytes, bytes] = {}
        self.ledger: Ledger = self.stage.restored(lane, {})
        self.offset, self.adoptions = 0, 0
        self.outputs: list[tuple[Topic, bytes | None, bytes | None]] = []

    def take(
        self, value: bytes | None, key: bytes | None, headers: tuple[tuple[str, bytes | None], ...] = ()
    ) -> list[Event]:
        """One record in; the events that came out. State is written and read back each time, as after a crash."""
        record = Record(
            topic=INBOX.name,
            lane=self.number,
            offset=self.offset,
            appended_at=self.now,
            key=key,
            value=value,
            headers=headers,
        )
        self.offset += 1
        step = self.stage.step(self.ledger, self.state, record)
        again = self.stage.step(self.ledger, self.state, record)
        assert (again.outputs, again.changes, again.lane) == (step.outputs, step.changes, step.lane)
        for name, change in {**step.changes, **self.stage.kept(self.ledger, step.lane)}.items():
            if change is None:
                self.state.pop(name, None)
            else:
                self.state[name] = change
        self.ledger = self.stage.restored(self.number, self.state)
        assert self.ledger == step.lane
        self.outputs += [(o.topic, o.key, o.value) for o in step.outputs]
        return [decoded_event(o.topic, o.value) for o in step.outputs]

    def adopt(self, adopted: Catalogue, *, effective_from: Micros | None = None, **changes: Any) -> list[Event]:
        """Adopt a catalogue as the publisher would."""
        digest, packed = pack(adopted)
        self.adoptions += 1
        event = CatalogueAdopted(
            programme=PROGRAMME,
            adoption_no=self.adoptions,
            digest=digest,
            effective_from=effective_from,
            catalogue=packed,
        )
        value = codec.encode(msgspec.structs.replace(event, **changes))
        return self.take(value, PROGRAMME.encode(), (("jws", sign_detached(value, CATALOGUE_SIGNER, "offline")),))

    def send(self, *completions: AssessmentCompleted) -> CompetencyDecided:
        """Take completions in; the decision about the last one."""
        decided: list[CompetencyDecided] = []
        for completed in completions:
            events = self.take(codec.encode(completed), learner_key(completed.programme, completed.learner_ref))
            decided += [e for e in events if isinstance(e, CompetencyDecided)]
        return decided[-1]

    def refused(self, completed: AssessmentCompleted) -> QuarantineReason:
        """The reason for which a completion is quarantined."""
        try:
            decided = self.send(completed)
        except MalformedError as error:
            return error.reason
        raise AssertionError(f"not quarantined but {decided.disposition}")

    def revoke(self, credential_id: str, **changes: Any) -> CompetencyDecided:
        """Revoke as staff would."""
        request = StatusRequested(
            request_id=f"request-{self.offset}",
            programme=PROGRAMME,
            learner_ref=LEARNER,
            credential_id=credential_id,
            action=StatusAction.REVOKE,
            reason=StatusReason.MISCONDUCT,
            requested_by="sam",
            requested_at=self.now,
        )
        return self.ask(msgspec.structs.replace(request, **changes))

    def ask(self, request: Request | LearnerProfiled) -> CompetencyDecided:
        """Take in what staff ask for, signed as the request says."""
        value = codec.encode(request)
        headers = () if isinstance(request, LearnerProfiled) else (("jws", sign_detached(value, STAFF_SIGNER, "sam")),)
        events = self.take(value, learner_key(PROGRAMME, LEARNER), headers)
        return next(e for e in events if isinstance(e, CompetencyDecided))

    def asks(self, kind: type[Any], **about: Any) -> CompetencyDecided:
        """Ask as the member of staff would."""
        return self.ask(
            kind(
                request_id=f"request-{self.offset}",
                programme=PROGRAMME,
                learner_ref=LEARNER,
                requested_by="sam",
                requested_at=self.now,
                **about,
            )
        )

    def progress(self, learner: str = LEARNER) -> Progress:
        """What is kept of a learner."""
        return decoded(self.state.get(learner_key(PROGRAMME, learner)))

    def holds(self, learner: str = LEARNER) -> set[str]:
        """The achievements that a learner holds."""
        progress = self.progress(learner)
        return {name for name in progress.awards if any(award.counts for award in progress.awards_of(name))}

    @property
    def decided(self) -> list[CompetencyDecided]:
        return [codec.decode(value, CompetencyDecided) for topic, _, value in self.outputs if topic is DECIDED]

    @property
    def claims(self) -> list[CredentialClaimed]:
        events = [
            codec.decode(v, CredentialClaimed, CatalogueAdopted) for topic, _, v in self.outputs if topic is CLAIMED
        ]
        return [event for event in events if isinstance(event, CredentialClaimed)]

    @property
    def statuses(self) -> list[StatusListOpened | StatusDecided]:
        values = [value for topic, _, value in self.outputs if topic is STATUS_DECIDED]
        events = [codec.decode(value, StatusListOpened, StatusDecided, CatalogueAdopted) for value in values]
        return [event for event in events if not isinstance(event, CatalogueAdopted)]


def decoded_event(topic: Topic, value: bytes | None) -> Event:
    """What the next stage reads."""
    if topic is CLAIMED:
        return codec.decode(value, CredentialClaimed, CatalogueAdopted)
    if topic is STATUS_DECIDED:
        return codec.decode(value, StatusListOpened, StatusDecided, CatalogueAdopted)
    return codec.decode(value, CompetencyDecided)


def outcomes(decided: CompetencyDecided) -> dict[str, Outcome]:
    """The outcomes of a decision by achievement."""
    assert not isinstance(decided.body, bytes)
    return {outcome.achievement: outcome for outcome in decided.body.outcomes}


def learner_in(lane: int, lanes: int) -> str:
    """A learner_ref whose key belongs in this lane."""
    return next(
        ref for ref in (f"{n:032x}" for n in range(1_000)) if lane_of(learner_key(PROGRAMME, ref), lanes) == lane
    )
