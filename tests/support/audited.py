"""A whole log made by the real stages, without Kafka: every kind of record, decided, issued, revoked, published."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from support.competency import BASE_URL, CATALOGUE_SIGNER, DAY, EPOCH_START, PROGRAMME, STAFF_SIGNER, completion

from credstream.audit.auditing import Audit, Options
from credstream.audit.invariants import Finding
from credstream.audit.log import Cut, LogRecord
from credstream.audit.store import Store
from credstream.audit.trust import Pinned, Trust
from schemas import codec
from schemas.catalogue import Achievement, Assessment, Catalogue, Issuer, Key, Provider, Transition, canonical, pack
from schemas.events import (
    REDRIVEN_FROM,
    AssessmentCompleted,
    AwardRequested,
    CatalogueAdopted,
    CataloguePublished,
    IdentityHash,
    LearnerProfiled,
    ProfileBody,
    QuarantineResolved,
    RecognitionBody,
    RecordQuarantined,
    ReevaluationRequested,
    ReissueRequested,
    Resolution,
    ResultKind,
    ReviewAnswer,
    ReviewDecided,
    StatusAction,
    StatusReason,
    StatusRequested,
)
from schemas.ids import content_digest, credential_uuid, lane_of, learner_key
from schemas.rules import All, Count, Holds, Level, Renewal, Result, Rule, Span, Validity
from schemas.topology import CATALOGUE_PUBLISHED, CLAIMED, INBOX, QUARANTINED, STATUS_DECIDED, TOPICS, Processor, Topic
from services.competency.ledger import Naming
from services.signing.jws import sign_detached
from services.signing.keys import Signer, seed_signer
from services.status.ledger import Cadence
from streams.batch import Batch, decide
from streams.competency import CompetencyStage
from streams.competency import Trust as StageTrust
from streams.issuing import IssuingStage
from streams.settings import ProgrammeSettings
from streams.stage import Output, Record
from streams.status import StatusStage

LANES = 2
EPOCH = "e1"
CREDENTIAL_SECRET, STATUS_SECRET = b"c" * 32, b"s" * 32
SIGNERS: Mapping[str, Signer] = {"credentials-1": seed_signer(bytes(32)), "status-1": seed_signer(bytes([1] * 32))}
START = EPOCH_START + 365 * DAY
SECOND = 1_000_000
PASS = Result(assessment="quiz", at_least=500_000)
RULES: Mapping[str, Rule] = {
    "block": Rule(requires=PASS),
    "stack": Rule(requires=All(of=(Holds(achievement="block"), Result(assessment="lab", passed=True)))),
    "paused": Rule(requires=PASS, on_loss="suspend"),
    "kept": Rule(requires=PASS, on_loss="keep"),
    "asked": Rule(requires=PASS, on_loss="ask"),
    "yearly": Rule(
        requires=Count(number=2, assessments=("quiz", "lab"), passed=True),
        validity=Validity(months=12),
        renewal=Renewal(opens=Span(months=3), grace=Span(hours=24 * 30), requires=PASS),
    ),
    "again": Rule(requires=Result(assessment="essay", passed=True), repeatable=True),
    "graded": Rule(
        attained="standing",
        requires=PASS,
        levels=(
            Level(name="sound", requires=PASS),
            Level(name="strong", requires=Result(assessment="quiz", at_least=800_000)),
        ),
    ),
}


def catalogue(version: str, rules: Mapping[str, Rule], transition: Transition = "keep") -> Catalogue:
    """A catalogue with the keys that sign this log."""
    names = ("college", "employer")
    return Catalogue(
        programme=PROGRAMME,
        version=version,
        base_url=BASE_URL,
        issuer=Issuer(name="Demo College", email="office@college.example"),
        keys=tuple(
            Key(id=name, purpose=name.partition("-")[0], public_key_multibase=signer.public_multikey, active_from=0)  # type: ignore[arg-type]
            for name, signer in SIGNERS.items()
        ),
        providers=tuple(Provider(id=name, name=name) for name in names),
        assessments=tuple(
            Assessment(id=name, name=name, providers=names if name != "essay" else names[:1], accepted_late_days=days)
            for name, days in (("quiz", None), ("lab", None), ("essay", 90))
        ),
        achievements=tuple(
            Achievement(
                id=name, name=name, description=f"About {name}", criteria=name, rule=rule, transition=transition
            )
            for name, rule in rules.items()
        ),
    )


FIRST = catalogue("1", RULES)
STRICT = Rule(requires=Result(assessment="quiz", at_least=900_000))
SECOND_CATALOGUE = catalogue("2", {**RULES, "block": STRICT}, "grandfather")


def learner(number: int) -> str:
    return f"{number:032x}"


def credential(who: int, achievement: str, award: int = 1, edition: int = 1) -> str:
    return credential_uuid(CREDENTIAL_SECRET, PROGRAMME, learner(who), achievement, award, edition)


@dataclass
class MemoryLog:
    """Records by topic and lane, as Kafka would hold them."""

    records_of: dict[tuple[str, int], list[LogRecord]] = field(default_factory=lambda: defaultdict(list))
    positions: dict[str, int] = field(default_factory=dict)
    lanes: int = LANES
    at: int = START + 1_000 * DAY
    until: int | None = None  # as of when: what follows from a record is there with it

    def cut(self) -> Cut:
        names = {f"{topic.name}/{lane}": self._records(topic, lane) for topic in TOPICS for lane in range(self.lanes)}
        ends = {name: records[-1].offset + 1 if records else 0 for name, records in names.items()}
        positions = dict(self.positions)
        if self.until is not None:
            positions = {name: ends[name.partition("/")[2]] for name in positions}
        return Cut(at=self.at, ends=ends, begins=dict.fromkeys(ends, 0), positions=positions, identity="i")

    def records(self, topic: Topic, lane: int, start: int, end: int) -> Iterator[LogRecord]:
        return (record for record in self._records(topic, lane) if start <= record.offset < end)

    def _records(self, topic: Topic, lane: int) -> list[LogRecord]:
        records = self.records_of[topic.name, lane]
        return [one for one in records if self.until is None or one.appended_at <= self.until]

    def append(
        self, topic: Topic, lane: int, at: int, key: bytes | None, value: bytes | None, headers: Any = ()
    ) -> LogRecord:
        records = self.records_of[topic.name, lane]
        record = LogRecord(topic.name, lane, len(records), at, key, value, tuple(headers))
        records.append(record)
        return record

    def find(self, topic: Topic, which: Any) -> tuple[int, int, Any]:
        """The lane, the place and the event of the last record that fits."""
        for lane in reversed(range(self.lanes)):
            for at, record in reversed(list(enumerate(self.records_of[topic.name, lane]))):
                event = codec.decode_any(record.value, codec._TYPES.values(), max_bytes=10_000_000)
                if which(event):
                    return lane, at, event
        raise AssertionError(f"no such record in {topic.name}")

    def put(self, topic: Topic, lane: int, at: int, event: Any) -> None:
        """Put another event in the place of a record."""
        records = self.records_of[topic.name, lane]
        records[at] = msgspec.structs.replace(records[at], value=codec.encode(event))

    def drop(self, topic: Topic, lane: int, at: int) -> None:
        """Take a record away; its offset stays empty, as one that a transaction's marker has."""
        del self.records_of[topic.name, lane][at]


