"""What becomes of awards: renewed, repeated, lost by policy, suspended with their blocks, recognised, reviewed, judged anew."""

from __future__ import annotations

import msgspec
import pytest
from support.competency import DAY, EPOCH_START, CompetencyLane, catalogue, completion, outcomes

from credstream.staff.rejudging import Wrong, reinstated_under
from schemas.catalogue import Assessment, Catalogue, canonical
from schemas.events import (
    AssessmentCompleted,
    AwardRequested,
    CredentialStatus,
    Disposition,
    IdentityHash,
    LearnerProfiled,
    Losses,
    ProfileBody,
    RecognitionBody,
    ReevaluationRequested,
    ReissueRequested,
    ResultKind,
    ReviewAnswer,
    ReviewDecided,
    StatusAction,
    StatusDecided,
    StatusReason,
    Verdict,
)
from schemas.ids import content_digest
from schemas.rules import All, Count, Holds, Level, Renewal, Result, Rule, Span, Validity
from services.competency.reasons import render

PASS = Result(assessment="quiz", at_least=500_000)
STRICT = Result(assessment="quiz", at_least=900_000)
YEAR = Validity(months=12)
ANNUAL = Rule(requires=Count(number=2, assessments=("quiz",)), validity=YEAR, renewal=Renewal(requires=PASS))


def lane_with(**rules: Rule) -> CompetencyLane:
    lane = CompetencyLane()
    lane.adopt(catalogue(rules))
    return lane


def retracted(result_id: str = "r-1", at: int = 0) -> AssessmentCompleted:
    return completion(result_id, at=at, score=None, kind=ResultKind.RETRACTED, revision=1)


def changes(lane: CompetencyLane) -> list[tuple[str, CredentialStatus]]:
    return [(s.credential_id, s.status) for s in lane.statuses if isinstance(s, StatusDecided)]


def digest(rule: Rule) -> str:
    return content_digest(canonical(rule))


def test_a_renewal_is_an_award_of_its_own_that_lasts_from_the_end_of_the_one_before() -> None:
    lane = lane_with(annual=ANNUAL)
    lane.send(completion("r-1"), completion("r-2", at=DAY), completion("r-3", at=200 * DAY))
    first, second = lane.claims
    assert (first.award, second.award) == (1, 2)
    assert first.valid_until is not None
    assert second.valid_until is not None
    assert second.awarded_at == EPOCH_START + 200 * DAY
    assert second.valid_until - first.valid_until in {365 * DAY, 366 * DAY}
    assert changes(lane) == []


def test_a_retracted_renewal_takes_the_renewal_alone() -> None:
    lane = lane_with(annual=ANNUAL)
    lane.send(completion("r-1"), completion("r-2", at=DAY), completion("r-3", at=200 * DAY))
    lane.send(retracted("r-3", at=200 * DAY))
    assert changes(lane) == [(lane.claims[1].credential_id, CredentialStatus.REVOKED)]
    assert lane.holds() == {"annual"}
    assert lane.send(completion("r-4", at=201 * DAY)).disposition is Disposition.RECORDED
    assert [claim.award for claim in lane.claims] == [1, 2, 3]


def test_of_repeated_awards_the_one_is_lost_whose_evidence_is() -> None:
    lane = lane_with(again=Rule(requires=PASS, repeatable=True))
    lane.send(completion("r-1"), completion("r-2", at=DAY), completion("r-3", at=2 * DAY))
    lane.send(retracted("r-1"))
    assert changes(lane) == [(lane.claims[0].credential_id, CredentialStatus.REVOKED)]


def test_staff_may_revoke_an_earlier_award_and_the_others_stay() -> None:
    lane = lane_with(again=Rule(requires=PASS, repeatable=True))
    lane.send(completion("r-1"), completion("r-2", at=DAY))
    assert lane.revoke(lane.claims[0].credential_id).disposition is Disposition.APPLIED
    lane.send(completion("r-3", at=2 * DAY))
    assert [claim.award for claim in lane.claims] == [1, 2, 3]
    assert lane.revoke(lane.claims[0].credential_id).disposition is Disposition.KNOWN


