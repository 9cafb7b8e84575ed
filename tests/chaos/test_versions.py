"""Rules change amid the results while competency is killed with -9: each lane switches at one point of its own log.

A real broker and real workers. What they publish and keep is compared byte for byte with the pure replay of the inbox, and what
each decision says with the second evaluator, which is told nothing but when each lane adopted which rules.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from support.competency import catalogue
from support.injection import Injection
from support.logs import found, latest, records
from support.meaning import Held, in_force, meaning
from support.pipe import until
from support.replay import replay
from support.workers import Workers

from credstream import installation as installations
from credstream.local import broker
from credstream.rules.publishing import publish
from schemas.catalogue import Catalogue, pack
from schemas.codec import decode, encode
from schemas.events import (
    POINT,
    AssessmentCompleted,
    CatalogueAdopted,
    CompetencyDecided,
    CompletionBody,
    DecisionBody,
    Disposition,
    ResultKind,
    Verdict,
)
from schemas.ids import lane_of, learner_key
from schemas.rules import All, Count, Distinct, Holds, Level, Result, Rule, Span, Weight, Weighted
from schemas.topology import CLAIMED, DECIDED, INBOX, PROGRESS, STATUS_DECIDED
from services.competency.progress import AwardState, decoded
from streams import competency, topics
from streams.settings import Installation, load

PROGRAMME = "versions"
BASE_URL = "https://versions.example"
LANES = 3
LEARNERS = 60
ASSESSMENTS = ("theory", "practice", "project")
VERSIONS = 4
Rules = Mapping[str, Rule]


def rules(version: int) -> Rules:
    """Each version asks more or less than the one before; one achievement comes, goes and comes again."""
    bar = (600_000, 800_000, 400_000, 600_000)[version % 4]
    parts = tuple(
        Weight(assessment=name, weight=weight) for name, weight in (("theory", 300_000), ("practice", 700_000))
    )
    made = {
        "theory-passed": Rule(requires=Result(assessment="theory", at_least=bar)),
        "steady": Rule(
            attained="standing",
            requires=Weighted(parts=parts, at_least=bar, take="latest"),
            levels=tuple(
                Level(name=name, requires=Weighted(parts=parts, at_least=share, take="best"))
                for name, share in (("merit", 700_000), ("distinction", 850_000 - 100_000 * (version % 2)))
            ),
        ),
        "several": Rule(
            requires=Count(
                number=2 + version % 3,
                assessments=ASSESSMENTS,
                at_least=bar // 2,
                within=Span(hours=1),
                distinct=(Distinct(of="assessment", number=2),),
            )
        ),
        "whole": Rule(
            attained="standing",
            requires=All(
                of=(Holds(achievement="theory-passed"), Holds(achievement="steady"), Result(assessment="project"))
            ),
        ),
    }
    if version % 4 in {1, 2}:
        made["sometimes"] = Rule(requires=Result(assessment="project", at_least=bar))
    return made


@dataclass
class Stream:
    """Sends results, corrections and retractions of many learners into the inbox, as the gateway would."""

    place: Installation
    chance: random.Random
    stop: threading.Event = field(default_factory=threading.Event)
    sent: int = 0
    given: dict[str, list[CompletionBody]] = field(default_factory=lambda: defaultdict(list))

    def run(self) -> None:
        producer = Producer({"bootstrap.servers": self.place.bootstrap_servers, "enable.idempotence": True})
        while not self.stop.is_set():
            for _ in range(6):
                event = self._next()
                key = learner_key(PROGRAMME, event.learner_ref)
                producer.produce(INBOX.name, encode(event), key, lane_of(key, LANES))
                self.sent += 1
            assert not producer.flush(30)
            self.stop.wait(0.2)

    def _next(self) -> AssessmentCompleted:
        learner = f"{self.chance.randrange(LEARNERS):032x}"
        given = self.given[learner]
        now = time.time_ns() // 1_000_000 * 1_000
        body = CompletionBody(
            result_id=f"r-{len(given)}",
            revision=0,
            kind=ResultKind.COMPLETED,
            assessment=self.chance.choice(ASSESSMENTS),
            completed_at=now - self.chance.randrange(100_000, 5_000_000),
            score=self.chance.randrange(0, 101) * POINT,
            score_max=100 * POINT,
        )
        if given and self.chance.random() < 0.25:
            before = self.chance.choice(given)
            kind = self.chance.choice((ResultKind.CORRECTED, ResultKind.CORRECTED, ResultKind.RETRACTED))
            body = msgspec.structs.replace(before, revision=before.revision + 1, kind=kind, score=body.score)
            given[given.index(before)] = body
        else:
            given.append(body)
        return AssessmentCompleted(
            event_id=f"{learner}/{body.result_id}/{body.revision}",
            programme=PROGRAMME,
            provider="college",
            learner_ref=learner,
            received_at=now,
            body=body,
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    """An installation on a Kafka of its own, for the rules of the session's other tests stay as they are."""
    with broker.running(tmp_path / "kafka") as running:
        folder = tmp_path / "data"
        installations.create(folder, base_url=BASE_URL, programmes=[PROGRAMME], lanes=LANES)
        settings = folder / "credstream.toml"
        settings.write_text(
            settings.read_text().replace('bootstrap_servers = ""', f'bootstrap_servers = "{running.bootstrap_servers}"')
        )
        made = load(folder)
        topics.create(made)
        yield made


