"""Random rules and evidence that are made for each other: every operator in turn, with scores and instants at its boundaries.

Seeded, so a case is named by its number. A rule drawn blindly is nearly always out of reach or met by anything, and then two
evaluators agree about nothing. So each case is about one feature, and `matters` says whether leaving it out changes what is held.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from support.competency import DAY, completion
from support.meaning import body_of, in_force, meaning

from schemas.events import POINT, AssessmentCompleted, Micros, ResultKind
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
from services.competency.calendars import HOUR, later

ASSESSMENTS = ("quiz", "lab", "essay")
LEVELS = ("weak", "fair", "strong")
ZONES = ("UTC", "America/Toronto", "America/Toronto", "Pacific/Kiritimati", "Australia/Lord_Howe")
SPANS = (Span(hours=1), Span(hours=24), Span(hours=48), Span(months=1), Span(months=1, hours=24), Span(months=12))
STARTS = (  # local time: where years, quarters and short months end, and around hours that clocks skip or repeat
    "2026-01-01",
    "2026-01-31T23:00",
    "2026-02-08T02:30",
    "2026-03-08T01:30",
    "2026-10-01T01:30",
    "2026-11-01T01:30",
    "2026-06-21T09:00",
)
BARS = (1, 333_333, 500_000, 700_000, WHOLE)
EXPRESSIONS = (
    "results.exists(r, has(r.share) && r.share >= 700000)",
    "results.filter(r, has(r.passed) && r.passed).size() >= 2",
    "results.map(r, r.assessment).exists(a, results.filter(o, o.assessment == a).size() >= 2)",
    "results.exists(r, now - r.completed_at >= 2 * day)",
    "results.all(r, r.share > 0)",  # fails where a result has no score
    "'block' in held || results.size() == 3",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Rules, a log, and the same rules without what the case is about."""

    feature: str
    rules: Mapping[str, Rule]
    without: Mapping[str, Rule]
    log: list[AssessmentCompleted]

    def matters(self) -> bool:
        """Say whether what the case is about changes what is held."""
        return meaning(in_force((self.rules, 0, None)), self.log) != meaning(
            in_force((self.without, 0, None)), self.log
        )


@dataclass(slots=True)
class Draw:
    """Draws one case. `spans` and `days` are what the rule asks of time, so that evidence is shown around them."""

    chance: random.Random
    zone: str
    start: Micros
    names: Sequence[str]
    spans: list[Span]
    edges: list[Micros]
    bars: list[tuple[int, int]]

    def bar(self) -> dict[str, Any]:
        at_least = self.chance.choice(BARS)
        out_of = self.chance.choice((WHOLE, WHOLE, 1_200_000))
        self.bars.append((at_least, out_of))
        return {"at_least": at_least, "out_of": out_of}

    def span(self) -> Span:
        self.spans.append(self.chance.choice(SPANS))
        return self.spans[-1]

    def edge(self) -> Micros:
        self.edges.append(self.start + self.chance.randrange(40) * DAY)
        return self.edges[-1]


def _always(value: str) -> Callable[[Draw], Any]:
    return lambda _: value


def _different(of: Any) -> Callable[[Draw], Any]:
    return lambda d: (Distinct(of=of, number=d.chance.randint(1, 2)),)


SELECTIONS: dict[str, Callable[[Draw], Any]] = {
    "roles": lambda d: d.chance.choice((("mentor",), ("mentor", "peer"))),
    "sites": lambda _: ("north",),
    "evidence": lambda _: True,
    "critical": lambda d: d.chance.random() < 0.5,
    "not_before": Draw.edge,
    "by": Draw.edge,
    "attempts": lambda d: d.chance.randint(1, 2),
    "gap": Draw.span,
    "recent": Draw.span,
}
BARRED: dict[str, Callable[[Draw], Any]] = {
    "at_least": Draw.bar,
    "passed": lambda d: d.chance.random() < 0.7,
    "levels": lambda d: d.chance.choice((LEVELS[1:], LEVELS[2:])),
}
ONLY_COUNTED: dict[str, Callable[[Draw], Any]] = {
    "within": Draw.span,
    **{f"period={of}": _always(of) for of in ("day", "week", "month", "quarter", "year")},
    **{f"distinct={of}": _different(of) for of in ("assessment", "assessor", "site", "day")},
}
TAKEN = ("best", "latest", "first", "mean")


