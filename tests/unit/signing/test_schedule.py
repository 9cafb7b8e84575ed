"""Keys over time: what may follow what was published, and who signs when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.issuing import catalogue_of

from schemas.catalogue import Catalogue, JwtKey, Key, key_in_force
from schemas.errors import RefusedError
from services.issuing.documents import did_document, key_history
from services.signing import schedule
from services.signing.schedule import MIN_LEAD, schedule_faults

NOW = 1_790_000_000_000_000
DAY = 86_400_000_000
ONE = Key(id="credentials-1", purpose="credentials", public_key_multibase="z6Mk1", active_from=0)
TWO = Key(id="credentials-2", purpose="credentials", public_key_multibase="z6Mk2", active_from=NOW + DAY)
LIST = Key(id="status-1", purpose="status", public_key_multibase="z6Mk3", active_from=0)
JWT = JwtKey(id="jwt-1", n="n", e="AQAB")


def published(*keys: Key, jwt: tuple[JwtKey, ...] = (JWT,)) -> Catalogue:
    return replace(catalogue_of("p"), keys=(*keys, LIST), jwt_keys=jwt)


FOLLOWS: dict[str, tuple[Catalogue, Catalogue, str | None]] = {
    "nothing changed": (published(ONE), published(ONE), None),
    "the first of all": (published(), published(ONE), None),
    "a new key, a day ahead": (published(ONE), published(ONE, TWO), None),
    "a new key, too soon": (
        published(ONE),
        published(ONE, replace(TWO, active_from=NOW + DAY // 24)),
        "before verifiers",
    ),
    "a new JWT key, too soon": (
        published(ONE),
        published(ONE, jwt=(JWT, JwtKey(id="jwt-2", n="m", e="AQAB", active_from=NOW))),
        "jwt-2 would sign before verifiers",
    ),
    "a published one is brought forward": (published(ONE, TWO), published(ONE, replace(TWO, active_from=NOW)), None),
    "a key is dropped": (published(ONE, TWO), published(TWO), "credentials-1 is not there any more"),
    "another half under the same id": (
        published(ONE),
        published(replace(ONE, public_key_multibase="z6Mk9")),
        "another public half",
    ),
    "its beginning is moved after it began": (
        published(ONE),
        published(replace(ONE, active_from=1)),
        "has begun already",
    ),
    "it ends": (
        published(ONE, replace(TWO, active_from=1)),
        published(replace(ONE, active_until=NOW), replace(TWO, active_from=1)),
        None,
    ),
    "its end is moved": (
        published(replace(ONE, active_until=NOW - 1)),
        published(replace(ONE, active_until=NOW + DAY)),
        None,
    ),
    "nobody would sign": (
        published(ONE),
        published(replace(ONE, active_until=NOW)),
        "no credentials key would be in force",
    ),
    "compromised, with another at once": (
        published(ONE),
        published(replace(ONE, compromised_at=NOW), replace(TWO, active_from=NOW)),
        None,
    ),
    "compromised, with none": (published(ONE), published(replace(ONE, compromised_at=NOW)), "no credentials key"),
    "sound again": (
        published(replace(ONE, compromised_at=1), replace(TWO, active_from=1)),
        published(ONE, replace(TWO, active_from=1)),
        "published as compromised, and that is final",
    ),
    "removed, though sound": (
        published(ONE, replace(TWO, active_from=1)),
        published(replace(ONE, removed_at=NOW), replace(TWO, active_from=1)),
        "is not compromised, so it stays",
    ),
    "back again": (
        published(replace(ONE, compromised_at=1, removed_at=2), replace(TWO, active_from=1)),
        published(replace(ONE, compromised_at=1), replace(TWO, active_from=1)),
        "published as removed, and that is final",
    ),
}


@pytest.mark.parametrize("case", FOLLOWS.values(), ids=FOLLOWS)
def test_what_may_follow_what_was_published(case: tuple[Catalogue, Catalogue, str | None]) -> None:
    before, after, fault = case
    found = "; ".join(schedule_faults(before, after, NOW))
    assert (fault in found) if fault else not found


def test_nothing_is_said_of_the_first_catalogue_of_all() -> None:
    assert not list(schedule_faults(None, published(ONE, replace(TWO, active_from=NOW)), NOW))


STATES: list[tuple[dict[str, Any], str]] = [
    ({"active_from": NOW + 1}, "published"),
    ({"active_from": NOW}, "active"),
    ({"active_from": NOW, "active_until": NOW + 1}, "active"),
    ({"active_from": 1, "active_until": NOW}, "retired"),
    ({"active_from": 0}, "superseded"),
    ({"active_from": NOW, "compromised_at": NOW}, "compromised"),
    ({"active_from": NOW, "compromised_at": 1, "removed_at": 2}, "removed"),
]


@pytest.mark.parametrize(("about", "state"), STATES, ids=str)
def test_where_a_key_stands(about: dict[str, Any], state: str) -> None:
    other = replace(ONE, active_from=1)
    key = replace(TWO, **about)
    assert schedule.state_of(key, [other, key], NOW) == state


keys = st.lists(
    st.builds(
        lambda begins, length, lost: (begins, None if length is None else begins + length, lost),
        st.integers(0, 20),
        st.none() | st.integers(1, 20),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@given(keys, st.integers(0, 50))
def test_people_and_processors_agree_on_who_signs(given_keys: list[tuple[int, int | None, bool]], now: int) -> None:
    made = [
        Key(
            id=f"k{i}",
            purpose="credentials",
            public_key_multibase="z",
            active_from=begins,
            active_until=ends,
            compromised_at=1 if lost else None,
        )
        for i, (begins, ends, lost) in enumerate(given_keys)
    ]
    shown = schedule.in_force(made, now)
    if shown is not None:
        assert key_in_force(made, "credentials", now) == shown
    elif any(k.active_from <= now and k.compromised_at is None for k in made):
        ended = key_in_force(made, "credentials", now)  # what it would sign waits
        assert ended.active_until is not None
        assert ended.active_until <= now
    else:
        with pytest.raises(LookupError):
            key_in_force(made, "credentials", now)


def test_a_compromised_key_is_followed_by_the_spare_that_verifiers_know_and_begins_at_once() -> None:
    spare, fresh = replace(TWO, active_from=NOW + 700 * DAY), replace(TWO, id="credentials-3", active_from=NOW)
    after = schedule.marked(published(ONE, spare, fresh), ONE, NOW)
    signs = schedule.in_force(schedule.keys_of(after, "credentials"), NOW - schedule.HEADSTART)
    assert signs is not None
    assert signs.id == "credentials-2"
    assert not list(schedule_faults(published(ONE, spare), after, NOW, lead=0))
    again = schedule.marked(after, schedule.find(after, "credentials-1"), NOW + DAY)
    assert again == after
    with pytest.raises(RefusedError, match="no other credentials key"):
        schedule.marked(published(ONE), ONE, NOW)


def test_boundaries_are_whole_seconds_since_proofs_are_dated_so() -> None:
    begun = schedule.begun_at(published(ONE, TWO), TWO, NOW + 1)
    ended = schedule.ended_at(published(ONE, TWO), ONE, NOW + 1)
    assert schedule.find(begun, "credentials-2").active_from == NOW + 1_000_000
    assert schedule.find(ended, "credentials-1").active_until == NOW + 1_000_000
    assert MIN_LEAD > schedule.DOCUMENT_CACHE_S * 1_000_000


def test_documents_show_retired_keys_as_ever_mark_compromised_ones_and_leave_removed_ones_to_the_history() -> None:
    retired, lost = replace(ONE, active_until=NOW), replace(TWO, compromised_at=NOW)
    gone = replace(TWO, id="credentials-3", compromised_at=NOW, removed_at=NOW + DAY)
    catalogue = published(
        retired, lost, gone, jwt=(JWT, JwtKey(id="jwt-2", n="m", e="AQAB", compromised_at=NOW, removed_at=NOW))
    )
    methods = {m["id"].rpartition("#")[2]: m for m in did_document(catalogue)["verificationMethod"]}
    assert methods.keys() == {"credentials-1", "credentials-2", "status-1", "jwt-1"}
    assert methods["credentials-2"]["revoked"] == "2026-09-21T14:13:20Z"
    assert "revoked" not in methods["credentials-1"]
    assert "expires" not in methods["credentials-1"]  # strict verifiers would refuse what it signed before
    history = {key["id"].rpartition("#")[2]: key for key in key_history(catalogue)["keys"]}
    assert history.keys() == {"credentials-1", "credentials-2", "credentials-3", "status-1", "jwt-1", "jwt-2"}
    assert history["credentials-1"]["activeUntil"] == "2026-09-21T14:13:20Z"
    assert history["credentials-3"]["removed"] == "2026-09-22T14:13:20Z"
