"""What a learner holds, what is claimed and revoked, and what is said about it."""

from __future__ import annotations

import pytest
from support.competency import (
    BASE_URL,
    DAY,
    EPOCH_START,
    LEARNER,
    PROGRAMME,
    CompetencyLane,
    catalogue,
    completion,
    outcomes,
)

from schemas.events import (
    ClaimBody,
    CompetencyDecided,
    CredentialStatus,
    DecisionBody,
    Disposition,
    ResultKind,
    StatusDecided,
    StatusListOpened,
    StatusReason,
    Verdict,
)
from schemas.ids import LIST_LENGTH, credential_uuid, status_place, subject_id
from schemas.rules import All, Criterion, Holds, Result, Rule, Weight, Weighted
from services.competency.ledger import ProgrammeNumbers

PASS = Result(assessment="quiz", at_least=700_000)
STACK: dict[str, Criterion | Rule] = {
    "block": PASS,
    "top": All(of=(Holds(achievement="block"), Result(assessment="lab"))),
}


def lane_with(**rules: Criterion | Rule) -> CompetencyLane:
    lane = CompetencyLane()
    lane.adopt(catalogue(rules))
    return lane


def verdicts(decided: CompetencyDecided) -> dict[str, Verdict]:
    return {name: outcome.verdict for name, outcome in outcomes(decided).items()}


def detail(decided: CompetencyDecided) -> str | None:
    assert isinstance(decided.body, DecisionBody)
    return decided.body.detail


def revocations(lane: CompetencyLane) -> list[StatusDecided]:
    return [status for status in lane.statuses if isinstance(status, StatusDecided)]


def test_a_threshold_is_reached_exactly_and_not_a_millionth_below() -> None:
    lane = lane_with(passed=PASS)
    lane.send(completion("r-1", score=None), completion("r-2", score=69))
    assert lane.holds() == set()
    assert verdicts(lane.send(completion("r-3", score=70))) == {"passed": Verdict.GRANTED}


def test_the_weighted_mean_of_thirds_is_exact() -> None:
    parts = tuple(Weight(assessment=name, weight=1) for name in ("quiz", "lab", "essay"))
    lane = lane_with(mean=Weighted(parts=parts, at_least=333_334), third=Weighted(parts=parts, at_least=333_333))
    decided = lane.send(completion(score=100))
    assert verdicts(decided) == {"mean": Verdict.NOT_YET, "third": Verdict.GRANTED}


def test_a_better_result_takes_the_place_of_the_one_before_in_a_mean() -> None:
    parts = (Weight(assessment="quiz", weight=1), Weight(assessment="lab", weight=1))
    lane = lane_with(mean=Weighted(parts=parts, at_least=600_000))
    lane.send(completion("r-1", at=1, score=40), completion("r-2", at=2, score=90))
    assert lane.holds() == set()
    granted = lane.send(completion("r-3", at=3, score=30, assessment="lab"))
    assert outcomes(granted)["mean"].attained_at == EPOCH_START + 3


def test_a_claim_pins_everything_that_the_credential_will_say() -> None:
    lane = lane_with(passed=PASS)
    decided = lane.send(completion(score=80, at=5, event_id="e-9", evidence_url="https://college.example/1"))
    [claim] = lane.claims
    place = status_place(b"s" * 32, PROGRAMME, "e1", 0, 0)
    assert claim.credential_id == credential_uuid(b"c" * 32, PROGRAMME, LEARNER, "passed", 1, 1)
    assert (claim.status_list, claim.status_index) == (f"{BASE_URL}/status/{PROGRAMME}/e1/0/0", place.index)
    assert (claim.claim_no, claim.award, claim.edition, claim.key_id) == (0, 1, 1, "credentials-1")
    assert (claim.awarded_at, claim.claimed_at) == (EPOCH_START + 5, lane.now)
    assert (claim.event_id, claim.decision_no, claim.caused_at) == ("e-9", decided.decision_no, lane.now)
    assert claim.catalogue_digest == decided.catalogue_digest
    assert isinstance(claim.body, ClaimBody)
    assert claim.body.subject_id == subject_id(b"c" * 32, claim.credential_id)
    assert [(r.result_id, r.score, r.evidence_url) for r in claim.body.results] == [
        ("r-1", 80_000_000, "https://college.example/1")
    ]
    [outcome] = outcomes(decided).values()
    assert (outcome.credential_id, outcome.rule_digest) == (claim.credential_id, claim.rule_digest)
    assert (outcome.award, outcome.edition, outcome.attained_at) == (1, 1, EPOCH_START + 5)


