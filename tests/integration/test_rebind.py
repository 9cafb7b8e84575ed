"""Topics that were deleted: nothing starts on what is made in their place, until a person binds the installation to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient
from support.commands import credstream
from support.pipe import Pipe, completion, until, whole_pipe
from support.small import FIRST, catalogue

from credstream.lanes.state import kept
from credstream.local import broker
from credstream.reading import committed
from schemas.codec import decode
from schemas.errors import RefusedError
from schemas.events import CredentialIssued
from schemas.topology import DECIDED, INBOX, ISSUED, PROGRESS, Processor
from streams import topics
from streams.lane import IDENTITY_KEY


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    """A pipe of its own, since its topics are deleted."""
    folder = tmp_path_factory.mktemp("rebind")
    with (
        broker.running(tmp_path_factory.mktemp("rebind-kafka")) as kafka,
        whole_pipe(folder / "data", kafka.bootstrap_servers, catalogue=catalogue(folder / "1", "1", *FIRST)) as running,
    ):
        yield running


def run(pipe: Pipe, process: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "credstream", "run", process, "--data", str(pipe.place.folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


@pytest.mark.fault("B10")
def test_nothing_starts_on_topics_made_anew_until_a_person_binds_to_them(pipe: Pipe) -> None:
    assert "nothing is to be done" in credstream(pipe, "topics", "rebind", "--dry-run")
    sent = [completion(f"bound-{i}") for i in range(20)]
    pipe.send(sent)
    pipe.drain()
    pipe.fate("bound-19-0")
    pipe.supervisor.stop()
    lanes = range(pipe.place.kafka.lanes)
    before = [kept(pipe.place, Processor.COMPETENCY, lane) for lane in lanes]
    admin = KafkaAdminClient(bootstrap_servers=pipe.place.bootstrap_servers)
    admin.delete_topics([PROGRESS.name, DECIDED.name])
    admin.close()
    for _ in until("both topics to be gone"):
        if sum(state.id is None for state in topics.describe(pipe.place)) == 2:
            break
    with pytest.raises(RefusedError, match="credstream topics rebind --dry-run"):
        topics.create(pipe.place)
    said = credstream(pipe, "topics", "rebind", "--dry-run")
    assert "missing" in said
    assert "what it kept is rebuilt from its input" in said
    assert topics.create_missing(pipe.place) == [PROGRESS.name, DECIDED.name]
    for process, why in (("competency", "what it kept is gone"), ("issuing", "another installation or log")):
        refused = run(pipe, process)
        assert refused.returncode == 78, refused.stderr
        assert why in refused.stderr
        assert "Traceback" not in refused.stderr
    told = json.loads(credstream(pipe, "topics", "rebind", "--dry-run", "--json"))
    assert [one["topic"] for one in told["changed"]] == [PROGRESS.name, DECIDED.name]
    assert "bound: " in credstream(pipe, "topics", "rebind", "--yes")
    assert "nothing is to be done" in credstream(pipe, "topics", "rebind")
    for lane in lanes:
        after = kept(pipe.place, Processor.COMPETENCY, lane)
        mine = {key: value for key, value in after.state.items() if key != IDENTITY_KEY}
        assert mine == {key: value for key, value in before[lane].state.items() if key != IDENTITY_KEY}
        assert after.position == before[lane].position
    pipe.supervisor.start()
    pipe.supervisor.wait_until_ready()
    pipe.send([*sent[:5], *(completion(f"bound-after-{i}") for i in range(10))])
    assert [one["disposition"] for one in pipe.fate("bound-after-9-0")] == ["recorded"]
    for _ in until("the repeat to be known"):
        if [one["disposition"] for one in pipe.fate("bound-0-0")] == ["recorded", "known"]:
            break
    pipe.drain()
    issued = [decode(r.value, CredentialIssued) for r in committed(pipe.place.bootstrap_servers, ISSUED)]
    assert len({one.credential_id for one in issued}) == len(issued) == 30
    pipe.supervisor.stop()
    admin = KafkaAdminClient(bootstrap_servers=pipe.place.bootstrap_servers)
    admin.delete_topics([INBOX.name])
    admin.close()
    for _ in until("the inbox to be gone"):
        if any(state.id is None for state in topics.describe(pipe.place)):
            break
    assert "without it nothing can go on" in credstream(pipe, "topics", "rebind", "--dry-run")
    assert "restore it whole" in credstream(pipe, "topics", "rebind", "--yes", code=78)
