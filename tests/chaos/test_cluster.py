"""Three brokers, every record on all of them: leaders and coordinators are killed under load, and nothing is lost or doubled."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bench import Bench, frozen
from support.cluster import Cluster, cluster
from support.comparing import all_is_well
from support.injection import Injection
from support.pipe import Pipe, until, whole_pipe
from support.sending import Sender

from schemas.topology import INBOX, PROGRESS

pytestmark = pytest.mark.timeout(900)
ROUNDS = 4


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("brokers"), 3) as made:
        yield made


@pytest.fixture(scope="module")
def pipe(brokers: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    with whole_pipe(tmp_path_factory.mktemp("pipe"), brokers.bootstrap_servers, replication=3) as running:
        yield running


@pytest.mark.fault("B17", "B12", "B1")
@pytest.mark.long
def test_leaders_killed_under_load_lose_and_double_nothing(
    brokers: Cluster, pipe: Pipe, seed: int, fault: Injection
) -> None:
    chance = random.Random(seed)
    with Sender(pipe, "leader") as sender:
        for turn in range(ROUNDS):
            time.sleep(chance.uniform(2, 4))
            topic = (INBOX.name, PROGRESS.name, "__transaction_state", "__consumer_offsets")[turn % 4]
            victim = brokers.leader(topic, chance.randrange(4))
            victim.end(chance.choice((signal.SIGKILL, signal.SIGTERM)) if turn else signal.SIGKILL)
            fault.fire("leader killed or stopped")
            before = len(sender.accepted)
            with fault.recovering():  # with two of three
                for _ in until("the gateway to accept again", 60):
                    pipe.supervisor.tend()
                    if len(sender.accepted) > before:
                        break
            brokers.restart(victim)
    all_is_well(pipe, sender.accepted)


@pytest.mark.fault("B17")
@pytest.mark.long
def test_with_one_broker_of_three_nothing_is_accepted(brokers: Cluster, pipe: Pipe, fault: Injection) -> None:
    with Sender(pipe, "isr") as sender:
        for _ in until("something to be accepted"):
            if sender.accepted:
                break
        two = brokers.nodes[:2]
        for node in two:
            node.process.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
        fault.fire("two of three brokers stopped")
        time.sleep(12)
        before = len(sender.accepted)
        time.sleep(8)
        assert len(sender.accepted) == before
        for node in two:
            node.process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]
        with fault.recovering():
            for _ in until("the gateway to accept again", 90):
                pipe.supervisor.tend()
                if len(sender.accepted) > before:
                    break
    brokers.wait_for_all()
    all_is_well(pipe, sender.accepted)


@pytest.mark.fault("B18")
def test_a_broker_killed_with_transactions_open_leaves_none_behind(tmp_path: Path, fault: Injection) -> None:
    """Workers are stopped in the middle of theirs, and die only after the broker did."""
    with cluster(tmp_path / "kafka") as made:
        [node] = made.nodes
        bench = Bench(made.bootstrap_servers, tmp_path)
        try:
            with frozen(bench) as worker:
                node.end(signal.SIGKILL)
                fault.fire("kill -9 of the broker inside a transaction")
                worker.kill()
                made.restart(node)
                with fault.recovering():
                    bench.worker()
                    bench.send(200)
                    bench.wait_for(600, 120)
            bench.check()
        finally:
            for process in bench.processes:
                process.kill()
                process.wait()
