"""Random faults for as long as asked, under a load that does not wait for the pipe: `make chaos SOAK=1h`."""

from __future__ import annotations

import json
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support import toxics
from support.cluster import cluster
from support.comparing import all_is_well
from support.injection import Injection
from support.logs import records
from support.pipe import Pipe, completion, whole_pipe
from support.soaking import Havoc, seconds
from support.toxics import Toxiproxy

from schemas.codec import decode
from schemas.errors import UnavailableError
from schemas.events import CompetencyDecided, Disposition
from schemas.topology import DECIDED, ISSUED

RATE = 20  # completions a second
BATCH_S = 0.5


class OpenLoop(threading.Thread):
    """Has a time at which each completion is meant to be sent, and is late for it rather than leaving it out."""

    def __init__(self, pipe: Pipe, length_s: float) -> None:
        super().__init__(daemon=True)
        self._pipe, self._length_s = pipe, length_s
        self.intended: dict[str, float] = {}
        self.answers: Counter[str] = Counter()

    def run(self) -> None:
        began, number = time.time(), 0
        headers = {"Authorization": f"Bearer {self._pipe.key()}", "Content-Type": "application/x-ndjson"}
        with httpx.Client(headers=headers, timeout=20) as http:
            while (due := began + number * BATCH_S) < began + self._length_s:
                time.sleep(max(0.0, due - time.time()))
                names = [f"soak-{number}-{i}" for i in range(int(RATE * BATCH_S))]
                body = b"\n".join(json.dumps(completion(name)).encode() for name in names)
                while not self._post(http, body):
                    time.sleep(0.3)
                self.intended |= {f"{name}-0": due for name in names}
                number += 1

    def _post(self, http: httpx.Client, body: bytes) -> bool:
        try:
            answer = http.post(f"{self._pipe.url}/v1/completions", content=body)
        except (httpx.TransportError, UnavailableError):
            self.answers["none"] += 1
            return False
        self.answers[str(answer.status_code)] += 1
        return answer.is_success


@pytest.fixture
def length_s(request: pytest.FixtureRequest) -> int:
    asked = request.config.getoption("--soak")
    if asked is None:
        pytest.skip("--soak says for how long")
    return seconds(asked)


@pytest.fixture
def havoc(tmp_path: Path, seed: int, fault: Injection) -> Iterator[Havoc]:
    with cluster(tmp_path / "kafka", 3) as brokers, pytest.MonkeyPatch.context() as patch:
        toxiproxy = Toxiproxy()
        try:
            proxies = [toxiproxy.proxy(f"broker-{n.id}", n.advertised, n.side) for n in brokers.nodes]
            patch.setenv("CREDSTREAM_BOOTSTRAP_SERVERS", ",".join(f"127.0.0.1:{proxy.port}" for proxy in proxies))
            with whole_pipe(tmp_path / "pipe", brokers.bootstrap_servers, workers=2, replication=3) as pipe:
                yield Havoc(pipe, brokers, proxies, fault, random.Random(seed))
        finally:
            toxiproxy.stop()


@pytest.mark.fault("P1", "P4", "B2", "B5", "B6", "B7", "B15", "B17")
@pytest.mark.long
@pytest.mark.timeout(0)
@toxics.needs_toxiproxy
def test_random_faults_under_load_lose_double_and_change_nothing(
    length_s: int, havoc: Havoc, seed: int, fault: Injection
) -> None:
    print(f"soak of {length_s} s, seed {seed}", flush=True)
    load = OpenLoop(havoc.pipe, length_s)
    load.start()
    while load.is_alive():
        havoc.strike()
    load.join()
    with fault.recovering():
        havoc.pipe.supervisor.wait_until_ready()
        havoc.pipe.drain(600)
    all_is_well(havoc.pipe, load.intended.keys())
    tell(havoc.pipe, load, fault)


def tell(pipe: Pipe, load: OpenLoop, fault: Injection) -> None:
    """Print what happened; none of what was accepted may be lost, or decided otherwise than once."""
    decided: Counter[str] = Counter()
    latency = []
    for of in records(pipe.place, DECIDED).values():
        for record in of:
            event = decode(record.value, CompetencyDecided)
            if event.disposition is not Disposition.KNOWN and event.event_id in load.intended:
                decided[event.event_id] += 1
                latency.append(record.appended_at / 1e6 - load.intended[event.event_id])
    lost = load.intended.keys() - decided.keys()
    doubled = [event_id for event_id, count in decided.items() if count > 1]
    issued = sum(len(of) for of in records(pipe.place, ISSUED).values())
    print(f"faults: {dict(fault.fired)}; answers: {dict(load.answers)}")
    print(f"{len(load.intended)} completions accepted, {issued} credentials, lost {len(lost)}, doubled {len(doubled)}")
    cuts = statistics.quantiles(latency, n=100)
    print(f"intended to decided: p50 {cuts[49]:.2f} s, p90 {cuts[89]:.2f} s, p99 {cuts[98]:.2f} s")
    assert (lost, doubled) == (set(), [])
