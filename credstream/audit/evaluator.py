"""A second evaluator of rules: slow, obvious, written from `docs/rules.md` alone. It walks through time and counts anew each time.

It shares no code with the one that decides. The demo and the tests compare the two. A CEL expression is left to CEL.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from cel_expr_python import cel

from schemas import rules
from schemas.rules import assessments_in, criteria_of

_MILLION: Final = 1_000_000
_MOST_TIMES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A standing result. `at` is in microseconds since 1970; `order` tells results of one instant apart."""

    assessment: str
    at: int
    order: tuple[str, str]  # provider, result_id
    share: Fraction | None = None
    passed: bool | None = None
    level: str | None = None
    role: str | None = None
    site: str | None = None
    assessor: str | None = None
    critical: bool | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """An achievement that is held: since when, at which level; and each time that it was earned again."""

    since: int
    level: str | None = None
    again: tuple[tuple[int, str | None], ...] = ()

    @property
    def times(self) -> tuple[tuple[int, str | None], ...]:
        """Return each time with its level."""
        return ((self.since, self.level), *self.again)


Versions = Sequence[tuple[int, rules.Rule | None]]
"""The versions of a rule, oldest first: from when each is in force. None: the rule is retired."""


def held(
    versions: Mapping[str, Versions], shown: Sequence[Shown], kept: Mapping[str, Held] | None = None
) -> dict[str, Held]:
    """Return everything that is held: from nothing, until nothing changes.

    ``kept`` stays held though its evidence has fallen away, as `on_loss: keep` and `ask` say.
    """
    looks_at = {name: set[str]().union(*(_looks_at(r) for _, r in several if r)) for name, several in versions.items()}
    now = dict(kept or {})
    news = {one.assessment for one in shown} | {f"held {name}" for name in now}
    while news:
        found = {name: attained(versions[name], shown, now) for name in versions if looks_at[name] & news}
        found = {name: one or (kept or {}).get(name) for name, one in found.items()}
        news = {f"held {name}" for name, one in found.items() if one != now.get(name)}
        now = {name: one for name, one in (now | found).items() if one is not None}
    return now


def attained(versions: Versions, shown: Sequence[Shown], others: Mapping[str, Held]) -> Held | None:
    """Walk through time until it is attained, and from there on until it is attained again, and so on."""
    first = first_time(versions, shown, others)
    if first is None:
        return None
    (since, level), rule = first
    times, end = [(since, level)], end_of(rule, since)
    while len(times) < _MOST_TIMES:
        found = next_time(versions, shown, others, times[-1][0], end)
        if found is None:
            break
        (since, level), rule = found
        start = max(since, end) if rule.renewal is not None and end is not None else since
        times, end = [*times, (since, level)], end_of(rule, start)
    return Held(*times[0], tuple(times[1:]))


def end_of(rule: rules.Rule, start: int) -> int | None:
    """Return until when an award that lasts from ``start`` is valid; None is for ever."""
    return None if rule.validity is None else _after(start, rule.validity, rule.validity.zone)


def next_time(
    versions: Versions, shown: Sequence[Shown], others: Mapping[str, Held], since: int, end: int | None
) -> tuple[tuple[int, str | None], rules.Rule] | None:
    """Walk on from an attainment, with what was shown since."""
    entered = [(at, what) for at, what in entries(shown, others) if at > since]
    for moment in sorted({at for at, _ in entered}):
        rule = ([rule for start, rule in versions if start <= moment] or [None])[-1]
        if rule is None or not _looks_at(rule) & {what for at, what in entered if at == moment}:
            continue
        criterion, counted = rule.requires, [one for one in shown if one.at > since]
        if rule.renewal is not None:
            if end is None or rule.validity is None:
                continue
            renewal, zone = rule.renewal, rule.validity.zone
            if moment <= (end if renewal.grace is None else _after(end, renewal.grace, zone)):
                criterion = renewal.requires or rule.requires
                counted = [one for one in counted if not renewal.opens or _after(one.at, renewal.opens, zone) >= end]
        elif not rule.repeatable:
            continue
        if is_met(criterion, counted, others, moment):
            return (moment, _level(rule, counted, others, moment)), rule
    return None


def entries(shown: Sequence[Shown], others: Mapping[str, Held]) -> list[tuple[int, str]]:
    """Return what entered the evidence, and when: an assessment, or `held` and an achievement."""
    held = [(at, f"held {name}") for name, one in others.items() for at, _ in one.times]
    return [(one.at, one.assessment) for one in shown] + held


