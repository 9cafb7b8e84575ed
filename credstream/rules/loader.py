"""Reads a catalogue's folder: `programme.yaml`, `assessments.yaml`, `achievements/*.yaml`.

`docs/rules.md` explains the files to those who write them. Every mistake is reported at once, with its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast, get_args

from msgspec import Struct

from credstream.rules import grammar
from credstream.rules.criteria import CriteriaReader
from credstream.rules.endorsements import EndorsementReader, is_multikey
from credstream.rules.yaml_source import MAX_FILE_BYTES, Mistakes, Place, Value, read
from schemas.catalogue import (
    Achievement,
    Alignment,
    Assessment,
    Catalogue,
    Identifier,
    Issuer,
    JwtKey,
    Key,
    Partner,
    Provider,
    RubricLevel,
    Transition,
    Translation,
)
from schemas.errors import PipelineError
from schemas.events import POINT, Micros
from schemas.rules import achievements_in, criteria_of
from services.competency.calendars import zone
from services.competency.faults import rule_faults
from services.competency.progress import Standing, result_key
from services.competency.selection import Holding

_NOON: Final = 12
MAX_FILES: Final = 1_000
MAX_BYTES: Final = 5_000_000
_MAX_EXAMPLES: Final = 100
_MAX_EXAMPLE_RESULTS: Final = 100


class CatalogueError(PipelineError):
    """A catalogue's files cannot be used; `mistakes` has each one with its place."""

    def __init__(self, folder: Path, mistakes: Sequence[str]) -> None:
        """Tell all of them."""
        lines = "\n  ".join(mistakes)
        super().__init__(f"{folder}: {len(mistakes)} mistake{'s' * (len(mistakes) != 1)}\n  {lines}")
        self.mistakes = mistakes


class Example(Struct, frozen=True, kw_only=True):
    """Evidence, and the decision that an achievement's author expects. `attained`: whether, or from which instant.

    `again`: the instants at which it is attained again; `valid_until`: the end of the last award.
    """

    place: str
    achievement: str
    name: str
    results: Mapping[str, Standing]
    holds: Mapping[str, Holding]
    attained: bool | Micros
    level: str | None = None
    again: tuple[Micros, ...] | None = None
    valid_until: Micros | None = None


class Draft(Struct, frozen=True, kw_only=True):
    """A catalogue as written: all but the keys and the base URL, which the installation adds. Examples are not published."""

    programme: str
    version: str
    issuer: Issuer
    providers: tuple[Provider, ...]
    assessments: tuple[Assessment, ...]
    achievements: tuple[Achievement, ...]
    examples: tuple[Example, ...] = ()
    partners: tuple[Partner, ...] = ()

    def build(self, *, base_url: str, keys: Sequence[Key], jwt_keys: Sequence[JwtKey] = ()) -> Catalogue:
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
            partners=self.partners,
            jwt_keys=tuple(jwt_keys),
        )


def load(folder: Path) -> Draft:
    """Return what a catalogue's folder says.

    Raises:
        CatalogueError: There are mistakes; all of them are told.
    """
    mistakes = Mistakes()
    reader = _Reader(mistakes)
    issuer, providers, name, version = reader.programme(read(folder / "programme.yaml", mistakes))
    reader.endorsing = EndorsementReader(folder, name, [partner for _, partner in reader.partners], mistakes)
    assessments = reader.each(read(folder / "assessments.yaml", mistakes), reader.assessment)
    _check_twice(mistakes, "provider", [(place, p.id) for place, p in providers])
    _check_twice(mistakes, "partner", [(place, p.id) for place, p in reader.partners])
    _check_twice(mistakes, "assessment", [(place, a.id) for place, a in assessments])
    _check_known(mistakes, "provider", reader.attesting, {p.id for _, p in providers})
    reader.assessments = {a.id: a for _, a in assessments}
    files = [read(path, mistakes) for path in _files(folder / "achievements", mistakes)]
    reader.levels = {name: levels for value in files for name, levels in reader.level_names(value)}
    achievements = [found for value in files for found in reader.each(value, reader.achievement)]
    if not achievements and not mistakes.found:
        mistakes.add(Place("achievements", 1, 1), "there is no file *.yaml with an achievement in it")
    _check_twice(mistakes, "achievement", [(place, a.id) for place, a in achievements])
    _check_known(mistakes, "achievement", reader.blocks, {a.id for _, a in achievements})
    _check_circles(mistakes, achievements)
    if not mistakes.found:
        _check_rules(mistakes, achievements)
    if mistakes.found:
        raise CatalogueError(folder, mistakes.told())
    return Draft(
        programme=name,
        version=version,
        issuer=issuer,
        providers=tuple(p for _, p in providers),
        assessments=tuple(a for _, a in assessments),
        achievements=tuple(a for _, a in achievements),
        examples=tuple(reader.examples),
        partners=tuple(p for _, p in reader.partners),
    )


