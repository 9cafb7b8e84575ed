"""One defect for each promise, planted into a healthy log so that nothing else is wrong with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace
from support.audited import EPOCH, LANES, SIGNERS, STATUS_SECRET, MemoryLog
from support.competency import BASE_URL, PROGRAMME

from schemas import codec
from schemas.bitstring import decode_bits, encode_bits
from schemas.events import (
    REDRIVEN_FROM,
    ClaimVoided,
    CompetencyDecided,
    CredentialClaimed,
    CredentialIssued,
    CredentialStatusChanged,
    Disposition,
    QuarantineResolved,
    RecordQuarantined,
    StatusListPublished,
    Verdict,
    VoidReason,
)
from schemas.ids import LIST_LENGTH, credential_uuid, issuer_did, status_place
from schemas.topology import (
    CLAIMED,
    DECIDED,
    INBOX,
    ISSUED,
    LIST_PUBLISHED,
    QUARANTINED,
    STATUS_CHANGED,
)
from services.signing.multikey import base58
from services.signing.rdf import canonical

Defect = Callable[[MemoryLog], None]
PLANTED: list[tuple[str, Defect]] = []
ASIDE = (RecordQuarantined, QuarantineResolved)


def breaks(invariant: str) -> Callable[[Defect], Defect]:
    def register(defect: Defect) -> Defect:
        PLANTED.append((invariant, defect))
        return defect

    return register


def signed(document: dict[str, Any], key_id: str = "credentials-1", by: str | None = None, **options: Any) -> bytes:
    """The document with a proof by the full path, whatever proof it had."""
    proof = {**document["proof"][0], "verificationMethod": f"{issuer_did(BASE_URL, PROGRAMME)}#{key_id}", **options}
    proof = {name: value for name, value in proof.items() if name != "proofValue"}
    unsecured = {name: value for name, value in document.items() if name != "proof"}
    digests = [canonical({"@context": document["@context"], **proof}), canonical(unsecured)]
    value = SIGNERS[by or key_id].sign(b"".join(hashlib.sha256(one).digest() for one in digests))
    return msgspec.json.encode({**unsecured, "proof": [{**proof, "proofValue": "z" + base58(value)}]})


def with_credential(issued: CredentialIssued, credential: bytes, **changes: Any) -> CredentialIssued:
    digest = f"sha256-{hashlib.sha256(credential).hexdigest()}"
    return replace(issued, credential=credential, digest=digest, **changes)


def last_issued(log: MemoryLog) -> tuple[int, int, CredentialIssued]:
    """The last credential of a lane whose status never changed."""
    changed = {
        codec.decode(r.value, CredentialStatusChanged).credential_id for r in log.records_of[STATUS_CHANGED.name, 1]
    }
    return log.find(ISSUED, lambda e: e.credential_id not in changed)


def amended(log: MemoryLog, change: Callable[[dict[str, Any]], None], **signing: Any) -> None:
    """Change the last credential's document and sign it again."""
    lane, at, issued = last_issued(log)
    document = json.loads(issued.credential)
    change(document)
    log.put(ISSUED, lane, at, with_credential(issued, signed(document, **signing)))


def quiet(log: MemoryLog, disposition: Disposition) -> tuple[int, int, CompetencyDecided]:
    """A decision of which nothing follows."""
    return log.find(DECIDED, lambda e: e.disposition is disposition and not e.body.outcomes)


@breaks("outcome")
def a_decision_is_lost(log: MemoryLog) -> None:
    lane, at, _ = quiet(log, Disposition.KNOWN)
    log.drop(DECIDED, lane, at)


@breaks("outcome")
def a_record_set_aside_is_lost(log: MemoryLog) -> None:
    lane, at, _ = log.find(QUARANTINED, lambda e: getattr(e, "reason", "") == "unknown_assessment")
    log.drop(QUARANTINED, lane, at)


