"""kill -9 of every processor at random while results come in: what is published equals the pure replay of the inbox."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from support.auditing import violations
from support.comparing import compare
from support.injection import Injection
from support.logs import records
from support.pipe import PROGRAMME, Pipe, until

from credstream.audit.expected import Expectation
from credstream.demo.generator import SCHEME, Generator
from schemas.codec import decode
from schemas.events import CredentialIssued
from schemas.ids import learner_ref
from schemas.topology import (
    ISSUED,
)
from streams.settings import LEARNER_SECRET


@pytest.mark.fault("P1", "P10", "B16", "L3")
@pytest.mark.timeout(1_800)
def test_kill_9_at_random_loses_nothing_doubles_nothing_changes_no_byte(
    pipe: Pipe, seed: int, pytestconfig: pytest.Config, fault: Injection
) -> None:
    print(f"chaos seed {seed}")
    chance, now = random.Random(seed), datetime.now(UTC)
    sent = [
        s for s in Generator(seed, now, pipe.catalogue).completions(pytestconfig.getoption("--results")) if s.accepted
    ]
    kills: Counter[str] = Counter()
    done = threading.Event()

    def send() -> None:
        for start in range(0, len(sent), 250):
            for provider in sorted({s.provider for s in sent}):
                if batch := [s.completion for s in sent[start : start + 250] if s.provider == provider]:
                    assert all(line.accepted for line in pipe.send(batch, provider))
            time.sleep(0.5)
        done.set()

    sender = threading.Thread(target=send)
    sender.start()
    victims = [c for c in pipe.supervisor.children if c.name != "gateway"]
    while not done.is_set() or len(kills) < len(victims):
        pipe.supervisor.tend()
        alive = [c for c in victims if c.process and c.process.poll() is None]
        never = [c for c in alive if not kills[c.name]]
        if alive and chance.random() < 0.25:
            victim = chance.choice(never or alive)
            assert victim.process is not None
            os.kill(victim.process.pid, signal.SIGKILL)
            kills[victim.name] += 1
            fault.fire("kill -9")
        time.sleep(0.3)
    sender.join()
    with fault.recovering():
        for _ in until("every processor to be back", 90):
            pipe.supervisor.tend()
            if all(c.process and c.process.poll() is None for c in victims):
                break
        pipe.supervisor.wait_until_ready()
    pipe.drain(180)
    print("kills:", dict(kills))
    assert set(kills) == {"competency", "issuing", "status", "views", "forms"}
    compare(pipe)
    compare_holdings(pipe, sent, now)
    compare_views(pipe)
    assert violations(pipe.place) == []


def compare_holdings(pipe: Pipe, sent: list[Any], now: datetime) -> None:
    """Ask the independent computation too, which knows nothing of stages."""
    judge = Expectation(pipe.catalogue, now)
    for one in sent:
        judge.take(one.provider, one.completion)
    secret = pipe.place.secret(LEARNER_SECRET)
    expected = {(learner_ref(secret, PROGRAMME, SCHEME, who), what) for who, what in judge.holdings()}
    learners = {who for who, _ in expected}
    issued = [decode(r.value, CredentialIssued) for lane in records(pipe.place, ISSUED).values() for r in lane]
    assert len({c.credential_id for c in issued}) == len(issued)
    held = {(c.learner_ref, c.achievement) for c in issued if c.learner_ref in learners}
    assert held >= expected


def compare_views(pipe: Pipe) -> None:
    """The dashboard counts each credential once, however often views died."""
    issued = sum(len(lane) for lane in records(pipe.place, ISSUED).values())
    with pipe.http(None) as http:
        for _ in until(f"the views to count {issued} credentials"):
            counted = sum(http.get("/v1/flow").json()["tallies"]["issued"].values())
            assert counted <= issued
            if counted == issued:
                return
