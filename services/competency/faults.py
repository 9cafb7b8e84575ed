"""What is wrong with a rule, whatever catalogue it stands in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from schemas.rules import (
    WHOLE,
    All,
    Any,
    AtLeast,
    Bar,
    Count,
    Criterion,
    Expression,
    Holds,
    Nothing,
    Result,
    Rule,
    Selection,
    Span,
    Weighted,
    criteria_of,
    inside,
)
from services.competency import expression
from services.competency.calendars import zone

MAX_DEPTH: Final = 16
MAX_CRITERIA: Final = 1_000
MAX_RESULTS_ASKED: Final = 1_000
MAX_MONTHS: Final = 1_200
MAX_HOURS: Final = 24 * 36_525
_MAX_LEVELS: Final = 20


def rule_faults(rule: Rule) -> Iterator[str]:
    """Yield everything for which a rule is refused."""
    names = [level.name for level in rule.levels]
    if len(names) > _MAX_LEVELS or len(set(names)) < len(names) or not all(names):
        yield f"levels have names, each its own, and are at most {_MAX_LEVELS}"
    yield from _award_faults(rule)
    for criterion in criteria_of(rule):
        if fault := _too_large(criterion):
            yield fault
        else:
            yield from criterion_faults(criterion)


def _award_faults(rule: Rule) -> Iterator[str]:
    """Yield what is wrong with how long awards last and how they are earned again."""
    if rule.validity is not None:
        yield from _span_faults({"validity": rule.validity}, rule.validity.zone)
    if rule.attained != "first" and (rule.renewal is not None or rule.repeatable):
        yield "what is renewed or repeatable is attained first"
    if rule.renewal is None:
        return
    if rule.repeatable or rule.validity is None:
        yield "a renewal is of an award that ends and is not repeatable"
    yield from _span_faults({"opens": rule.renewal.opens, "grace": rule.renewal.grace}, "UTC")


def criterion_faults(criterion: Criterion) -> Iterator[str]:
    """Yield what is wrong with a criterion of reasonable size, and with those inside it."""
    if isinstance(criterion, Selection):
        yield from _selection_faults(criterion)
    if isinstance(criterion, Bar) and not (criterion.at_least is None or 0 <= criterion.at_least <= criterion.out_of):
        yield f"at_least is from 0 to {criterion.out_of}"
    match criterion:
        case Result():
            yield from _result_faults(criterion)
        case Count():
            yield from _count_faults(criterion)
        case Weighted():
            yield from _weighted_faults(criterion)
        case Holds():
            yield from _span_faults({"recent": criterion.recent}, criterion.zone)
        case Expression():
            yield from _expression_faults(criterion)
        case All() | Any() | AtLeast() | Nothing():
            yield from _composition_faults(criterion)


def repeated(field: str, names: Iterable[str]) -> Iterator[str]:
    """Yield which names stand more than once."""
    yield from (f"{field}: {name!a} stands {times} times" for name, times in Counter(names).items() if times > 1)


def _too_large(criterion: Criterion) -> str | None:
    level: list[Criterion] = [criterion]
    criteria = 0
    for _ in range(MAX_DEPTH):
        criteria += len(level)
        if criteria > MAX_CRITERIA:
            return f"more than {MAX_CRITERIA} criteria"
        level = [deeper for outer in level for deeper in inside(outer)]
        if not level:
            return None
    return f"criteria more than {MAX_DEPTH} deep"


def _selection_faults(asked: Selection) -> Iterator[str]:
    if asked.attempts is not None and not 1 <= asked.attempts <= MAX_RESULTS_ASKED:
        yield f"attempts is from 1 to {MAX_RESULTS_ASKED}"
    if asked.not_before is not None and asked.by is not None and asked.not_before > asked.by:
        yield "not_before is later than by"
    yield from _span_faults({"gap": asked.gap, "recent": asked.recent}, asked.zone)


def _span_faults(spans: dict[str, Span | None], zone_name: str) -> Iterator[str]:
    try:
        zone(zone_name)
    except ValueError as error:
        yield str(error)
    for name, span in spans.items():
        if span is not None and not (
            0 <= span.months <= MAX_MONTHS and 0 <= span.hours <= MAX_HOURS and span.months + span.hours
        ):
            yield f"{name} is more than nothing and at most a hundred years"


def _result_faults(criterion: Result) -> Iterator[str]:
    if criterion.take == "mean" and (criterion.at_least is None or criterion.passed is not None or criterion.levels):
        yield "a mean is asked for at_least, and for nothing else"
    yield from repeated("result", criterion.assessments)


def _count_faults(criterion: Count) -> Iterator[str]:
    if not 1 <= criterion.number <= MAX_RESULTS_ASKED:
        yield f"number is from 1 to {MAX_RESULTS_ASKED}"
    if not criterion.assessments:
        yield "a count names its assessments"
    if sum((criterion.within is not None, criterion.period is not None, criterion.recent is not None)) > 1:
        yield "of within, period and recent one is asked at most"
    yield from repeated("count", criterion.assessments)
    yield from repeated("distinct", (distinct.of for distinct in criterion.distinct))
    yield from _span_faults({"within": criterion.within}, criterion.zone)
    for distinct in criterion.distinct:
        if not 1 <= distinct.number <= MAX_RESULTS_ASKED:
            yield f"distinct {distinct.of} is from 1 to {MAX_RESULTS_ASKED}"
        if distinct.of == "assessment" and distinct.number > len(criterion.assessments):
            yield f"there are not {distinct.number} different assessments to count"


def _expression_faults(criterion: Expression) -> Iterator[str]:
    try:
        expression.compiled(criterion.cel)
    except ValueError as error:
        yield f"expression: {error}"
    if not criterion.assessments and not criterion.achievements:
        yield "an expression names the assessments or achievements that it looks at"


def _composition_faults(criterion: All | Any | AtLeast | Nothing) -> Iterator[str]:
    of = criterion.of
    if not of:
        yield "all, any, at_least and none have something to choose from"
    elif isinstance(criterion, AtLeast) and not 1 <= criterion.number <= len(of):
        yield f"at_least asks for 1 to {len(of)} of {len(of)}"
    for inner in of:
        yield from criterion_faults(inner)


def _weighted_faults(criterion: Weighted) -> Iterator[str]:
    if not 1 <= criterion.at_least <= WHOLE:
        yield f"at_least is from 1 to {WHOLE} millionths"
    weights = [part.weight for part in criterion.parts]
    if min(weights, default=-1) < 0 or not sum(weights):
        yield "weights are at least 0, and not all 0"
    yield from repeated("weighted", (part.assessment for part in criterion.parts))
