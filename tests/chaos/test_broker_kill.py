"""kill -9 of the embedded broker under `up`: it comes back on its data, and nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from support.auditing import violations
from support.injection import Injection
from support.pipe import BASE_URL, CATALOGUE, Pipe, completion, until

from credstream import installation as installations
from credstream.cli.running import create, running
from credstream.reading import committed
from credstream.rules.loader import load as load_catalogue
from credstream.rules.publishing import publish
from schemas.codec import decode
from schemas.events import CompetencyDecided, CredentialIssued
from schemas.topology import DECIDED, ISSUED


@pytest.mark.fault("B2")
@pytest.mark.timeout(400)
def test_the_broker_killed_comes_back_and_every_acknowledged_completion_is_decided_once(
    tmp_path: Path, fault: Injection
) -> None:
    place = create(tmp_path / "data", base_url=BASE_URL, catalogue=CATALOGUE, cadence_s=1.0)
    with running(place) as supervisor:
        catalogue = installations.build_catalogue(place, load_catalogue(CATALOGUE))
        publish(place, catalogue)
        pipe = Pipe(place, supervisor, catalogue)
        sent = [completion(f"broker-{i}") for i in range(300)]
        assert all(line.accepted for line in pipe.send(sent[:150]))
        assert supervisor.kafka is not None
        first = supervisor.kafka.pid
        os.kill(first, signal.SIGKILL)
        fault.fire("kill -9 of the broker")
        with fault.recovering():
            for _ in until("the broker to be back"):
                supervisor.tend()
                if supervisor.kafka.alive() and supervisor.kafka.pid != first:
                    break
            supervisor.wait_until_ready()
        assert all(line.accepted for line in pipe.send(sent[150:]))
        wanted = {c["event_id"] for c in sent}
        for _ in until("every completion to be decided", 180, 1.0):
            supervisor.tend()
            decided = [decode(r.value, CompetencyDecided) for r in committed(place.bootstrap_servers, DECIDED)]
            issued = [decode(r.value, CredentialIssued) for r in committed(place.bootstrap_servers, ISSUED)]
            if wanted <= {d.event_id for d in decided} and len(issued) >= len(sent):
                break
        mine = [d.event_id for d in decided if d.event_id in wanted]
        assert sorted(mine) == sorted(wanted)
        assert len({c.credential_id for c in issued}) == len(issued) == len(sent)
        pipe.drain()
        assert violations(place) == []