def criterion(draw: Draw, kind: str, feature: str) -> tuple[Criterion, Criterion]:  # noqa: C901, PLR0911  one for each kind
    """Return a criterion that asks for a feature, and the same without it."""
    asked = _asked(draw, {**SELECTIONS, **BARRED, **ONLY_COUNTED}.get(feature), feature)
    zone = {"zone": draw.zone}
    one: dict[str, Any]
    if kind == "result":
        one = {"assessment": draw.chance.choice(draw.names), **zone}
        take = feature.removeprefix("take=")
        if feature == "others":
            others = tuple(name for name in ASSESSMENTS if name != one["assessment"])
            one |= {"take": draw.chance.choice(("any", *TAKEN)), **draw.bar()}
            return Result(**one, others=others[: draw.chance.randint(1, 2)]), Result(**one)
        if take == "mean":
            one |= draw.bar()
            return Result(**one, take="mean"), Result(**one)
        if take != feature:
            one |= draw.chance.choice(({"passed": True}, {"levels": LEVELS[1:]}, draw.bar()))
            if draw.chance.random() < 0.4:  # what was taken grows too old, and another takes its place
                one["recent"] = draw.span()
            return Result(**one, take=take), Result(**one)  # type: ignore[arg-type]
        if feature in {"attempts", "gap", "recent", "by"}:  # the first result would do, but for what it must reach
            one |= draw.chance.choice(({"passed": True}, {"take": "latest"}, draw.bar()))
        return Result(**one, **asked), Result(**one)
    if kind == "count":
        some = tuple(draw.chance.sample(ASSESSMENTS, draw.chance.randint(2, 3)))
        one = {
            "number": draw.chance.randint(1 if feature in BARRED else 2, 3),
            "assessments": some,
            **zone,
        }
        if feature == "number":
            return Count(**one), Count(**{**one, "number": 1})
        return Count(**one, **asked), Count(**one)
    parts = tuple(
        Weight(assessment=name, weight=draw.chance.choice((1, 250_000, 900_000)))
        for name in draw.chance.sample(ASSESSMENTS, draw.chance.randint(2 if feature == "weights" else 1, 3))
    )
    one = {
        "parts": parts,
        "at_least": draw.bar()["at_least"],
        "missing": draw.chance.choice(("zero", "excluded")),
        **zone,
    }
    if feature == "weights":
        equal = tuple(msgspec.structs.replace(part, weight=1) for part in parts)
        return Weighted(**one), Weighted(**{**one, "parts": equal})
    if feature.startswith("take="):
        other = "best" if feature != "take=best" else "latest"
        return Weighted(**one, take=feature.removeprefix("take=")), Weighted(**one, take=other)  # type: ignore[arg-type]
    if feature.startswith("missing="):
        other = "zero" if feature != "missing=zero" else "excluded"
        return Weighted(**{**one, "missing": feature.removeprefix("missing=")}), Weighted(**{**one, "missing": other})
    return Weighted(**one, **asked), Weighted(**one)


def _asked(draw: Draw, value: Callable[[Draw], Any] | None, feature: str) -> dict[str, Any]:
    if value is None:
        return {}
    found = value(draw)
    return found if feature == "at_least" else {feature.partition("=")[0]: found}


