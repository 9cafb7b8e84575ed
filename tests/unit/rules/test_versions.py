"""Versions: who must have signed a proposal, which adoptions there were, what a wrong one brought."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest
from support.competency import (
    CATALOGUE_SIGNER,
    EPOCH_START,
    OTHER_SIGNER,
    STAFF_SIGNER,
    CompetencyLane,
    catalogue,
)

from credstream.learners import LaneKept
from credstream.rules import proposals
from credstream.rules.adopted import AdoptedVersion, find, history
from credstream.rules.explaining import differences
from credstream.rules.proposals import Proposal
from credstream.staff.rejudging import digest_of, wrong_version
from schemas.catalogue import Catalogue
from schemas.errors import RefusedError
from schemas.events import CompetencyDecided, Disposition
from schemas.rules import Result
from streams.settings import ProgrammeSettings

PINNED = ProgrammeSettings(
    catalogue_keys={
        "ana": CATALOGUE_SIGNER.public_multikey,
        "mo": OTHER_SIGNER.public_multikey,
        "ana-again": CATALOGUE_SIGNER.public_multikey,
    },
    catalogue_signatures=2,
    staff_keys={},
)


def rules(bar: int, version: str = "1") -> Catalogue:
    return catalogue(
        {"block": Result(assessment="quiz", at_least=bar), "other": Result(assessment="lab", passed=True)},
        version=version,
    )


def proposal() -> Proposal:
    return proposals.propose(rules(500_000), 1, None)


def test_a_person_who_signs_twice_is_one_person() -> None:
    twice = proposal().signed(CATALOGUE_SIGNER, "ana").signed(CATALOGUE_SIGNER, "ana-again")
    assert len(twice.signers(PINNED)) == 1
    assert set(twice.signed(OTHER_SIGNER, "mo").signers(PINNED)) == {"ana", "mo"}


def test_a_key_that_is_not_pinned_or_another_name_does_not_count() -> None:
    assert proposal().signed(STAFF_SIGNER, "ana").signed(OTHER_SIGNER, "stranger").signers(PINNED) == []


def test_a_signature_for_another_proposal_does_not_count() -> None:
    signed = proposal().signed(CATALOGUE_SIGNER, "ana")
    other = proposals.propose(rules(100_000), 1, None)
    assert msgspec.structs.replace(other, signatures=signed.signatures).signers(PINNED) == []
    later = proposals.propose(rules(500_000), 1, EPOCH_START)
    assert msgspec.structs.replace(later, signatures=signed.signatures).signers(PINNED) == []


def test_a_proposal_is_read_as_it_was_written(tmp_path: Path) -> None:
    signed = proposal().signed(CATALOGUE_SIGNER, "ana")
    proposals.write(signed, tmp_path / "p")
    assert proposals.read(tmp_path / "p") == signed
    assert signed.catalogue == rules(500_000)


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"{}",
        lambda text: text[:-10],
        lambda text: text.replace(b"credstream catalogue proposal 1", b"credstream catalogue proposal 9"),
        lambda text: text.replace(base64.b64encode(proposal().adopted)[:40], base64.b64encode(b"\x00" * 30), 1),
    ],
    ids=["empty", "cut short", "another kind", "another record"],
)
def test_what_is_no_proposal_is_refused(damage: object, tmp_path: Path) -> None:
    proposals.write(proposal(), tmp_path / "p")
    text = (tmp_path / "p").read_bytes()
    damaged = damage(text)  # type: ignore[operator]
    assert damaged != text
    (tmp_path / "p").write_bytes(damaged)
    with pytest.raises(RefusedError, match="no proposal"):
        proposals.read(tmp_path / "p")


def test_an_archive_copy_of_another_catalogue_is_refused(tmp_path: Path) -> None:
    other = proposals.propose(rules(100_000), 1, None)
    proposals.write(msgspec.structs.replace(proposal(), published=other.published), tmp_path / "p")
    with pytest.raises(RefusedError, match="do not belong together"):
        proposals.read(tmp_path / "p")


def adopted(*catalogues: Catalogue) -> list[AdoptedVersion]:
    """Two lanes, of which the second lacks the last adoption."""
    lanes = []
    for number in range(2):
        lane = CompetencyLane(lanes=2, lane=number)
        for one in catalogues[: len(catalogues) - number]:
            lane.now += 1_000_000
            lane.adopt(one)
        own = {key: value for key, value in lane.state.items() if key.startswith(b"\x00")}
        lanes.append(LaneKept(lane=number, own=own))
    return list(history(lanes, "demo"))


def test_the_history_says_which_lane_adopted_what_when() -> None:
    first, second = adopted(rules(500_000), rules(900_000, "2"))
    assert (first.number, first.catalogue.version, set(first.adopted_at)) == (1, "1", {0, 1})
    assert (second.number, second.catalogue.version, set(second.adopted_at)) == (2, "2", {0})
    assert second.in_force_from == second.adopted_at[0]


def test_a_version_is_named_by_number_digest_or_its_beginning() -> None:
    versions = adopted(rules(500_000), rules(900_000, "2"), rules(500_000))
    assert find(versions, "2") is versions[1]
    assert find(versions, versions[1].digest) is versions[1]
    assert find(versions, versions[0].digest.removeprefix("sha256-")[:10]) is versions[2]  # adopted twice: the latest
    for name in ("4", "0", "sha256-", "zz"):
        with pytest.raises(RefusedError, match="no such version"):
            find(versions, name)


def test_a_wrong_version_is_the_rules_that_it_brought() -> None:
    versions = adopted(rules(500_000), rules(100_000, "2"), rules(500_000, "3"))
    wrong = wrong_version(versions, "2")
    block = next(one for one in versions[1].catalogue.achievements if one.id == "block")
    assert wrong.rules == {digest_of(block): "block"}
    assert wrong.catalogue is None
    assert wrong_version(versions, digest_of(block)).rules == wrong.rules
    again = adopted(rules(500_000), rules(100_000, "2"), rules(100_000, "2"), rules(500_000, "3"))
    assert wrong_version(again, versions[1].digest).rules == wrong.rules
    with pytest.raises(RefusedError, match="brought no rule"):
        wrong_version(versions, "3")
    assert wrong_version(versions, "3", everything=True).catalogue == versions[2].digest


def test_an_adoption_repeated_for_another_date_is_refused_not_taken_for_known() -> None:
    lane = CompetencyLane()
    lane.adopt(rules(500_000))
    lane.adoptions = 0
    [again] = lane.adopt(rules(500_000))
    lane.adoptions = 0
    [later] = lane.adopt(rules(500_000), effective_from=EPOCH_START)
    assert isinstance(again, CompetencyDecided)
    assert isinstance(later, CompetencyDecided)
    assert again.disposition is Disposition.KNOWN
    assert later.disposition is Disposition.REFUSED


def test_what_approvers_are_shown_has_keys_and_issuer_too() -> None:
    before = rules(500_000)
    stolen = msgspec.structs.replace(
        before,
        issuer=msgspec.structs.replace(before.issuer, name="Another"),
        keys=(*before.keys, msgspec.structs.replace(before.keys[0], id="credentials-2")),
    )
    assert {(c.what, c.kind, c.name) for c in differences(before, stolen)} == {
        ("changed", "issuer", "demo"),
        ("added", "key", "credentials-2"),
    }
