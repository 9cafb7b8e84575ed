"""Working through a log again says what was kept and published; what differs is named."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from support.audited import (
    CREDENTIAL_SECRET,
    EPOCH,
    FIRST,
    LANES,
    STATUS_SECRET,
    Maker,
    MemoryLog,
    healthy,
)
from support.competency import BASE_URL, CATALOGUE_SIGNER, PROGRAMME, STAFF_SIGNER

from credstream.audit.log import LogRecord
from credstream.quarantine.cases import set_aside
from credstream.replaying.comparing import Published
from credstream.replaying.issuing import ReplayedIssuing
from credstream.replaying.lanes import Replayed, digest_of, work_through
from schemas.events import CompetencyDecided, CredentialIssued, Disposition
from schemas.topology import CLAIMED, DECIDED, INBOX, ISSUED, QUARANTINED, Processor, Topic
from services.competency.ledger import Naming
from streams.competency import CompetencyStage, Trust
from streams.settings import ProgrammeSettings


@pytest.fixture(scope="module")
def whole() -> MemoryLog:
    return healthy()


@pytest.fixture
def log(whole: MemoryLog) -> MemoryLog:
    return copy.deepcopy(whole)


def competency() -> CompetencyStage:
    pinned = ProgrammeSettings(
        catalogue_keys={"offline": CATALOGUE_SIGNER.public_multikey}, staff_keys={"sam": STAFF_SIGNER.public_multikey}
    )
    naming = Naming(credential_secret=CREDENTIAL_SECRET, status_secret=STATUS_SECRET, epoch=EPOCH)
    return CompetencyStage(naming, Trust(base_url=BASE_URL, lanes=LANES, programmes={PROGRAMME: pinned}))


def replayed(log: MemoryLog, processor: Processor, lane: int) -> tuple[Replayed, dict[bytes, bytes]]:
    def read(topic: Topic, of: int) -> Iterator[LogRecord]:
        return iter(log.records_of[topic.name, of])

    out = Replayed(processor=processor, lane=lane, position=0, changes={}, output_faults=[], counted=Counter())
    aside = (set_aside(record.value) for record in log.records_of[QUARANTINED.name, lane])
    facts = {one.offset for one in aside if one is not None and one.stage == processor}
    source = CLAIMED if processor is Processor.ISSUING else INBOX
    with Published(read, processor, lane) as published:
        issuing = ReplayedIssuing(published)
        stage: Any = issuing if processor is Processor.ISSUING else competency()
        answers = issuing if processor is Processor.ISSUING else published
        state = work_through(stage, lane, read(source, lane), facts, {}, answers, out, lambda _: None)
    return out, state


@pytest.mark.parametrize("lane", range(LANES))
@pytest.mark.parametrize("processor", [Processor.COMPETENCY, Processor.ISSUING])
def test_a_healthy_log_says_the_same_again(log: MemoryLog, processor: Processor, lane: int) -> None:
    out, state = replayed(log, processor, lane)
    assert (out.counted, out.output_faults) == (Counter(), [])
    assert out.outputs > 10
    assert state
    assert replayed(log, processor, lane)[1] == state


def test_a_transaction_that_stands_twice_counts_once(log: MemoryLog) -> None:
    for topic, number in ((DECIDED, 3), (ISSUED, 2)):
        records = log.records_of[topic.name, 1]
        records[number:number] = records[:number]
    assert not replayed(log, Processor.COMPETENCY, 1)[0].counted
    assert not replayed(log, Processor.ISSUING, 1)[0].counted


def test_a_decision_that_was_changed_is_named(log: MemoryLog) -> None:
    lane, at, decided = log.find(DECIDED, lambda e: e.disposition is Disposition.RECORDED)
    log.put(DECIDED, lane, at, replace(decided, disposition=Disposition.OUTRANKED))
    out, _ = replayed(log, Processor.COMPETENCY, lane)
    [fault] = out.output_faults
    assert fault.where == f"{DECIDED.name}/{lane}@{at}"
    assert fault.what.endswith("with another disposition")


def test_a_decision_that_is_gone_and_one_too_many_are_named(log: MemoryLog) -> None:
    lane, at, decided = log.find(DECIDED, lambda e: isinstance(e, CompetencyDecided))
    log.drop(DECIDED, lane, at)
    assert replayed(log, Processor.COMPETENCY, lane)[0].output_faults[0].what.startswith("there is no such record")
    records = log.records_of[DECIDED.name, lane]
    records.append(replace(records[-1], offset=at))
    log.put(DECIDED, lane, len(records) - 1, decided)
    records.append(replace(records[-1], offset=at + 1))
    log.put(DECIDED, lane, len(records) - 1, replace(decided, decision_no=decided.decision_no + 1))
    out, _ = replayed(log, Processor.COMPETENCY, lane)
    assert out.output_faults[0].what == f"the replay does not say decision {decided.decision_no + 1}"


def test_prose_may_be_worded_otherwise(log: MemoryLog) -> None:
    lane, at, decided = log.find(DECIDED, lambda e: e.body.outcomes)
    outcomes = tuple(replace(one, explanation="{}") for one in decided.body.outcomes)
    log.put(DECIDED, lane, at, replace(decided, body=replace(decided.body, outcomes=outcomes)))
    assert not replayed(log, Processor.COMPETENCY, lane)[0].counted


def test_a_credential_that_was_tampered_with_is_named(log: MemoryLog) -> None:
    lane, at, issued = log.find(ISSUED, lambda e: isinstance(e, CredentialIssued))
    log.put(ISSUED, lane, at, replace(issued, credential=issued.credential.replace(b"Achievement", b"achievement", 1)))
    [fault] = replayed(log, Processor.ISSUING, lane)[0].output_faults
    assert fault.what == "it is not what its claim says"


def test_a_signature_over_something_else_is_named(log: MemoryLog) -> None:
    lane, at, issued = log.find(ISSUED, lambda e: isinstance(e, CredentialIssued))
    head, tail = issued.credential.split(b'"proofValue":"z')
    other = tail[:20] + (b"2" if tail[20:21] != b"2" else b"3") + tail[21:]
    log.put(ISSUED, lane, at, replace(issued, credential=head + b'"proofValue":"z' + other))
    [fault] = replayed(log, Processor.ISSUING, lane)[0].output_faults
    assert fault.what == "its signature is not over what its claim says"


def test_a_credential_not_issued_yet_waits_as_it_does_in_the_lane(log: MemoryLog) -> None:
    lane, at, issued = log.find(ISSUED, lambda e: isinstance(e, CredentialIssued))
    log.drop(ISSUED, lane, at)
    out, state = replayed(log, Processor.ISSUING, lane)
    assert not out.counted
    assert f"waiting:{PROGRAMME}:{issued.claim_no}".encode() in state


def test_the_digest_of_what_is_kept_knows_where_a_key_ends() -> None:
    assert digest_of({b"a": b"bc"}) != digest_of({b"ab": b"c"})
    assert digest_of({b"a": b"1", b"b": b"2"}) == digest_of({b"b": b"2", b"a": b"1"})


def test_the_state_is_what_the_lanes_kept() -> None:
    made = Maker()
    log = made.log
    made.adopt(FIRST)
    made.send(1, "q", score=90)
    for lane in range(LANES):
        kept = dict(made._state[INBOX.name, lane])
        assert replayed(log, Processor.COMPETENCY, lane)[1] == kept