class Maker:
    """Runs the stages over an inbox as it grows."""

    def __init__(self, more: Mapping[str, Signer] = MappingProxyType({})) -> None:
        self.log, self.now = MemoryLog(), START
        pinned = ProgrammeSettings(
            catalogue_keys={"offline": CATALOGUE_SIGNER.public_multikey},
            staff_keys={"sam": STAFF_SIGNER.public_multikey},
        )
        naming = Naming(credential_secret=CREDENTIAL_SECRET, status_secret=STATUS_SECRET, epoch=EPOCH)
        keys = self.keys = {(PROGRAMME, name): signer for name, signer in {**SIGNERS, **more}.items()}
        self._stages: dict[str, Any] = {
            INBOX.name: CompetencyStage(
                naming, StageTrust(base_url=BASE_URL, lanes=LANES, programmes={PROGRAMME: pinned})
            ),
            CLAIMED.name: IssuingStage(keys),
            STATUS_DECIDED.name: StatusStage(keys, Cadence(every=10 * SECOND, valid=86_400 * SECOND)),
        }
        self._state: dict[tuple[str, int], dict[bytes, bytes]] = defaultdict(dict)
        self._own = {
            (topic, lane): stage.restored(lane, {}) for topic, stage in self._stages.items() for lane in range(LANES)
        }
        self._adoptions = self._requests = 0

    def take(self, lane: int, key: bytes | None, value: bytes | None, headers: Any = ()) -> None:
        """Append to the inbox, and let everything follow."""
        self.now += SECOND
        self._follow(INBOX.name, self.log.append(INBOX, lane, self.now, key, value, headers))

    def _follow(self, topic: str, record: LogRecord) -> None:
        stage, own = self._stages[topic], self._own[topic, record.lane]
        read = Record(**msgspec.structs.asdict(record))
        batch = decide(stage, own, self._state[topic, record.lane], [read])
        assert batch.stopped is None, batch.stopped
        self._keep(topic, record.lane, own, batch)

    def _keep(self, topic: str, lane: int, own: Any, batch: Batch[Any]) -> None:
        state, stage = self._state[topic, lane], self._stages[topic]
        for key, value in {**batch.changes, **stage.kept(own, batch.lane)}.items():
            state.pop(key, None) if value is None else state.__setitem__(key, value)
        self._own[topic, lane] = batch.lane
        for output in batch.outputs:
            self._publish(lane, output)

    def _publish(self, lane: int, output: Output) -> None:
        record = self.log.append(output.topic, lane, self.now, output.key, output.value, output.headers)
        if output.topic.name in self._stages:
            self._follow(output.topic.name, record)

    def publish_lists(self) -> None:
        """Let time pass until every changed list is due."""
        self.now += 60 * SECOND
        self._idle(STATUS_DECIDED)

    def take_away(self, key_id: str) -> Signer:
        """Let a key's claims wait from now on."""
        return self.keys.pop((PROGRAMME, key_id))

    def sign_what_waits(self) -> None:
        """Let issuing turn to the claims that wait."""
        self._idle(CLAIMED)

    def _idle(self, topic: Topic) -> None:
        for lane in range(LANES):
            own = self._own[topic.name, lane]
            step = self._stages[topic.name].idle(own, self._state[topic.name, lane], self.now)
            if step is not None:
                batch: Batch[Any] = Batch(step.lane)
                batch.outputs += step.outputs
                batch.changes |= step.changes
                self._keep(topic.name, lane, own, batch)

    def adopt(self, adopted: Catalogue) -> None:
        """Adopt a catalogue in every lane."""
        self._adoptions += 1
        digest, packed = pack(adopted)
        published = CataloguePublished(programme=PROGRAMME, digest=digest, published_at=self.now, catalogue=packed)
        self.log.append(CATALOGUE_PUBLISHED, 0, self.now, f"{PROGRAMME}:{digest}".encode(), codec.encode(published))
        event = CatalogueAdopted(programme=PROGRAMME, adoption_no=self._adoptions, digest=digest, catalogue=packed)
        value = codec.encode(event)
        for lane in range(LANES):
            self.take(lane, PROGRAMME.encode(), value, (("jws", sign_detached(value, CATALOGUE_SIGNER, "offline")),))

    def send(self, who: int, result_id: str, **about: Any) -> None:
        """A provider reports a result."""
        given = {
            "passed": True,
            "received_at": self.now,
            "event_id": f"{who}/{result_id}/{about.get('revision', 0)}",
            **about,
        }
        self.tell(who, codec.encode(completion(result_id, learner_ref=learner(who), **given)))

    def tell(self, who: int, value: bytes | None, headers: Any = ()) -> None:
        """A record about a learner."""
        key = learner_key(PROGRAMME, learner(who))
        self.take(lane_of(key, LANES), key, value, headers)

    def ask(self, who: int, kind: type[Any], *, signer: Signer = STAFF_SIGNER, **about: Any) -> None:
        """Staff ask for something about a learner."""
        self._requests += 1
        event = kind(
            request_id=f"request-{self._requests}",
            programme=PROGRAMME,
            learner_ref=learner(who),
            requested_by="sam",
            requested_at=self.now,
            **about,
        )
        value = codec.encode(event)
        self.tell(who, value, (("jws", sign_detached(value, signer, "sam")),))

    def redrive(self, which: Callable[[RecordQuarantined], bool], note: str) -> None:
        """Give the last record set aside that fits to the inbox again, under its learner's key."""
        _, _, aside = self.log.find(QUARANTINED, lambda e: isinstance(e, RecordQuarantined) and which(e))
        event = codec.decode(aside.value, AssessmentCompleted)
        key = learner_key(event.programme, event.learner_ref)
        lane, source = lane_of(key, LANES), f"{aside.topic}/{aside.partition}@{aside.offset}"
        at = len(self.log.records_of[INBOX.name, lane])
        headers = [(header.name, header.value) for header in aside.headers]
        self.take(lane, key, aside.value, [*headers, (REDRIVEN_FROM, source.encode())])
        self.resolve(which_is(aside), redriven_partition=lane, redriven_offset=at, note=note)

    def resolve(self, which: Callable[[RecordQuarantined], bool], **about: Any) -> None:
        """Say what was done about the last record set aside that fits."""
        lane, _, aside = self.log.find(QUARANTINED, lambda e: isinstance(e, RecordQuarantined) and which(e))
        stated = {"resolution": Resolution.REDRIVEN, "resolved_by": "sam", "resolved_at": self.now, **about}
        names = ("stage", "topic", "partition", "offset")
        event = QuarantineResolved(**{name: getattr(aside, name) for name in names}, **stated)
        self.log.append(QUARANTINED, lane, self.now, None, codec.encode(event))

    def done(self) -> MemoryLog:
        """The log, at rest."""
        self.publish_lists()
        for processor, topic in (
            (Processor.COMPETENCY, INBOX),
            (Processor.ISSUING, CLAIMED),
            (Processor.STATUS, STATUS_DECIDED),
        ):
            for lane in range(LANES):
                end = len(self.log.records_of[topic.name, lane])
                self.log.positions[f"{processor}/{topic.name}/{lane}"] = end
        return self.log


