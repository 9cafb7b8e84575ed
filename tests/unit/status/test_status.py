"""A status list's bits are its revocations, whatever the order, the repeats and the times at which it is published."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.issuing import catalogue_of

from schemas.bitstring import decode_bits
from schemas.catalogue import Key, pack
from schemas.codec import decode, encode
from schemas.errors import IntegrityError, UnavailableError
from schemas.events import (
    CatalogueAdopted,
    CredentialStatus,
    CredentialStatusChanged,
    StatusDecided,
    StatusListOpened,
    StatusListPublished,
    StatusReason,
)
from schemas.topology import LIST_PUBLISHED, STATUS_CHANGED
from services.signing.badge import instant
from services.signing.keys import seed_signer
from services.signing.verifying import Verifier
from services.status.ledger import Cadence
from streams.stage import Record, Step
from streams.status import Lists, StatusStage

URL = "https://credentials.pilots.example/status/p/e/0/0"
SIGNER = seed_signer(bytes(32))
SECOND = 1_000_000
CADENCE = Cadence(every=10 * SECOND, valid=1_000 * SECOND)
START = 1_790_000_000 * SECOND


def stage() -> StatusStage:
    return StatusStage({("p", "status-1"): SIGNER}, CADENCE)


def record(event: Any, at: int = START) -> Record:
    return Record(topic="t", lane=0, offset=0, appended_at=at, key=b"k", value=encode(event))


OPENED = StatusListOpened(
    decision_no=0,
    lane=0,
    programme="p",
    status_list=URL,
    list_number=0,
    issuer="did:web:i.example",
    key_id="status-1",
    decided_at=START,
)


def decided(
    number: int, index: int, status: CredentialStatus = CredentialStatus.REVOKED, *, urgent: bool = False
) -> StatusDecided:
    return StatusDecided(
        decision_no=number,
        lane=0,
        programme="p",
        learner_ref="0" * 32,
        credential_id=f"c{index}",
        status=status,
        reason=StatusReason.MISCONDUCT,
        status_list=URL,
        status_index=index,
        decided_at=START,
        urgent=urgent,
        cause="r",
    )


def lists_in(step: Step[Lists] | None) -> list[StatusListPublished]:
    return [decode(o.value, StatusListPublished) for o in (step.outputs if step else ()) if o.topic is LIST_PUBLISHED]


def bits_of(event: StatusListPublished) -> set[int]:
    """Decode a list independently: eight bits a byte, the left-most first."""
    bits = decode_bits(json.loads(event.credential)["credentialSubject"]["encodedList"])
    return {i for i, bit in enumerate("".join(f"{byte:08b}" for byte in bits)) if bit == "1"} if any(bits) else set()


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("revoke"), st.integers(0, 131_071)),
        st.tuples(st.just("suspend"), st.integers(0, 99)),
        st.tuples(st.just("wait"), st.integers(0, 600)),
        st.just(("repeat", 0)),
    ),
    max_size=25,
)


@pytest.mark.fault("L2")
@settings(max_examples=60, deadline=None)
@given(acts=ACTS)
def test_set_bits_are_the_revocations_and_none_is_ever_cleared(acts: list[tuple[str, int]]) -> None:
    works = stage()
    lane = works.step(Lists(0, {}), {}, record(OPENED)).lane
    now, number, revoked, seen, versions = START, 1, set[int](), set[int](), [0]
    sent: list[StatusDecided] = []
    for act, value in [*acts, ("wait", 600)]:
        published = []
        if act == "wait":
            now += value * SECOND
            step = works.idle(lane, {}, now)
            published, lane = lists_in(step), step.lane if step else lane
        else:
            status = CredentialStatus.REVOKED if act == "revoke" else CredentialStatus.SUSPENDED
            event = sent[-1] if act == "repeat" and sent else decided(number, value, status)
            if event not in sent:
                sent.append(event)
                number += 1
                revoked |= {event.status_index} if event.status is CredentialStatus.REVOKED else set()
            lane = works.step(lane, {}, record(event)).lane
        kept = {k: v for k, v in works.kept(Lists(0, {}), lane).items() if v is not None}
        lane = works.restored(0, kept)  # a worker that takes over knows all that this one knew
        for event_published in published:
            before, seen = seen, bits_of(event_published)
            assert before <= seen <= revoked
            versions.append(event_published.version)
    assert seen == revoked
    assert versions == sorted(set(versions))


def test_a_list_is_published_at_once_then_at_the_cadence_then_before_it_goes_stale() -> None:
    works = stage()
    lane = works.step(Lists(0, {}), {}, record(OPENED)).lane
    first = works.idle(lane, {}, START)
    assert first is not None
    assert [e.version for e in lists_in(first)] == [1]
    assert works.idle(first.lane, {}, START + 20 * SECOND) is None
    changed = works.step(first.lane, {}, record(decided(1, 7))).lane
    assert works.idle(changed, {}, START + 9 * SECOND) is None
    second = works.idle(changed, {}, START + 10 * SECOND)
    assert second is not None
    [change] = [decode(o.value, CredentialStatusChanged) for o in second.outputs if o.topic is STATUS_CHANGED]
    assert (change.credential_id, change.list_version) == ("c7", 2)
    assert works.idle(second.lane, {}, START + 400 * SECOND) is None
    heartbeat = works.idle(second.lane, {}, START + 511 * SECOND)
    assert [e.version for e in lists_in(heartbeat)] == [3]


@pytest.mark.fault("C1")
def test_a_list_that_a_wrong_clock_dated_in_the_future_is_replaced_at_once_when_the_clock_is_right() -> None:
    works = stage()
    lane = works.step(Lists(0, {}), {}, record(OPENED)).lane
    ahead = works.idle(lane, {}, START + 400 * 86_400 * SECOND)
    assert ahead is not None
    changed = works.step(ahead.lane, {}, record(decided(1, 7))).lane
    for waiting in (ahead.lane, changed):
        right = works.idle(waiting, {}, START)
        assert right is not None
        [event] = lists_in(right)
        assert (event.version, event.published_at) == (2, START)
        assert works.idle(right.lane, {}, START + SECOND) is None


def test_an_urgent_change_is_published_in_its_own_step() -> None:
    works = stage()
    lane = works.step(Lists(0, {}), {}, record(OPENED)).lane
    [event] = lists_in(works.step(lane, {}, record(decided(1, 5, urgent=True))))
    assert bits_of(event) == {5}


def test_a_suspension_is_told_and_never_shows_in_the_list() -> None:
    works = stage()
    lane = works.step(Lists(0, {}), {}, record(OPENED)).lane
    step = works.step(lane, {}, record(decided(1, 5, CredentialStatus.SUSPENDED, urgent=True)))
    assert bits_of(lists_in(step)[0]) == set()
    assert [decode(o.value, CredentialStatusChanged).status for o in step.outputs if o.topic is STATUS_CHANGED] == [
        "suspended"
    ]


@pytest.mark.fault("B3")
def test_a_missing_decision_parks_the_lane() -> None:
    works = stage()
    lane = works.step(Lists(0, {}), {}, record(OPENED)).lane
    with pytest.raises(IntegrityError, match="is missing"):
        works.step(lane, {}, record(decided(2, 5)))


def test_a_list_whose_key_is_away_waits() -> None:
    works = StatusStage({}, CADENCE)
    lane = works.step(Lists(0, {}), {}, record(OPENED)).lane
    with pytest.raises(UnavailableError, match="status-1"):
        works.idle(lane, {}, START)


def test_a_published_list_is_a_signed_credential_of_the_standard() -> None:
    works = stage()
    lane = works.step(Lists(0, {}), {}, record(OPENED)).lane
    [event] = lists_in(works.idle(lane, {}, START))
    document = json.loads(event.credential)
    assert document["type"] == ["VerifiableCredential", "BitstringStatusListCredential"]
    assert document["credentialSubject"]["ttl"] == 10_000
    did = {
        "id": "did:web:i.example",
        "verificationMethod": [
            {
                "id": "did:web:i.example#status-1",
                "type": "Multikey",
                "controller": "did:web:i.example",
                "publicKeyMultibase": SIGNER.public_multikey,
            }
        ],
        "assertionMethod": ["did:web:i.example#status-1"],
    }
    now = instant(document["validFrom"])
    assert now is not None
    verifier = Verifier(
        {"https://i.example/.well-known/did.json": json.dumps(did).encode(), URL: event.credential}, now=now
    )
    assert isinstance(verifier._lists._bits(URL, "did:web:i.example", "revocation"), bytes)


def adopted(*keys: Key) -> CatalogueAdopted:
    given = msgspec.structs.replace(catalogue_of("p"), keys=keys)
    digest, packed = pack(given)
    return CatalogueAdopted(programme="p", adoption_no=1, digest=digest, catalogue=packed)


def test_a_list_is_signed_by_the_key_in_force_and_at_once_by_another_when_its_own_is_compromised() -> None:
    other = seed_signer(bytes([1] * 32))
    old = Key(id="status-1", purpose="status", public_key_multibase=SIGNER.public_multikey, active_from=0)
    new = Key(
        id="status-2",
        purpose="status",
        public_key_multibase=other.public_multikey,
        active_from=START + 100 * SECOND,
    )
    works = StatusStage({("p", "status-1"): SIGNER, ("p", "status-2"): other}, CADENCE)

    def after(lane: Lists, step: Step[Lists] | None) -> tuple[Lists, list[str]]:
        if step is None:
            return lane, []
        state = {**step.changes, **works.kept(lane, step.lane)}
        kept.update({name: value for name, value in state.items() if value is not None})
        methods = [json.loads(e.credential)["proof"][0]["verificationMethod"] for e in lists_in(step)]
        assert methods == [f"{OPENED.issuer}#{e.key_id}" for e in lists_in(step)]
        return works.restored(0, kept), [e.key_id for e in lists_in(step)]  # as a worker that takes over

    kept: dict[bytes, bytes] = {}
    lane, _ = after(Lists(0, {}), works.step(Lists(0, {}), {}, record(OPENED)))
    lane, _ = after(lane, works.step(lane, {}, record(adopted(old, new))))
    lane, signed = after(lane, works.idle(lane, {}, START))
    assert signed == ["status-1"]
    lane, signed = after(lane, works.idle(lane, {}, START + 600 * SECOND))
    assert signed == ["status-2"]
    told = msgspec.structs.replace(new, compromised_at=START)
    lane, _ = after(lane, works.step(lane, {}, record(adopted(old, told))))
    lane, signed = after(lane, works.idle(lane, {}, START + 601 * SECOND))
    assert signed == ["status-1"]
    assert works.idle(lane, {}, START + 602 * SECOND) is None
