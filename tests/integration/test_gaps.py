"""A gap and a conflict, injected into the claims of two lanes, park these two and no other; a person lets them go on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient, TopicPartition
from msgspec.structs import replace
from support.auditing import violations
from support.commands import credstream, stopped
from support.pipe import PROGRAMME, Pipe, completion, until, whole_pipe
from support.small import FIRST, catalogue

from credstream.local import broker
from credstream.reading import committed
from schemas.codec import decode, decode_any, encode
from schemas.events import CatalogueAdopted, CredentialClaimed, CredentialIssued, GapAccepted
from schemas.topology import CLAIMED, DECIDED, INBOX, ISSUED, QUARANTINED
from services.signing.jws import HEADER, signer_of
from streams.topics import lags


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    """A pipe of its own, since its log is damaged."""
    folder = tmp_path_factory.mktemp("gaps")
    with (
        broker.running(tmp_path_factory.mktemp("gaps-kafka")) as kafka,
        whole_pipe(folder / "data", kafka.bootstrap_servers, catalogue=catalogue(folder / "1", "1", *FIRST)) as running,
    ):
        yield running


def claims(pipe: Pipe) -> dict[int, list[tuple[int, CredentialClaimed, bytes | None]]]:
    found = defaultdict(list)
    for record in committed(pipe.place.bootstrap_servers, CLAIMED):
        event = decode_any(record.value, [CredentialClaimed, CatalogueAdopted])
        if isinstance(event, CredentialClaimed):
            found[record.partition].append((record.offset, event, record.key))
    return found


def issued(pipe: Pipe) -> list[str]:
    records = committed(pipe.place.bootstrap_servers, ISSUED)
    return [decode(record.value, CredentialIssued).credential_id for record in records]


def sent(pipe: Pipe, name: str, count: int = 40) -> None:
    assert all(line.accepted for line in pipe.send(completion(f"{name}-{i}") for i in range(count)))
    for _ in until("competency to have decided"):
        if not any(lag.records for lag in lags(pipe.place) if lag.topic is INBOX):
            return


@pytest.mark.fault("B3")
def test_a_transaction_that_stands_twice_counts_once_for_every_reader(pipe: Pipe) -> None:
    sent(pipe, "first")
    pipe.drain()
    producer = Producer({"bootstrap.servers": pipe.place.bootstrap_servers})
    for topic in (CLAIMED, DECIDED, ISSUED):
        for record in list(committed(pipe.place.bootstrap_servers, topic))[-30:]:
            producer.produce(topic.name, record.value, record.key, record.partition, headers=list(record.headers))
    assert producer.flush(20) == 0
    pipe.drain()
    found = issued(pipe)
    assert len(set(found)) == 40
    assert [one["disposition"] for one in pipe.fate("first-39-0")] == ["recorded"]
    assert violations(pipe.place) == []


@pytest.mark.fault("B3", "B9")
def test_a_gap_and_a_conflict_park_their_lanes_alone_until_a_person_accepts_them(pipe: Pipe) -> None:
    servers, before = pipe.place.bootstrap_servers, claims(pipe)
    log = pipe.place.folder / "logs" / "issuing-0.log"
    with stopped(pipe, "issuing"):
        sent(pipe, "second")
        new = {lane: found[len(before[lane]) :] for lane, found in claims(pipe).items()}
        gap, conflict, *others = sorted(new, key=lambda lane: -len(new[lane]))
        lost = [claim.credential_id for _, claim, _ in new[gap][:2]]
        admin = KafkaAdminClient(bootstrap_servers=servers)
        admin.delete_records({TopicPartition(CLAIMED.name, gap): new[gap][2][0]})
        admin.close()
        _, claim, key = new[conflict][-1]
        producer = Producer({"bootstrap.servers": servers})
        producer.produce(CLAIMED.name, encode(replace(claim, claimed_at=claim.claimed_at + 1)), key, conflict)
        assert producer.flush(20) == 0
    everything = {claim.credential_id for found in new.values() for _, claim, _ in found}
    elsewhere = {claim.credential_id for lane in (conflict, *others) for _, claim, _ in new[lane]}
    for _ in until("the other lanes to go on"):
        if elsewhere <= set(issued(pipe)) and log.read_text().count("is parked") >= 2:
            break
    assert not {claim.credential_id for _, claim, _ in new[gap]} & set(issued(pipe))
    assert f"lane {gap} of issuing is parked" in log.read_text()
    assert f"lane {conflict} of issuing is parked" in log.read_text()
    said = credstream(pipe, "topics", "accept-gap", "issuing")
    assert "are gone from the log" in said
    assert "comes again with another content" in said
    args = ("topics", "accept-gap", "issuing", "--note", "no mirror has them")
    assert "is running" in credstream(pipe, *args, "--lane", str(gap), "--yes", code=78)
    with stopped(pipe, "issuing"):
        assert "it goes on at" in credstream(pipe, *args, "--lane", str(gap), "--dry-run")
        said = credstream(pipe, *args, "--lane", str(gap), "--yes")
        assert "accept that first" in said
        assert "claims are missing" in said
        credstream(pipe, *args, "--lane", str(gap), "--yes")
        credstream(pipe, *args, "--lane", str(conflict), "--yes")
        assert "nothing parks a lane of issuing" in credstream(pipe, "topics", "accept-gap", "issuing")
    sent(pipe, "third")
    pipe.drain()
    assert everything - set(issued(pipe)) == set(lost)
    keys = pipe.place.programmes[PROGRAMME].staff_keys
    decisions = []
    for record in committed(servers, QUARANTINED):
        event = decode(record.value, GapAccepted)
        decisions.append((event.partition, event.kind))
        assert signer_of(dict(record.headers)[HEADER], record.value, keys) == event.requested_by
    assert sorted(decisions) == sorted([(gap, "gone"), (gap, "missing"), (conflict, "conflict")])
    assert {name for name, _ in violations(pipe.place)} <= {
        "identity",
        "granted",
        "claim",
        "agreement",
        "offsets",
        "place",
    }
