"""A healthy log passes with every invariant checked; each planted defect is found under its own name and under no other."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from support.audited import FIRST, LANES, START, TRUST, Maker, MemoryLog, audited, credential, healthy
from support.competency import PROGRAMME
from support.defects import PLANTED, Defect
from support.witnesses import FakeGateway, counts, journal

from credstream.audit.auditing import Audit, Options
from credstream.audit.invariants import INVARIANTS, Finding
from credstream.audit.public import Answer
from credstream.audit.store import Store
from schemas.catalogue import Key
from schemas.codec import decode
from schemas.events import ClaimVoided, CredentialIssued, CredentialStatusChanged, ReissueRequested, StatusReason
from schemas.topology import ISSUED, STATUS_CHANGED
from services.signing.keys import seed_signer

SIGNED = {"proof", "agreement", "identity", "bytes", "place", "claim"}
"""What is planted into signed credentials: there every proof is verified."""
LATER = {"transparency", "erasure", "recovery"}


@pytest.fixture(scope="module")
def whole() -> MemoryLog:
    return healthy()


@pytest.fixture
def log(whole: MemoryLog) -> MemoryLog:
    return copy.deepcopy(whole)


def witnesses(log: MemoryLog, folder: Path) -> dict[str, Any]:
    """Everything that the auditor may ask."""
    (folder / "logs").mkdir()
    (folder / "logs" / "issuing-0.log").write_text("INFO everything is fine\n")
    return {
        "journal": journal(log, folder / "journal.ndjson"),
        "logs": folder / "logs",
        "counts": counts(log),
        "public": FakeGateway(log),
    }


def violated(log: MemoryLog, folder: Path, **options: Any) -> set[str]:
    return {f.invariant.name for f in audited(log, folder, **options) if f.verdict == "violated"}


def test_a_healthy_log_passes_with_every_invariant_checked(log: MemoryLog, tmp_path: Path) -> None:
    found = audited(log, tmp_path, **witnesses(log, tmp_path))
    assert {f.invariant.name: (f.verdict, f.first) for f in found if f.verdict == "violated"} == {}
    assert {f.invariant.name for f in found if f.verdict != "holds"} == LATER
    assert {f.invariant.name for f in found if f.not_checked} == LATER
    assert len(found) == len(INVARIANTS) == 22


@pytest.mark.parametrize(("name", "defect"), PLANTED, ids=[defect.__name__ for _, defect in PLANTED])
def test_a_planted_defect_is_found_under_its_name_and_no_other(
    name: str, defect: Defect, log: MemoryLog, tmp_path: Path
) -> None:
    defect(log)
    sample = 0 if name in SIGNED else 5
    assert violated(log, tmp_path, sample=sample, **witnesses(log, tmp_path)) == {name}


def test_every_invariant_that_is_checked_has_a_planted_defect() -> None:
    with_witnesses = {"acknowledged", "answer", "analytics", "counters", "logs"}
    assert {name for name, _ in PLANTED} | with_witnesses | LATER == {one.name for one in INVARIANTS}


def test_what_was_acknowledged_and_is_not_in_the_log_is_found(log: MemoryLog, tmp_path: Path) -> None:
    given = witnesses(log, tmp_path)
    with given["journal"].open("a") as lines:
        lines.write(json.dumps({"provider": "college", "event_id": "lost", "answer": "acknowledged"}) + "\n")
        lines.write(json.dumps({"provider": "college", "event_id": "never", "answer": "unknown"}) + "\n")
    [finding] = [f for f in audited(log, tmp_path, **given) if f.verdict == "violated"]
    assert (finding.invariant.name, finding.violations) == ("acknowledged", 1)
    assert finding.first[0].where == "college lost"


def test_what_nobody_sent_is_found(log: MemoryLog, tmp_path: Path) -> None:
    given = witnesses(log, tmp_path) | {"journal": journal(log, tmp_path / "other.ndjson", event_id="another")}
    assert violated(log, tmp_path, **given) == {"acknowledged"}


def revoked(log: MemoryLog) -> CredentialStatusChanged:
    _, _, event = log.find(STATUS_CHANGED, lambda e: e.status == "revoked")
    assert isinstance(event, CredentialStatusChanged)
    return event


def test_valid_said_of_what_is_revoked_is_found(log: MemoryLog, tmp_path: Path) -> None:
    path = f"/credentials/{revoked(log).credential_id}"
    gateway = FakeGateway(log, {path: Answer(200, {}, {"status": "valid"})})
    assert violated(log, tmp_path, **witnesses(log, tmp_path) | {"public": gateway}) == {"answer"}


def test_a_list_that_caches_keep_too_long_is_found(log: MemoryLog, tmp_path: Path) -> None:
    url = revoked(log).status_list
    path = url.removeprefix(TRUST.base_url)
    kept = replace(FakeGateway(log).get(path), headers={"cache-control": "public, max-age=86400"})
    gateway = FakeGateway(log, {path: kept})
    assert violated(log, tmp_path, **witnesses(log, tmp_path) | {"public": gateway}) == {"list"}


def test_a_number_that_a_recount_does_not_give_is_found(log: MemoryLog, tmp_path: Path) -> None:
    flow = FakeGateway(log).get("/v1/flow")
    flow.body["tallies"]["issued"]["demo/block"] += 1
    gateway = FakeGateway(log, {"/v1/flow": flow})
    assert violated(log, tmp_path, **witnesses(log, tmp_path) | {"public": gateway}) == {"analytics"}


@pytest.mark.parametrize("name", ["received", "credentials", "decisions", "quarantined"])
def test_a_counter_that_is_off_by_one_is_found(name: str, log: MemoryLog, tmp_path: Path) -> None:
    given = witnesses(log, tmp_path)
    given["counts"][name] += 1
    assert violated(log, tmp_path, **given) == {"counters"}


def test_a_traceback_in_a_log_is_found(log: MemoryLog, tmp_path: Path) -> None:
    given = witnesses(log, tmp_path)
    (tmp_path / "logs" / "views.log").write_text("fine\nTraceback (most recent call last):\n  File\n")
    [finding] = [f for f in audited(log, tmp_path, **given) if f.verdict == "violated"]
    assert (finding.invariant.name, finding.first[0].where) == ("logs", "views.log:2")


def test_without_witnesses_and_secrets_nothing_passes_in_silence(log: MemoryLog, tmp_path: Path) -> None:
    trust = replace(TRUST, credential_secret=None, status_secret=None)
    found = {f.invariant.name: f for f in audited(log, tmp_path, trust)}
    for name in ("acknowledged", "answer", "analytics", "counters", "logs"):
        assert found[name].verdict == "not checked"
        assert found[name].not_checked
    assert all(found[name].not_checked for name in ("identity", "place", "list"))
    assert "violated" not in {f.verdict for f in found.values()}


def counted(found: Sequence[Finding]) -> dict[str, int]:
    """How much was checked; the sample of proofs is drawn as the log grows, and cuts are looked at as often as they are made."""
    return {f.invariant.name: f.checked for f in found if f.invariant.name not in {"proof", "offsets"}}


def test_a_checkpoint_goes_on_where_it_stopped_and_says_the_same(log: MemoryLog, tmp_path: Path) -> None:
    whole_at_once = audited(log, tmp_path)
    store = Store(tmp_path / "steps.db")
    options, steps = Options(sample=40, grace_s=0), list[Finding]()
    for second in (3, 9, 20, 41, 70, 10**9):
        log.until = START + second * 1_000_000
        steps = Audit(log, store, TRUST, options).run()
    store.close()
    assert {f.invariant.name for f in steps if f.violations} == set()
    assert counted(steps) == counted(whole_at_once)


def test_a_checkpoint_is_not_another_logs(log: MemoryLog, tmp_path: Path) -> None:
    audited(log, tmp_path)
    with pytest.raises(ValueError, match="another log"):
        audited(log, tmp_path, replace(TRUST, epoch="e2"))


def test_a_log_that_was_cut_off_since_the_last_run_is_found(log: MemoryLog, tmp_path: Path) -> None:
    audited(log, tmp_path)
    log.until = START + 30_000_000
    assert "offsets" in violated(log, tmp_path)


def test_a_compromise_carried_out_by_the_book_violates_nothing(tmp_path: Path) -> None:
    """Some are signed, one waits and is voided, all are issued anew, lists are signed by another key, and the key goes."""
    new = {"credentials-2": seed_signer(bytes([8] * 32)), "status-2": seed_signer(bytes([9] * 32))}
    made = Maker(new)
    old = {key.id: key for key in FIRST.keys}
    fresh = [
        Key(id=name, purpose=old[f"{name[:-1]}1"].purpose, public_key_multibase=signer.public_multikey, active_from=0)
        for name, signer in new.items()
    ]
    made.adopt(FIRST)
    for who in range(3):
        made.send(who, "q", score=90)
    made.publish_lists()
    signer = made.take_away("credentials-1")
    made.send(3, "q", score=90)
    marked = [replace(key, compromised_at=made.now) for key in FIRST.keys]
    made.adopt(replace(FIRST, version="2", keys=(*marked, *fresh)))
    made.sign_what_waits()
    made.keys[PROGRAMME, "credentials-1"] = signer
    granted = ("block", "paused", "kept", "asked", "graded")
    for who in range(4):
        for name in granted:
            about: dict[str, Any] = {"credential_id": credential(who, name), "reason": StatusReason.KEY_COMPROMISED}
            made.ask(who, ReissueRequested, **about)
    made.publish_lists()
    gone = [replace(key, removed_at=made.now) for key in marked]
    made.adopt(replace(FIRST, version="3", keys=(*gone, *fresh)))
    log = made.done()
    kinds = Counter(
        type(decode(record.value, CredentialIssued, ClaimVoided)).__name__
        for lane in range(LANES)
        for record in log.records_of[ISSUED.name, lane]
    )
    assert kinds == {"CredentialIssued": 7 * len(granted), "ClaimVoided": len(granted)}
    assert violated(log, tmp_path) == set()
