"""Keys change hands while results come in: a rotation, and a compromise whose drill is itself killed with -9 and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.auditing import violations
from support.injection import Injection
from support.pipe import PROGRAMME, Pipe, completion, until, whole_pipe

from credstream.keys.publishing import current
from credstream.local import broker
from credstream.reading import committed, credentials
from credstream.staff import jobs
from credstream.trust import of_installation
from schemas.catalogue import unpack
from schemas.codec import decode, decode_any
from schemas.events import (
    CatalogueAdopted,
    ClaimVoided,
    CredentialClaimed,
    CredentialIssued,
    CredentialStatus,
    CredentialStatusChanged,
)
from schemas.topology import CLAIMED, ISSUED, STATUS_CHANGED
from services.signing.issuers import COMPROMISED
from streams.keystore import key_path

pytestmark = pytest.mark.timeout(900)
_PROGRAMME = """\
programme: ontario-pilots
version: "1"
issuer: {name: Key Tests}
providers: [{id: great-river-training, name: Great River}]
"""
_ASSESSMENTS = "- {id: site-safety-test, name: Site safety test, providers: [great-river-training]}\n"
_ACHIEVEMENTS = """\
- id: site-safety
  name: Site safety
  description: Safe on sites.
  criteria: Score enough.
  rule:
    requires: {result: {assessment: site-safety-test, at_least: 70 %}}
