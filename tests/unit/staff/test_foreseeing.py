"""What staff are shown before they decide is what competency then decides; and what waits for them, with its reasons."""

from __future__ import annotations

import pytest
from support.competency import DAY, EPOCH_START, LEARNER, PROGRAMME, CompetencyLane, catalogue, completion

from credstream.learners import LaneKept
from credstream.staff.foreseeing import Effect, Foresight, changes
from credstream.staff.waiting import Waiting, waiting_of
from schemas.catalogue import Assessment, canonical
from schemas.events import (
    AwardRequested,
    Losses,
    Micros,
    RecognitionBody,
    ReevaluationRequested,
    ReissueRequested,
    ResultKind,
    ReviewAnswer,
    ReviewDecided,
    StatusAction,
    StatusReason,
    StatusRequested,
)
from schemas.ids import content_digest
from schemas.rules import Holds, Result, Rule
from services.competency.ledger import Naming
from services.competency.progress import Progress
from services.competency.requests import Request

EASY, HARD = Result(assessment="quiz", at_least=500_000), Result(assessment="quiz", at_least=900_000)
STRICTLY_ON_TIME = Assessment(id="quiz", name="quiz", providers=("college",), accepted_late_days=30)


def seen(lane: CompetencyLane) -> Foresight:
    own = {key: value for key, value in lane.state.items() if key.startswith(b"\x00")}
    naming = Naming(credential_secret=b"c" * 32, status_secret=b"s" * 32, epoch="e1")
    return Foresight(PROGRAMME, LaneKept(lane=0, own=own), naming, lane.now)


def waiting(lane: CompetencyLane) -> list[Waiting]:
    return list(waiting_of(seen(lane), PROGRAMME, LEARNER, lane.progress()))


def request(lane: CompetencyLane, kind: type[Request], **about: object) -> Request:
    common = {"request_id": f"request-{lane.offset}", "programme": PROGRAMME, "learner_ref": LEARNER}
    return kind(**common, requested_by="sam", requested_at=lane.now, **about)  # type: ignore[arg-type]


def staffed() -> CompetencyLane:
    """A learner with a block, what is built with it, an award in review, and a late result."""
    lane = CompetencyLane()
    lane.adopt(
        catalogue(
            {
                "block": EASY,
                "stack": Holds(achievement="block"),
                "asked": Rule(requires=Result(assessment="lab", passed=True), on_loss="ask"),
                "prior": HARD,
            },
            [STRICTLY_ON_TIME, Assessment(id="lab", name="lab", providers=("college",), accepted_late_days=None)],
        )
    )
    lane.send(completion("r-1", at=360 * DAY), completion("r-late", score=100))
    lane.send(completion("l-1", assessment="lab", score=None, passed=True))
    lane.send(completion("l-1", assessment="lab", score=None, passed=False, revision=1, kind=ResultKind.CORRECTED))
    return lane


def requests(lane: CompetencyLane) -> dict[str, Request]:
    awards = lane.progress().awards
    status = {"reason": StatusReason.MISCONDUCT}
    return {
        "suspend": request(
            lane, StatusRequested, credential_id=awards["block"].credential_id, action=StatusAction.SUSPEND, **status
        ),
        "revoke": request(
            lane, StatusRequested, credential_id=awards["block"].credential_id, action=StatusAction.REVOKE, **status
        ),
        "award": request(
            lane, AwardRequested, achievement="prior", attained_at=EPOCH_START, body=RecognitionBody(narrative="Seen")
        ),
        "accept": request(lane, ReviewDecided, answer=ReviewAnswer.ACCEPT, provider="college", result_id="r-late"),
        "keep": request(lane, ReviewDecided, answer=ReviewAnswer.KEEP, credential_id=awards["asked"].credential_id),
        "reissue": request(
            lane, ReissueRequested, credential_id=awards["stack"].credential_id, reason=StatusReason.SUPERSEDED
        ),
        "judge": request(
            lane,
            ReevaluationRequested,
            achievement="block",
            rule_digest=content_digest(canonical(Rule(requires=EASY))),
            since=0,
            losses=Losses.KEEP,
        ),
    }


@pytest.mark.parametrize("name", ["suspend", "revoke", "award", "accept", "keep", "reissue", "judge"])
def test_what_is_foreseen_is_what_is_decided(name: str) -> None:
    lane = staffed()
    asked = requests(lane)[name]
    foreseen = seen(lane).after(lane.progress(), [asked])
    lane.ask(asked)
    assert lane.progress() == foreseen


def test_nothing_is_decided_by_looking() -> None:
    lane = staffed()
    state, outputs = dict(lane.state), len(lane.outputs)
    waiting(lane)
    assert (lane.state, len(lane.outputs)) == (state, outputs)


def test_a_late_result_waits_with_its_age_and_what_accepting_it_would_grant() -> None:
    late = next(one for one in waiting(staffed()) if one.kind == "late result")
    assert (late.about, late.provider, late.result_id) == ("quiz", "college", "r-late")
    assert (late.says, late.accepted_late_days, late.days_old(EPOCH_START + 365 * DAY)) == ("100 of 100", 30, 365)
    assert [(c.achievement, c.effect) for c in late.answers[ReviewAnswer.ACCEPT]] == [("prior", Effect.GRANTED)]
    assert late.answers[ReviewAnswer.REJECT] == ()


def test_an_award_in_review_waits_with_what_its_rule_misses() -> None:
    lost = next(one for one in waiting(staffed()) if one.kind == "lost evidence")
    assert lost.about == "asked"
    assert lost.explanation is not None
    assert '"met":false' in lost.explanation
    assert {answer: [c.effect for c in found] for answer, found in lost.answers.items()} == {
        ReviewAnswer.KEEP: [Effect.KEPT],
        ReviewAnswer.SUSPEND: [Effect.SUSPENDED],
        ReviewAnswer.REVOKE: [Effect.REVOKED],
    }


def test_what_was_decided_waits_no_longer() -> None:
    lane = staffed()
    names = {one.kind: one.names() for one in waiting(lane)}
    lane.asks(ReviewDecided, answer=ReviewAnswer.REJECT, **names["late result"])
    lane.asks(ReviewDecided, answer=ReviewAnswer.KEEP, **names["lost evidence"])
    assert waiting(lane) == []


def test_a_name_in_the_queue_stays_while_the_result_waits() -> None:
    lane = staffed()
    before = {one.id for one in waiting(lane)}
    lane.send(completion("r-2", at=361 * DAY))
    assert {one.id for one in waiting(lane)} == before
    assert len(before) == 2


def test_a_stack_changes_with_its_block() -> None:
    lane = staffed()
    before: Progress = lane.progress()
    found = list(changes(before, seen(lane).after(before, [requests(lane)["suspend"]])))
    assert [(c.achievement, c.effect) for c in found] == [("block", Effect.SUSPENDED), ("stack", Effect.SUSPENDED)]


def test_a_new_edition_is_told() -> None:
    lane = staffed()
    found = list(changes(lane.progress(), seen(lane).after(lane.progress(), [requests(lane)["reissue"]])))
    assert [(c.achievement, c.effect) for c in found] == [("stack", Effect.REISSUED)]


def test_no_change_is_none() -> None:
    lane, now = staffed(), Micros(0)
    assert list(changes(lane.progress(), lane.progress())) == []
    assert seen(lane).now > now