@breaks("outcome")
def a_record_is_decided_twice(log: MemoryLog) -> None:
    lane, at, decided = quiet(log, Disposition.KNOWN)
    record = log.records_of[DECIDED.name, lane][at]
    other = replace(decided, body=replace(decided.body, detail="again"), disposition=Disposition.OUTRANKED)  # type: ignore[type-var]
    log.append(DECIDED, lane, record.appended_at, record.key, codec.encode(other), record.headers)


@breaks("outcome")
def what_was_decided_is_redriven(log: MemoryLog) -> None:
    """The copy names a record that was decided: its completion would count twice."""
    lane, copy = next(
        (lane, at)
        for lane in range(LANES)
        for at, record in enumerate(log.records_of[INBOX.name, lane])
        if record.header(REDRIVEN_FROM)
    )
    record = log.records_of[INBOX.name, lane][copy]
    other = tuple((n, b"learner.inbox.v1/0@1" if n == REDRIVEN_FROM else v) for n, v in record.headers)
    log.records_of[INBOX.name, lane][copy] = replace(record, headers=other)
    at = next(
        at
        for at, one in enumerate(log.records_of[QUARANTINED.name, lane])
        if isinstance(event := codec.decode_any(one.value, ASIDE), QuarantineResolved)
        and (event.redriven_partition, event.redriven_offset) == (lane, copy)
    )
    log.drop(QUARANTINED, lane, at)


@breaks("outcome")
def a_redrive_is_said_to_stand_elsewhere(log: MemoryLog) -> None:
    lane, at, said = log.find(
        QUARANTINED, lambda e: isinstance(e, QuarantineResolved) and e.redriven_offset is not None
    )
    log.put(QUARANTINED, lane, at, replace(said, redriven_offset=said.redriven_offset + 1))


@breaks("granted")
def what_was_set_aside_has_other_bytes(log: MemoryLog) -> None:
    lane, at, aside = log.find(QUARANTINED, lambda e: getattr(e, "reason", "") == "malformed" and e.value)
    value = aside.value + b"!"
    digest = hashlib.sha256(value).hexdigest()
    log.put(QUARANTINED, lane, at, replace(aside, value=value, size=len(value), sha256=digest))


@breaks("granted")
def a_reason_is_made_up(log: MemoryLog) -> None:
    lane, at, aside = log.find(QUARANTINED, lambda e: getattr(e, "reason", "") == "malformed")
    log.put(QUARANTINED, lane, at, replace(aside, reason="felt_wrong"))


@breaks("granted")
def a_grant_was_never_claimed(log: MemoryLog) -> None:
    """The last claim of a lane is gone with its credential, so numbers are dense."""
    lane, at, issued = last_issued(log)
    _, claimed_at, claim = log.find(CLAIMED, lambda e: isinstance(e, CredentialClaimed) and e.lane == lane)
    assert claim.claim_no == issued.claim_no
    log.drop(ISSUED, lane, at)
    log.drop(CLAIMED, lane, claimed_at)


@breaks("decision")
def a_verdict_is_turned(log: MemoryLog) -> None:
    lane, at, decided = log.find(DECIDED, lambda e: any(o.verdict is Verdict.NOT_YET for o in e.body.outcomes))
    outcomes = [
        replace(o, verdict=Verdict.WITHHELD) if o.verdict is Verdict.NOT_YET else o for o in decided.body.outcomes
    ]
    log.put(DECIDED, lane, at, replace(decided, body=replace(decided.body, outcomes=tuple(outcomes))))


@breaks("decision")
def another_version_is_said_to_have_judged(log: MemoryLog) -> None:
    lane, at, decided = log.find(DECIDED, lambda e: any(o.verdict is Verdict.ALREADY_HELD for o in e.body.outcomes))
    outcomes = [
        replace(o, rule_digest="sha256-0") if o.verdict is Verdict.ALREADY_HELD else o for o in decided.body.outcomes
    ]
    log.put(DECIDED, lane, at, replace(decided, body=replace(decided.body, outcomes=tuple(outcomes))))


