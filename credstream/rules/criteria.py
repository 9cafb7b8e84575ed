"""Reads the criteria of a rule. Sets of assessments and levels of rubrics are resolved here, so what is published names each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast, get_args

from credstream.rules import grammar
from credstream.rules.sets import SetReader
from credstream.rules.yaml_source import NOTHING, Mistakes, Place, Value
from schemas.rules import (
    All,
    AtLeast,
    Count,
    Criterion,
    Dimension,
    Distinct,
    Expression,
    Holds,
    Level,
    Nothing,
    PeriodOf,
    Renewal,
    Result,
    Rule,
    Validity,
    Weight,
    Weighted,
)
from schemas.rules import Any as AnyOf
from services.competency import expression
from services.competency.faults import MAX_RESULTS_ASKED

_HARMLESS: Final = Holds(achievement="")
_DIMENSIONS: Final = frozenset(get_args(Dimension))
_PERIODS: Final = {f"calendar {period}": period for period in get_args(PeriodOf)}


class CriteriaReader(SetReader):
    """Reads rules, once the programme's assessments and the levels of its achievements are known."""

    def __init__(self, mistakes: Mistakes) -> None:
        """Begin with no assessment known."""
        super().__init__(mistakes)
        self.levels: Mapping[str, Sequence[str]] = {}
        self.blocks: list[tuple[Place, str]] = []  # achievements built on: looked up once all files are read
        self._kinds: Mapping[str, Callable[[Value], Criterion]] = {
            "result": self._result,
            "count": self._count,
            "weighted": lambda v: self._weighted(v, grammar.CRITERIA["weighted"]),
            "mean": lambda v: self._weighted(v, grammar.CRITERIA["mean"]),
            "holds": self._holds,
            "all": lambda v: All(of=self._several(v)),
            "any": lambda v: AnyOf(of=self._several(v)),
            "none": lambda v: Nothing(of=self._several(v)),
            "at_least": self._at_least,
            "expression": self._expression,
        }

    def rule(self, value: Value | None, valid: Value | None = None) -> Rule:
        """Return a rule, whose awards are ``valid`` for so long."""
        members = self.members(value, grammar.RULE)
        attained = self.choice(members.get("attained"), {"first", "standing"}, "way to attain", "first")
        losses = {"revoke", "suspend", "keep", "ask"}
        on_loss = self.choice(members.get("on_loss"), losses, "answer to a loss", "revoke")
        levels = self.entries(members.get("levels"), "levels and their criteria") if "levels" in members else {}
        self._check_again(members, attained, valid)
        return Rule(
            attained=cast("Any", attained),
            requires=self.criterion(members["requires"]) if "requires" in members else _HARMLESS,
            levels=tuple(Level(name=name, requires=self.criterion(inner)) for name, inner in levels.items()),
            on_loss=cast("Any", on_loss),
            validity=None if valid is None else self._validity(valid),
            renewal=self._renewal(members["renewal"]) if "renewal" in members else None,
            repeatable="repeatable" in members and self.truth(members["repeatable"]),
        )

    def _validity(self, value: Value) -> Validity:
        span = self.span(value)
        return Validity(months=span.months, hours=span.hours, zone=self.zone)

    def _renewal(self, value: Value) -> Renewal:
        members = self.members(value, grammar.RENEWAL)
        return Renewal(
            opens=self.span(members["opens"]) if "opens" in members else None,
            grace=self.span(members["grace"]) if "grace" in members else None,
            requires=self.criterion(members["requires"]) if "requires" in members else None,
        )

    def _check_again(self, members: Mapping[str, Value], attained: str, valid: Value | None) -> None:
        again = members.keys() & {"renewal", "repeatable"}
        for name in again:
            if attained == "standing":
                self.mistakes.add(members[name].place, f"{name}: what is earned again is attained first, not standing")
        if len(again) > 1:
            self.mistakes.add(members["renewal"].place, "of renewal and repeatable one is asked at most")
        if "renewal" in members and valid is None:
            self.mistakes.add(members["renewal"].place, "a renewal is of an award that ends: say how long it is valid")

    def criterion(self, value: Value) -> Criterion:
        """Return a criterion."""
        members = self.named(value, self._kinds.keys(), kind="criterion")
        if len(members) != 1:
            self.mistakes.add(value.place, f"one criterion is wanted here: {', '.join(self._kinds)}")
            return _HARMLESS
        [(kind, inner)] = members.items()
        return self._kinds[kind](inner)

    def _several(self, value: Value | None) -> tuple[Criterion, ...]:
        found = tuple(self.criterion(v) for v in self.items(value))
        if not found and value is not None:
            self.mistakes.add(value.place, "at least one criterion is wanted here")
        return found

    def _result(self, value: Value) -> Result:
        fields = grammar.CRITERIA["result"]
        members = self.members(value, fields)
        if isinstance(value.content, Mapping) and len(members.keys() & set(fields.either)) != 1:
            self.mistakes.add(value.place, f"one of {' and '.join(fields.either)} is wanted here")
        assessments = self.set_of(members.get("assessments"))
        if "assessment" in members:
            assessments = (self.known_assessment(members["assessment"]),)
        take = self.choice(members.get("take"), {"any", "best", "latest", "first", "mean"}, "attempt", "any")
        if take == "mean" and ("at_least" not in members or not members.keys().isdisjoint({"passed", "level"})):
            self.mistakes.add(value.place, "a mean is asked for at_least, and for nothing else")
        return Result(
            assessment=assessments[0] if assessments else "",
            others=assessments[1:],
            take=cast("Any", take),
            **self._bar(members, assessments),
            **self._selection(members),
        )

    def _count(self, value: Value) -> Count:
        members = self.members(value, grammar.CRITERIA["count"])
        assessments = self.set_of(members.get("assessments"))
        number, distinct = members.get("number", NOTHING), dict[Any, int]()
        wanted = len(assessments) or 1 if number.content == "all" else self.whole(number, MAX_RESULTS_ASKED)
        if number.content == "all":
            distinct["assessment"] = wanted
        if "distinct" in members:
            distinct |= self._distinct(members["distinct"], wanted)
        if "within" in members and "recent" in members:
            self.mistakes.add(members["recent"].place, "within and recent are not asked together")
        asked: dict[str, Any] = {"zone": self.zone} if "day" in distinct else {}
        asked |= self._within(members.get("within")) | self._selection(members)
        self._check_possible(members, wanted, distinct, asked, len(assessments))
        return Count(
            number=wanted,
            assessments=assessments,
            distinct=tuple(Distinct(of=of, number=n) for of, n in distinct.items()),
            **self._bar(members, assessments),
            **asked,
        )

    def _check_possible(
        self,
        members: Mapping[str, Value],
        wanted: int,
        distinct: Mapping[str, int],
        asked: Mapping[str, Any],
        among: int,
    ) -> None:
        """Note what nobody could ever show."""
        if distinct.get("assessment", 0) > among > 0:
            are = f"is only {among} assessment" if among == 1 else f"are only {among} assessments"
            place = next(members[name].place for name in ("distinct", "number") if name in members)
            self.mistakes.add(place, f"there {are} here")
        needed = max(wanted, *distinct.values(), 0)
        if "attempts" in asked and needed > asked["attempts"] * among > 0:
            most = asked["attempts"] * among
            self.mistakes.add(members["attempts"].place, f"{needed} results are asked for, and at most {most} count")
        if asked.get("period") == "day" and distinct.get("day", 0) > 1:
            self.mistakes.add(members["within"].place, "different days are never within one calendar day")

    def _distinct(self, value: Value, number: int) -> dict[Any, int]:
        if isinstance(value.content, str):
            return {self.choice(value, _DIMENSIONS, "thing to differ in", "day"): number}
        entries = self.entries(value, "things to differ in and how many: {assessor: 2}")
        asked = self.named(value, _DIMENSIONS, kind="thing to differ in") if entries else {}
        return {of: self.whole(inner, MAX_RESULTS_ASKED) for of, inner in asked.items()}

    def _within(self, value: Value | None) -> dict[str, Any]:
        if value is None:
            return {}
        if str(value.content).startswith("calendar"):
            return {"period": _PERIODS[self.choice(value, _PERIODS, "period", "calendar day")], "zone": self.zone}
        return {"within": self.span(value), "zone": self.zone}

    def _weighted(self, value: Value, fields: grammar.Fields) -> Weighted:
        members = self.members(value, fields)
        if "parts" in fields.known:
            entries = self.entries(members.get("parts"), "assessments and their weights: {theory: 40, practice: 60}")
            weights: dict[str, int] = {}
            for written, weight in entries.items():
                found, of_each = self.matching(Value(weight.place, written)), self.number(weight)
                for name in found:
                    if name in weights:
                        self.mistakes.add(weight.place, f"{name} has a weight already")
                weights |= dict.fromkeys(found, of_each)
            if entries and not sum(weights.values()):
                self.mistakes.add(value.place, "at least one weight is more than 0")
        else:
            weights = dict.fromkeys(self.set_of(members.get("assessments")), 1)
        share, out_of = self.share(members.get("at_least"))
        if share * 1_000_000 % out_of:
            self.mistakes.add(members["at_least"].place, "a mean is asked for a percentage")
        elif not share:
            self.mistakes.add(members["at_least"].place, "every mean is at least 0 %: ask for more")
        return Weighted(
            parts=tuple(Weight(assessment=name, weight=weight) for name, weight in weights.items()),
            at_least=max(1, share * 1_000_000 // out_of),
            take=cast("Any", self.choice(members.get("take"), {"best", "latest", "first", "mean"}, "attempt", "best")),
            missing=cast(
                "Any", self.choice(members.get("missing"), {"zero", "excluded", "blocks"}, "way to count", "zero")
            ),
            **self._selection(members),
        )

    def _holds(self, value: Value) -> Holds:
        if isinstance(value.content, str):
            return Holds(achievement=self._block(value))
        members = self.members(value, grammar.CRITERIA["holds"])
        achievement = self._block(members.get("achievement", NOTHING))
        asked: dict[str, Any] = {}
        if "level" in members:
            asked["levels"] = self.from_level(members["level"], self.levels.get(achievement, ()), achievement)
        if "recent" in members:
            asked |= {"recent": self.span(members["recent"]), "zone": self.zone}
        return Holds(achievement=achievement, **asked)

    def _at_least(self, value: Value) -> AtLeast:
        members = self.members(value, grammar.CRITERIA["at_least"])
        number, of = self.whole(members.get("number")), self._several(members.get("of"))
        if number > len(of) > 0:
            are = "is only 1 criterion" if len(of) == 1 else f"are only {len(of)} criteria"
            self.mistakes.add(members["number"].place, f"there {are} here")
        return AtLeast(number=number, of=of)

    def _expression(self, value: Value) -> Expression:
        members = self.members(value, grammar.CRITERIA["expression"])
        written = members.get("cel", NOTHING)
        text = self.text(written)
        try:
            if text:
                expression.compiled(text)
        except ValueError as error:
            self.mistakes.add(written.place, f"expression: {error}")
        if members.keys().isdisjoint({"assessments", "achievements"}):
            self.mistakes.add(value.place, "an expression names the assessments or achievements that it looks at")
        return Expression(
            cel=text,
            assessments=self.set_of(members.get("assessments")),
            achievements=tuple(self._block(v) for v in self.one_or_more(members.get("achievements"))),
        )

    # -- what criteria share -------------------------------------------------------------------------------------------

    def _bar(self, members: Mapping[str, Value], assessments: Sequence[str]) -> dict[str, Any]:
        asked: dict[str, Any] = {}
        if "at_least" in members:
            asked["at_least"], asked["out_of"] = self.share(members["at_least"])
        if "passed" in members:
            asked["passed"] = self.truth(members["passed"])
        if "level" in members:
            rubrics = {self.assessments[name].levels for name in assessments if name in self.assessments}
            if len(rubrics) > 1:
                self.mistakes.add(members["level"].place, "these assessments have different levels; ask of each apart")
            elif rubrics:
                asked["levels"] = self.from_level(members["level"], rubrics.pop(), ", ".join(assessments))
        return asked

    def _selection(self, members: Mapping[str, Value]) -> dict[str, Any]:
        asked: dict[str, Any] = {}
        for name, field in (("role", "roles"), ("site", "sites")):
            if name in members:
                asked[field] = tuple(self.text(v) for v in self.one_or_more(members[name]))
        for name in ("evidence", "critical"):
            if name in members:
                asked[name] = self.truth(members[name])
        if asked.get("evidence") is False:
            self.mistakes.add(members["evidence"].place, "evidence is true or left out")
        if "attempts" in members:
            asked["attempts"] = self.whole(members["attempts"], MAX_RESULTS_ASKED)
        for name in ("gap", "recent"):
            if name in members:
                asked |= {name: self.span(members[name]), "zone": self.zone}
        return asked | self._dates(members)

    def _dates(self, members: Mapping[str, Value]) -> dict[str, Any]:
        asked: dict[str, Any] = {}
        if "not_before" in members:
            asked["not_before"] = self.instant(members["not_before"])
        if "by" in members:
            asked["by"] = self.instant(members["by"], end=True)
        if asked.get("not_before", 0) > asked.get("by", 2**63):
            self.mistakes.add(members["by"].place, "by is earlier than not_before")
        return asked | ({"zone": self.zone} if asked else {})

    def from_level(self, value: Value, levels: Sequence[str], of: str) -> tuple[str, ...]:
        """Return a level and all that are higher."""
        text = self.text(value)
        if not levels and of:
            self.mistakes.add(value.place, f"{of} has no levels: add levels there first")
            return ()
        if text not in levels:
            self.mistakes.unknown(value.place, text, levels, f"level of {of or 'it'}")
            return ()
        return tuple(levels[levels.index(text) :])

    def _block(self, value: Value) -> str:
        text = self.text(value)
        if text:
            self.blocks.append((value.place, text))
        return text