RETRACTED = {"kind": ResultKind.RETRACTED, "revision": 1, "score": None, "passed": None}


def which_is(aside: RecordQuarantined) -> Callable[[RecordQuarantined], bool]:
    return lambda other: (other.topic, other.partition, other.offset) == (aside.topic, aside.partition, aside.offset)


def healthy() -> MemoryLog:
    """A log in which everything happened that may, and nothing that may not."""
    made = Maker()
    made.adopt(FIRST)
    made.publish_lists()
    for who in range(12):
        made.send(who, "q", score=60 + 4 * who, evidence_url="https://e.example/q")
        made.send(who, "l", assessment="lab", at=DAY, score=None, passed=who % 3 > 0)
    made.send(0, "q")  # again, and the same in another content
    made.send(1, "q", score=61)
    made.send(1, "q", score=61, revision=2, kind=ResultKind.CORRECTED)
    made.send(1, "q", score=11, revision=1, kind=ResultKind.CORRECTED)
    for who in (2, 3):
        made.send(who, "q", at=0, **RETRACTED)
    made.send(3, "q-2", at=2 * DAY, score=90)
    made.send(4, "e", assessment="essay", at=3 * DAY, score=None)  # late: a person decides
    made.send(4, "e-2", assessment="essay", at=364 * DAY, score=None)
    made.send(4, "e-3", assessment="essay", at=365 * DAY, score=None)
    made.ask(4, ReviewDecided, answer=ReviewAnswer.ACCEPT, provider="college", result_id="e")
    made.send(5, "e", assessment="essay", at=3 * DAY, score=None)
    made.ask(5, ReviewDecided, answer=ReviewAnswer.REJECT, provider="college", result_id="e")
    made.ask(2, ReviewDecided, answer=ReviewAnswer.SUSPEND, credential_id=credential(2, "asked"))
    made.ask(2, ReviewDecided, answer=ReviewAnswer.KEEP, credential_id=credential(2, "asked"))
    made.send(6, "q-r", at=300 * DAY, score=70)  # renews
    _staff(made)
    made.publish_lists()
    made.adopt(SECOND_CATALOGUE)
    for who in (8, 20, 21):
        made.send(who, "q-9", at=366 * DAY, score=80 + (who - 8))
    made.ask(8, ReevaluationRequested, achievement="block", rule_digest=digest_of(STRICT), since=0, losses="policy")
    made.ask(9, ReevaluationRequested, achievement="block", rule_digest=digest_of(STRICT), since=0, losses="keep")
    _broken(made)
    return made.done()