"""


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    folder = tmp_path_factory.mktemp("keys")
    files = folder / "catalogue"
    (files / "achievements").mkdir(parents=True)
    (files / "programme.yaml").write_text(_PROGRAMME)
    (files / "assessments.yaml").write_text(_ASSESSMENTS)
    (files / "achievements" / "all.yaml").write_text(_ACHIEVEMENTS)
    with (
        broker.running(tmp_path_factory.mktemp("keys-kafka")) as kafka,
        whole_pipe(folder / "data", kafka.bootstrap_servers, catalogue=files) as pipe,
    ):
        yield pipe


def command(pipe: Pipe, *args: str) -> list[str]:
    return [sys.executable, "-m", "credstream", *args, "--data", str(pipe.place.folder)]


def credstream(pipe: Pipe, *args: str, code: int = 0) -> str:
    done = subprocess.run(
        command(pipe, *args),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "140"},
    )
    print(f"$ credstream {' '.join(args)}\n{done.stdout}{done.stderr}")
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


_numbers = iter(range(1_000_000))


@contextmanager
def load(pipe: Pipe, pause_s: float = 0.4, size: int = 8) -> Iterator[list[str]]:
    """Send results of new learners all the while; yield what was sent."""
    done, sent = threading.Event(), list[str]()
    faults: list[BaseException] = []

    def send() -> None:
        try:
            while not done.is_set():
                names = [f"k{next(_numbers)}" for _ in range(size)]
                assert all(line.accepted for line in pipe.send(completion(name) for name in names))
                sent.extend(names)
                done.wait(pause_s)
        except BaseException as error:
            faults.append(error)
            raise

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield sent
    finally:
        done.set()
        sender.join()
    assert not faults


def claims(pipe: Pipe) -> list[CredentialClaimed]:
    events = [
        decode(r.value, CredentialClaimed, CatalogueAdopted) for r in committed(pipe.place.bootstrap_servers, CLAIMED)
    ]
    return [event for event in events if isinstance(event, CredentialClaimed)]


def verdicts(pipe: Pipe, issued: list[CredentialIssued]) -> dict[str, Any]:
    verifier = of_installation(pipe.place).verifier(datetime.now(UTC))
    return {one.credential_id: verifier.verify(one.credential) for one in issued}


def is_signed(pipe: Pipe, key_id: str, count: int) -> None:
    """Wait until a key has signed so many credentials."""
    for _ in until(f"{count} credentials signed with {key_id}", 120, 1.0):
        if sum(one.key_id == key_id for one in credentials(pipe.place.bootstrap_servers)) >= count:
            return


def restarts(pipe: Pipe) -> int:
    pipe.supervisor.tend()
    return sum(child.restarts for child in pipe.supervisor.children)


@pytest.mark.fault("K4")
def test_a_rotation_mid_stream_signs_by_the_boundary_and_everything_goes_on_verifying(
    keyed: Pipe, fault: Injection
) -> None:
    place = keyed.place
    with load(keyed) as sent:
        is_signed(keyed, "credentials-1", 60)
        credstream(keyed, "keys", "rotate", "--active-in-hours", "0.5", "--yes", code=78)
        assert [k.id for k in current(place, PROGRAMME).catalogue.keys] == ["credentials-1", "status-1"]
        credstream(keyed, "keys", "rotate", "--active-in-hours", "0.01", "--despite-caches", "--yes")
        assert "nothing to do" in credstream(keyed, "keys", "rotate")
        credstream(
            keyed, "keys", "rotate", "--purpose", "status", "--active-in-hours", "0.002", "--despite-caches", "--yes"
        )
        is_signed(keyed, "credentials-2", 60)
        fault.fire("rotation", 2)
        credstream(keyed, "keys", "retire", "credentials-2", "--yes", code=78)
        credstream(keyed, "keys", "retire", "credentials-1", "--destroy", "--yes")
        assert not key_path(place, PROGRAMME, "credentials-1").exists()
        is_signed(keyed, "credentials-2", 150)
    keyed.drain()
    assert restarts(keyed) == 0
    [boundary] = [k.active_from for k in current(place, PROGRAMME).published.keys if k.id == "credentials-2"]
    issued = list(credentials(place.bootstrap_servers))
    assert len(issued) == len(sent) == len({one.credential_id for one in issued})
    assert {(one.claimed_at >= boundary, one.key_id) for one in issued} == {
        (False, "credentials-1"),
        (True, "credentials-2"),
    }
    assert {one.lane for one in issued if one.claimed_at < boundary} == set(range(place.kafka.lanes))
    assert {verdict.overall for verdict in verdicts(keyed, issued).values()} == {"valid"}
    credstream(keyed, "keys", "list")
    assert violations(place) == []


def done_of(path: Path) -> int:
    try:
        return int(path.with_name(f"{path.name}.done").read_text())
    except FileNotFoundError:
        return 0


@pytest.mark.fault("K8", "P1")
@pytest.mark.long
def test_the_compromise_drill_under_load_killed_in_the_middle_issues_all_of_it_anew_and_removes_the_key_last(
    keyed: Pipe, fault: Injection
) -> None:
    place, lost = keyed.place, "credentials-2"
    issuing = next(child for child in keyed.supervisor.children if child.name == "issuing")
    job = place.folder / "jobs" / f"{jobs.name_of('compromised', PROGRAMME, lost)}.ndjson"
    drill = ("keys", "compromised", "--key", lost, "--since", "2026-01-01", "--rate", "40", "--yes")
    with load(keyed):
        is_signed(keyed, lost, 200)
        preview = json.loads(credstream(keyed, "keys", "compromised", "--key", lost, "--dry-run", "--json"))
        assert preview["to_issue_anew"] >= 200
        assert preview["signed"] == preview["to_issue_anew"] + preview["revoked_already"] - preview["unsigned"]
        assert not any(k.compromised_at for k in current(place, PROGRAMME).published.keys)
        assert issuing.process is not None
        os.kill(issuing.process.pid, signal.SIGKILL)  # so that claims wait unsigned when the mark comes
        issuing.process.wait()
        before = len(claims(keyed))
        for _ in until("claims that nobody signs"):
            if len(claims(keyed)) >= before + 40:
                break
        log = place.folder / "logs" / "drill.log"
        with log.open("wb") as out:
            first = subprocess.Popen(command(keyed, *drill), stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        for _ in until("the mark"):
            if any(k.compromised_at for k in current(place, PROGRAMME).published.keys):
                break
        keyed.supervisor._start(issuing)
        for _ in until("the drill to be in the middle", 120, 0.05):
            assert first.poll() is None, log.read_text()
            if done_of(job) >= 80:
                break
        os.kill(first.pid, signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL
        fault.fire("kill -9 of the drill")
        print(log.read_text())
        total = len(job.read_bytes().splitlines())
        assert 80 <= done_of(job) < total
        assert (
            "wrong"
            in subprocess.run(command(keyed, "keys", "check"), capture_output=True, text=True, check=False).stdout
        )
        told = credstream(keyed, *drill)
        assert "done: credentials-2 is gone" in told
        is_signed(keyed, "credentials-3", 200)
    keyed.drain()
    check_drill(keyed, lost)
    checked = json.loads(credstream(keyed, "keys", "check", "--json", code=1))
    assert {one["what"] for one in checked if one["outcome"] != "ok"} == {
        "credentials-3, published",
        "status-2, published",
    }
    credstream(keyed, "keys", "list")
    assert "nothing is left to do" in credstream(keyed, *drill)
    assert violations(place) == []
    for processor in ("competency", "issuing", "status"):  # voided claims and rotated lists follow from the log too
        credstream(keyed, "replay", processor)
    for path in (place.folder / "logs").glob("*.log"):
        assert "Traceback" not in path.read_text(), path


def check_drill(pipe: Pipe, lost: str) -> None:
    servers = pipe.place.bootstrap_servers
    claimed = claims(pipe)
    named = {claim.credential_id for claim in claimed if claim.key_id == lost}
    events = [decode(r.value, CredentialIssued, ClaimVoided) for r in committed(servers, ISSUED)]
    issued = {e.credential_id: e for e in events if isinstance(e, CredentialIssued)}
    voided = {e.credential_id for e in events if isinstance(e, ClaimVoided)}
    print(
        f"{len(named)} claims named {lost}: {len(named & issued.keys())} signed, {len(voided)} voided; {len(claimed)} in all"
    )
    assert len(events) == len(claimed) == len(issued) + len(voided)  # each claim once, and one outcome each
    assert voided
    assert voided <= named
    editions = Counter((e.learner_ref, e.achievement, e.award, e.edition) for e in claimed)
    assert set(editions.values()) == {1}
    anew = {claim.supersedes: claim.credential_id for claim in claimed if claim.supersedes is not None}
    assert anew.keys() == named
    assert {issued[new].key_id for new in anew.values()} == {"credentials-3"}
    found = [(r.timestamp, decode(r.value, CredentialStatusChanged)) for r in committed(servers, STATUS_CHANGED)]
    revoked = {change.credential_id: at for at, change in found if change.status is CredentialStatus.REVOKED}
    assert revoked.keys() == named
    assert {change.reason for _, change in found} == {"key_compromised"}
    told = verdicts(pipe, list(issued.values()))
    for credential_id, verdict in told.items():
        if credential_id not in named:
            assert verdict.overall == "valid"
            continue
        step = next(step for step in verdict.steps if step.name == "key")
        new = f"{pipe.place.base_url}/credentials/{anew[credential_id]}"
        assert (verdict.overall, step.reason) == ("invalid", f"{COMPROMISED}; the credential was issued anew as {new}")
    removal = min(
        record.timestamp
        for record in committed(servers, CLAIMED)
        for event in [decode_any(record.value, [CredentialClaimed, CatalogueAdopted], max_bytes=1_000_000)]
        if isinstance(event, CatalogueAdopted)
        if any(k.removed_at is not None for k in unpack(event.catalogue, event.digest).keys)
    )
    assert removal >= max(revoked.values())
    last = max(
        r.timestamp
        for r in committed(servers, ISSUED)
        if decode(r.value, CredentialIssued, ClaimVoided).credential_id in set(anew.values())
    )
    assert removal >= last
    with pipe.http(None) as http:
        document, history = (
            http.get(f"/programmes/{PROGRAMME}/did.json").text,
            http.get(f"/programmes/{PROGRAMME}/keys").json(),
        )
    assert f"#{lost}" not in document
    assert "#credentials-1" in document
    [about] = [key for key in history["keys"] if key["id"].endswith(f"#{lost}")]
    assert about.keys() >= {"compromised", "removed", "publicKeyMultibase"}
