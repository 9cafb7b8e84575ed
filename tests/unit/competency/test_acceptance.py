"""Which inbox records count, and for which reason the others are set aside."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from support.competency import (
    DAY,
    EPOCH_START,
    LEARNER,
    PROGRAMME,
    CompetencyLane,
    catalogue,
    completion,
    learner_in,
    outcomes,
)

from schemas import codec
from schemas.catalogue import Assessment
from schemas.errors import MalformedError, QuarantineReason
from schemas.events import POINT, AssessmentCompleted, CompletionBody, Disposition, ResultKind
from schemas.ids import learner_key
from schemas.rules import Result
from services.competency.progress import Progress, Standing, check_room, observe

RULES = {"passed": Result(assessment="quiz", at_least=700_000)}
ASSESSMENTS = ("quiz", Assessment(id="lab", name="Lab", providers=("employer",), accepted_late_days=90))


@pytest.fixture
def lane() -> CompetencyLane:
    lane = CompetencyLane()
    lane.adopt(catalogue(RULES, ASSESSMENTS))
    return lane


@pytest.mark.fault("E15", "E16")
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"programme": "elsewhere"}, QuarantineReason.UNKNOWN_PROGRAMME),
        ({"provider": "stranger"}, QuarantineReason.UNKNOWN_PROVIDER),
        ({"assessment": "exam"}, QuarantineReason.UNKNOWN_ASSESSMENT),
        ({"assessment": "lab"}, QuarantineReason.NOT_ALLOWED),
        ({"score_max": 50 * POINT}, QuarantineReason.INVALID_VALUE),
        ({"score_max": None}, QuarantineReason.INVALID_VALUE),
        ({"revision": -1}, QuarantineReason.INVALID_VALUE),
        ({"completed_at": -1}, QuarantineReason.INVALID_VALUE),
        ({"result_id": "r" * 201}, QuarantineReason.INVALID_VALUE),
        ({"completed_at": EPOCH_START + 365 * DAY + 300_000_001}, QuarantineReason.FUTURE_DATED),
    ],
    ids=str,
)
def test_what_does_not_count_is_set_aside_for_its_own_reason(
    lane: CompetencyLane, fields: dict[str, Any], reason: QuarantineReason
) -> None:
    assert lane.refused(completion(**fields)) is reason
    assert lane.progress().results == {}


@pytest.mark.fault("E5")
def test_a_clock_that_runs_five_minutes_ahead_is_forgiven(lane: CompetencyLane) -> None:
    assert lane.send(completion(at=365 * DAY + 300_000_000)).disposition is Disposition.RECORDED


def test_a_record_counts_only_under_its_own_key_and_in_its_own_lane() -> None:
    lane = CompetencyLane(lanes=4, lane=2)
    lane.adopt(catalogue(RULES, ASSESSMENTS))
    at_home = completion(learner_ref=learner_in(2, lanes=4))
    assert lane.refused(completion(learner_ref=learner_in(3, lanes=4))) is QuarantineReason.WRONG_LANE
    with pytest.raises(MalformedError, match="wrong_lane"):
        lane.take(codec.encode(at_home), learner_key(PROGRAMME, LEARNER))
    assert lane.send(at_home).disposition is Disposition.RECORDED


@pytest.mark.fault("E7", "E13")
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, QuarantineReason.TOMBSTONE),
        (b"", QuarantineReason.MALFORMED),
        (codec.encode(completion())[:-1], QuarantineReason.MALFORMED),
        (codec.encode(completion()) + b"\0", QuarantineReason.MALFORMED),
        (b"\0\0\0\0\x04" + codec.encode(completion())[5:], QuarantineReason.UNKNOWN_SCHEMA),
        (codec.encode(completion(site="s" * 20_000)), QuarantineReason.TOO_LARGE),
        (codec.encode(completion(site="a\u202eb")), QuarantineReason.INVALID_VALUE),
    ],
    ids=["tombstone", "empty", "truncated", "bytes to spare", "another schema", "20 kB", "reversed text"],
)
def test_bytes_that_are_no_completion_are_set_aside(
    lane: CompetencyLane, value: bytes | None, reason: QuarantineReason
) -> None:
    with pytest.raises(MalformedError) as raised:
        lane.take(value, learner_key(PROGRAMME, LEARNER))
    assert raised.value.reason is reason


def test_a_sealed_completion_is_set_aside_while_none_can_be_opened(lane: CompetencyLane) -> None:
    sealed = msgspec.structs.replace(completion(), sealed_with="key-1", body=b"ciphertext")
    assert lane.refused(sealed) is QuarantineReason.INVALID_VALUE


def test_an_event_id_with_another_content_is_a_conflict_and_the_first_stands(lane: CompetencyLane) -> None:
    lane.send(completion(score=80, event_id="e-1"))
    before = lane.progress()
    assert lane.refused(completion(score=90, event_id="e-1")) is QuarantineReason.EVENT_ID_CONFLICT
    assert lane.refused(completion("r-2", score=80, event_id="e-1")) is QuarantineReason.EVENT_ID_CONFLICT
    assert lane.progress() == before


def test_event_ids_are_a_providers_own(lane: CompetencyLane) -> None:
    lane.send(completion(event_id="1"))
    assert lane.send(completion(event_id="1", provider="employer", score=60)).disposition is Disposition.RECORDED


def test_a_redelivered_event_is_known_and_decides_nothing(lane: CompetencyLane) -> None:
    lane.send(completion())
    before = lane.progress()
    again = lane.send(completion(received_at=EPOCH_START + 366 * DAY, correlation="retry"))
    assert (again.disposition, outcomes(again)) == (Disposition.KNOWN, {})
    assert lane.progress() == before
    assert len(lane.claims) == 1


@pytest.mark.fault("E22")
def test_a_learner_is_full_at_some_point_and_can_still_be_corrected(lane: CompetencyLane) -> None:
    url = "https://college.example/" + "e" * 1_900
    sent = 0

    def fill() -> None:
        nonlocal sent
        for sent in range(1_000):
            lane.send(completion(f"r-{sent:04d}", evidence_url=url))

    with pytest.raises(MalformedError, match="learner_full"):
        fill()
    assert 100 < sent < 140
    assert len(lane.state[learner_key(PROGRAMME, LEARNER)]) <= 256 * 1024
    retracted = lane.send(completion("r-0000", kind=ResultKind.RETRACTED, revision=1))
    assert retracted.disposition is Disposition.RECORDED


def test_staff_can_always_revoke_and_a_provider_always_retract_however_full_a_learner_is(lane: CompetencyLane) -> None:
    def size() -> int:
        return len(lane.state[learner_key(PROGRAMME, LEARNER)])

    url, cost, sent = "https://college.example/" + "e" * 1_900, 0, 0
    lane.send(completion("r-last", evidence_url=url))
    while size() + 2 * cost <= 256 * 1024:
        before = size()
        lane.send(completion(f"r-{sent:04d}", evidence_url=url))
        cost, sent = size() - before, sent + 1
    for left in ((256 * 1024 - size()) // 2, 0):  # the last two fill it to the byte
        more = 256 * 1024 - size() - left - cost
        lane.send(completion(f"r-{sent:04d}", evidence_url=url[:more] if more < 0 else url))
        sent += 1
    assert size() == 256 * 1024
    assert lane.revoke(lane.claims[0].credential_id).disposition is Disposition.APPLIED
    assert size() > 256 * 1024
    assert lane.refused(completion("r-more")) is QuarantineReason.LEARNER_FULL
    retracted = completion("r-last", kind=ResultKind.RETRACTED, revision=1, event_id="e" * 200)
    assert lane.send(retracted).disposition is Disposition.RECORDED


@pytest.mark.fault("E22")
def test_a_learner_has_ten_thousand_results_at_most() -> None:
    one = Standing(0, b"12345678", False, "a", 0)  # noqa: FBT003
    full = Progress({str(n): one for n in range(10_000)}, {}, b"", {})
    check_room(full, b"1", None)
    over = Progress({**full.results, "more": one}, {}, b"", {})
    check_room(over, b"1", b"12")
    with pytest.raises(MalformedError, match="learner_full"):
        check_room(over, b"12", b"1")


@pytest.mark.fault("E11")
def test_bytes_of_other_events_are_not_taken_for_an_event() -> None:
    event = hashlib.sha256(b"college\0r-1/0").digest()[:12]
    elsewhere = Progress({}, {}, b"1234" + event + b"5678", {})
    made = completion()
    assert isinstance(made.body, CompletionBody)
    seen = observe(elsewhere, made, made.body, late=False)
    assert seen.disposition is Disposition.RECORDED
    assert observe(seen.progress, made, made.body, late=False).disposition is Disposition.KNOWN


def late(days: int, **fields: Any) -> AssessmentCompleted:
    return completion(assessment="lab", provider="employer", at=(365 - days) * DAY, **fields)


@pytest.mark.fault("E5", "E23")
def test_a_result_later_than_accepted_awaits_a_review_and_does_not_count(lane: CompetencyLane) -> None:
    assert lane.send(late(90, result_id="in-time")).disposition is Disposition.RECORDED
    decided = lane.send(late(91, result_id="late"))
    assert (decided.disposition, outcomes(decided)) == (Disposition.AWAITING_REVIEW, {})
    assert not isinstance(decided.body, bytes)
    assert decided.body.detail == "it came 91 days after the assessment; more than 90 await a review"
    assert list(lane.progress().results) == ["employer\0in-time"]
    assert list(lane.progress().awaiting) == ["employer\0late"]
    assert lane.send(late(91, result_id="late")).disposition is Disposition.KNOWN


def test_a_retraction_is_never_late(lane: CompetencyLane) -> None:
    lane.send(late(10))
    lane.now += 300 * DAY
    retracted = late(10, kind=ResultKind.RETRACTED, revision=1, received_at=lane.now)
    assert lane.send(retracted).disposition is Disposition.RECORDED
    assert lane.progress().results["employer\0r-1"].retracted


def test_how_late_a_result_is_counts_to_when_the_gateway_took_it_in(lane: CompetencyLane) -> None:
    lane.now += 300 * DAY  # the pipe stood still
    assert lane.send(late(10, received_at=EPOCH_START + 365 * DAY)).disposition is Disposition.RECORDED