def digest_of(rule: Rule) -> str:
    return content_digest(canonical(rule))


def _staff(made: Maker) -> None:
    about: dict[str, Any] = {"reason": StatusReason.MISCONDUCT}
    made.ask(7, StatusRequested, credential_id=credential(7, "block"), action=StatusAction.REVOKE, urgent=True, **about)
    made.ask(7, StatusRequested, credential_id=credential(7, "block"), action=StatusAction.REVOKE, **about)
    made.ask(7, StatusRequested, credential_id=credential(8, "block"), action=StatusAction.REVOKE, **about)
    made.send(7, "q-3", at=4 * DAY, score=99)
    made.ask(10, StatusRequested, credential_id=credential(10, "block"), action=StatusAction.SUSPEND, **about)
    made.ask(10, StatusRequested, credential_id=credential(10, "stack"), action=StatusAction.SUSPEND, **about)
    made.ask(10, StatusRequested, credential_id=credential(10, "block"), action=StatusAction.REINSTATE, **about)
    made.ask(11, ReissueRequested, credential_id=credential(11, "block"), reason=StatusReason.SUPERSEDED)
    made.ask(11, ReissueRequested, credential_id=credential(11, "block"), reason=StatusReason.SUPERSEDED)
    body = RecognitionBody(narrative="Ten years at work", evidence_url="https://e.example/rpl")
    made.ask(12, AwardRequested, achievement="graded", level="strong", attained_at=EPOCH_START, body=body)
    made.ask(12, AwardRequested, achievement="nothing", attained_at=EPOCH_START, body=body)
    identity = IdentityHash(identity_type="emailAddress", salt="0" * 32, identity_hash="sha256$" + "0" * 64)
    profiled = LearnerProfiled(
        event_id="p-1",
        programme=PROGRAMME,
        learner_ref=learner(13),
        received_at=made.now,
        body=ProfileBody(identities=(identity,)),
    )
    made.tell(13, codec.encode(profiled))
    made.tell(13, codec.encode(profiled))
    made.send(13, "q", score=85)