@pytest.mark.fault("E3")
def test_the_same_attainment_through_another_result_is_already_held() -> None:
    lane = lane_with(passed=PASS)
    lane.send(completion("r-1", at=5))
    decided = lane.send(completion("r-2", at=3, score=100))
    assert verdicts(decided) == {"passed": Verdict.ALREADY_HELD}
    assert outcomes(decided)["passed"].attained_at == EPOCH_START + 3
    assert len(lane.claims) == 1


@pytest.mark.fault("C2")
def test_the_clock_never_goes_back_and_never_runs_ahead_of_what_the_gateway_saw() -> None:
    lane = lane_with(passed=PASS)
    start = lane.now
    lane.now = start + 10 * DAY  # the broker's clock is wrong
    assert lane.send(completion("r-1", received_at=start)).decided_at == start + 300_000_000
    lane.now = start - DAY
    assert lane.send(completion("r-2", received_at=start)).decided_at == start + 300_000_000


def test_a_correction_downwards_revokes_and_one_upwards_is_a_new_award() -> None:
    lane = lane_with(passed=PASS)
    lane.send(completion(score=80))
    down = lane.send(completion(score=60, revision=1, kind=ResultKind.CORRECTED))
    assert verdicts(down) == {"passed": Verdict.REGRESSED}
    [revoked] = revocations(lane)
    assert (revoked.credential_id, revoked.status) == (lane.claims[0].credential_id, CredentialStatus.REVOKED)
    assert (revoked.reason, revoked.cause) == (StatusReason.EVIDENCE_CORRECTED, down.event_id)
    up = lane.send(completion(score=90, revision=2, kind=ResultKind.CORRECTED))
    assert verdicts(up) == {"passed": Verdict.GRANTED}
    assert [claim.award for claim in lane.claims] == [1, 2]
    assert len({claim.credential_id for claim in lane.claims}) == 2


@pytest.mark.fault("E4")
def test_a_correction_or_retraction_may_come_before_its_original() -> None:
    lane = lane_with(passed=PASS)
    lane.send(completion(revision=1, kind=ResultKind.RETRACTED))
    assert lane.send(completion()).disposition is Disposition.OUTRANKED
    assert lane.holds() == set()


def test_two_contents_of_one_revision_leave_one_standing_and_a_word_for_the_reviewer() -> None:
    sent = completion(score=80, event_id="e-1"), completion(score=90, event_id="e-2")
    stands = set()
    for order in (sent, sent[::-1]):
        lane = lane_with(passed=PASS)
        decided = lane.send(*order)
        assert detail(decided) == "two contents of revision 0: the one with the larger digest stands; for review"
        stands.add(lane.progress().results["college\0r-1"].score)
    assert len(stands) == 1


def test_the_same_content_under_another_event_id_is_known() -> None:
    lane = lane_with(passed=PASS)
    lane.send(completion(event_id="e-1"))
    assert lane.send(completion(event_id="e-2")).disposition is Disposition.KNOWN
    assert lane.send(completion(event_id="e-2")).disposition is Disposition.KNOWN


def test_a_correction_to_another_assessment_is_looked_at_by_the_rules_of_both() -> None:
    lane = lane_with(quiz=Result(assessment="quiz"), lab=Result(assessment="lab"))
    lane.send(completion())
    moved = lane.send(completion(revision=1, kind=ResultKind.CORRECTED, assessment="lab"))
    assert verdicts(moved) == {"quiz": Verdict.REGRESSED, "lab": Verdict.GRANTED}


def test_a_stack_is_granted_with_its_last_block_and_lost_with_any() -> None:
    lane = lane_with(**STACK)
    lane.send(completion("r-lab", assessment="lab", at=1))
    granted = lane.send(completion("r-quiz", at=2))
    assert verdicts(granted) == {"block": Verdict.GRANTED, "top": Verdict.GRANTED}
    assert [(c.achievement, c.awarded_at - EPOCH_START) for c in lane.claims] == [("block", 2), ("top", 2)]
    lost = lane.send(completion("r-quiz", at=2, revision=1, kind=ResultKind.RETRACTED))
    assert verdicts(lost) == {"block": Verdict.REGRESSED, "top": Verdict.REGRESSED}
    assert [r.reason for r in revocations(lane)] == [
        StatusReason.EVIDENCE_CORRECTED,
        StatusReason.BUILDING_BLOCK_LOST,
    ]