def test_what_staff_revoked_is_not_renewed() -> None:
    lane = lane_with(annual=ANNUAL)
    lane.send(completion("r-1"), completion("r-2", at=DAY))
    lane.revoke(lane.claims[0].credential_id)
    decided = lane.send(completion("r-3", at=200 * DAY))
    assert outcomes(decided)["annual"].verdict is Verdict.WITHHELD
    assert len(lane.claims) == 1


@pytest.mark.parametrize(
    ("policy", "verdict", "status"),
    [
        ("revoke", Verdict.REGRESSED, [CredentialStatus.REVOKED]),
        ("suspend", Verdict.SUSPENDED, [CredentialStatus.SUSPENDED]),
        ("keep", Verdict.KEPT, []),
        ("ask", Verdict.REVIEW, []),
    ],
)
def test_lost_evidence_follows_the_policy_and_says_so(
    policy: str, verdict: Verdict, status: list[CredentialStatus]
) -> None:
    lane = lane_with(a=Rule(requires=PASS, on_loss=policy))  # type: ignore[arg-type]
    lane.send(completion())
    decided = lane.send(retracted())
    assert outcomes(decided)["a"].verdict is verdict
    assert [one for _, one in changes(lane)] == status


def test_what_was_suspended_is_reinstated_with_the_same_credential() -> None:
    lane = lane_with(a=Rule(requires=PASS, on_loss="suspend"))
    lane.send(completion())
    lane.send(retracted())
    assert lane.holds() == set()
    decided = lane.send(completion("r-2", at=DAY))
    assert outcomes(decided)["a"].verdict is Verdict.REINSTATED
    assert [status for _, status in changes(lane)] == [CredentialStatus.SUSPENDED, CredentialStatus.REINSTATED]
    assert len(lane.claims) == 1
    assert lane.holds() == {"a"}


def test_what_is_built_with_a_suspended_block_is_suspended_and_reinstated_with_it() -> None:
    lane = lane_with(block=Rule(requires=PASS), top=Rule(requires=Holds(achievement="block"), on_loss="revoke"))
    lane.send(completion())
    block, top = (claim.credential_id for claim in lane.claims)
    suspended = lane.revoke(block, action=StatusAction.SUSPEND)
    assert outcomes(suspended)["top"].verdict is Verdict.SUSPENDED
    assert lane.holds() == set()
    lane.revoke(block, action=StatusAction.REINSTATE)
    assert lane.holds() == {"block", "top"}
    wanted = [CredentialStatus.SUSPENDED, CredentialStatus.SUSPENDED] + [CredentialStatus.REINSTATED] * 2
    assert changes(lane) == list(zip([block, top, block, top], wanted, strict=True))


def test_what_is_suspended_with_its_block_says_that_the_block_is_what_it_lacks() -> None:
    lane = lane_with(block=Rule(requires=PASS, on_loss="suspend"), top=Rule(requires=Holds(achievement="block")))
    lane.send(completion())
    suspended = outcomes(lane.send(retracted()))["top"]
    later = outcomes(lane.send(completion("r-2", at=DAY, score=10)))["top"]
    for outcome in (suspended, later):
        assert outcome.verdict is Verdict.SUSPENDED
        assert render(outcome.explanation) == ["✗ the achievement block is still needed"]


def test_keeping_what_a_re_evaluation_does_not_confirm_puts_nothing_in_force_that_was_suspended() -> None:
    merit = Level(name="merit", requires=STRICT)
    block = Rule(requires=PASS, attained="standing", on_loss="suspend", levels=(merit,))
    top = Rule(requires=Holds(achievement="block", levels=("merit",)))
    lane = lane_with(block=block, top=top)
    lane.send(completion(score=95))
    lane.send(completion(score=40, kind=ResultKind.CORRECTED, revision=1))
    assert lane.holds() == set()
    easy = msgspec.structs.replace(block, requires=Result(assessment="quiz", at_least=300_000))
    lane.now += DAY
    lane.adopt(catalogue({"block": easy, "top": top}))
    asked = {"achievement": "block", "rule_digest": digest(easy), "since": 0}
    decided = lane.asks(ReevaluationRequested, losses=Losses.KEEP, **asked)
    assert outcomes(decided)["block"].verdict is Verdict.REINSTATED
    assert lane.holds() == {"block"}
    wrong = Wrong(rules={digest(easy): "block"})
    assert reinstated_under(lane.decided, wrong) == {lane.claims[0].credential_id: digest(easy)}
    assert reinstated_under(lane.decided, Wrong(rules={digest(block): "block"})) == {}