@breaks("decision")
def a_clock_went_back(log: MemoryLog) -> None:
    lane, at, decided = quiet(log, Disposition.KNOWN)
    log.put(DECIDED, lane, at, replace(decided, decided_at=decided.decided_at - 1))


@breaks("decision")
def a_record_is_set_aside_without_cause(log: MemoryLog) -> None:
    lane, at, aside = log.find(QUARANTINED, lambda e: getattr(e, "reason", "") == "unknown_provider")
    log.put(QUARANTINED, lane, at, replace(aside, reason="not_allowed"))


@breaks("identity")
def a_claim_number_is_skipped(log: MemoryLog) -> None:
    def renumber(event: Any) -> Any:
        index = status_place(STATUS_SECRET, PROGRAMME, EPOCH, event.lane, event.claim_no + 1).index
        return replace(event, claim_no=event.claim_no + 1, status_index=index)

    lane, at, issued = last_issued(log)
    _, claimed_at, claim = log.find(CLAIMED, lambda e: getattr(e, "credential_id", None) == issued.credential_id)
    after = renumber(claim)
    log.put(CLAIMED, lane, claimed_at, after)
    document = json.loads(issued.credential)
    document["credentialStatus"] |= {
        "id": f"{after.status_list}#{after.status_index}",
        "statusListIndex": str(after.status_index),
    }
    log.put(ISSUED, lane, at, with_credential(renumber(issued), signed(document)))


@breaks("identity")
def an_id_derives_from_nothing(log: MemoryLog) -> None:
    lane, at, issued = last_issued(log)
    other = credential_uuid(b"x" * 32, PROGRAMME, issued.learner_ref, issued.achievement, issued.award, issued.edition)
    _, claimed_at, claim = log.find(CLAIMED, lambda e: getattr(e, "credential_id", None) == issued.credential_id)
    _, decided_at, decided = log.find(DECIDED, lambda e: e.lane == lane and e.decision_no == claim.decision_no)
    outcomes = [
        replace(o, credential_id=other) if o.credential_id == issued.credential_id else o for o in decided.body.outcomes
    ]
    log.put(DECIDED, lane, decided_at, replace(decided, body=replace(decided.body, outcomes=tuple(outcomes))))
    log.put(CLAIMED, lane, claimed_at, replace(claim, credential_id=other))
    document = {**json.loads(issued.credential), "id": f"{BASE_URL}/credentials/{other}"}
    log.put(ISSUED, lane, at, with_credential(issued, signed(document), credential_id=other))


@breaks("bytes")
def a_credential_is_signed_anew(log: MemoryLog) -> None:
    lane, at, issued = last_issued(log)
    record = log.records_of[ISSUED.name, lane][at]
    document = json.loads(issued.credential)
    again = signed(dict(reversed(document.items())))
    log.append(
        ISSUED, lane, record.appended_at, record.key, codec.encode(with_credential(issued, again)), record.headers
    )


@breaks("bytes")
def a_digest_is_of_other_bytes(log: MemoryLog) -> None:
    lane, at, issued = last_issued(log)
    log.put(ISSUED, lane, at, replace(issued, digest="sha256-" + "0" * 64))


@breaks("place")
def two_credentials_share_a_place(log: MemoryLog) -> None:
    lane, at, issued = last_issued(log)
    first = codec.decode(log.records_of[ISSUED.name, lane][0].value, CredentialIssued)
    _, claimed_at, claim = log.find(CLAIMED, lambda e: getattr(e, "credential_id", None) == issued.credential_id)
    log.put(CLAIMED, lane, claimed_at, replace(claim, status_index=first.status_index))
    document = json.loads(issued.credential)
    index = first.status_index
    document["credentialStatus"] |= {"id": f"{issued.status_list}#{index}", "statusListIndex": str(index)}
    log.put(ISSUED, lane, at, with_credential(issued, signed(document), status_index=index))