def test_what_staff_revoke_stays_revoked_and_takes_with_it_what_was_built_on_it() -> None:
    lane = lane_with(**STACK)
    lane.send(completion("r-lab", assessment="lab"), completion("r-quiz"))
    block, top = lane.claims
    decided = lane.revoke(block.credential_id, urgent=True)
    assert (decided.disposition, verdicts(decided)) == (Disposition.APPLIED, {"top": Verdict.REGRESSED})
    assert [(r.credential_id, r.reason, r.urgent) for r in revocations(lane)] == [
        (block.credential_id, StatusReason.MISCONDUCT, True),
        (top.credential_id, StatusReason.BUILDING_BLOCK_LOST, False),
    ]
    more = lane.send(completion("r-again", score=100))
    assert verdicts(more) == {"block": Verdict.WITHHELD, "top": Verdict.NOT_YET}
    assert lane.holds() == set()


@pytest.mark.fault("E20")
def test_staff_may_revoke_twice_but_never_what_does_not_exist() -> None:
    lane = lane_with(passed=PASS)
    lane.send(completion())
    [claim] = lane.claims
    assert lane.revoke("00000000-0000-8000-8000-000000000000").disposition is Disposition.REFUSED
    assert lane.revoke(claim.credential_id).disposition is Disposition.APPLIED
    assert lane.revoke(claim.credential_id).disposition is Disposition.KNOWN
    assert len(revocations(lane)) == 1


def test_it_makes_no_difference_whether_staff_or_a_correction_revoke_first() -> None:
    down = completion(score=10, revision=1, kind=ResultKind.CORRECTED)
    up = completion(score=90, revision=2, kind=ResultKind.CORRECTED)
    for staff_first in (True, False):
        lane = lane_with(passed=PASS)
        lane.send(completion())
        [claim] = lane.claims
        if staff_first:
            lane.revoke(claim.credential_id)
        lane.send(down)
        if not staff_first:
            assert lane.revoke(claim.credential_id).disposition is Disposition.APPLIED
        assert verdicts(lane.send(up)) == {"passed": Verdict.WITHHELD}
        assert len(revocations(lane)) == 1


def test_an_earlier_award_that_its_rule_revoked_is_known_to_be_revoked() -> None:
    lane = lane_with(passed=PASS)
    lane.send(completion(), completion(score=10, revision=1), completion(score=90, revision=2))
    first, second = lane.claims
    assert lane.revoke(first.credential_id).disposition is Disposition.KNOWN
    assert lane.holds() == {"passed"}
    assert lane.revoke(second.credential_id).disposition is Disposition.APPLIED


@pytest.mark.fault("L1")
def test_the_next_status_list_is_opened_when_one_is_half_full() -> None:
    lane = lane_with(passed=PASS)
    numbers = lane.ledger.programmes[PROGRAMME]
    nearly = ProgrammeNumbers(numbers.adoptions, LIST_LENGTH // 2 - 1, numbers.lists)
    lane.ledger = type(lane.ledger)(0, lane.ledger.clock, lane.ledger.next_decision, {PROGRAMME: nearly})
    lane.send(completion(), completion(score=10, revision=1), completion(score=90, revision=2))
    opened = [status for status in lane.statuses if isinstance(status, StatusListOpened)]
    assert [(o.list_number, o.decision_no, o.status_list[-2:]) for o in opened] == [(0, 0, "/0"), (1, 0, "/1")]
    assert {claim.status_list[-2:] for claim in lane.claims} == {"/0"}
    [revoked] = revocations(lane)
    assert (revoked.status_list[-2:], revoked.decision_no) == ("/0", 1)


def test_learners_share_numbers_and_nothing_else() -> None:
    lane = lane_with(passed=PASS)
    lane.send(completion(), completion(learner_ref="ab" * 16))
    assert [(c.claim_no, c.learner_ref) for c in lane.claims] == [(0, LEARNER), (1, "ab" * 16)]
    assert len({c.credential_id for c in lane.claims}) == 2
    assert lane.holds() == lane.holds("ab" * 16) == {"passed"}