def test_nothing_new_is_granted_by_a_suspended_block() -> None:
    top = Rule(requires=All(of=(Holds(achievement="block"), Result(assessment="lab"))))
    lane = lane_with(block=Rule(requires=PASS), top=top)
    lane.send(completion())
    block = lane.claims[0].credential_id
    lane.revoke(block, action=StatusAction.SUSPEND)
    lane.send(completion("r-2", at=DAY, assessment="lab"))
    assert len(lane.claims) == 1
    lane.revoke(block, action=StatusAction.REINSTATE)
    assert lane.holds() == {"block", "top"}


def test_suspension_by_staff_and_by_the_rule_end_each_by_itself() -> None:
    lane = lane_with(a=Rule(requires=PASS, on_loss="suspend"))
    lane.send(completion())
    credential = lane.claims[0].credential_id
    lane.revoke(credential, action=StatusAction.SUSPEND)
    lane.send(retracted())
    assert lane.revoke(credential, action=StatusAction.REINSTATE).disposition is Disposition.APPLIED
    assert lane.holds() == set()
    lane.send(completion("r-2", at=DAY))
    assert lane.holds() == {"a"}
    assert [status for _, status in changes(lane)] == [CredentialStatus.SUSPENDED, CredentialStatus.REINSTATED]


@pytest.mark.fault("E20")
def test_a_revocation_is_final_for_suspend_and_reinstate() -> None:
    lane = lane_with(a=Rule(requires=PASS))
    lane.send(completion())
    credential = lane.claims[0].credential_id
    lane.revoke(credential)
    for action in (StatusAction.SUSPEND, StatusAction.REINSTATE):
        assert lane.revoke(credential, action=action).disposition is Disposition.REFUSED


@pytest.mark.parametrize(
    ("answer", "holds"), [(ReviewAnswer.KEEP, {"a"}), (ReviewAnswer.SUSPEND, set()), (ReviewAnswer.REVOKE, set())]
)
def test_a_person_decides_what_becomes_of_an_award_in_review(answer: ReviewAnswer, holds: set[str]) -> None:
    lane = lane_with(a=Rule(requires=PASS, on_loss="ask"))
    lane.send(completion())
    lane.send(retracted())
    assert lane.holds() == {"a"}
    credential = lane.claims[0].credential_id
    assert lane.asks(ReviewDecided, answer=answer, credential_id=credential).disposition is Disposition.APPLIED
    assert lane.holds() == holds
    assert lane.asks(ReviewDecided, answer=answer, credential_id=credential).disposition is Disposition.REFUSED


@pytest.mark.fault("E23")
def test_a_late_result_counts_once_a_person_accepts_it_and_never_when_rejected() -> None:
    for answer, holds in ((ReviewAnswer.ACCEPT, {"a"}), (ReviewAnswer.REJECT, set())):
        lane = CompetencyLane()
        late = Assessment(id="quiz", name="Quiz", providers=("college",), accepted_late_days=30)
        lane.adopt(catalogue({"a": PASS}, (late,)))
        assert lane.send(completion()).disposition is Disposition.AWAITING_REVIEW
        asked = {"answer": answer, "provider": "college", "result_id": "r-1"}
        assert lane.asks(ReviewDecided, **asked).disposition is Disposition.APPLIED
        assert lane.holds() == holds
        assert lane.send(completion(event_id="again")).disposition is Disposition.KNOWN
        assert lane.asks(ReviewDecided, **asked).disposition is Disposition.REFUSED


def recognise(lane: CompetencyLane, at: int = 0, **about: object) -> Disposition:
    body = RecognitionBody(narrative="Ten years as a rigger.", evidence_url="https://evidence.example/cv")
    return lane.asks(
        AwardRequested, **{"achievement": "a", "attained_at": EPOCH_START + at, "body": body, **about}
    ).disposition