@pytest.mark.fault("P1", "E19")
@pytest.mark.timeout(1_800)
def test_each_lane_switches_at_one_point_of_its_log_however_often_it_is_killed(
    place: Installation, seed: int, pytestconfig: pytest.Config, fault: Injection
) -> None:
    versions = max(VERSIONS, pytestconfig.getoption("--results") // 2_500)  # a longer run changes the rules more often
    print(f"chaos seed {seed}, {versions} versions")
    chance = random.Random(seed)
    published = [build(place, version) for version in range(versions)]
    workers = Workers(place, "competency", 2)
    stream = Stream(place, random.Random(seed + 1))
    sender = threading.Thread(target=stream.run)
    try:
        publish(place, published[0])
        sender.start()
        for version in published[1:]:
            time.sleep(chance.uniform(0.5, 2))
            killer = threading.Timer(chance.uniform(0, 1), workers.kill, [chance.randrange(2)])
            killer.start()  # while the version is on its way into the lanes
            assert publish(place, version).new
            killer.join()
            time.sleep(chance.uniform(0, 2))
            workers.kill(chance.randrange(2))  # and while the first results are judged by it
        time.sleep(1)
        stream.stop.set()
        sender.join()
        for _ in until("every lane to be done", 120):
            if not any(lag.records for lag in topics.lags(place) if lag.topic is INBOX):
                break
    finally:
        stream.stop.set()
        workers.stop()
    assert workers.kills == 2 * (versions - 1)
    fault.fire("kill -9", workers.kills)
    compare_bytes(place)
    switched, judged, said = compare_meaning(place, published)
    print(f"{workers.kills} kills, {stream.sent} results; by version and lane {switched}; verdicts {dict(said)}")
    assert judged == stream.sent
    assert all(number for lane in switched.values() for number in lane), "some version judged nothing in some lane"
    assert said.keys() == {Verdict.GRANTED, Verdict.ALREADY_HELD, Verdict.NOT_YET, Verdict.REGRESSED}


def build(place: Installation, version: int) -> Catalogue:
    return catalogue(
        rules(version),
        ASSESSMENTS,
        ("college",),
        programme=PROGRAMME,
        version=str(version),
        base_url=BASE_URL,
        keys=tuple(installations.public_keys(place, PROGRAMME)),
    )


def compare_bytes(place: Installation) -> None:
    """What is in the topics is what a replay of the inbox makes, and nothing else."""
    replayed, set_aside, state = replay(competency.stage(place), records(place, INBOX))
    assert not set_aside
    assert found(place, DECIDED, CLAIMED, STATUS_DECIDED) == replayed
    assert latest(place, PROGRESS) == state


def compare_meaning(
    place: Installation, published: Sequence[Catalogue]
) -> tuple[dict[int, list[int]], int, Counter[Verdict]]:
    """Ask the second evaluator about each decision. Return how many results each version judged in each lane, and what was said."""
    by_digest = {pack(one)[0]: at for at, one in enumerate(published)}
    inbox = {lane: {r.offset: r for r in of} for lane, of in records(place, INBOX).items()}
    switched: dict[int, list[int]] = {}
    said: Counter[Verdict] = Counter()
    kept = latest(place, PROGRESS)
    for lane, of in sorted(records(place, DECIDED).items()):
        decisions = [decode(r.value, CompetencyDecided) for r in of]
        assert [d.inbox_offset for d in decisions] == sorted(inbox[lane])
        in_lane = Lane()
        for decided in decisions:
            event = decode(inbox[lane][decided.inbox_offset].value, AssessmentCompleted, CatalogueAdopted)
            if isinstance(event, CatalogueAdopted):
                in_lane.adopt(decided, rules(by_digest[event.digest]))
            else:
                said.update(in_lane.check(event, decided))
        judged = [(d.catalogue_digest, d.disposition) for d in decisions]
        runs = [digest for digest, _ in groupby(digest for digest, _ in judged)]
        assert runs == list(by_digest), "a lane went back to a version, or left one out"
        recorded = Counter(digest for digest, disposition in judged if disposition is Disposition.RECORDED)
        switched[lane] = [recorded[digest] for digest in by_digest]
        for learner, holds in in_lane.holds.items():
            progress = decoded(kept[lane, learner_key(PROGRAMME, learner)])
            stands = {n: [(a.attained_at, a.level)] for n, a in progress.awards.items() if a.state is AwardState.HELD}
            assert stands == holds
    return switched, sum(len(of) for of in inbox.values()) - adoptions(place), said


def adoptions(place: Installation) -> int:
    """Return how many records of the inbox are adoptions, repeats included."""
    return sum(r.key == PROGRAMME.encode() for of in records(place, INBOX).values() for r in of)


@dataclass
class Lane:
    """One lane's log so far, as the second evaluator is told of it."""

    adopted: list[tuple[Rules, int, int | None]] = field(default_factory=list)
    logs: dict[str, list[AssessmentCompleted]] = field(default_factory=lambda: defaultdict(list))
    holds: dict[str, Held] = field(default_factory=lambda: defaultdict(dict))

    def adopt(self, decided: CompetencyDecided, adopted: Rules) -> None:
        """Take an adoption in; a repeat of the last is known."""
        if decided.disposition is Disposition.KNOWN:
            assert self.adopted[-1][0] == adopted
        else:
            assert decided.disposition is Disposition.ADOPTED
            self.adopted.append((adopted, decided.decided_at, None))

    def check(self, event: AssessmentCompleted, decided: CompetencyDecided) -> Iterator[Verdict]:
        """Compare a decision with what the evaluator finds held after it; yield its verdicts."""
        assert isinstance(decided.body, DecisionBody)
        learner = event.learner_ref
        self.logs[learner].append(event)
        now, held = meaning(in_force(*self.adopted), self.logs[learner]), self.holds[learner]
        offered = self.adopted[-1][0]
        assert decided.disposition is Disposition.RECORDED
        assert {o.achievement for o in decided.body.outcomes} <= offered.keys() | held.keys()
        for outcome in decided.body.outcomes:
            name, since = outcome.achievement, now.get(outcome.achievement)
            before, after = name in held, since is not None
            verdicts = {
                (True, True): Verdict.ALREADY_HELD,
                (False, True): Verdict.GRANTED,
                (False, False): Verdict.NOT_YET,
                (True, False): Verdict.REGRESSED,
            }
            assert outcome.verdict is verdicts[before, after], (name, event, now)
            assert outcome.attained_at == (None if since is None else since[0][0])
            held.pop(name, None)
            if since is not None:
                held[name] = since
            yield outcome.verdict
