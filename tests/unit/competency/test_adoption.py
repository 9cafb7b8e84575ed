"""How catalogues take force, and which are refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from support.competency import (
    BASE_URL,
    CATALOGUE_SIGNER,
    DAY,
    EPOCH_START,
    LEARNER,
    OTHER_SIGNER,
    PROGRAMME,
    STAFF_SIGNER,
    CompetencyLane,
    catalogue,
    completion,
    outcomes,
)

from schemas import codec
from schemas.catalogue import Assessment, Catalogue, Key, pack, unpack
from schemas.errors import MalformedError, QuarantineReason
from schemas.events import (
    CatalogueAdopted,
    CompetencyDecided,
    DecisionBody,
    Disposition,
    StatusListOpened,
    StatusReason,
    StatusRequested,
    Verdict,
)
from schemas.events import StatusAction as Action
from schemas.ids import issuer_did, learner_key
from schemas.rules import (
    WHOLE,
    All,
    AtLeast,
    Count,
    Criterion,
    Distinct,
    Expression,
    Holds,
    Nothing,
    Result,
    Rule,
    Span,
    Weight,
    Weighted,
)
from schemas.rules import Any as AnyOf
from schemas.topology import CLAIMED
from services.competency.adoption import catalogue_faults
from services.competency.faults import MAX_DEPTH
from services.signing.jws import sign_detached
from services.signing.keys import LocalSigner

HARD, EASY = Result(assessment="quiz", at_least=800_000), Result(assessment="quiz", at_least=500_000)


def decided(lane: CompetencyLane, adopted: Catalogue, **changes: Any) -> tuple[Disposition, str]:
    events = lane.adopt(adopted, **changes)
    decision = next(event for event in events if isinstance(event, CompetencyDecided))
    assert isinstance(decision.body, DecisionBody)
    return decision.disposition, decision.body.detail or ""


def test_the_first_adoption_opens_a_status_list_and_tells_issuing() -> None:
    lane, first = CompetencyLane(), catalogue({"a": HARD})
    _, opened, forwarded, keys = lane.adopt(first)
    assert isinstance(opened, StatusListOpened)
    assert (opened.status_list, opened.list_number, opened.decision_no) == (f"{BASE_URL}/status/demo/e1/0/0", 0, 0)
    assert (opened.issuer, opened.key_id) == (issuer_did(BASE_URL, PROGRAMME), "status-1")
    assert isinstance(forwarded, CatalogueAdopted)
    assert forwarded.digest == pack(first)[0]
    assert keys == forwarded
    assert [key for topic, key, _ in lane.outputs if topic is CLAIMED] == [PROGRAMME.encode()]
    second = lane.adopt(catalogue({"a": EASY}))
    assert [type(event) for event in second] == [CompetencyDecided, CatalogueAdopted, CatalogueAdopted]


def test_adoptions_are_numbered_from_one_without_gaps() -> None:
    lane, first, second = CompetencyLane(), catalogue({"a": HARD}), catalogue({"a": EASY})
    assert decided(lane, first, adoption_no=2)[0] is Disposition.REFUSED
    assert decided(lane, first, adoption_no=0)[0] is Disposition.REFUSED
    assert decided(lane, first, adoption_no=1) == (Disposition.ADOPTED, "")
    assert decided(lane, first, adoption_no=1) == (Disposition.KNOWN, "")
    assert decided(lane, second, adoption_no=1)[0] is Disposition.REFUSED
    assert decided(lane, second, adoption_no=3) == (
        Disposition.REFUSED,
        "adoption 3 leaves a gap; the next is 2",
    )
    assert decided(lane, second, adoption_no=2) == (Disposition.ADOPTED, "")
    assert len(lane.ledger.programmes[PROGRAMME].adoptions) == 2


def test_a_refused_catalogue_leaves_everything_as_it_was() -> None:
    lane = CompetencyLane()
    lane.adopt(catalogue({"a": HARD}))
    before = lane.ledger.programmes
    circle = catalogue({"a": Holds(achievement="b"), "b": Holds(achievement="a")})
    disposition, detail = decided(lane, circle, adoption_no=2)
    assert disposition is Disposition.REFUSED
    assert "in a circle: a → b → a" in detail or "in a circle: b → a → b" in detail
    assert lane.ledger.programmes == before


def test_a_circle_over_versions_is_refused_since_old_versions_still_judge() -> None:
    lane = CompetencyLane()
    lane.adopt(catalogue({"a": HARD, "b": Holds(achievement="a")}))
    turned = catalogue({"a": Holds(achievement="b"), "b": HARD})
    assert decided(lane, turned, adoption_no=2)[0] is Disposition.REFUSED


def test_another_programme_or_address_is_not_adopted_here() -> None:
    lane, first = CompetencyLane(), catalogue({"a": HARD})
    for changes in ({"programme": "other"}, {"base_url": "https://other.example"}):
        stranger = msgspec.structs.replace(first, **changes)
        assert decided(lane, stranger, adoption_no=1)[0] is Disposition.REFUSED


@pytest.mark.parametrize("purpose", ["credentials", "status"])
def test_a_catalogue_needs_a_key_for_each_purpose_that_is_active(purpose: str) -> None:
    lane, first = CompetencyLane(), catalogue({"a": HARD})
    keys = tuple(
        msgspec.structs.replace(key, active_from=lane.now + 1) if key.purpose == purpose else key for key in first.keys
    )
    disposition, detail = decided(lane, msgspec.structs.replace(first, keys=keys), adoption_no=1)
    assert (disposition, detail) == (Disposition.REFUSED, f"keys: none for {purpose} is active")


@pytest.mark.fault("K4", "E19")
def test_a_claim_uses_the_key_in_force_when_it_is_claimed() -> None:
    lane, first = CompetencyLane(), catalogue({"a": EASY})
    later = Key(id="credentials-2", purpose="credentials", public_key_multibase="z6Mk3", active_from=lane.now + DAY)
    lane.adopt(msgspec.structs.replace(first, keys=(*first.keys, later)))
    lane.send(completion())
    lane.now += DAY
    lane.send(completion(learner_ref="ab" * 16, received_at=lane.now))
    assert [claim.key_id for claim in lane.claims] == ["credentials-1", "credentials-2"]


def test_a_compromised_key_signs_nothing_from_the_adoption_on_that_says_so_whatever_its_times() -> None:
    lane, first = CompetencyLane(), catalogue({"a": EASY})
    old = first.keys[0]
    later = Key(id="credentials-2", purpose="credentials", public_key_multibase="z6Mk3", active_from=0)
    marked = msgspec.structs.replace(old, compromised_at=lane.now + DAY)
    lane.adopt(first)
    lane.send(completion())
    lane.adopt(msgspec.structs.replace(first, keys=(marked, later, *first.keys[1:])))
    lane.send(completion(learner_ref="ab" * 16, received_at=lane.now))
    assert [claim.key_id for claim in lane.claims] == ["credentials-1", "credentials-2"]


def test_a_catalogue_whose_only_key_is_compromised_is_refused() -> None:
    lane, first = CompetencyLane(), catalogue({"a": EASY})
    marked = msgspec.structs.replace(first.keys[0], compromised_at=1)
    disposition, detail = decided(lane, msgspec.structs.replace(first, keys=(marked, first.keys[1])), adoption_no=1)
    assert (disposition, detail) == (Disposition.REFUSED, "keys: none for credentials is active")


@pytest.mark.fault("E17")
@pytest.mark.parametrize("signer", [OTHER_SIGNER, STAFF_SIGNER, None], ids=["stranger", "staff", "nobody"])
def test_only_a_pinned_catalogue_key_changes_the_rules(signer: LocalSigner | None) -> None:
    lane = CompetencyLane()
    digest, packed = pack(catalogue({"a": HARD}))
    value = codec.encode(CatalogueAdopted(programme=PROGRAMME, adoption_no=1, digest=digest, catalogue=packed))
    headers = () if signer is None else (("jws", sign_detached(value, signer, "offline")),)
    with pytest.raises(MalformedError) as raised:
        lane.take(value, PROGRAMME.encode(), headers)
    assert raised.value.reason is QuarantineReason.BAD_SIGNATURE


@pytest.mark.fault("E17")
@pytest.mark.parametrize(
    ("signer", "kid"),
    [(OTHER_SIGNER, "sam"), (CATALOGUE_SIGNER, "offline"), (STAFF_SIGNER, "kim")],
    ids=["another key", "the catalogue key", "in another name"],
)
def test_only_the_member_of_staff_who_asks_can_sign_for_it(signer: LocalSigner, kid: str) -> None:
    lane = CompetencyLane(staff={"sam": STAFF_SIGNER.public_multikey, "kim": STAFF_SIGNER.public_multikey})
    lane.adopt(catalogue({"a": EASY}))
    lane.send(completion())
    request = StatusRequested(
        request_id="request-1",
        programme=PROGRAMME,
        learner_ref=LEARNER,
        credential_id=lane.claims[0].credential_id,
        action=Action.REVOKE,
        reason=StatusReason.MISCONDUCT,
        requested_by="sam",
        requested_at=lane.now,
    )
    value = codec.encode(request)
    with pytest.raises(MalformedError) as raised:
        lane.take(value, learner_key(PROGRAMME, LEARNER), (("jws", sign_detached(value, signer, kid)),))
    assert raised.value.reason is QuarantineReason.BAD_SIGNATURE
    assert lane.holds() == {"a"}


def test_a_catalogue_that_is_not_what_its_digest_names_is_set_aside() -> None:
    lane = CompetencyLane()
    with pytest.raises(MalformedError, match="malformed"):
        lane.adopt(catalogue({"a": HARD}), digest=pack(catalogue({"a": EASY}))[0])


def test_a_stricter_rule_takes_nothing_back_and_a_looser_one_gives_nothing_for_the_past() -> None:
    lane = CompetencyLane()
    lane.now = EPOCH_START
    lane.adopt(catalogue({"loosened": HARD, "tightened": EASY}))
    lane.send(completion("r-1", at=0, score=60, received_at=lane.now))
    lane.now = EPOCH_START + 10 * DAY
    lane.adopt(catalogue({"loosened": EASY, "tightened": HARD}), effective_from=EPOCH_START - DAY)
    late = lane.send(completion("r-2", at=5 * DAY, score=60, received_at=lane.now))
    said = {name: (outcome.verdict, outcome.attained_at) for name, outcome in outcomes(late).items()}
    assert said == {"loosened": (Verdict.NOT_YET, None), "tightened": (Verdict.ALREADY_HELD, EPOCH_START)}
    lane.now = EPOCH_START + 20 * DAY
    new = lane.send(completion("r-3", at=10 * DAY, score=10, received_at=lane.now))
    assert outcomes(new)["loosened"].attained_at == EPOCH_START + 10 * DAY
    assert lane.holds() == {"loosened", "tightened"}


def test_a_catalogue_planned_for_later_is_granted_from_only_then_but_its_keys_sign_at_once() -> None:
    lane, planned_at = CompetencyLane(), EPOCH_START + 400 * DAY
    first, second = catalogue({"a": EASY, "b": HARD}), catalogue({"a": EASY}, version="2")
    key = Key(id="credentials-2", purpose="credentials", public_key_multibase="z6Mk3", active_from=0)
    second = msgspec.structs.replace(second, keys=(key, second.keys[1]))
    lane.adopt(first)
    lane.adopt(second, effective_from=planned_at)
    assert outcomes(lane.send(completion(score=90))).keys() == {"a", "b"}
    lane.now = planned_at
    after = lane.send(completion(score=90, learner_ref="ab" * 16, received_at=lane.now))
    assert outcomes(after).keys() == {"a"}
    signed = [(claim.achievement, claim.catalogue_digest, claim.key_id) for claim in lane.claims]
    assert signed == [
        ("a", pack(first)[0], "credentials-2"),
        ("b", pack(first)[0], "credentials-2"),
        ("a", pack(second)[0], "credentials-2"),
    ]


def test_a_rule_planned_for_later_may_be_taken_into_force_sooner() -> None:
    lane = CompetencyLane()
    lane.now = EPOCH_START
    lane.adopt(catalogue({"a": EASY}), effective_from=EPOCH_START + 100 * DAY)
    lane.now = EPOCH_START + 10 * DAY
    assert outcomes(lane.send(completion("r-1", at=10 * DAY)))["a"].verdict is Verdict.NOT_YET
    lane.adopt(catalogue({"a": EASY}, version="2"))
    assert outcomes(lane.send(completion("r-2", at=10 * DAY, score=0)))["a"].verdict is Verdict.GRANTED


def test_a_standing_rule_is_judged_at_the_end_of_the_evidence() -> None:
    lane = CompetencyLane()
    lane.now = EPOCH_START
    lane.adopt(catalogue({"a": Rule(attained="standing", requires=EASY)}))
    lane.send(completion("r-1", score=60, received_at=lane.now))
    lane.now = EPOCH_START + 10 * DAY
    lane.adopt(catalogue({"a": Rule(attained="standing", requires=HARD)}))
    assert lane.holds() == {"a"}
    new = lane.send(completion("r-2", at=10 * DAY, score=70, received_at=lane.now))
    assert outcomes(new)["a"].verdict is Verdict.REGRESSED


def test_a_retired_achievement_is_granted_to_nobody_and_kept_while_its_evidence_stands() -> None:
    lane = CompetencyLane()
    lane.now = EPOCH_START
    lane.adopt(catalogue({"a": EASY, "b": Result(assessment="lab")}))
    lane.send(completion("r-1", received_at=lane.now))
    lane.now = EPOCH_START + 10 * DAY
    lane.adopt(catalogue({"b": Result(assessment="lab")}))
    for number, at in enumerate((0, 10)):  # late or not
        came = lane.send(completion(f"r-{number}", at=at * DAY, learner_ref="ab" * 16, received_at=lane.now))
        assert outcomes(came) == {}
    kept = lane.send(completion("r-2", at=10 * DAY, received_at=lane.now))
    assert outcomes(kept)["a"].verdict is Verdict.ALREADY_HELD
    assert lane.holds() == {"a"}
    corrected = lane.send(completion("r-1", score=10, revision=1), completion("r-1", score=90, revision=2))
    assert outcomes(corrected) == {}
    assert lane.holds() == set()


def deep(levels: int) -> Criterion:
    criterion: Criterion = HARD
    for _ in range(levels - 1):
        criterion = All(of=(criterion,))
    return criterion


@pytest.mark.parametrize(
    ("criterion", "fault"),
    [
        (Result(assessment="exam"), "no assessment 'exam'"),
        (Holds(achievement="z"), "no achievement 'z'"),
        (Result(assessment="quiz", at_least=WHOLE + 1), "at_least"),
        (Result(assessment="quiz", at_least=-1), "at_least"),
        (Result(assessment="quiz", take="mean"), "a mean is asked for at_least"),
        (Result(assessment="quiz", take="mean", at_least=1, passed=True), "a mean is asked for at_least"),
        (Result(assessment="quiz", gap=Span()), "gap is more than nothing"),
        (Result(assessment="quiz", recent=Span(months=-1, hours=1)), "recent is more than nothing"),
        (Result(assessment="quiz", zone="America/Torono"), "no time zone 'America/Torono'"),
        (Result(assessment="quiz", zone="../etc/passwd"), "no time zone"),
        (Result(assessment="quiz", attempts=0), "attempts is from 1"),
        (Result(assessment="quiz", not_before=2, by=1), "not_before is later than by"),
        (Count(number=1, assessments=("quiz",), within=Span(hours=1), period="day"), "one is asked at most"),
        (Count(number=1, assessments=("quiz",), within=Span(hours=1), recent=Span(hours=1)), "one is asked at most"),
        (Count(number=2, assessments=("quiz",), distinct=(Distinct(of="assessment", number=2),)), "not 2 different"),
        (Count(number=1, assessments=("quiz",), distinct=(Distinct(of="day", number=0),)), "distinct day is from 1"),
        (Count(number=1, assessments=("quiz",), distinct=(Distinct(of="day", number=1),) * 2), "stands 2 times"),
        (AtLeast(number=2, of=(HARD,)), "at_least asks for 1 to 1 of 1"),
        (Nothing(of=()), "something to choose from"),
        (Expression(cel="results.size()", assessments=("quiz",)), "says true or false, and this one is INT"),
        (Expression(cel="results.exists(r, r.scoer > 1)", assessments=("quiz",)), "1:20: undefined field 'scoer'"),
        (Expression(cel="true"), "names the assessments or achievements"),
        (Expression(cel="true || " * 300 + "true", assessments=("quiz",)), "at most 2000 characters"),
        (Expression(cel="(" * 500 + "true" + ")" * 500, assessments=("quiz",)), "recursion limit"),
        (Count(number=0, assessments=("quiz",)), "number"),
        (Count(number=1, assessments=()), "names its assessments"),
        (Count(number=1, assessments=("quiz", "quiz")), "stands 2 times"),
        (Weighted(parts=(), at_least=1), "weights"),
        (Weighted(parts=(Weight(assessment="quiz", weight=0),), at_least=1), "weights"),
        (Weighted(parts=(Weight(assessment="quiz", weight=-1),), at_least=1), "weights"),
        (Weighted(parts=(Weight(assessment="quiz", weight=1),), at_least=0), "at_least"),
        (All(of=()), "something to choose from"),
        (AnyOf(of=(All(of=(Count(number=0, assessments=("quiz",)),)),)), "number"),
        (All(of=(HARD,) * 1_000), "more than 1000 criteria"),
        (deep(MAX_DEPTH + 1), "more than 16 deep"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_rule_that_makes_no_sense_is_told_apart(criterion: Criterion, fault: str) -> None:
    [told] = catalogue_faults(catalogue({"a": criterion}))
    assert told.startswith("achievement 'a': ")
    assert fault in told


def test_a_sound_catalogue_has_no_fault() -> None:
    assert catalogue_faults(catalogue({"a": deep(MAX_DEPTH), "b": Holds(achievement="a")})) == []


def test_every_fault_is_told_at_once() -> None:
    broken = catalogue(
        {"a b": HARD},
        [
            *(Assessment(id="quiz", name="Quiz", providers=("nobody",), accepted_late_days=-1) for _ in range(2)),
            "",
            "a\u202eb",
        ],
    )
    faults = catalogue_faults(broken)
    for fault in (
        "'a b' cannot stand",
        "'quiz' stands 2 times",
        "no provider 'nobody'",
        "late_days",
        "1 to 200",
        "U+202E",
    ):
        assert any(fault in told for told in faults), fault


def test_a_word_that_is_the_default_by_value_alone_is_packed_as_the_default() -> None:
    best: Any = "-best".removeprefix("-")  # equal to the default, and not the same object
    written, left_out = (
        catalogue({"a": Weighted(parts=(Weight(assessment="quiz", weight=1),), at_least=1, **asked)})
        for asked in ({"take": best}, {})
    )
    assert pack(written) == pack(left_out)
    assert unpack(pack(written)[1], pack(written)[0]) == left_out