def test_prior_learning_is_awarded_once_with_its_reasons_and_carries_what_is_built_on_it() -> None:
    lane = lane_with(a=Rule(requires=PASS, validity=YEAR), top=Rule(requires=Holds(achievement="a")))
    assert recognise(lane) is Disposition.APPLIED
    assert lane.holds() == {"a", "top"}
    body = lane.claims[0].body
    assert not isinstance(body, bytes)
    assert body.recognition == RecognitionBody(
        narrative="Ten years as a rigger.", evidence_url="https://evidence.example/cv"
    )
    assert lane.claims[0].valid_until is not None
    assert recognise(lane) is Disposition.KNOWN
    assert recognise(lane, at=DAY) is Disposition.REFUSED
    lane.send(completion("r-1", at=-DAY))
    assert len(lane.claims) == 2
    lane.send(completion("r-1", at=-DAY, score=None, kind=ResultKind.RETRACTED, revision=1))
    assert lane.holds() == {"a", "top"}


def test_what_cannot_be_recognised_is_refused() -> None:
    lane = lane_with(a=Rule(requires=PASS))
    assert recognise(lane, achievement="b") is Disposition.REFUSED
    assert recognise(lane, level="merit") is Disposition.REFUSED
    assert recognise(lane, at=400 * DAY) is Disposition.REFUSED
    lane.send(completion())
    assert recognise(lane) is Disposition.REFUSED
    lane.revoke(lane.claims[0].credential_id)
    assert recognise(lane) is Disposition.REFUSED


def switched(transition: str) -> tuple[CompetencyLane, int]:
    """A lane whose rule became stricter on day 100."""
    lane = CompetencyLane()
    lane.now = EPOCH_START
    lane.adopt(catalogue({"a": PASS}))
    lane.now = EPOCH_START + 100 * DAY
    lane.adopt(with_transition(catalogue({"a": STRICT}), transition))
    lane.now = EPOCH_START + 365 * DAY
    return lane, 100 * DAY


def with_transition(made: Catalogue, transition: str) -> Catalogue:
    achievements = tuple(msgspec.structs.replace(a, transition=transition) for a in made.achievements)
    return msgspec.structs.replace(made, achievements=achievements)


@pytest.mark.parametrize(
    ("transition", "before", "after"),
    [("keep", {"a"}, set()), ("grandfather", {"a"}, {"a"}), ("reevaluate", set(), set())],
)
def test_a_change_means_for_learners_in_progress_what_it_says(
    transition: str, before: set[str], after: set[str]
) -> None:
    lane, changed = switched(transition)
    lane.send(completion("r-1", at=changed - DAY, score=60))
    assert lane.holds() == before
    lane, changed = switched(transition)
    lane.send(completion("r-1", at=changed - DAY, score=40), completion("r-2", at=changed + DAY, score=60))
    assert lane.holds() == after


def test_a_re_evaluation_grants_by_the_new_rule_and_takes_by_policy_or_not_at_all() -> None:
    lane, changed = switched("keep")
    lane.send(completion("r-1", at=changed - DAY, score=60))
    asked = {"achievement": "a", "rule_digest": digest(Rule(requires=STRICT)), "since": 0}
    kept = lane.asks(ReevaluationRequested, losses=Losses.KEEP, **asked)
    assert (kept.disposition, outcomes(kept)["a"].verdict, lane.holds()) == (Disposition.APPLIED, Verdict.KEPT, {"a"})
    assert lane.asks(ReevaluationRequested, losses=Losses.KEEP, **asked).disposition is Disposition.KNOWN
    lane, changed = switched("keep")
    lane.send(completion("r-1", at=changed - DAY, score=60))
    lane.asks(ReevaluationRequested, losses=Losses.POLICY, **asked)
    assert lane.holds() == set()
    unknown = {**asked, "rule_digest": "sha256-0"}
    assert lane.asks(ReevaluationRequested, losses=Losses.POLICY, **unknown).disposition is Disposition.REFUSED


