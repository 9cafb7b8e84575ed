"""Laws of competency, against an evaluator that knows nothing but what the words mean."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.competency import DAY, EPOCH_START, CompetencyLane, catalogue, completion
from support.meaning import Held, body_of, content, in_force, meaning

from schemas.catalogue import Assessment, Catalogue
from schemas.events import (
    POINT,
    AssessmentCompleted,
    CredentialStatus,
    Disposition,
    ResultKind,
    StatusDecided,
    StatusListOpened,
    Verdict,
)
from schemas.ids import content_digest
from schemas.rules import (
    WHOLE,
    All,
    AtLeast,
    Count,
    Criterion,
    Distinct,
    Expression,
    Holds,
    Level,
    Nothing,
    Renewal,
    Result,
    Rule,
    Span,
    Validity,
    Weight,
    Weighted,
)
from schemas.rules import Any as AnyOf

ASSESSMENTS = ("quiz", "lab", "essay")
ACHIEVEMENTS = ("a", "b", "c", "d")
SHARES = (0, 333_333, 500_000, 700_000, 700_001, WHOLE)
CASES = int(os.environ.get("CREDSTREAM_CASES", "120"))
LAW = settings(
    max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


# --- programmes and lives ---


NAMES = st.sampled_from(ASSESSMENTS)
SHARE = st.sampled_from(SHARES)
MAYBE_SHARE = st.sampled_from((None, *SHARES))
SPANS = st.sampled_from(
    (Span(hours=24), Span(hours=47), Span(hours=72), Span(months=1), Span(months=1, hours=24), Span(hours=1))
)
ZONES = st.sampled_from(("UTC", "America/Toronto", "Pacific/Kiritimati"))
INSTANTS = st.integers(-1, 41).map(lambda days: EPOCH_START + days * DAY)
LEVELS = ("weak", "fair", "strong")
SEVERAL = st.lists(NAMES, min_size=1, max_size=3, unique=True).map(tuple)
EXPRESSIONS = (
    "results.exists(r, has(r.share) && r.share >= 700000)",
    "results.filter(r, has(r.passed) && r.passed).size() >= 2",
    "results.size() == 1 || 'a' in held",
    "results.exists(r, now - r.completed_at > 2 * day)",
    "results.all(r, r.share > 0)",  # fails where a result has no score
)


def choice(draw: st.DrawFn, name: str, values: st.SearchStrategy[Any], asked: dict[str, Any]) -> None:
    """Now and then ask for more."""
    if draw(st.integers(0, 5)) == 5:
        asked[name] = draw(values)


def selection(draw: st.DrawFn) -> dict[str, Any]:
    asked: dict[str, Any] = {"zone": draw(ZONES)}
    choice(draw, "roles", st.sampled_from((("mentor",), ("mentor", "peer"))), asked)
    choice(draw, "sites", st.just(("north",)), asked)
    choice(draw, "evidence", st.just(value=True), asked)
    choice(draw, "critical", st.booleans(), asked)
    choice(draw, draw(st.sampled_from(("not_before", "by"))), INSTANTS, asked)
    choice(draw, "attempts", st.integers(1, 3), asked)
    choice(draw, "gap", SPANS, asked)
    choice(draw, "recent", SPANS, asked)
    return asked


def bar(draw: st.DrawFn) -> dict[str, Any]:
    asked: dict[str, Any] = {"at_least": draw(MAYBE_SHARE), "passed": draw(st.sampled_from((None, None, True, False)))}
    choice(draw, "levels", st.sampled_from((LEVELS[1:], LEVELS[2:])), asked)
    return asked


def asks_of_results(draw: st.DrawFn) -> Criterion:
    kind = draw(st.sampled_from(("result", "count", "weighted")))
    if kind == "result":
        take: Any = draw(st.sampled_from(("any", "any", "best", "latest", "first", "mean")))
        asked: dict[str, Any] = {"at_least": draw(SHARE)} if take == "mean" else bar(draw)
        first, *others = draw(SEVERAL)
        return Result(assessment=first, others=tuple(others), take=take, **asked, **selection(draw))
    if kind == "count":
        asked = bar(draw) | selection(draw)
        dimensions: Any = st.lists(st.sampled_from(("assessment", "assessor", "site", "day")), unique=True, max_size=2)
        if "recent" not in asked:
            way = draw(st.sampled_from(("", "", "within", "period")))
            if way == "within":
                asked["within"] = draw(SPANS)
            if way == "period":
                asked["period"] = draw(st.sampled_from(("day", "week", "month", "quarter", "year")))
        several = draw(SEVERAL)
        most = {"assessment": min(2, len(several))}
        distinct = tuple(Distinct(of=of, number=draw(st.integers(1, most.get(of, 2)))) for of in draw(dimensions))
        return Count(number=draw(st.integers(1, 4)), assessments=several, distinct=distinct, **asked)
    parts = tuple(Weight(assessment=n, weight=draw(st.sampled_from((1, 250_000, 333_333)))) for n in draw(SEVERAL))
    take = draw(st.sampled_from(("best", "best", "latest", "first", "mean")))
    missing: Any = draw(st.sampled_from(("zero", "zero", "excluded", "blocks")))
    at_least = draw(st.sampled_from(SHARES[1:]))
    return Weighted(parts=parts, at_least=at_least, take=take, missing=missing, **selection(draw))


def asks(draw: st.DrawFn, blocks: Sequence[str], depth: int) -> Criterion:
    composed = ["all", "any", "at_least", "none"] if depth else []
    kind = draw(st.sampled_from(["results", "results", *(["holds"] if blocks else []), "expression", *composed]))
    if kind == "results":
        return asks_of_results(draw)
    if kind == "expression":
        return Expression(
            cel=draw(st.sampled_from(EXPRESSIONS)), assessments=draw(SEVERAL), achievements=tuple(blocks[:1])
        )
    if kind == "holds":
        asked: dict[str, Any] = {}
        choice(draw, "recent", SPANS, asked)
        choice(draw, "levels", st.just(LEVELS[1:]), asked)
        return Holds(achievement=draw(st.sampled_from(list(blocks))), zone=draw(ZONES), **asked)
    of = tuple(asks(draw, blocks, depth - 1) for _ in range(draw(st.integers(1, 3))))
    if kind == "at_least":
        return AtLeast(number=draw(st.integers(1, len(of))), of=of)
    composed_of: dict[str, type[All | AnyOf | Nothing]] = {"all": All, "any": AnyOf, "none": Nothing}
    return composed_of[kind](of=of)


def earned_again(draw: st.DrawFn, blocks: Sequence[str]) -> dict[str, Any]:
    way = draw(st.sampled_from(("once", "once", "renewal", "repeatable")))
    asked: dict[str, Any] = {}
    choice(draw, "validity", validities(), asked)
    if way == "once":
        return {"attained": draw(st.sampled_from(("first", "standing"))), **asked}
    if way == "repeatable":
        return {"repeatable": True, **asked}
    renewal: dict[str, Any] = {}
    choice(draw, "opens", SPANS, renewal)
    choice(draw, "grace", SPANS, renewal)
    if draw(st.booleans()):
        renewal["requires"] = asks(draw, blocks, depth=1)
    return {"validity": draw(validities()), "renewal": Renewal(**renewal)}


def validities() -> st.SearchStrategy[Validity]:
    return st.builds(lambda span, zone: Validity(months=span.months, hours=span.hours, zone=zone), SPANS, ZONES)


@st.composite
def programmes(draw: st.DrawFn) -> dict[str, Rule]:
    """Up to four achievements, later ones built with earlier ones."""
    number = draw(st.integers(1, len(ACHIEVEMENTS)))
    return {
        name: Rule(
            **earned_again(draw, ACHIEVEMENTS[:at]),
            on_loss=draw(st.sampled_from(("revoke", "revoke", "suspend"))),
            requires=asks(draw, ACHIEVEMENTS[:at], depth=2),
            levels=tuple(
                Level(name=level, requires=asks(draw, ACHIEVEMENTS[:at], depth=0))
                for level in draw(st.lists(st.sampled_from(LEVELS), unique=True, max_size=2))
            ),
        )
        for at, name in enumerate(ACHIEVEMENTS[:number])
    }


def thresholds() -> st.SearchStrategy[dict[str, Rule]]:
    """One rule that only ever asks more or less."""
    asked = st.sampled_from(SHARES).map(lambda share: Result(assessment="quiz", at_least=share))
    return st.builds(Rule, attained=st.sampled_from(("first", "standing")), requires=asked).map(
        lambda rule: {"a": rule}
    )


AGES = st.one_of(
    st.integers(0, 6).map(lambda days: days * DAY),
    st.integers(0, 960).map(lambda hours: hours * DAY // 24),
    st.sampled_from((47, 48, 72)).map(lambda hours: hours * DAY // 24 + 1),
)


@st.composite
def completions(draw: st.DrawFn) -> AssessmentCompleted:
    maximum = draw(st.sampled_from((100, 70, 3)))
    score = draw(st.one_of(st.none(), st.sampled_from((0, 333_333, 500_000, 700_000, 700_001, WHOLE))))
    kind = draw(st.sampled_from([*[ResultKind.COMPLETED] * 3, ResultKind.CORRECTED, ResultKind.RETRACTED]))
    made = completion(
        f"r-{draw(st.integers(0, 5))}",
        at=draw(AGES),
        provider=draw(st.sampled_from(("college", "employer"))),
        kind=kind,
        revision=draw(st.integers(0 if kind is ResultKind.COMPLETED else 1, 2)),
        assessment=draw(st.sampled_from(ASSESSMENTS)),
        passed=draw(st.sampled_from((None, True, False))),
        level=draw(st.sampled_from((None, *LEVELS))),
        assessor_role=draw(st.sampled_from((None, "mentor", "peer"))),
        assessor_ref=draw(st.sampled_from((None, "one", "two"))),
        site=draw(st.sampled_from((None, "north", "south"))),
        critical=draw(st.sampled_from((None, None, True, False))),
        evidence_url=draw(st.sampled_from((None, "https://evidence.example/1"))),
        score=None,
    )
    body = body_of(made)
    if score is not None:
        body = msgspec.structs.replace(body, score=score * maximum, score_max=maximum * POINT)
    name = f"e-{content(body).hex()}{draw(st.sampled_from(('', '-again')))}"
    return msgspec.structs.replace(made, event_id=name, body=body)


LOGS = st.lists(completions(), min_size=1, max_size=14)


def lane_with(*adopted: Catalogue) -> CompetencyLane:
    lane = CompetencyLane()
    for one in adopted:
        lane.adopt(one)
    return lane


def held(lane: CompetencyLane) -> Held:
    progress = lane.progress()
    times = {
        name: sorted((a.attained_at, a.level) for a in progress.awards_of(name) if a.counts) for name in progress.awards
    }
    return {name: found for name, found in times.items() if found}


# --- the laws ---


@pytest.mark.fault("E1", "E4")
@LAW
@given(rules=programmes(), log=LOGS, data=st.data())
def test_whatever_the_order_and_however_often_the_same_is_held(
    rules: dict[str, Rule], log: list[AssessmentCompleted], data: Any
) -> None:
    expected = meaning(in_force((rules, 0, None)), log)
    straight, shuffled = lane_with(catalogue(rules)), lane_with(catalogue(rules))
    straight.send(*log)
    shuffled.send(*data.draw(st.permutations(log + data.draw(st.lists(st.sampled_from(log), max_size=8)))))
    for lane in (straight, shuffled):
        assert held(lane) == expected
    assert straight.progress().results == shuffled.progress().results


@LAW
@given(catalogues=st.lists(programmes() | thresholds(), min_size=2, max_size=4), log=LOGS, data=st.data())
def test_each_moment_is_judged_by_the_rules_in_force_then(
    catalogues: list[dict[str, Rule]], log: list[AssessmentCompleted], data: Any
) -> None:
    instants = st.integers(0, 7).map(lambda days: EPOCH_START + days * DAY)
    lane, adoptions, clock = CompetencyLane(), list[tuple[Mapping[str, Rule], int, int | None]](), 0
    for rules in catalogues:
        lane.now, starts = data.draw(instants), data.draw(st.none() | instants)
        clock = max(clock, lane.now)
        lane.adopt(catalogue(rules), effective_from=starts)
        adoptions.append((rules, clock, starts))
    lane.now = EPOCH_START + 365 * DAY
    lane.send(*data.draw(st.permutations(log)))
    offered = {name: versions for name, versions in in_force(*adoptions).items() if name in catalogues[-1]}
    assert held(lane) == meaning(offered, log)


@LAW
@given(rules=programmes(), log=LOGS)
def test_numbers_are_dense_and_what_is_held_is_what_was_claimed_and_not_revoked(
    rules: dict[str, Rule], log: list[AssessmentCompleted]
) -> None:
    lane = lane_with(catalogue(rules))
    lane.send(*log)
    claims, statuses = lane.claims, lane.statuses
    assert [claim.claim_no for claim in claims] == list(range(len(claims)))
    assert [decided.decision_no for decided in lane.decided] == list(range(len(log) + 1))
    assert [status.decision_no for status in statuses] == list(range(len(statuses)))
    assert isinstance(statuses[0], StatusListOpened)
    changed = [status for status in statuses if isinstance(status, StatusDecided)]
    revoked = [status for status in changed if status.status is CredentialStatus.REVOKED]
    said = [o for d in lane.decided if not isinstance(d.body, bytes) for o in d.body.outcomes]
    assert len(claims) == sum(outcome.verdict is Verdict.GRANTED for outcome in said)
    assert len(revoked) == sum(outcome.verdict is Verdict.REGRESSED for outcome in said)
    places = {claim.credential_id: (claim.status_list, claim.status_index) for claim in claims}
    assert len(places) == len(set(places.values())) == len(claims)
    assert all(places[status.credential_id] == (status.status_list, status.status_index) for status in changed)
    last = {status.credential_id: status.status for status in changed}
    counting = {c.credential_id for c in claims if last.get(c.credential_id) in {None, CredentialStatus.REINSTATED}}
    progress = lane.progress()
    awards = [award for name in progress.awards for award in progress.awards_of(name)]
    assert counting == {award.credential_id for award in awards if award.counts}
    assert {c.achievement for c in claims if c.credential_id in counting} == lane.holds()


@LAW
@given(log=LOGS, data=st.data())
def test_late_results_stand_apart_whatever_the_order(log: list[AssessmentCompleted], data: Any) -> None:
    days = data.draw(st.integers(0, 6))
    rules = {"a": Rule(requires=Count(number=1, assessments=ASSESSMENTS))}
    strict = [Assessment(id=a, name=a, providers=("college", "employer"), accepted_late_days=days) for a in ASSESSMENTS]
    arrived = [
        msgspec.structs.replace(c, received_at=EPOCH_START + data.draw(st.integers(0, 8)) * DAY - 300_000_000)
        for c in {c.event_id: c for c in log}.values()
    ]
    lanes = lane_with(catalogue(rules, strict)), lane_with(catalogue(rules, strict))
    lanes[0].send(*arrived)
    lanes[1].send(*data.draw(st.permutations(arrived)))
    first, second = (lane.progress() for lane in lanes)
    assert (first.results, first.awaiting, held(lanes[0])) == (second.results, second.awaiting, held(lanes[1]))
    in_time = [
        c
        for c in arrived
        if body_of(c).kind is ResultKind.RETRACTED
        or c.received_at + 300_000_000 - body_of(c).completed_at <= days * DAY
    ]
    assert held(lanes[0]) == meaning(in_force((rules, 0, None)), in_time)
    late = {c.event_id for c in arrived} - {c.event_id for c in in_time}
    waiting = {d.event_id for d in lanes[0].decided if d.disposition is Disposition.AWAITING_REVIEW}
    assert waiting <= late


def test_the_digest_of_content_is_as_documented() -> None:
    lane = lane_with(catalogue({"a": Result(assessment="quiz")}))
    made = completion(evidence_url="https://college.example/é")
    lane.send(made)
    assert [standing.digest for standing in lane.progress().results.values()] == [content(body_of(made))]
    assert content_digest(b"").startswith("sha256-")
