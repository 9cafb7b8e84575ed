"""Reads a catalogue's folder: `programme.yaml`, `assessments.yaml`, `achievements/*.yaml`.

`docs/rules.md` explains the files to those who write them. Every mistake is reported at once, with its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from credstream.rules.yaml_source import Mistakes, Place, Value, read
from schemas.catalogue import (
    WHOLE,
    Achievement,
    Alignment,
    All,
    Any,
    Assessment,
    Catalogue,
    Count,
    Criterion,
    Holds,
    Issuer,
    Key,
    Provider,
    Result,
    Rule,
    Weight,
    Weighted,
    achievements_in,
)
from schemas.errors import PipelineError

T = TypeVar("T")
_ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NUMBER: Final = re.compile(r"\d{1,9}(\.\d{1,6})?")
_PERCENT: Final = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)\s*%")
_NONE: Final = Value(Place("", 0, 0), "")


class CatalogueError(PipelineError):
    """A catalogue's files cannot be used; `mistakes` has each one with its place."""

    def __init__(self, folder: Path, mistakes: Sequence[str]) -> None:
        """Tell all of them."""
        lines = "\n  ".join(mistakes)
        super().__init__(f"{folder}: {len(mistakes)} mistake{'s' * (len(mistakes) != 1)}\n  {lines}")
        self.mistakes = mistakes


class Draft(Struct, frozen=True, kw_only=True):
    """A catalogue as written: all but the keys and the base URL, which the installation adds."""

    programme: str
    version: str
    issuer: Issuer
    providers: tuple[Provider, ...]
    assessments: tuple[Assessment, ...]
    achievements: tuple[Achievement, ...]

    def build(self, *, base_url: str, keys: Sequence[Key]) -> Catalogue:
        """Return the catalogue of an installation."""
        return Catalogue(
            programme=self.programme,
            version=self.version,
            base_url=base_url,
            issuer=self.issuer,
            keys=tuple(keys),
            providers=self.providers,
            assessments=self.assessments,
            achievements=self.achievements,
        )


def load(folder: Path) -> Draft:
    """Return what a catalogue's folder says.

    Raises:
        CatalogueError: There are mistakes; all of them are told.
    """
    mistakes = Mistakes()
    reader = _Reader(mistakes)
    programme = reader.programme(read(folder / "programme.yaml", mistakes))
    assessments = reader.each(read(folder / "assessments.yaml", mistakes), reader.assessment)
    achievements: list[tuple[Place, Achievement]] = []
    for path in sorted((folder / "achievements").glob("*.yaml")):
        achievements += reader.each(read(path, mistakes), reader.achievement)
    if not achievements and not mistakes.found:
        mistakes.add(Place("achievements", 1, 1), "there is no file *.yaml with an achievement in it")
    issuer, providers, name, version = programme
    _check_names(mistakes, providers, assessments, achievements, reader.named)
    if mistakes.found:
        raise CatalogueError(folder, mistakes.found)
    return Draft(
        programme=name,
        version=version,
        issuer=issuer,
        providers=tuple(p for _, p in providers),
        assessments=tuple(a for _, a in assessments),
        achievements=tuple(a for _, a in achievements),
    )