def test_a_re_evaluation_by_an_easier_rule_grants_what_was_missed() -> None:
    lane = CompetencyLane()
    lane.now = EPOCH_START
    lane.adopt(catalogue({"a": STRICT}))
    lane.now = EPOCH_START + 100 * DAY
    lane.adopt(catalogue({"a": PASS}))
    lane.send(completion("r-1", at=DAY, score=60))
    assert lane.holds() == set()
    asked = {"achievement": "a", "rule_digest": digest(Rule(requires=PASS)), "since": 0}
    decided = lane.asks(ReevaluationRequested, losses=Losses.POLICY, **asked)
    assert outcomes(decided)["a"].verdict is Verdict.GRANTED


def test_credentials_carry_the_salted_hashes_of_the_profile_known_then() -> None:
    lane = lane_with(a=Rule(requires=PASS), b=Rule(requires=Result(assessment="lab")))
    lane.send(completion())
    known = IdentityHash(identity_type="emailAddress", salt="b7d1c0f2a94e4d7f", identity_hash=f"sha256${'0' * 64}")
    profiled = LearnerProfiled(
        event_id="profile-1",
        programme="demo",
        learner_ref=lane.claims[0].learner_ref,
        received_at=lane.now,
        body=ProfileBody(identities=(known,)),
    )
    assert lane.ask(profiled).disposition is Disposition.RECORDED
    assert lane.ask(profiled).disposition is Disposition.KNOWN
    lane.send(completion("r-2", assessment="lab"))
    before, after = (claim.body for claim in lane.claims)
    assert not isinstance(before, bytes)
    assert not isinstance(after, bytes)
    assert (before.identities, after.identities) == ((), (known,))


def reissued(lane: CompetencyLane, credential: str) -> Disposition:
    asked = {"credential_id": credential, "reason": StatusReason.KEY_COMPROMISED}
    return lane.asks(ReissueRequested, **asked).disposition


def test_a_new_edition_supersedes_the_old_one_and_the_attainment_stays() -> None:
    lane = lane_with(block=Rule(requires=PASS, validity=YEAR), top=Rule(requires=Holds(achievement="block")))
    lane.send(completion())
    before = lane.claims[0]
    assert reissued(lane, before.credential_id) is Disposition.APPLIED
    after = lane.claims[-1]
    assert (after.award, after.edition, after.supersedes) == (1, 2, before.credential_id)
    assert (after.awarded_at, after.valid_until) == (before.awarded_at, before.valid_until)
    assert not isinstance(before.body, bytes)
    assert not isinstance(after.body, bytes)
    assert after.body.results == before.body.results
    assert changes(lane) == [(before.credential_id, CredentialStatus.REVOKED)]
    assert lane.holds() == {"block", "top"}
    assert reissued(lane, before.credential_id) is Disposition.KNOWN
    assert lane.revoke(before.credential_id).disposition is Disposition.KNOWN
    assert lane.revoke(after.credential_id).disposition is Disposition.APPLIED
    assert reissued(lane, after.credential_id) is Disposition.REFUSED


def test_what_is_suspended_or_kept_is_issued_anew_as_it_is() -> None:
    lane = lane_with(a=Rule(requires=PASS, on_loss="keep"))
    lane.send(completion())
    lane.revoke(lane.claims[0].credential_id, action=StatusAction.SUSPEND)
    lane.send(retracted())
    assert reissued(lane, lane.claims[0].credential_id) is Disposition.APPLIED
    old, new = lane.claims
    assert changes(lane)[1:] == [
        (old.credential_id, CredentialStatus.REVOKED),
        (new.credential_id, CredentialStatus.SUSPENDED),
    ]
    lane.revoke(new.credential_id, action=StatusAction.REINSTATE)
    assert lane.holds() == {"a"}


def test_a_building_block_renewed_lately_is_recent() -> None:
    fresh = Rule(requires=Holds(achievement="annual", recent=Span(months=6)), attained="standing")
    lane = lane_with(annual=ANNUAL, fresh=fresh)
    lane.send(completion("r-1"), completion("r-2", at=DAY), completion("r-3", at=300 * DAY))
    assert lane.holds() == {"annual", "fresh"}
