"""A programme whose signer is away waits in order, holds up nobody, and gets the same bytes when it is back."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.issuing import AT, KEY, IssuingLane, SwitchSigner, adoption, catalogue_of, claim

from schemas.errors import IntegrityError, UnavailableError
from services.signing.keys import seed_signer
from streams import issuing, metrics
from streams.issuing import IssuingStage, Progress

NAMES = ("one", "two", "three")


def lane_of(signers: dict[str, Any], **settings: Any) -> IssuingLane:
    lane = IssuingLane(IssuingStage({(name, "credentials-1"): signer for name, signer in signers.items()}, **settings))
    lane.take(*(adoption(catalogue_of(name)) for name in signers))
    return lane


@pytest.mark.fault("K5")
@settings(max_examples=60, deadline=None)
@given(
    happenings=st.lists(
        st.one_of(st.sampled_from(NAMES), st.tuples(st.just("switch"), st.sampled_from(NAMES)), st.just("idle")),
        max_size=40,
    )
)
def test_whoever_is_away_and_when_each_claim_is_signed_once_in_order_with_the_same_bytes(happenings: list[Any]) -> None:
    signers = {name: SwitchSigner() for name in NAMES}
    lane, always_here = lane_of(signers), lane_of({name: SwitchSigner() for name in NAMES})
    taken = dict.fromkeys(NAMES, 0)
    for happening in happenings:
        if happening == "idle":
            lane.idle()
        elif isinstance(happening, tuple):
            signers[happening[1]].away ^= True
        else:
            made = claim(catalogue_of(happening), taken[happening])
            taken[happening] += 1
            before = len(lane.issued)
            lane.take(made)
            always_here.take(made)
            waits = happening in lane.progress.waiting
            assert len(lane.issued) - before == (not waits)
            assert waits or not signers[happening].away
    for signer in signers.values():
        signer.away = False
    while lane.idle():
        pass
    for name in NAMES:
        assert lane.numbers(name) == list(range(taken[name]))
        of = [i for i in lane.issued if i.programme == name]
        assert of == [i for i in always_here.issued if i.programme == name]
    assert not lane.progress.waiting
    assert {k: v for k, v in lane.state.items() if k != b"\x00lane"} == {
        k: v for k, v in always_here.state.items() if k != b"\x00lane"
    }


@pytest.mark.fault("K3")
def test_a_worker_without_the_key_or_with_another_one_lets_that_programme_wait_and_no_other() -> None:
    lane = lane_of({"one": SwitchSigner(), "two": seed_signer(bytes([1] * 32))})
    third = catalogue_of("three")
    lane.take(adoption(third))
    for number in range(3):
        lane.take(*(claim(catalogue_of(name), number) for name in NAMES))
    assert lane.numbers("one") == [0, 1, 2]
    assert lane.progress.waiting == {"two": 0, "three": 0}
    assert not lane.idle()


def test_how_many_claims_wait_is_shown_for_lanes_in_hand() -> None:
    signer = SwitchSigner()
    lane = lane_of({"counted": signer})
    signer.away = True
    lane.take(*(claim(catalogue_of("counted"), number) for number in range(4)))
    lane.idle()
    assert metrics.CLAIMS_WAITING.labels("counted")._value is not None
    assert lane.stage._counts.of("counted") == 4
    signer.away = False
    lane.idle()
    lane.idle()
    assert lane.stage._counts.of("counted") == 0


def test_what_waits_is_bounded_and_then_the_lane_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuing, "_MAX_WAITING", 3)
    signer = SwitchSigner()
    lane = lane_of({"one": signer})
    signer.away = True
    made = [claim(catalogue_of("one"), number) for number in range(4)]
    lane.take(*made[:3])
    with pytest.raises(UnavailableError, match="3 claims of one wait"):
        lane.take(made[3])
    signer.away = False
    lane.idle()
    lane.take(made[3])
    assert lane.numbers("one") == [0, 1, 2, 3]


def test_repeats_of_what_waits_are_known_and_conflicts_park() -> None:
    signer = SwitchSigner()
    lane = lane_of({"one": signer})
    signer.away = True
    made = claim(catalogue_of("one"))
    lane.take(made, made)
    assert lane.progress.waiting == {"one": 0}
    with pytest.raises(IntegrityError, match="another content"):
        lane.take(replace(made, status_index=9))


def test_what_can_never_be_issued_parks_the_lane_where_it_stands_and_does_not_wait() -> None:
    signer = SwitchSigner()
    lane = lane_of({"one": signer})
    signer.away = True
    with pytest.raises(IntegrityError, match="no nothing in form"):
        lane.take(claim(catalogue_of("one"), achievement="nothing"))


@pytest.mark.fault("K5")
def test_a_slow_signer_gets_its_turn_and_leaves_the_others_theirs() -> None:
    now = 0.0

    class Slow(SwitchSigner):
        def sign(self, data: bytes, *, check: bool = True) -> bytes:
            nonlocal now
            now += 0.2
            return super().sign(data, check=check)

    lane = lane_of({"one": Slow(), "two": SwitchSigner()}, clock=lambda: now)
    for number in range(6):
        lane.take(*(claim(catalogue_of(name), number) for name in ("one", "two")))
    assert lane.numbers("one") == [0, 1, 2]
    assert lane.numbers("two") == [0, 1, 2, 3, 4, 5]
    assert lane.idle()
    assert lane.numbers("one") == [0, 1, 2, 3, 4, 5]


def test_a_signer_that_is_fast_needs_no_turns() -> None:
    now = 0.0

    class Fast(SwitchSigner):
        def sign(self, data: bytes, *, check: bool = True) -> bytes:
            nonlocal now
            now += 0.009
            return super().sign(data, check=check)

    lane = lane_of({"one": Fast()}, clock=lambda: now)
    lane.take(*(claim(catalogue_of("one"), number) for number in range(200)))
    assert lane.numbers("one") == list(range(200))


def test_one_signature_in_64_is_checked_by_claim_number() -> None:
    signer = SwitchSigner()
    lane = lane_of({"one": signer})
    lane.take(*(claim(catalogue_of("one"), number) for number in range(130)))
    assert (signer.asked, signer.checked) == (130, 3)


@pytest.mark.fault("K7")
def test_a_key_that_has_ended_signs_nothing_dated_later_until_its_end_is_moved() -> None:
    ends = catalogue_of("one", replace(KEY, active_until=AT + 1_000_000))
    lane = IssuingLane(IssuingStage({("one", "credentials-1"): SwitchSigner()}))
    lane.take(adoption(ends), claim(ends), claim(ends, 1, claimed_at=AT + 1_000_000), claim(ends, 2))
    assert lane.numbers("one") == [0]
    assert not lane.idle()
    assert metrics.KEY_END.labels("one", "credentials")._value.get() == (AT + 1_000_000) / 1e6
    lane.take(adoption(catalogue_of("one"), 2))
    assert lane.idle()
    assert lane.numbers("one") == [0, 1, 2]
    assert metrics.KEY_END.labels("one", "credentials")._value.get() == math.inf


def test_claims_that_wait_for_a_key_are_voided_once_it_is_compromised_and_those_behind_them_are_signed() -> None:
    """What the key signed before it was known stays; nothing is lost between, and a repeat voids nothing again."""
    first = catalogue_of("one")
    other = seed_signer(bytes([2] * 32))
    new = replace(KEY, id="credentials-2", public_key_multibase=other.public_multikey)
    told = catalogue_of("one", replace(KEY, compromised_at=1), new)
    signer = SwitchSigner()
    lane = IssuingLane(IssuingStage({("one", "credentials-1"): signer, ("one", "credentials-2"): other}))
    lane.take(adoption(first), claim(first))
    signer.away = True
    lane.take(claim(first, 1), claim(first, 2), adoption(told, 2), claim(told, 3, key_id="credentials-2"))
    assert (lane.numbers("one"), lane.voided) == ([0], [])
    signer.away = False  # a thief may have it; it is asked for nothing
    asked = signer.asked
    assert lane.idle()
    assert lane.numbers("one") == [0, 3]
    assert [(void.claim_no, void.key_id, void.reason) for void in lane.voided] == [
        (1, "credentials-1", "key_compromised"),
        (2, "credentials-1", "key_compromised"),
    ]
    assert signer.asked == asked
    assert {void.catalogue_digest for void in lane.voided} == {adoption(told).digest}
    lane.take(claim(first, 2), claim(first, 4))
    assert [void.claim_no for void in lane.voided] == [1, 2, 4]
    assert not lane.progress.waiting


def test_the_keys_of_the_catalogue_adopted_last_sign_claims_in_the_words_of_one_before() -> None:
    other = seed_signer(bytes([2] * 32))
    words, keys = (
        catalogue_of("one"),
        catalogue_of("one", KEY, replace(KEY, id="credentials-2", public_key_multibase=other.public_multikey)),
    )
    lane = IssuingLane(IssuingStage({("one", "credentials-2"): other}))
    lane.take(adoption(words), adoption(keys, 2), claim(words, 0, key_id="credentials-2"))
    assert lane.numbers("one") == [0]


def test_a_key_that_is_published_no_more_signs_no_more() -> None:
    first = catalogue_of("one")
    other = catalogue_of("one", replace(KEY, id="credentials-2"))
    lane = IssuingLane(IssuingStage({("one", "credentials-1"): SwitchSigner()}))
    lane.take(adoption(first), claim(first), adoption(other, 2), claim(first, 1))
    assert lane.numbers("one") == [0]
    assert lane.progress.waiting == {"one": 1}


def test_state_of_a_worker_before_claims_could_wait_is_read() -> None:
    import msgspec

    old = msgspec.msgpack.encode([1, {"one": 7}])
    assert IssuingStage({}).restored(3, {b"\x00lane": old}) == Progress(1, {"one": 7}, lane=3)
