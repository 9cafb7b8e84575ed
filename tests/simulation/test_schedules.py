"""The real worker and the real stages under thousands of schedules: nothing is lost, doubled or changed."""

from __future__ import annotations

import contextlib
import logging
import os
import random
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from confluent_kafka import KafkaException, TopicPartition
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from simulation.world import Poisoned, World
from support.competency import (
    BASE_URL,
    CATALOGUE_SIGNER,
    DAY,
    PROGRAMME,
    STAFF_SIGNER,
    catalogue,
    completion,
)

from schemas import codec
from schemas.catalogue import Key, pack
from schemas.codec import decode
from schemas.errors import IntegrityError, RefusedError, UnavailableError
from schemas.events import CatalogueAdopted, RecordQuarantined, ResultKind
from schemas.ids import lane_of, learner_key
from schemas.rules import Criterion, Holds, Result
from schemas.topology import CLAIMED, DECIDED, INBOX, ISSUED, QUARANTINED, STATUS_DECIDED
from services.competency.ledger import Naming
from services.signing.jws import HEADER, sign_detached
from services.signing.keys import seed_signer
from streams.competency import CompetencyStage, Trust
from streams.issuing import IssuingStage
from streams.lane import Worker
from streams.settings import ProgrammeSettings

LANES = 2
CASES = int(os.environ.get("CREDSTREAM_SCHEDULES", "40"))
CREDENTIALS, STATUS = seed_signer(b"c" * 32), seed_signer(b"s" * 32)
TRUST = Trust(
    base_url=BASE_URL,
    lanes=LANES,
    programmes={
        PROGRAMME: ProgrammeSettings(
            catalogue_keys={"offline": CATALOGUE_SIGNER.public_multikey},
            staff_keys={"sam": STAFF_SIGNER.public_multikey},
        )
    },
)


def competency() -> CompetencyStage:
    return CompetencyStage(Naming(credential_secret=b"c" * 32, status_secret=b"s" * 32, epoch="e1"), TRUST)


@cache  # pure: only what it compiled is shared
def issuing() -> IssuingStage:
    return IssuingStage({(PROGRAMME, "credentials-1"): CREDENTIALS})


@cache
def inbox() -> list[tuple[int, bytes, bytes, Any]]:
    """Two rules, one built on the other; results, corrections and repeats of eight learners; one unreadable record a lane."""
    keys = (
        Key(id="credentials-1", purpose="credentials", public_key_multibase=CREDENTIALS.public_multikey, active_from=0),
        Key(id="status-1", purpose="status", public_key_multibase=STATUS.public_multikey, active_from=0),
    )
    rules: dict[str, Criterion] = {
        "block": Result(assessment="quiz", at_least=500_000),
        "top": Holds(achievement="block"),
    }
    digest, packed = pack(catalogue(rules, keys=keys))
    adopted = codec.encode(CatalogueAdopted(programme=PROGRAMME, adoption_no=1, digest=digest, catalogue=packed))
    signed = ((HEADER, sign_detached(adopted, CATALOGUE_SIGNER, "offline")),)
    out: list[tuple[int, bytes, bytes, Any]] = [(lane, PROGRAMME.encode(), adopted, signed) for lane in range(LANES)]
    for at in range(24):
        learner = f"{at % 8:032x}"
        kind = ResultKind.COMPLETED if at < 16 else ResultKind.CORRECTED
        made = completion(
            f"r-{at % 8}", at=at % 8 * DAY, learner_ref=learner, score=90 - at % 3 * 30, revision=at // 8, kind=kind
        )
        key = learner_key(PROGRAMME, learner)
        out.append((lane_of(key, LANES), key, codec.encode(made), ()))
        if at % 11 == 0:
            out.append((at % LANES, b"nobody", b"unreadable", ()))
    return out


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


KINDS = "gggggggggkxsabtuv"
TROUBLES = {"t": "before", "u": "after", "v": "abort"}
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 7), st.integers(1, 40)), min_size=15, max_size=100)


def played(schedule: list[tuple[str, int, int]], worker: type[Worker[Any]] = Worker) -> World:
    """Return the world after a schedule and its drain."""
    world = World((competency, issuing), lanes=LANES, workers=2, worker=worker)
    waiting = iter(inbox())

    def send(count: int) -> None:
        for _, (lane, key, value, headers) in zip(range(count), waiting, strict=False):
            world.broker.write(INBOX.name, lane, key, value, headers)

    for what, which, times in schedule:
        at = which % len(world.places)
        if what == "g":
            for _ in range(times):
                world.go(at)
        elif what == "k":
            world.kill(at)
        elif what == "x":
            world.expel(which)
        elif what == "s":
            world.start(at)
        elif what in TROUBLES:
            world.trouble(at, TROUBLES[what])
        else:
            send(times % 7)
    send(len(inbox()))
    world.drain()
    return world


@pytest.mark.fault("P1", "P4", "B12", "B16")
@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(schedule=STEPS)
def test_whatever_the_schedule_what_is_published_is_the_replay_of_the_input(
    schedule: list[tuple[str, int, int]],
) -> None:
    world = played(schedule)
    for what in world.happened:
        event(what)
    try:
        world.check(competency, DECIDED, CLAIMED, STATUS_DECIDED)
        world.check(issuing, ISSUED)
    finally:
        world.close()


class Unfenced(Worker[Any]):
    """Opens a name of its own instead of the lane's."""

    def _fence(self, p: int) -> Any:
        self._name, name = f"{self._name}-{id(self)}", self._name
        try:
            return super()._fence(p)
        finally:
            self._name = name


