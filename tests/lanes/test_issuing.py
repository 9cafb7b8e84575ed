"""Issuing on a real Kafka with a real token: whoever's signer is away waits, whoever dies, each claim is issued once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from support import softhsm
from support.issuing import BASE, IssuingLane, adoption, catalogue_of, claim
from support.pipe import until

from credstream import installation as installations
from credstream.documents import catalogue_documents
from credstream.local import broker
from credstream.reading import committed
from schemas.codec import decode, encode
from schemas.events import CatalogueAdopted, CredentialClaimed, CredentialIssued, Event
from schemas.topology import CLAIMED, ISSUED
from services.signing.verifying import Verifier
from streams import issuing, topics
from streams.keystore import PASSPHRASE
from streams.settings import Installation, load

pytestmark = softhsm.needs_softhsm
FILE, TOKEN = "in-a-file", "in-a-token"
KEYS = {FILE: "credentials-1", TOKEN: "credentials-2"}
LANES = 2
NOW = datetime(2026, 10, 1, tzinfo=UTC)


class Bench:
    """An installation of two programmes, one with its key in a token, and workers of issuing alone."""

    def __init__(self, folder: Path, kafka: str) -> None:
        self.tokens = softhsm.configure(folder / "hsm")
        softhsm.make_token("pilots")
        installations.create(folder / "place", base_url=BASE, programmes=[FILE, TOKEN], lanes=LANES)
        settings = folder / "place" / "credstream.toml"
        text = settings.read_text().replace('bootstrap_servers = ""', f'bootstrap_servers = "{kafka}"')
        settings.write_text(
            f"{text}\n[programmes.{TOKEN}.signers.{KEYS[TOKEN]}]\n"
            f'module = "{softhsm.LIBRARY}"\ntoken = "pilots"\npin_file = "hsm.pin"\n'
        )
        self.place: Installation = load(folder / "place")
        pin = self.place.secret_path("hsm.pin")
        pin.write_text(softhsm.PIN)
        pin.chmod(0o600)
        made = installations.create_signing_key(self.place, TOKEN, "credentials", active_from=0)
        assert made.id == KEYS[TOKEN]
        topics.create(self.place)
        self.catalogues = {name: catalogue_of(name, *installations.public_keys(self.place, name)) for name in KEYS}
        self.producer = Producer({"bootstrap.servers": kafka})
        self.log = folder / "issuing.log"
        self.sent: dict[tuple[int, str], int] = defaultdict(int)
        self.processes: list[subprocess.Popen[bytes]] = []
        for lane in range(LANES):
            for catalogue in self.catalogues.values():
                self._produce(lane, adoption(catalogue))

    def _produce(self, lane: int, event: Event) -> None:
        self.producer.produce(CLAIMED.name, encode(event), b"k", lane)
        self.producer.poll(0)

    def send(self, count: int) -> None:
        """Send so many claims of each programme into each lane, by turns."""
        for _ in range(count):
            for lane in range(LANES):
                for name, catalogue in self.catalogues.items():
                    number = self.sent[lane, name]
                    self.sent[lane, name] += 1
                    made = claim(catalogue, number, lane=lane, key_id=KEYS[name])
                    self._produce(
                        lane, msgspec.structs.replace(made, credential_id=f"{made.credential_id[:-5]}{lane}{number:04}")
                    )
        self.producer.flush(20)

    def worker(self) -> subprocess.Popen[bytes]:
        (self.place.folder / "run").mkdir(exist_ok=True)
        command = [sys.executable, "-m", "credstream", "run", "issuing", "--data", str(self.place.folder)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
        self.processes.append(process)
        return process

    def issued(self) -> dict[tuple[int, str], list[CredentialIssued]]:
        found = defaultdict(list)
        for record in committed(self.place.bootstrap_servers, ISSUED):
            event = decode(record.value, CredentialIssued)
            found[record.partition, event.programme].append(event)
        return found

    def wait_for(self, programme: str, count: int) -> None:
        """Wait until at least so many credentials of a programme are issued in all lanes together."""
        for _ in until(f"{count} credentials of {programme}", 200, pause_s=1):
            if sum(len(events) for (_, name), events in self.issued().items() if name == programme) >= count:
                return

    def check(self) -> None:
        """Compare all that was issued with a replay of the claims, by the same keys but another process."""
        replayed = {lane: IssuingLane(issuing.stage(self.place)) for lane in range(LANES)}
        for record in committed(self.place.bootstrap_servers, CLAIMED):
            lane = replayed[record.partition]
            lane.take(decode(record.value, CredentialClaimed, CatalogueAdopted))
            lane.idle()
        for lane in replayed.values():
            while lane.idle():
                pass
            assert not lane.progress.waiting
        found = self.issued()
        for (lane_no, name), count in self.sent.items():
            assert [event.claim_no for event in found[lane_no, name]] == list(range(count))
            assert found[lane_no, name] == [e for e in replayed[lane_no].issued if e.programme == name]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("issuing")
    with broker.running(folder / "kafka") as running:
        made = Bench(folder, running.bootstrap_servers)
        yield made
        for process in made.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.mark.fault("K5", "P1")
def test_a_token_that_is_away_holds_up_its_own_programme_alone_through_kill_9(bench: Bench) -> None:
    away = bench.tokens.with_name("away")
    bench.tokens.rename(away)
    first = bench.worker()
    bench.send(400)
    bench.wait_for(FILE, 800)
    first.kill()  # while 800 claims wait
    second = bench.worker()
    bench.send(300)
    bench.wait_for(FILE, 1_400)
    assert not any(name == TOKEN for _, name in bench.issued())
    away.rename(bench.tokens)
    bench.wait_for(TOKEN, 1)
    second.kill()  # while they are being signed, 500 a transaction
    third = bench.worker()
    bench.send(50)
    bench.wait_for(TOKEN, 1_500)
    bench.wait_for(FILE, 1_500)
    third.terminate()
    assert third.wait(30) == 0
    bench.check()
    log = bench.log.read_text()
    assert "claims of in-a-token wait: the token pilots" in log
    assert "claims of in-a-file wait" not in log
    assert "Traceback" not in log
    assert softhsm.PIN not in [line for line in log.splitlines() if "token" in line]
    assert all(softhsm.PIN not in json.loads(line)["message"] for line in log.splitlines())
    documents = {url: text for c in bench.catalogues.values() for url, text in catalogue_documents(c).items()}
    for events in bench.issued().values():
        steps = {s.name: s.outcome for s in Verifier(documents, now=NOW).verify(events[-1].credential).steps}
        assert steps["proof"] == "pass"


@pytest.mark.fault("K1")
def test_a_key_file_that_others_can_read_keeps_issuing_from_starting(bench: Bench) -> None:
    key = bench.place.secret_path(f"keys/{FILE}/credentials-1.pem")
    key.chmod(0o644)
    try:
        before = len(bench.log.read_text()) if bench.log.exists() else 0
        assert bench.worker().wait(60) == 78
        [line] = bench.log.read_text()[before:].splitlines()
        assert f"{key}: mode -rw-r--r-- lets others read it; chmod 600 it" in json.loads(line)["message"]
        assert bench.place.secret(PASSPHRASE).decode() not in line
    finally:
        key.chmod(0o600)
