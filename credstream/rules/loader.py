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
from credstream.rules.endorsements import EndorsementReader, is_multikey
from credstream.rules.examples import Example, ExampleReader
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
from schemas.events import POINT
from schemas.rules import achievements_in, criteria_of
from services.competency.adoption import catalogue_faults
from services.competency.calendars import zone

MAX_FILES: Final = 1_000
MAX_BYTES: Final = 5_000_000
_OF_WHAT: Final = re.compile(r"(achievement|assessment) '([a-z0-9-]+)': ")


class CatalogueError(PipelineError):
    """A catalogue's files cannot be used; `mistakes` has each one with its place."""

    def __init__(self, folder: Path, mistakes: Sequence[str]) -> None:
        """Tell all of them."""
        lines = "\n  ".join(mistakes)
        super().__init__(f"{folder}: {len(mistakes)} mistake{'s' * (len(mistakes) != 1)}\n  {lines}")
        self.mistakes = mistakes


class Draft(Struct, frozen=True, kw_only=True):
    """A catalogue as written: all but the keys and the base URL, which the installation adds. Examples are not published."""

    programme: str
    version: str
    time_zone: str
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
    if not folder.is_dir():
        raise CatalogueError(folder, ["there is no such folder: a catalogue is one, with a programme.yaml in it"])
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
    draft = Draft(
        programme=name,
        version=version,
        time_zone=reader.zone,
        issuer=issuer,
        providers=tuple(p for _, p in providers),
        assessments=tuple(a for _, a in assessments),
        achievements=tuple(a for _, a in achievements),
        examples=tuple(reader.examples),
        partners=tuple(p for _, p in reader.partners),
    )
    if not mistakes.found:
        places = {("achievement", a.id): place for place, a in achievements}
        places |= {("assessment", a.id): place for place, a in assessments}
        _check_adoptable(mistakes, draft, places)
    if mistakes.found:
        raise CatalogueError(folder, mistakes.told())
    return draft


class _Reader(ExampleReader):
    """Turns files into what they mean."""

    def __init__(self, mistakes: Mistakes) -> None:
        super().__init__(mistakes)
        self.attesting: list[tuple[Place, str]] = []  # providers named by assessments: looked up afterwards
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
        texts = {name: self.formed(v, name) for name, v in members.items()}
        named = tuple(
            Identifier(
                identifier=self.text(v.get("identifier")), identifier_type=self.formed(v.get("type"), "identifier_type")
            )
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
            url=self.optionally_formed(members, "url"),
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
            id=self.id(members.get("id")),
            name=self.text(members.get("name")),
            url=self.optionally_formed(members, "url"),
        )

    def assessment(self, value: Value) -> Assessment:
        members = self.members(value, grammar.ASSESSMENT)
        late = members.get("accepted_late")
        providers = self.names(members.get("providers"))
        self.attesting += providers
        levels = self.each(members.get("levels"), self._level)
        _check_twice(self.mistakes, "level", [(place, level.name) for place, level in levels])
        rubric = tuple(level for _, level in levels)
        return Assessment(
            id=self.id(members.get("id")),
            name=self.text(members.get("name")),
            providers=tuple(name for _, name in providers),
            accepted_late_days=90 if late is None else None if late.content == "unlimited" else self.whole(late),
            levels=tuple(level.name for level in rubric),
            rubric=rubric if any(level.description or level.points for level in rubric) else (),
            names={"fr": self.text(members["fr"])} if "fr" in members else {},
            tags=tuple(tag for _, tag in self.names(members.get("tags"))),
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
        self.read_examples(members.get("examples"), achievement)
        french = self.members(members.get("fr"), grammar.TRANSLATION)
        related = self.names(members.get("related"))
        self.blocks += related
        return Achievement(
            id=achievement,
            **{name: self.text(members.get(name)) for name in texts},
            tags=tuple(tag for _, tag in self.names(members.get("tags"))),
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
            **{name: self.formed(members[name], name) for name in (*optional, *about) if name in members},
        )

    def _credits(self, value: Value) -> int:
        thousandths, rest = divmod(self.number(value), POINT // 1_000)
        if rest:
            self.mistakes.add(value.place, "credits have at most three decimals")
        return thousandths

    def _alignment(self, value: Value) -> Alignment:
        members = self.members(value, grammar.ALIGNMENT)
        return Alignment(
            **{"target_name": "", "target_url": "", **{name: self.formed(v, name) for name, v in members.items()}}
        )


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


def _check_adoptable(mistakes: Mistakes, draft: Draft, places: Mapping[tuple[str, str], Place]) -> None:
    """Refuse here what every lane would refuse."""
    for fault in catalogue_faults(draft.build(base_url="", keys=())):
        found = _OF_WHAT.match(fault)
        place = places.get((found[1], found[2])) if found else None
        told = fault if place is None or found is None else f"{found[2]}: {fault[found.end() :]}"
        mistakes.add(place or Place("programme.yaml", 1, 1), told)


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