class NeverRewinds(Worker[Any]):
    """Goes on after an aborted transaction as if it had been committed."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._consumer.seek = lambda _: None


class TrustsOldState(Worker[Any]):
    """Takes a lane that comes back with the state that it had, whatever others did to it meanwhile."""

    def _open(self, p: int, producer: Any, position: int) -> Any:
        if kept := self._put_by.get(p):
            kept.position = position
        return super()._open(p, producer, position)


class CommitsOffsetsFirst(Worker[Any]):
    """Moves on before the outputs are true."""

    def _take(self, lane: Any, messages: Any, member: Any) -> None:
        with contextlib.suppress(KafkaException):
            end = TopicPartition(self._stage.input.name, lane.number, messages[-1].offset() + 1)
            self._consumer.commit(offsets=[end], asynchronous=False)
        super()._take(lane, messages, member)


@pytest.mark.parametrize("worker", [Unfenced, NeverRewinds, TrustsOldState, CommitsOffsetsFirst])
def test_a_broken_worker_is_found_out(worker: type[Worker[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulation.world.MOST_TURNS", 3_000)
    for seed in range(300):
        chance = random.Random(seed)
        steps = [(chance.choice(KINDS), chance.randrange(8), chance.randint(1, 40)) for _ in range(60)]
        try:
            world = played(steps, worker)
            world.check(competency, DECIDED, CLAIMED, STATUS_DECIDED)
            world.check(issuing, ISSUED)
        except (AssertionError, IntegrityError, RefusedError):
            return
    raise AssertionError("300 schedules and nothing found")


def test_the_schedules_reach_kills_zombies_and_lost_answers() -> None:
    busy = [("g", at, 25) for at in range(4)] * 3
    schedule = [*busy, ("a", 0, 6), *busy, ("t", 0, 1), ("u", 1, 1), *busy, ("b", 0, 5), *busy[:7], ("x", 0, 1)]
    schedule += [*busy, ("k", 0, 1), ("k", 2, 1), *busy, ("a", 0, 6), *busy, ("x", 1, 1), ("u", 3, 1), *busy]
    world = played(schedule)
    world.check(competency, DECIDED, CLAIMED, STATUS_DECIDED)
    world.close()
    assert {"killed", "expelled", "trouble before", "trouble after"} <= world.happened.keys()


class Away(IssuingStage):
    """Cannot answer at first, twice for each record."""

    def __init__(self) -> None:
        super().__init__({(PROGRAMME, "credentials-1"): CREDENTIALS})
        self._asked: Counter[int] = Counter()

    def step(self, lane: Any, state: Any, record: Any) -> Any:
        self._asked[record.offset] += 1
        if self._asked[record.offset] <= 2:
            raise UnavailableError("not yet")
        return super().step(lane, state, record)


def test_a_lane_that_waits_steps_over_nothing_though_it_has_seen_the_end() -> None:
    world = World((competency, Away), lanes=LANES, workers=1)
    for lane, key, value, headers in inbox():
        world.broker.write(INBOX.name, lane, key, value, headers)
    world.drain()
    world.check(issuing, ISSUED)
    world.close()


class Poisonable(CompetencyStage):
    """Dies of a record."""

    def __init__(self) -> None:
        super().__init__(Naming(credential_secret=b"c" * 32, status_secret=b"s" * 32, epoch="e1"), TRUST)

    def step(self, lane: Any, state: Any, record: Any) -> Any:
        if record.value == b"poison":
            raise Poisoned
        return super().step(lane, state, record)


@pytest.mark.fault("P8")
def test_a_record_that_ends_every_process_is_set_aside_and_its_lane_goes_on() -> None:
    world = World((Poisonable,), lanes=LANES, workers=2)
    half = len(inbox()) // 2
    for lane, key, value, headers in inbox()[:half]:
        world.broker.write(INBOX.name, lane, key, value, headers)
    world.drain()
    for lane, key, value, headers in [*inbox()[half : half + 2], (0, b"k", b"poison", ()), *inbox()[half + 2 :]]:
        world.broker.write(INBOX.name, lane, key, value, headers)
    for _ in range(20):
        with contextlib.suppress(AssertionError):
            world.drain(most_turns=2_000)
            break
    found = [decode(r.value, RecordQuarantined) for lane in world.records(QUARANTINED).values() for r in lane]
    [poison] = [q for q in found if q.reason == "crash_loop"]
    assert (poison.value, poison.partition) == (b"poison", 0)
    assert 5 <= world.happened["poisoned"] <= 7
    assert sum(map(len, world.records(DECIDED).values())) + len(found) == len(inbox()) + 1
    world.close()


@pytest.mark.fault("B3")
def test_a_truncated_log_parks_the_lane_that_reads_it_and_publishes_nothing_wrong() -> None:
    world = World((competency, issuing), lanes=LANES, workers=1)
    half = len(inbox()) // 2
    for lane, key, value, headers in inbox()[:half]:
        world.broker.write(INBOX.name, lane, key, value, headers)
    world.drain()
    before = {lane: len(records) for lane, records in world.records(ISSUED).items()}
    claimed = world.broker.logs[CLAIMED.name, 0]
    del claimed[-4:]
    for lane, key, value, headers in inbox()[half:]:
        world.broker.write(INBOX.name, lane, key, value, headers)
    for turn in range(4_000):
        world.go(turn % 2)
    after = world.records(ISSUED)
    assert len(after[0]) == before[0], "lane 0 went on over a gap"
    assert len(after[1]) > before[1], "lane 1 stands still"
    world.close()