def first_time(
    versions: Versions, shown: Sequence[Shown], others: Mapping[str, Held]
) -> tuple[tuple[int, str | None], rules.Rule] | None:
    """Walk through time, moment by moment, with the version of each moment."""
    entered = entries(shown, others)
    since: int | None = None
    last: tuple[rules.Rule, int] | None = None
    for moment in sorted({at for at, _ in entered}):
        rule = [rule for start, rule in versions if start <= moment][-1:]
        if not rule or rule[0] is None or not _looks_at(rule[0]) & {what for at, what in entered if at == moment}:
            continue
        met = is_met(rule[0].requires, shown, others, moment)
        if met and rule[0].attained == "first":
            return (moment, _level(rule[0], shown, others, moment)), rule[0]
        since = (moment if since is None else since) if met else None
        last = rule[0], moment
    if last is None or since is None or last[0].attained != "standing":
        return None
    return (since, _level(last[0], shown, others, last[1])), last[0]


def _level(rule: rules.Rule, shown: Sequence[Shown], others: Mapping[str, Held], moment: int) -> str | None:
    reached = [level.name for level in rule.levels if is_met(level.requires, shown, others, moment)]
    return reached[-1] if reached else None


@cache
def _looks_at(rule: rules.Rule) -> frozenset[str]:
    asked = criteria_of(rule)
    blocks = {f"held {name}" for criterion in asked for name in rules.achievements_in(criterion)}
    return frozenset(blocks | {name for criterion in asked for name in assessments_in(criterion)})


def is_met(  # noqa: PLR0911  one for each kind
    criterion: rules.Criterion, everything: Sequence[Shown], others: Mapping[str, Held], moment: int
) -> bool:
    """Say whether a criterion is met at a moment, by what was shown until then."""
    shown = [one for one in everything if one.at <= moment]
    match criterion:
        case rules.Result():
            return _result(criterion, _selected(criterion, [criterion.assessment, *criterion.others], shown, moment))
        case rules.Count():
            enough = [
                one for one in _selected(criterion, criterion.assessments, shown, moment) if _reaches(criterion, one)
            ]
            return any(_is_enough(criterion, some) for some in _together(criterion, enough))
        case rules.Weighted():
            return _weighted(criterion, _selected(criterion, [p.assessment for p in criterion.parts], shown, moment))
        case rules.Holds():
            other = others.get(criterion.achievement)
            return any(
                at <= moment
                and (not criterion.levels or level in criterion.levels)
                and (criterion.recent is None or moment <= _after(at, criterion.recent, criterion.zone))
                for at, level in (() if other is None else other.times)
            )
        case rules.Expression():
            return _expression(criterion, shown, others, moment)
        case rules.All():
            return all(is_met(inner, shown, others, moment) for inner in criterion.of)
        case rules.Any():
            return any(is_met(inner, shown, others, moment) for inner in criterion.of)
        case rules.AtLeast():
            return sum(is_met(inner, shown, others, moment) for inner in criterion.of) >= criterion.number
        case rules.Nothing():
            return not any(is_met(inner, shown, others, moment) for inner in criterion.of)


def _selected(asked: rules.Selection, assessments: Sequence[str], shown: Sequence[Shown], moment: int) -> list[Shown]:
    found = []
    for assessment in assessments:
        attempts = sorted((one for one in shown if one.assessment == assessment), key=lambda one: (one.at, one.order))
        for number, one in enumerate(attempts):
            too_soon = asked.gap and number and one.at < _after(attempts[number - 1].at, asked.gap, asked.zone)
            too_many = asked.attempts is not None and number >= asked.attempts
            if not too_soon and not too_many and _is_selected(asked, one, moment):
                found.append(one)
    return found


def _is_selected(asked: rules.Selection, one: Shown, moment: int) -> bool:
    return all(
        (
            not asked.roles or one.role in asked.roles,
            not asked.sites or one.site in asked.sites,
            not asked.evidence or one.evidence is not None,
            asked.critical is None or (one.critical is True) == asked.critical,
            asked.not_before is None or one.at >= asked.not_before,
            asked.by is None or one.at <= asked.by,
            asked.recent is None or moment <= _after(one.at, asked.recent, asked.zone),
        )
    )


def _reaches(bar: rules.Bar, one: Shown) -> bool:
    enough = bar.at_least is None or (one.share is not None and one.share >= Fraction(bar.at_least, bar.out_of))
    return enough and bar.passed in {None, one.passed} and (not bar.levels or one.level in bar.levels)


def _result(criterion: rules.Result, attempts: Sequence[Shown]) -> bool:
    if criterion.take == "any":
        return any(_reaches(criterion, one) for one in attempts)
    if criterion.take == "mean":
        mean = _taken("mean", attempts)
        return mean is not None and mean >= Fraction(criterion.at_least or 0, criterion.out_of)
    one = _attempt(criterion.take, attempts)
    return one is not None and _reaches(criterion, one)