class _Reader:
    """Turns values into what they mean, noting what they cannot mean and going on."""

    def __init__(self, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self.named: list[tuple[Place, str, str]] = []  # place, kind, name: looked up once all files are read
        self._criteria: Mapping[str, Callable[[Value], Criterion]] = {
            "result": self._result,
            "count": self._count,
            "weighted": self._weighted,
            "holds": lambda v: Holds(achievement=self._name(v, "achievement")),
            "all": lambda v: All(of=self._several(v)),
            "any": lambda v: Any(of=self._several(v)),
        }

    # -- files ---------------------------------------------------------------------------------------------------------

    def programme(self, value: Value | None) -> tuple[Issuer, list[tuple[Place, Provider]], str, str]:
        members = self._members(
            value, {"programme", "version", "issuer", "providers"}, {"programme", "version", "issuer"}
        )
        about = {"name", "description", "url", "email", "country", "region"}
        issuer = self._members(members.get("issuer"), about, {"name"})
        profile = Issuer(**{"name": "", **{name: self._text(v) for name, v in issuer.items()}})
        providers = self.each(members.get("providers"), self._provider)
        return profile, providers, self._id(members.get("programme")), self._text(members.get("version"))

    def _provider(self, value: Value) -> Provider:
        members = self._members(value, {"id", "name", "url"}, {"id", "name"})
        url = self._text(members["url"]) if "url" in members else None
        return Provider(id=self._id(members.get("id")), name=self._text(members.get("name")), url=url)

    def assessment(self, value: Value) -> Assessment:
        known = {"id", "name", "providers", "accepted_late"}
        members = self._members(value, known, {"id", "name", "providers"})
        late = members.get("accepted_late")
        return Assessment(
            id=self._id(members.get("id")),
            name=self._text(members.get("name")),
            providers=tuple(self._name(v, "provider") for v in self._items(members.get("providers"))),
            accepted_late_days=90 if late is None else self._days_or_unlimited(late),
        )

    def achievement(self, value: Value) -> Achievement:
        texts = {"name", "description", "criteria"}
        optional = {"achievement_type", "language", "field_of_study", "sector"}
        known = texts | optional | {"id", "tags", "alignments", "valid_days", "rule"}
        members = self._members(value, known, texts | {"id", "rule"})
        given = {name: self._text(members[name]) for name in optional if name in members}
        return Achievement(
            id=self._id(members.get("id")),
            **{name: self._text(members.get(name)) for name in sorted(texts)},
            tags=tuple(self._text(v) for v in self._items(members.get("tags"))),
            alignments=tuple(a for _, a in self.each(members.get("alignments"), self._alignment)),
            valid_days=self._whole(members["valid_days"]) if "valid_days" in members else None,
            rule=self._rule(members.get("rule")),
            **given,
        )

    def _alignment(self, value: Value) -> Alignment:
        known = {"target_name", "target_url", "target_framework", "target_code", "target_type"}
        members = self._members(value, known, {"target_name", "target_url"})
        return Alignment(
            **{"target_name": "", "target_url": "", **{name: self._text(v) for name, v in members.items()}}
        )

    # -- rules ---------------------------------------------------------------------------------------------------------

    def _rule(self, value: Value | None) -> Rule:
        members = self._members(value, {"attained", "requires"}, {"requires"})
        attained = self._text(members["attained"]) if "attained" in members else "first"
        if attained not in {"first", "standing"}:
            self._mistakes.unknown(members["attained"].place, attained, {"first", "standing"}, "way to attain")
        requires = members.get("requires")
        criterion = self._criterion(requires) if requires else Holds(achievement="")
        return Rule(attained="standing" if attained == "standing" else "first", requires=criterion)

    def _criterion(self, value: Value) -> Criterion:
        members = self._members(value, self._criteria.keys(), set(), kind="criterion")
        if len(members) != 1:
            self._mistakes.add(value.place, f"one criterion is wanted here: {', '.join(self._criteria)}")
            return Holds(achievement="")
        [(kind, inner)] = members.items()
        return self._criteria[kind](inner)

    def _several(self, value: Value) -> tuple[Criterion, ...]:
        found = tuple(self._criterion(v) for v in self._items(value))
        if not found:
            self._mistakes.add(value.place, "at least one criterion is wanted here")
        return found

    def _result(self, value: Value) -> Result:
        members = self._members(value, {"assessment", "at_least", "passed"}, {"assessment"})
        return Result(
            assessment=self._name(members.get("assessment", _NONE), "assessment"),
            at_least=self._share(members["at_least"]) if "at_least" in members else None,
            passed=self._truth(members["passed"]) if "passed" in members else None,
        )

    def _count(self, value: Value) -> Count:
        members = self._members(value, {"number", "assessments", "at_least", "passed"}, {"number", "assessments"})
        return Count(
            number=self._whole(members.get("number", _NONE)),
            assessments=tuple(self._name(v, "assessment") for v in self._items(members.get("assessments"))),
            at_least=self._share(members["at_least"]) if "at_least" in members else None,
            passed=self._truth(members["passed"]) if "passed" in members else None,
        )

    def _weighted(self, value: Value) -> Weighted:
        members = self._members(value, {"at_least", "parts"}, {"at_least", "parts"})
        parts = members.get("parts")
        weights = parts.content if parts and isinstance(parts.content, Mapping) else {}
        if parts and not weights:
            self._mistakes.add(parts.place, "assessments and their weights are wanted here: {theory: 40, practice: 60}")
        found = []
        for name, weight in weights.items():
            self.named.append((weight.place, "assessment", name))
            found.append(Weight(assessment=name, weight=self._exact(weight)))
        if found and not sum(part.weight for part in found):
            self._mistakes.add(value.place, "at least one weight is more than 0")
        return Weighted(parts=tuple(found), at_least=self._share(members.get("at_least", _NONE)))

    # -- values --------------------------------------------------------------------------------------------------------

    def each(self, value: Value | None, meaning: Callable[[Value], T]) -> list[tuple[Place, T]]:
        return [(inner.place, meaning(inner)) for inner in self._items(value)]

    def _members(
        self, value: Value | None, known: Collection[str], needed: set[str], kind: str = "field"
    ) -> Mapping[str, Value]:
        if value is None:
            return {}
        if not isinstance(value.content, Mapping):
            self._mistakes.add(value.place, "fields with values are wanted here")
            return {}
        names = set(known)
        for name, inner in value.content.items():
            if name not in names:
                self._mistakes.unknown(inner.place, name, names, kind)
        for name in sorted(needed - value.content.keys()):
            self._mistakes.add(value.place, f"{name} is missing")
        return {name: inner for name, inner in value.content.items() if name in names}

    def _items(self, value: Value | None) -> Sequence[Value]:
        if value is None:
            return []
        if isinstance(value.content, str | Mapping):
            self._mistakes.add(value.place, "a list is wanted here")
            return []
        return value.content

    def _text(self, value: Value | None) -> str:
        if value is None:
            return ""
        if not isinstance(value.content, str) or not value.content:
            self._mistakes.add(value.place, "a text is wanted here")
            return ""
        return value.content

    def _id(self, value: Value | None) -> str:
        text = self._text(value)
        if value is not None and text and not _ID.fullmatch(text):
            self._mistakes.add(value.place, f"{text}: an id has lower-case letters, digits and single hyphens")
        return text

    def _name(self, value: Value, kind: str) -> str:
        text = self._text(value) if value.place.line else ""
        if text:
            self.named.append((value.place, kind, text))
        return text

    def _exact(self, value: Value) -> int:
        """Return a number in millionths, exactly."""
        text = self._text(value) if value.place.line else "0"
        if not _NUMBER.fullmatch(text):
            self._mistakes.add(value.place, f"{text}: a number with at most six decimals is wanted here")
            return 0
        return int(Decimal(text) * WHOLE)

    def _share(self, value: Value) -> int:
        text = self._text(value) if value.place.line else "0 %"
        found = _PERCENT.fullmatch(text)
        share = int(Decimal(found[1]) * WHOLE / 100) if found else -1
        if not 0 <= share <= WHOLE:
            self._mistakes.add(value.place, f"{text}: a percentage from 0 % to 100 % is wanted here")
            return 0
        return share

    def _whole(self, value: Value) -> int:
        text = self._text(value) if value.place.line else "1"
        if not text.isdecimal() or not 0 < int(text) < 100_000:  # noqa: PLR2004
            self._mistakes.add(value.place, f"{text}: a whole number from 1 is wanted here")
            return 1
        return int(text)

    def _days_or_unlimited(self, value: Value) -> int | None:
        return None if value.content == "unlimited" else self._whole(value)

    def _truth(self, value: Value) -> bool:
        text = self._text(value)
        if text not in {"true", "false"}:
            self._mistakes.add(value.place, f"{text}: true or false is wanted here")
        return text == "true"


def _check_names(
    mistakes: Mistakes,
    providers: Sequence[tuple[Place, Provider]],
    assessments: Sequence[tuple[Place, Assessment]],
    achievements: Sequence[tuple[Place, Achievement]],
    named: Sequence[tuple[Place, str, str]],
) -> None:
    known: dict[str, set[str]] = {"provider": set(), "assessment": set(), "achievement": set()}
    for kind, entries in (("provider", providers), ("assessment", assessments), ("achievement", achievements)):
        for place, entry in entries:
            if entry.id in known[kind]:
                mistakes.add(place, f"the {kind} {entry.id} stands twice")
            known[kind].add(entry.id)
    for place, kind, name in named:
        if name not in known[kind]:
            mistakes.unknown(place, name, known[kind], kind)
    builds_on = {a.id: set(achievements_in(a.rule.requires)) & known["achievement"] for _, a in achievements}
    try:
        TopologicalSorter(builds_on).prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        mistakes.add(next(place for place, a in achievements if a.id in error.args[1]), f"built on itself: {circle}")
