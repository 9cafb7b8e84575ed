"""When an achievement is attained: the criteria of a rule as they are published. `docs/rules.md` is their specification.

Names of sets (globs, tags, rubric levels) are resolved before publishing, so a rule means the same whatever else a catalogue says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from schemas.events import Micros

WHOLE: Final = 1_000_000
"""Shares and weights are whole millionths: a threshold of 40 % is 400,000."""

Take: TypeAlias = Literal["any", "best", "latest", "first", "mean"]
"""Which of several attempts is judged."""
Dimension: TypeAlias = Literal["assessment", "assessor", "site", "day"]
"""What results may have to differ in. Assessors and sites are a provider's own."""
PeriodOf: TypeAlias = Literal["day", "week", "month", "quarter", "year"]


class Span(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A length of time: calendar months first, by the rule's time zone, then hours. A day is 24 hours."""

    months: int = 0
    hours: int = 0


class Selection(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which standing results are looked at. `zone` is the time zone (IANA) of calendar months, periods and days.

    `attempts`: only so many, the earliest, of each assessment. `gap`: only those that came so long after the one before, of the
    same assessment. `recent`: only those shown not longer before the moment that is judged. `not_before` and `by` include their
    instant.
    """

    roles: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    evidence: bool = False
    critical: bool | None = None
    not_before: Micros | None = None
    by: Micros | None = None
    attempts: int | None = None
    gap: Span | None = None
    recent: Span | None = None
    zone: str = "UTC"


class Bar(Selection, frozen=True, kw_only=True, omit_defaults=True):
    """What a result looked at must reach: the share `at_least / out_of` of its maximum, the outcome, one of these levels."""

    at_least: int | None = None
    out_of: int = WHOLE
    passed: bool | None = None
    levels: tuple[str, ...] = ()


class Result(Bar, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="result"):
    """The attempt that is taken reaches the bar; `any`: some attempt does. `others`: assessments whose attempts stand beside."""

    assessment: str
    others: tuple[str, ...] = ()
    take: Take = "any"

    @property
    def assessments(self) -> tuple[str, ...]:
        """Return all whose attempts are taken together."""
        return (self.assessment, *self.others)


class Distinct(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """At least so many different ones among the results that are counted. A result that does not say is none of them."""

    of: Dimension
    number: int


class Count(Bar, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="count"):
    """At least `number` results of these assessments reach the bar, with as many `distinct` ones.

    `within`: at some time, all inside such a span. `period`: at some time, all inside one day, week (ISO), month, quarter or year.
    """

    number: int
    assessments: tuple[str, ...]
    distinct: tuple[Distinct, ...] = ()
    within: Span | None = None
    period: PeriodOf | None = None


class Weight(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much an assessment counts: millionths."""

    assessment: str
    weight: int


class Weighted(Selection, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="weighted"):
    """The weighted mean of the share taken of each assessment reaches `at_least`.

    An assessment without a scored result counts zero, is left out (`excluded`), or keeps the criterion from being met (`blocks`).
    """

    parts: tuple[Weight, ...]
    at_least: int
    take: Literal["best", "latest", "first", "mean"] = "best"
    missing: Literal["zero", "excluded", "blocks"] = "zero"


class Holds(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="holds"):
    """The learner holds another achievement of this catalogue (a building block): at one of `levels`, attained `recent`ly."""

    achievement: str
    levels: tuple[str, ...] = ()
    recent: Span | None = None
    zone: str = "UTC"


class All(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="all"):
    """Every criterion is met."""

    of: tuple[Criterion, ...]


class Any(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="any"):
    """At least one criterion is met."""

    of: tuple[Criterion, ...]


class AtLeast(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="at_least"):
    """At least `number` of the criteria are met."""

    number: int
    of: tuple[Criterion, ...]


class Nothing(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="none"):
    """None of the criteria is met."""

    of: tuple[Criterion, ...]


class Expression(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="expression"):
    """A CEL expression over the results of these assessments and which of these achievements are held is true."""

    cel: str
    assessments: tuple[str, ...] = ()
    achievements: tuple[str, ...] = ()


Criterion: TypeAlias = Result | Count | Weighted | Holds | All | Any | AtLeast | Nothing | Expression


class Level(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A level at which an achievement is awarded, and what it takes beyond the rule."""

    name: str
    requires: Criterion


class Validity(Span, frozen=True, kw_only=True, omit_defaults=True):
    """How long an award is valid from its attainment, by the calendar of a time zone."""

    zone: str = "UTC"


class Renewal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an award that ends is earned again: by results shown since it was attained that meet `requires`.

    `requires` of None is the rule's own criterion. The results are shown not longer before the end than `opens`, and the last one
    not longer after it than `grace`.
    """

    opens: Span | None = None
    grace: Span | None = None
    requires: Criterion | None = None


class Rule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When an achievement is attained, how long an award lasts, and what becomes of it when the evidence falls away.

    `first`: from the first instant at which the criterion held. `standing`: it must hold at the end of the evidence. `levels` rise;
    the award has the last one whose criterion is met. What is `repeatable`, or ends and has a `renewal`, may be attained again, by
    results shown after the attainment before.
    """

    attained: Literal["first", "standing"] = "first"
    requires: Criterion
    levels: tuple[Level, ...] = ()
    on_loss: Literal["revoke", "suspend", "keep", "ask"] = "revoke"
    validity: Validity | None = None
    renewal: Renewal | None = None
    repeatable: bool = False


def inside(criterion: Criterion) -> tuple[Criterion, ...]:
    """Return the criteria that a criterion is composed of."""
    return criterion.of if isinstance(criterion, All | Any | AtLeast | Nothing) else ()


def criteria_of(rule: Rule) -> tuple[Criterion, ...]:
    """Return every criterion that a rule judges by."""
    renewed = () if rule.renewal is None or rule.renewal.requires is None else (rule.renewal.requires,)
    return (rule.requires, *(level.requires for level in rule.levels), *renewed)


def assessments_in(criterion: Criterion) -> Iterator[str]:
    """Yield every assessment that a criterion looks at itself (not through what it holds)."""
    match criterion:
        case Result() | Count() | Expression():
            yield from criterion.assessments
        case Weighted(parts=parts):
            yield from (part.assessment for part in parts)
        case _:
            for inner in inside(criterion):
                yield from assessments_in(inner)


def achievements_in(criterion: Criterion) -> Iterator[str]:
    """Yield every achievement that a criterion builds on."""
    match criterion:
        case Holds(achievement=achievement):
            yield achievement
        case Expression(achievements=achievements):
            yield from achievements
        case _:
            for inner in inside(criterion):
                yield from achievements_in(inner)
