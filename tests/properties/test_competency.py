"""Laws of competency, against an evaluator that knows nothing but what the words mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.competency import DAY, EPOCH_START, CompetencyLane, catalogue, completion, outcomes

from schemas.catalogue import WHOLE, All, Assessment, Catalogue, Count, Criterion, Holds, Result, Rule, Weight, Weighted
from schemas.catalogue import Any as AnyOf
from schemas.events import (
    POINT,
    AssessmentCompleted,
    CompletionBody,
    Disposition,
    ResultKind,
    StatusDecided,
    StatusListOpened,
    Verdict,
)
from schemas.ids import content_digest

ASSESSMENTS = ("quiz", "lab", "essay")
ACHIEVEMENTS = ("a", "b", "c", "d")
SHARES = (0, 333_333, 500_000, 700_000, 700_001, WHOLE)
Held = dict[str, int]
LAW = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


# --- what the words mean, slowly ---


def body_of(completed: AssessmentCompleted) -> CompletionBody:
    assert isinstance(completed.body, CompletionBody)
    return completed.body


def content(body: CompletionBody) -> bytes:
    plain = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not None}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()[:8]


def standing(log: Sequence[AssessmentCompleted]) -> list[CompletionBody]:
    """Of each result the highest revision, of equals the larger digest; then without those retracted."""
    best: dict[tuple[str, str], CompletionBody] = {}
    for completed in log:
        body = body_of(completed)
        name = (completed.provider, body.result_id)
        if name not in best or (body.revision, content(body)) > (best[name].revision, content(best[name])):
            best[name] = body
    return [body for body in best.values() if body.kind is not ResultKind.RETRACTED]


def share(body: CompletionBody) -> Fraction | None:
    if body.score is None or body.score_max is None:
        return None
    return Fraction(body.score, body.score_max)


def counts(criterion: Result | Count, body: CompletionBody) -> bool:
    reached = share(body)
    if criterion.at_least is not None and (reached is None or reached < Fraction(criterion.at_least, WHOLE)):
        return False
    return not criterion.passed or body.passed is True


def is_met(criterion: Criterion, seen: Sequence[CompletionBody], held: frozenset[str]) -> bool:
    match criterion:
        case Result():
            return any(b.assessment == criterion.assessment and counts(criterion, b) for b in seen)
        case Count():
            return sum(b.assessment in criterion.assessments and counts(criterion, b) for b in seen) >= criterion.number
        case Weighted():
            total = sum(
                part.weight * max((share(b) or Fraction(0) for b in seen if b.assessment == part.assessment), default=0)
                for part in criterion.parts
            )
            return total / sum(part.weight for part in criterion.parts) >= Fraction(criterion.at_least, WHOLE)
        case Holds():
            return criterion.achievement in held
        case All():
            return all(is_met(inner, seen, held) for inner in criterion.of)
        case AnyOf():
            return any(is_met(inner, seen, held) for inner in criterion.of)


def names_in(criterion: Criterion) -> set[str]:
    match criterion:
        case Result():
            return {criterion.assessment}
        case Count():
            return set(criterion.assessments)
        case Weighted():
            return {part.assessment for part in criterion.parts}
        case Holds():
            return {f"achievement {criterion.achievement}"}
        case All() | AnyOf():
            return set().union(*(names_in(inner) for inner in criterion.of))


Versions = Sequence[tuple[int, Rule | None]]  # from when; None: retired


def attained(versions: Versions, results: Sequence[CompletionBody], held: Held) -> int | None:
    """Walk through time, moment by moment, with the rule of each moment."""
    entered = [(b.completed_at, b.assessment) for b in results]
    entered += [(since, f"achievement {name}") for name, since in held.items()]
    unbroken, mode = None, "first"
    for moment in sorted({at for at, _ in entered}):
        in_force = [rule for start, rule in versions if start <= moment]
        rule = in_force[-1] if in_force else None
        if rule is None or not names_in(rule.requires) & {name for at, name in entered if at == moment}:
            continue
        seen = [b for b in results if b.completed_at <= moment]
        met = is_met(rule.requires, seen, frozenset(name for name, since in held.items() if since <= moment))
        mode = rule.attained
        if met and mode == "first":
            return moment
        unbroken = (unbroken if unbroken is not None else moment) if met else None
    return unbroken if mode == "standing" else None


def meaning(rules: Mapping[str, Versions], log: Sequence[AssessmentCompleted]) -> Held:
    """Everything held, with its instant: from nothing, until nothing changes."""
    results, held = standing(log), dict[str, int]()
    while True:
        after = {name: at for name, v in rules.items() if (at := attained(v, results, held)) is not None}
        if after == held:
            return held
        held = after


# --- programmes and lives ---


def asks(draw: st.DrawFn, blocks: Sequence[str], depth: int) -> Criterion:
    kinds = ["result", "count", "weighted", *(["holds"] if blocks else []), *(["all", "any"] if depth else [])]
    kind = draw(st.sampled_from(kinds))
    shares, names = st.sampled_from((None, *SHARES)), st.sampled_from(ASSESSMENTS)
    passed = draw(st.sampled_from((None, None, True)))
    if kind == "result":
        return Result(assessment=draw(names), at_least=draw(shares), passed=passed)
    if kind == "count":
        several = tuple(draw(st.lists(names, min_size=1, max_size=3, unique=True)))
        return Count(number=draw(st.integers(1, 4)), assessments=several, at_least=draw(shares), passed=passed)
    if kind == "weighted":
        several = tuple(draw(st.lists(names, min_size=1, max_size=3, unique=True)))
        parts = tuple(Weight(assessment=name, weight=draw(st.sampled_from((1, 250_000, 333_333)))) for name in several)
        return Weighted(parts=parts, at_least=draw(st.sampled_from(SHARES[1:])))
    if kind == "holds":
        return Holds(achievement=draw(st.sampled_from(list(blocks))))
    of = tuple(asks(draw, blocks, depth - 1) for _ in range(draw(st.integers(1, 3))))
    return All(of=of) if kind == "all" else AnyOf(of=of)


@st.composite
def programmes(draw: st.DrawFn) -> dict[str, Rule]:
    """Up to four achievements, later ones built with earlier ones."""
    number = draw(st.integers(1, len(ACHIEVEMENTS)))
    return {
        name: Rule(
            attained=draw(st.sampled_from(("first", "standing"))), requires=asks(draw, ACHIEVEMENTS[:at], depth=2)
        )
        for at, name in enumerate(ACHIEVEMENTS[:number])
    }


def thresholds() -> st.SearchStrategy[dict[str, Rule]]:
    """One rule that only ever asks more or less."""
    asked = st.sampled_from(SHARES).map(lambda share: Result(assessment="quiz", at_least=share))
    return st.builds(Rule, attained=st.sampled_from(("first", "standing")), requires=asked).map(
        lambda rule: {"a": rule}
    )


@st.composite
def completions(draw: st.DrawFn) -> AssessmentCompleted:
    maximum = draw(st.sampled_from((100, 70, 3)))
    score = draw(st.one_of(st.none(), st.sampled_from((0, 333_333, 500_000, 700_000, 700_001, WHOLE))))
    kind = draw(st.sampled_from([*[ResultKind.COMPLETED] * 3, ResultKind.CORRECTED, ResultKind.RETRACTED]))
    made = completion(
        f"r-{draw(st.integers(0, 5))}",
        at=draw(st.integers(0, 6)) * DAY,
        provider=draw(st.sampled_from(("college", "employer"))),
        kind=kind,
        revision=draw(st.integers(0 if kind is ResultKind.COMPLETED else 1, 2)),
        assessment=draw(st.sampled_from(ASSESSMENTS)),
        passed=draw(st.sampled_from((None, True, False))),
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


def in_force(*adoptions: tuple[Mapping[str, Rule], int, int | None]) -> dict[str, list[tuple[int, Rule | None]]]:
    """The versions of each rule, as adopted: rules, the lane's clock then, and from when they are to be in force."""
    out: dict[str, list[tuple[int, Rule | None]]] = {}
    for rules, clock, effective_from in adoptions:
        named = 0 if effective_from is None else effective_from
        for name in out.keys() | rules.keys():
            start = max(clock, named) if name in out else named
            out.setdefault(name, []).append((start, rules.get(name)))
    return out


def held(lane: CompetencyLane) -> Held:
    awards = lane.progress().awards
    return {name: awards[name].attained_at for name in lane.holds()}


# --- the laws ---


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
    revoked = [status for status in statuses if isinstance(status, StatusDecided)]
    said = [outcome for decided in lane.decided for outcome in outcomes(decided).values()]
    assert len(claims) == sum(outcome.verdict is Verdict.GRANTED for outcome in said)
    assert len(revoked) == sum(outcome.verdict is Verdict.REGRESSED for outcome in said)
    places = {claim.credential_id: (claim.status_list, claim.status_index) for claim in claims}
    assert len(places) == len(set(places.values())) == len(claims)
    assert all(places[status.credential_id] == (status.status_list, status.status_index) for status in revoked)
    left = {claim.credential_id for claim in claims} - {status.credential_id for status in revoked}
    assert left == {lane.progress().awards[name].credential_id for name in lane.holds()}
    assert {c.achievement for c in claims if c.credential_id in left} == lane.holds()


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