@breaks("claim")
def a_claim_is_never_issued(log: MemoryLog) -> None:
    lane, at, _ = last_issued(log)
    log.drop(ISSUED, lane, at)


@breaks("claim")
def a_claim_is_voided_though_its_key_is_sound(log: MemoryLog) -> None:
    lane, at, issued = last_issued(log)
    shared = {name: getattr(issued, name) for name in ClaimVoided.__struct_fields__ if hasattr(issued, name)}
    log.put(ISSUED, lane, at, ClaimVoided(**shared, reason=VoidReason.KEY_COMPROMISED))


@breaks("claim")
def a_credential_was_never_claimed(log: MemoryLog) -> None:
    """A credential of a number that is nobody's."""
    lane, at, issued = last_issued(log)
    record = log.records_of[ISSUED.name, lane][at]
    other = replace(issued, claim_no=issued.claim_no + 500, credential_id="00000000-0000-8000-8000-000000000000")
    document = {**json.loads(issued.credential), "id": f"{BASE_URL}/credentials/{other.credential_id}"}
    value = codec.encode(with_credential(other, signed(document)))
    log.append(ISSUED, lane, record.appended_at, record.key, value, record.headers)


@breaks("proof")
def one_byte_of_a_signature_is_another(log: MemoryLog) -> None:
    lane, at, issued = last_issued(log)
    changed = bytearray(issued.credential)
    where = issued.credential.rindex(b'"proofValue":"z') + 30
    changed[where] = ord("2") if changed[where] != ord("2") else ord("3")
    log.put(ISSUED, lane, at, with_credential(issued, bytes(changed)))


@breaks("proof")
def a_credential_is_signed_with_the_key_of_lists(log: MemoryLog) -> None:
    amended(log, lambda _: None, by="status-1")


@breaks("proof")
def a_credential_does_not_describe_its_achievement(log: MemoryLog) -> None:
    amended(log, lambda document: document["credentialSubject"]["achievement"].pop("description"))


@breaks("agreement")
def a_credential_is_of_another_day(log: MemoryLog) -> None:
    amended(log, lambda document: document.update(awardedDate="2020-01-01T00:00:00Z"))


@breaks("agreement")
def an_envelope_names_another_rule(log: MemoryLog) -> None:
    lane, at, issued = last_issued(log)
    log.put(ISSUED, lane, at, replace(issued, rule_digest="sha256-0"))


@breaks("agreement")
def a_credential_shows_another_score(log: MemoryLog) -> None:
    lane, at, issued = log.find(ISSUED, lambda e: b'"value":"' in e.credential)
    document = json.loads(issued.credential)
    next(one for one in document["credentialSubject"]["result"] if "value" in one)["value"] = "100"
    log.put(ISSUED, lane, at, with_credential(issued, signed(document)))


@breaks("privacy")
def a_mail_address_stands_in_a_record(log: MemoryLog) -> None:
    records = log.records_of[DECIDED.name, 0]
    records[-1] = replace(records[-1], headers=(*records[-1].headers, ("note", b"dana@learners.example")))


@breaks("privacy")
def a_planted_word_stands_in_a_key(log: MemoryLog) -> None:
    records = log.records_of[STATUS_CHANGED.name, 1]
    records[-1] = replace(records[-1], key=b"Planted Person")


def relisted(log: MemoryLog, change: Callable[[set[int]], None], **changes: Any) -> None:
    """Change the bits of the newest list of lane 1 and sign it again."""
    records = log.records_of[LIST_PUBLISHED.name, 1]
    listed = codec.decode(records[-1].value, StatusListPublished)
    document = json.loads(listed.credential)
    bits = decode_bits(document["credentialSubject"]["encodedList"])
    places = {i for i in range(LIST_LENGTH) if bits[i >> 3] & 0x80 >> (i & 7)}
    change(places)
    document["credentialSubject"]["encodedList"] = encode_bits(places)
    content = signed(document, "status-1")
    log.put(
        LIST_PUBLISHED, 1, len(records) - 1, replace(listed, credential=content, **{"set_bits": len(places), **changes})
    )