FEATURES: tuple[str, ...] = (
    *(f"result.{f}" for f in (*SELECTIONS, *BARRED, *(f"take={t}" for t in TAKEN), "others")),
    *(f"count.{f}" for f in (*SELECTIONS, *BARRED, *ONLY_COUNTED, "number")),
    *(
        f"weighted.{f}"
        for f in (
            *SELECTIONS,
            "weights",
            *(f"take={t}" for t in TAKEN),
            *(f"missing={m}" for m in ("zero", "excluded", "blocks")),
        )
    ),
    *(
        "holds.plain",
        "holds.levels",
        "holds.recent",
        "all",
        "any",
        "at_least",
        "none",
        "expression",
        "standing",
        "levels",
        "repeatable",
        "renewal.plain",
        "renewal.opens",
        "renewal.grace",
        "renewal.requires",
    ),
)
"""Every operator of the language, one by one."""


def case(number: int) -> Case:
    """Return a case: the same for the same number."""
    chance = random.Random(number)
    feature = FEATURES[number % len(FEATURES)]
    zone = chance.choice(ZONES)
    local = STARTS[0] if feature in {"count.period=quarter", "count.period=year"} else chance.choice(STARTS)
    start = int(datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000
    names = ("quiz", "quiz", "quiz", "lab") if feature.endswith(("attempts", "gap")) else ASSESSMENTS
    draw = Draw(chance, zone, start, names, [], [start, start - DAY], [])
    rules, without = _rules(draw, feature)
    return Case(feature=feature, rules=rules, without=without, log=_log(draw))


def _rules(draw: Draw, feature: str) -> tuple[dict[str, Rule], dict[str, Rule]]:  # noqa: PLR0911  one for each kind
    kind, _, detail = feature.partition(".")
    attained: Any = draw.chance.choice(("first", "standing"))

    def rule(requires: Criterion, **changes: Any) -> dict[str, Rule]:
        return {"it": Rule(**{"attained": attained, "requires": requires, **changes})}

    simple = [_simple(draw) for _ in range(3)]
    match kind:
        case "holds":
            levels = tuple(Level(name=name, requires=_simple(draw)) for name in LEVELS[1:])
            block = {"block": Rule(attained=attained, requires=simple[0], levels=levels)}
            asking: dict[str, dict[str, Any]] = {
                "plain": {},
                "levels": {"levels": LEVELS[2:]},
                "recent": {"recent": draw.span()},
            }
            asked = asking[detail]
            other: Criterion = simple[1] if detail == "plain" else All(of=(Holds(achievement="block"), simple[1]))
            with_it = All(of=(Holds(achievement="block", zone=draw.zone, **asked), simple[1]))
            return {**block, **rule(with_it)}, {**block, **rule(other)}
        case "all" | "any" | "at_least" | "none":
            made: dict[str, tuple[Criterion, Criterion]] = {
                "all": (All(of=tuple(simple)), AnyOf(of=tuple(simple))),
                "any": (AnyOf(of=tuple(simple)), All(of=tuple(simple))),
                "at_least": (AtLeast(number=2, of=tuple(simple)), AnyOf(of=tuple(simple))),
                "none": (All(of=(simple[0], Nothing(of=(simple[1],)))), simple[0]),
            }
            first, second = made[kind]
            return rule(first), rule(second)
        case "expression":
            block = {"block": Rule(requires=simple[0])}
            some = tuple(draw.chance.sample(ASSESSMENTS, 2))
            one = Expression(cel=draw.chance.choice(EXPRESSIONS), assessments=some, achievements=("block",))
            return {**block, **rule(one)}, {**block, **rule(msgspec.structs.replace(one, cel="true"))}
        case "standing":
            requires = All(of=(simple[0], Nothing(of=(Result(assessment="lab", recent=draw.span(), zone=draw.zone),))))
            return rule(requires, attained="standing"), rule(requires, attained="first")
        case "levels":
            graded = tuple(Level(name=name, requires=criterion(draw, "result", "at_least")[0]) for name in LEVELS[1:])
            return rule(simple[0], levels=graded), rule(simple[0])
        case "repeatable":
            return rule(simple[0], repeatable=True), rule(simple[0])
        case "renewal":
            lasting = {"validity": Validity(**msgspec.structs.asdict(draw.span()), zone=draw.zone)}
            renewed: dict[str, Any] = {"opens": draw.span(), "grace": draw.span(), "requires": simple[1]}
            base = Renewal(requires=simple[2]) if detail == "grace" else Renewal()  # when grace ends, all is asked anew
            asked = {} if detail == "plain" else {detail: renewed[detail]}
            without = rule(simple[0], **lasting, **({} if detail == "plain" else {"renewal": base}))
            return rule(simple[0], **lasting, renewal=msgspec.structs.replace(base, **asked)), without
    first, second = criterion(draw, kind, detail)
    if draw.chance.random() < 0.3 or detail == "recent":  # what is recent matters only when something else enters later
        return rule(All(of=(first, simple[0]))), rule(All(of=(second, simple[0])))
    return rule(first), rule(second)


def _simple(draw: Draw) -> Criterion:
    feature = draw.chance.choice(("at_least", "passed", "recent", "plain", "plain"))
    return criterion(draw, "result", feature)[0]


def _log(draw: Draw) -> list[AssessmentCompleted]:
    """Results around what the rules ask, some of them corrected, retracted or repeated."""
    chance, at, log = draw.chance, draw.start, list[AssessmentCompleted]()
    instants = [at]
    for number in range(chance.randint(1, 9)):
        made = _completion(draw, f"r-{7 * number % 10}", at)
        log.append(made)
        if chance.random() < 0.15:
            kind = chance.choice((ResultKind.CORRECTED, ResultKind.RETRACTED))
            log.append(
                _completion(
                    draw,
                    f"r-{7 * number % 10}",
                    chance.choice((at, at + DAY)),
                    kind=kind,
                    revision=chance.choice((0, 1, 2)),
                )
            )
        instants.append(at := _next(draw, instants))
    return log


def _next(draw: Draw, instants: list[Micros]) -> Micros:
    chance, last = draw.chance, instants[-1]
    way = chance.random()
    if way < 0.4 and draw.spans:
        span, opens = chance.choice(draw.spans), chance.choice(draw.spans)
        back = (
            opens.hours * HOUR if chance.random() < 0.3 else 0
        )  # where what opens so long before an end begins to count
        return max(last, later(chance.choice(instants), span, draw.zone) - back + chance.choice((-1, 0, 0, 1)))
    if (way < 0.65 and draw.edges[2:]) or way < 0.5:
        return chance.choice(draw.edges[2:] or draw.edges) + chance.choice((-1, 0, 1))
    return last + chance.choice((0, 1, 3_600_000_000, DAY // 2, DAY, 3 * DAY, 31 * DAY))


def _completion(draw: Draw, result_id: str, at: Micros, **fields: Any) -> AssessmentCompleted:
    chance = draw.chance
    made = completion(
        result_id,
        provider=chance.choice(("college", "college", "employer")),
        assessment=chance.choice(draw.names),
        passed=chance.choice((True, True, False, None)),
        level=chance.choice((None, *LEVELS, "strong")),
        assessor_role=chance.choice((None, "mentor", "mentor", "peer")),
        assessor_ref=chance.choice((None, "one", "two")),
        site=chance.choice((None, "north", "north", "south")),
        critical=chance.choice((None, False, True)),
        evidence_url=chance.choice((None, "https://evidence.example/1")),
        score=None,
        **fields,
    )
    body = msgspec.structs.replace(body_of(made), completed_at=at)
    if chance.random() < 0.85:
        maximum = chance.choice((100, 100, 100, 100, 70, 3)) * POINT
        at_least, out_of = chance.choice(draw.bars) if draw.bars else (chance.choice(BARS), WHOLE)
        near = at_least * maximum // out_of + chance.choice((-1, 0, 1))
        score = chance.choice((near, near, maximum, 0, chance.randint(0, maximum)))
        body = msgspec.structs.replace(body, score=min(max(score, 0), maximum), score_max=maximum)
    return msgspec.structs.replace(made, event_id=f"{result_id}/{body.revision}/{chance.random()}", body=body)