def _attempt(take: str, attempts: Sequence[Shown]) -> Shown | None:
    in_order = sorted(attempts, key=lambda one: (one.at, one.order))
    if take == "latest":
        in_order.reverse()
    if take == "best":
        in_order.sort(key=lambda one: -1 if one.share is None else one.share, reverse=True)
    return next(iter(in_order), None)


def _taken(take: str, attempts: Sequence[Shown]) -> Fraction | None:
    shares = [one.share for one in attempts if one.share is not None]
    if take == "mean":
        return sum(shares, Fraction(0)) / len(shares) if shares else None
    one = _attempt(take, [one for one in attempts if one.share is not None])
    return None if one is None else one.share


def _weighted(criterion: rules.Weighted, shown: Sequence[Shown]) -> bool:
    taken = {
        part.assessment: _taken(criterion.take, [one for one in shown if one.assessment == part.assessment])
        for part in criterion.parts
    }
    if criterion.missing == "blocks" and None in taken.values():
        return False
    counted = [p for p in criterion.parts if criterion.missing == "zero" or taken[p.assessment] is not None]
    weight = sum(part.weight for part in counted)
    total = sum((part.weight * (taken[part.assessment] or Fraction(0)) for part in counted), Fraction(0))
    return weight > 0 and total / weight >= Fraction(criterion.at_least, _MILLION)


def _together(criterion: rules.Count, enough: Sequence[Shown]) -> list[list[Shown]]:
    """Return the groups of results of which one must be enough."""
    if criterion.within is not None:
        return [
            [one for one in enough if one.at <= moment <= _after(one.at, criterion.within, criterion.zone)]
            for moment in {one.at for one in enough}
        ]
    if criterion.period is not None:
        periods = {_period(one.at, criterion.period, criterion.zone) for one in enough}
        return [[one for one in enough if _period(one.at, criterion.period, criterion.zone) == p] for p in periods]
    return [list(enough)]


def _is_enough(criterion: rules.Count, some: Sequence[Shown]) -> bool:
    different: dict[str, set[Any]] = {
        "assessment": {one.assessment for one in some},
        "assessor": {(one.order[0], one.assessor) for one in some if one.assessor is not None},
        "site": {(one.order[0], one.site) for one in some if one.site is not None},
        "day": {_period(one.at, "day", criterion.zone) for one in some},
    }
    return len(some) >= criterion.number and all(len(different[d.of]) >= d.number for d in criterion.distinct)


def _local(instant: int, zone: str) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).astimezone(ZoneInfo(zone))


def _after(instant: int, span: rules.Span, zone: str) -> int:
    local = _local(instant, zone)
    months = local.year * 12 + local.month - 1 + span.months
    year, month = months // 12, months % 12 + 1
    if span.months:
        day = min(local.day, calendar.monthrange(year, month)[1])
        local = local.replace(year=year, month=month, day=day, fold=0)
    since = local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=span.hours)
    return round(since / timedelta(microseconds=1))


def _period(instant: int, period: str, zone: str) -> str:
    local = _local(instant, zone)
    if period == "quarter":
        return f"{local.year} {(local.month + 2) // 3}"
    return local.strftime({"day": "%Y-%m-%d", "week": "%G-%V", "month": "%Y-%m", "year": "%Y"}[period])


def _expression(criterion: rules.Expression, shown: Sequence[Shown], others: Mapping[str, Held], moment: int) -> bool:
    """Ask CEL, as of when something last entered that the expression looks at; with maps for results, without types or limits."""
    entered = [one.at for one in shown if one.assessment in criterion.assessments]
    earned = [(name, at) for name, one in others.items() for at, _ in one.times]
    entered += [at for name, at in earned if name in criterion.achievements and at <= moment]
    if not entered:
        return False
    moment = max(entered)
    looked_at = sorted(
        (one for one in shown if one.assessment in criterion.assessments), key=lambda one: (one.at, one.order)
    )
    results = []
    for one in looked_at[-200:]:
        told = {
            "assessment": one.assessment,
            "completed_at": one.at,
            "provider": one.order[0],
            "share": None if one.share is None else int(one.share * _MILLION),
            "passed": one.passed,
            "level": one.level,
            "role": one.role,
            "site": one.site,
            "assessor": one.assessor,
            "critical": one.critical,
            "evidence": one.evidence,
        }
        results.append({name: value for name, value in told.items() if value is not None})
    mine = [name for name in criterion.achievements if name in others and others[name].since <= moment]
    data = {"results": results, "held": mine, "now": moment, "day": 86_400 * _MILLION}
    return _compiled(criterion.cel).eval(data=data).value() is True


@cache
def _compiled(text: str) -> Any:
    kind = cel.Type.List(cel.Type.Map(cel.Type.STRING, cel.Type.DYN))
    names = {"results": kind, "held": cel.Type.List(cel.Type.STRING), "now": cel.Type.INT, "day": cel.Type.INT}
    return cel.NewEnv(variables=names).compile(text)