def _broken(made: Maker) -> None:
    made.send(14, "q", provider="stranger")
    made.send(14, "q", assessment="poetry")
    made.send(14, "e", assessment="essay", provider="employer")
    made.send(14, "f", at=3_000 * DAY)
    made.tell(14, None)
    made.tell(14, b"\x00\x00\x00\x00\x01rubbish")
    made.tell(14, b"")
    about = {"credential_id": credential(1, "block"), "action": StatusAction.REVOKE, "reason": StatusReason.MISCONDUCT}
    made.ask(1, StatusRequested, signer=seed_signer(bytes([9] * 32)), **about)
    other = completion("w", learner_ref=learner(1))
    wrong = 1 - lane_of(learner_key(PROGRAMME, learner(1)), LANES)
    made.take(wrong, learner_key(PROGRAMME, learner(1)), codec.encode(other))
    made.take(0, b"no key of ours", codec.encode(other))
    made.redrive(lambda e: e.reason == "unknown_assessment", "the first time")  # set aside again
    made.redrive(lambda e: e.reason == "unknown_assessment", "the second time")
    made.redrive(lambda e: e.reason == "wrong_lane" and e.key == b"no key of ours", "with its own key")  # decided
    made.resolve(lambda e: e.reason == "tombstone", resolution=Resolution.DISMISSED)


TRUST = Trust(
    base_url=BASE_URL,
    epoch=EPOCH,
    programmes={
        PROGRAMME: Pinned({"offline": CATALOGUE_SIGNER.public_multikey}, 1, {"sam": STAFF_SIGNER.public_multikey})
    },
    credential_secret=CREDENTIAL_SECRET,
    status_secret=STATUS_SECRET,
    planted=(CREDENTIAL_SECRET, STATUS_SECRET, b"Planted Person"),
)


def audited(log: MemoryLog, folder: Path, trust: Trust = TRUST, **options: Any) -> Sequence[Finding]:
    """What the auditor finds."""
    store = Store(folder / "audit.db")
    try:
        return Audit(log, store, trust, Options(**{"sample": 40, "grace_s": 0.0, **options})).run()
    finally:
        store.close()