class _Reader(CriteriaReader):
    """Turns files into what they mean."""

    def __init__(self, mistakes: Mistakes) -> None:
        super().__init__(mistakes)
        self.attesting: list[tuple[Place, str]] = []  # providers named by assessments: looked up afterwards
        self.examples: list[Example] = []
        self.partners: list[tuple[Place, Partner]] = []
        self.endorsing = EndorsementReader(Path(), "", (), mistakes)

    def programme(self, value: Value | None) -> tuple[Issuer, list[tuple[Place, Provider]], str, str]:
        members = self.members(value, grammar.PROGRAMME)
        profile = self._issuer(members.get("issuer"))
        self.partners = self.each(members.get("partners"), self._partner)
        providers = self.each(members.get("providers"), self._provider)
        if "time_zone" in members:
            self.zone = self._zone(members["time_zone"])
        return profile, providers, self.id(members.get("programme")), self.text(members.get("version"))

    def _issuer(self, value: Value | None) -> Issuer:
        members = dict(self.members(value, grammar.ISSUER))
        identifiers = [self.members(v, grammar.IDENTIFIER) for v in self.items(members.pop("identifiers", None))]
        texts = {name: self.text(v) for name, v in members.items()}
        if "colour" in texts and not re.fullmatch("#[0-9a-fA-F]{6}", texts["colour"]):
            self.mistakes.add(members["colour"].place, "a colour is wanted here: #0f4c5c")
        named = tuple(
            Identifier(identifier=self.text(v.get("identifier")), identifier_type=self.text(v.get("type")))
            for v in identifiers
        )
        return Issuer(**{"name": "", **texts}, identifiers=named)

    def _partner(self, value: Value) -> Partner:
        members = self.members(value, grammar.PARTNER)
        key = self.text(members.get("key"))
        if key and not is_multikey(key):
            self.mistakes.add(members["key"].place, "an Ed25519 public key is wanted here: z6Mk…")
        return Partner(
            id=self.id(members.get("id")),
            name=self.text(members.get("name")),
            key=key,
            url=self.optional(members.get("url")),
        )

    def _zone(self, value: Value) -> str:
        text = self.text(value)
        try:
            zone(text)
        except ValueError as error:
            self.mistakes.add(value.place, f"{error}; known are those of the IANA database, such as America/Toronto")
            return "UTC"
        return text

    def _provider(self, value: Value) -> Provider:
        members = self.members(value, grammar.PROVIDER)
        return Provider(
            id=self.id(members.get("id")), name=self.text(members.get("name")), url=self.optional(members.get("url"))
        )

    def assessment(self, value: Value) -> Assessment:
        members = self.members(value, grammar.ASSESSMENT)
        late = members.get("accepted_late")
        providers = [(v.place, self.text(v)) for v in self.items(members.get("providers"))]
        self.attesting += providers
        rubric = tuple(level for _, level in self.each(members.get("levels"), self._level))
        return Assessment(
            id=self.id(members.get("id")),
            name=self.text(members.get("name")),
            providers=tuple(name for _, name in providers),
            accepted_late_days=90 if late is None else None if late.content == "unlimited" else self.whole(late),
            levels=tuple(level.name for level in rubric),
            rubric=rubric if any(level.description or level.points for level in rubric) else (),
            names={"fr": self.text(members["fr"])} if "fr" in members else {},
            tags=tuple(self.text(v) for v in self.items(members.get("tags"))),
        )

    def _level(self, value: Value) -> RubricLevel:
        if not isinstance(value.content, Mapping):
            return RubricLevel(name=self.text(value))
        members = self.members(value, grammar.LEVEL)
        return RubricLevel(
            name=self.text(members.get("name")),
            description=self.optional(members.get("description")),
            points=self.optional(members.get("points")),
        )

    def level_names(self, file: Value | None) -> list[tuple[str, Sequence[str]]]:
        """Return the levels of each achievement's award, before any rule is read; mistakes are noted when they are."""
        found: list[tuple[str, Sequence[str]]] = []
        for value in file.content if file is not None and not isinstance(file.content, str | Mapping) else ():
            at: Value | None = value
            for step in ("rule", "levels"):
                at = at.content.get(step) if at is not None and isinstance(at.content, Mapping) else None
            name = value.content.get("id") if isinstance(value.content, Mapping) else None
            if at is not None and isinstance(at.content, Mapping) and name is not None:
                found.append((str(name.content), tuple(at.content)))
        return found

    def achievement(self, value: Value) -> Achievement:
        members = self.members(value, grammar.ACHIEVEMENT)
        texts = ("name", "description", "criteria")
        optional = ("achievement_type", "language", "field_of_study", "sector", "rationale")
        about = ("endorsed_by", "code", "role", "image")
        achievement = self.id(members.get("id"))
        shown = self.each(members.get("examples"), lambda v: self._example(v, achievement))
        if len(shown) > _MAX_EXAMPLES:
            self.mistakes.add(members["examples"].place, f"{len(shown)} examples; at most {_MAX_EXAMPLES} are run")
        self.examples += [found for _, found in shown]
        french = self.members(members.get("fr"), grammar.TRANSLATION)
        related = [(v.place, self.text(v)) for v in self.items(members.get("related"))]
        self.blocks += related
        return Achievement(
            id=achievement,
            **{name: self.text(members.get(name)) for name in texts},
            tags=tuple(self.text(v) for v in self.items(members.get("tags"))),
            alignments=tuple(a for _, a in self.each(members.get("alignments"), self._alignment)),
            credits=self._credits(members["credits"]) if "credits" in members else None,
            rule=self.rule(members.get("rule"), members.get("valid")),
            transition=cast(
                "Any", self.choice(members.get("transition"), set(get_args(Transition)), "transition", "keep")
            ),
            translations=(Translation(language="fr", **{name: self.text(french.get(name)) for name in texts}),)
            if french
            else (),
            related=tuple(name for _, name in related),
            endorsements=tuple(
                self.endorsing.read(v.place, self.text(v), achievement) for v in self.items(members.get("endorsements"))
            ),
            **{name: self.text(members[name]) for name in (*optional, *about) if name in members},
        )

    def _credits(self, value: Value) -> int:
        thousandths, rest = divmod(self.number(value), POINT // 1_000)
        if rest:
            self.mistakes.add(value.place, "credits have at most three decimals")
        return thousandths

    def _alignment(self, value: Value) -> Alignment:
        members = self.members(value, grammar.ALIGNMENT)
        return Alignment(**{"target_name": "", "target_url": "", **{name: self.text(v) for name, v in members.items()}})

    def _example(self, value: Value, achievement: str) -> Example:
        members = self.members(value, grammar.EXAMPLE)
        results = dict(self._shown(at, v) for at, v in enumerate(self.items(members.get("results"))))
        if len(results) > _MAX_EXAMPLE_RESULTS:
            self.mistakes.add(value.place, f"{len(results)} results; an example has at most {_MAX_EXAMPLE_RESULTS}")
        holds = self.entries(members.get("holds"), "achievements, each with a day,") if "holds" in members else {}
        self.blocks += [(v.place, name) for name, v in holds.items()]
        attained = members.get("attained", Value(value.place, "false"))
        said = attained.content in {"true", "false"}
        return Example(
            place=str(value.place),
            achievement=achievement,
            name=self.text(members.get("name")),
            results=results,
            holds={name: self._held(name, v) for name, v in holds.items()},
            attained=self.truth(attained) if said else self.instant(attained, hour=_NOON),
            level=self.optional(members.get("level")),
            again=tuple(self.instant(v, hour=_NOON) for v in self.items(members["again"]))
            if "again" in members
            else None,
            valid_until=self.instant(members["valid_until"], hour=_NOON) if "valid_until" in members else None,
        )

    def _held(self, name: str, value: Value) -> Holding:
        """Return a building block held from a day; its level only if it says one."""
        if not isinstance(value.content, Mapping):
            return Holding(self.instant(value, hour=_NOON))
        members = self.members(value, grammar.EXAMPLE_HOLDING)
        level = None
        if "level" in members:
            level = self.choice(members["level"], self.levels.get(name, ()), f"level of {name}", "") or None
        return Holding(self.instant(members["since"], hour=_NOON) if "since" in members else 0, level)

    def _shown(self, at: int, value: Value) -> tuple[str, Standing]:
        members = self.members(value, grammar.EXAMPLE_RESULT)
        score = members.get("score")
        maximum = self.number(members["of"]) if "of" in members else 100 * POINT
        standing = Standing(
            revision=0,
            digest=b"",
            retracted=False,
            assessment=self.known_assessment(members["assessment"]) if "assessment" in members else "",
            completed_at=self.instant(members["date"], hour=_NOON) if "date" in members else 0,
            score=None if score is None else self.number(score),
            score_max=None if score is None else maximum,
            passed=self.truth(members["passed"]) if "passed" in members else None,
            level=self.optional(members.get("level")),
            evidence_url=self.optional(members.get("evidence")),
            assessor_ref=self.optional(members.get("assessor")),
            assessor_role=self.optional(members.get("role")),
            site=self.optional(members.get("site")),
            critical=self.truth(members["critical"]) if "critical" in members else None,
        )
        return result_key(self.optional(members.get("provider")) or "provider", f"{at:05d}"), standing


def _check_twice(mistakes: Mistakes, kind: str, named: Sequence[tuple[Place, str]]) -> None:
    known: set[str] = set()
    for place, name in named:
        if name in known:
            mistakes.add(place, f"the {kind} {name} stands twice")
        known.add(name)


def _check_known(mistakes: Mistakes, kind: str, named: Sequence[tuple[Place, str]], known: set[str]) -> None:
    for place, name in named:
        if name not in known:
            mistakes.unknown(place, name, known, kind)


def _check_circles(mistakes: Mistakes, achievements: Sequence[tuple[Place, Achievement]]) -> None:
    known = {a.id for _, a in achievements}
    builds_on = {
        a.id: {name for criterion in criteria_of(a.rule) for name in achievements_in(criterion)} & known
        for _, a in achievements
    }
    try:
        TopologicalSorter(builds_on).prepare()
    except CycleError as error:
        inside = set(error.args[1])
        circle = " -> ".join(error.args[1])
        mistakes.add(next(place for place, a in achievements if a.id in inside), f"built on itself: {circle}")


def _check_rules(mistakes: Mistakes, achievements: Sequence[tuple[Place, Achievement]]) -> None:
    """Refuse here what every lane would refuse."""
    for place, achievement in achievements:
        for fault in rule_faults(achievement.rule):
            mistakes.add(place, f"{achievement.id}: {fault}")


def _files(folder: Path, mistakes: Mistakes) -> Sequence[Path]:
    """Return the files of achievements, if they are not too many and not too large together."""
    found = sorted(islice(folder.glob("*.yaml"), MAX_FILES + 1))
    start = Place(folder.name, 1, 1)
    if len(found) > MAX_FILES:
        mistakes.add(start, f"more than {MAX_FILES:,} files")
        return ()
    size = sum(
        min(path.stat().st_size, MAX_FILE_BYTES) for path in found if path.is_file()
    )  # larger ones are told apart
    if size > MAX_BYTES:
        mistakes.add(start, f"{size:,} bytes in all; at most {MAX_BYTES:,} are read")
        return ()
    return found
