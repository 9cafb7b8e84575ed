"""Identifiers derive from what they name, and tell nothing else."""

from __future__ import annotations

import re
from itertools import pairwise
from uuid import UUID

import pytest

from schemas.ids import (
    LIST_LENGTH,
    content_digest,
    credential_uuid,
    derive,
    issuer_did,
    lane_of,
    learner_ref,
    status_place,
    subject_id,
)

SECRET = bytes(range(32))


@pytest.mark.parametrize(
    ("key", "hashed"),
    [  # from Apache Kafka's UtilsTest#testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
    ids=str,
)
def test_a_key_goes_to_the_lane_that_java_clients_choose(key: bytes, hashed: int) -> None:
    assert lane_of(key, 1_000_003) == (hashed & 0x7FFFFFFF) % 1_000_003


def test_every_claim_of_a_list_has_a_place_of_its_own() -> None:
    places = [status_place(SECRET, "p", "epoch", 2, n) for n in range(LIST_LENGTH, 2 * LIST_LENGTH)]
    assert {p.list_number for p in places} == {1}
    assert {p.index for p in places} == set(range(LIST_LENGTH))


def test_places_of_neighbours_tell_nothing_of_their_order() -> None:
    indexes = [status_place(SECRET, "p", "epoch", 0, n).index for n in range(2_000)]
    rising = sum(a < b for a, b in pairwise(indexes))
    assert 900 < rising < 1_100
    other = [status_place(SECRET, "p", "epoch", 1, n).index for n in range(2_000)]
    assert sum(a == b for a, b in zip(indexes, other, strict=True)) < 5


def test_a_learner_is_the_same_however_the_address_is_typed() -> None:
    assert learner_ref(SECRET, "p", "email", " Zoë@Example.ca") == learner_ref(
        SECRET, "p", "email", "zoe\u0308@example.ca"
    )


def test_learners_of_two_programmes_cannot_be_matched() -> None:
    assert learner_ref(SECRET, "p", "email", "a@example.ca") != learner_ref(SECRET, "q", "email", "a@example.ca")


def test_parts_cannot_run_into_each_other() -> None:
    assert derive(SECRET, "ab", "c") != derive(SECRET, "a", "bc")


def test_a_credential_id_is_a_uuid_that_changes_with_each_part() -> None:
    ids = {
        credential_uuid(SECRET, *parts)
        for parts in (
            ("p", "l", "a", 1, 1),
            ("q", "l", "a", 1, 1),
            ("p", "m", "a", 1, 1),
            ("p", "l", "b", 1, 1),
            ("p", "l", "a", 2, 1),
            ("p", "l", "a", 1, 2),
        )
    }
    assert len(ids) == 6
    assert all(UUID(i).version == 8 for i in ids)


def test_a_subject_id_is_a_urn_of_its_own_for_each_credential() -> None:
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", subject_id(SECRET, "c"))
    assert subject_id(SECRET, "c") != subject_id(SECRET, "d")


def test_a_did_names_the_host_with_its_port_escaped() -> None:
    assert issuer_did("https://credentials.example:8443", "p") == "did:web:credentials.example%3A8443:programmes:p"


def test_a_digest_names_its_algorithm() -> None:
    assert content_digest(b"") == "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