@breaks("revocation")
def a_place_is_set_that_nobody_revoked(log: MemoryLog) -> None:
    relisted(log, lambda places: places.add(LIST_LENGTH - 1 if LIST_LENGTH - 1 not in places else LIST_LENGTH - 2))


@breaks("revocation")
def a_suspension_stands_in_a_list(log: MemoryLog) -> None:
    _, _, suspended = log.find(STATUS_CHANGED, lambda e: e.status == "suspended")
    relisted(log, lambda places: places.add(suspended.status_index))


@breaks("revocation")
def a_number_of_bits_is_wrong(log: MemoryLog) -> None:
    relisted(log, lambda _: None, set_bits=77)


@breaks("revocation")
def a_change_takes_effect_that_nobody_decided(log: MemoryLog) -> None:
    lane, at, changed = log.find(STATUS_CHANGED, lambda e: e.status == "suspended")
    record = log.records_of[STATUS_CHANGED.name, lane][at]
    value = codec.encode(replace(changed, decided_at=changed.decided_at + 1))
    log.append(STATUS_CHANGED, lane, record.appended_at, record.key, value, record.headers)


@breaks("revocation")
def a_change_never_takes_effect(log: MemoryLog) -> None:
    lane, at, _ = log.find(STATUS_CHANGED, lambda e: e.status == "suspended")
    log.drop(STATUS_CHANGED, lane, at)


@breaks("list")
def a_list_is_signed_with_another_key(log: MemoryLog) -> None:
    records = log.records_of[LIST_PUBLISHED.name, 1]
    listed = codec.decode(records[-1].value, StatusListPublished)
    content = signed(json.loads(listed.credential), "status-1", by="credentials-1")
    log.put(LIST_PUBLISHED, 1, len(records) - 1, replace(listed, credential=content))


@breaks("list")
def a_version_comes_twice(log: MemoryLog) -> None:
    records = log.records_of[LIST_PUBLISHED.name, 1]
    listed = codec.decode(records[-1].value, StatusListPublished)
    content = signed({**json.loads(listed.credential), "validUntil": "2030-01-01T00:00:00Z"}, "status-1")
    value = codec.encode(replace(listed, credential=content))
    log.append(LIST_PUBLISHED, 1, records[-1].appended_at, records[-1].key, value, records[-1].headers)


@breaks("offsets")
def a_processor_is_past_the_end(log: MemoryLog) -> None:
    log.positions[f"issuing/{CLAIMED.name}/0"] += 1_000


@breaks("offsets")
def a_decision_is_of_another_log(log: MemoryLog) -> None:
    records = log.records_of[DECIDED.name, 1]
    headers = [(n, v.replace(b"/e1", b"/e0") if n == "ce_source" and v else v) for n, v in records[-1].headers]
    records[-1] = replace(records[-1], headers=tuple(headers))


@breaks("order")
def two_decisions_are_in_the_wrong_order(log: MemoryLog) -> None:
    for lane in range(LANES):
        records = log.records_of[DECIDED.name, lane]
        events = [codec.decode(r.value, CompetencyDecided) for r in records]
        claimed = {
            e.decision_no
            for r in log.records_of[CLAIMED.name, lane]
            for e in [codec.decode_any(r.value, codec._TYPES.values())]
            if isinstance(e, CredentialClaimed)
        }
        for at in range(len(events) - 1):
            one, other = events[at], events[at + 1]
            if not {one.decision_no, other.decision_no} & claimed and one.disposition is not Disposition.ADOPTED:
                log.put(DECIDED, lane, at, replace(other, decision_no=one.decision_no))
                log.put(DECIDED, lane, at + 1, replace(one, decision_no=other.decision_no))
                return
    raise AssertionError("no two decisions without claims in a row")
