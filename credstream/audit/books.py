"""Which version of which rule is in force when, by what a lane adopted. Written from `docs/rules.md`, "Versions"."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Final

import msgspec

from credstream.audit.decoding import canonical, named
from schemas import rules

_DAY: Final = 86_400_000_000


@dataclass(frozen=True)
class Version:
    """A rule from `start` on; of one that is retired nothing is judged from then on."""

    start: int
    rule: rules.Rule
    digest: str
    transition: str
    retired: bool = False

    @cached_property
    def assessments(self) -> frozenset[str]:
        """Return the assessments that it looks at."""
        return frozenset(name for one in rules.criteria_of(self.rule) for name in rules.assessments_in(one))

    @cached_property
    def blocks(self) -> frozenset[str]:
        """Return the achievements that it builds on."""
        return frozenset(name for one in rules.criteria_of(self.rule) for name in rules.achievements_in(one))

    @cached_property
    def looks_at(self) -> frozenset[str]:
        """Return both: assessments as they are, achievements after `held`."""
        return self.assessments | {f"held {block}" for block in self.blocks}


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """A catalogue as a lane adopted it: at which inbox position, when by the lane's clock, and from when by its own word."""

    position: int
    digest: str
    adopted_at: int
    effective_from: int | None
    catalogue: Mapping[str, Any]

    @cached_property
    def offered(self) -> dict[str, Any]:
        """Return its achievements by their ids."""
        return {one["id"]: one for one in self.catalogue["achievements"]}

    @property
    def first_rules_from(self) -> int:
        """Return from when a rule that was never there before is in force: the beginning, unless the adoption says otherwise."""
        return self.effective_from or 0

    @property
    def changes_from(self) -> int:
        """Return from when a changed rule is in force."""
        return max(self.adopted_at, self.first_rules_from)


class Book:
    """Catalogues adopted one after the other, and what follows from them."""

    def __init__(self, adopted: Sequence[Adopted]) -> None:
        """Work out the versions of each rule, and what may be touched by what."""
        self._adopted = adopted
        newest = adopted[-1].catalogue
        self.newest = adopted[-1].digest
        self.providers = {one["id"] for one in newest["providers"]}
        self.assessments: dict[str, Any] = {one["id"]: one for one in newest["assessments"]}
        self.versions = _histories(adopted)
        self._order = _blocks_first(self.versions)

    def in_force(self, now: int) -> Adopted:
        """Return the catalogue adopted last among those in force: what it offers may be granted, in its words."""
        return next((one for one in reversed(self._adopted) if one.changes_from <= now), self._adopted[0])

    def accepts_late(self, assessment: str, age: int) -> bool:
        """Say whether a result of this age counts without a review."""
        days = self.assessments[assessment].get("accepted_late_days", 90)
        return days is None or age <= days * _DAY

    @cache  # noqa: B019  a book lives as long as the audit
    def touched_by(self, assessments: frozenset[str]) -> list[str]:
        """Return what may be met by results of these assessments, directly or through blocks; blocks first."""
        direct = (
            name for name, versions in self.versions.items() if any(v.assessments & assessments for v in versions)
        )
        return self._with_what_is_built(frozenset(direct))

    def built_with(self, name: str) -> list[str]:
        """Return what is built with an achievement, directly or not; blocks first."""
        return [one for one in self._with_what_is_built(frozenset({name})) if one != name]

    @cache  # noqa: B019  a book lives as long as the audit
    def _with_what_is_built(self, names: frozenset[str]) -> list[str]:
        found = set(names)
        while True:
            more = {n for n, versions in self.versions.items() if any(v.blocks & found for v in versions)}
            if more <= found:
                return [name for name in self._order if name in found]
            found |= more


def _histories(adopted: Sequence[Adopted]) -> dict[str, tuple[Version, ...]]:
    found: dict[str, tuple[Version, ...]] = {}
    for adoption in adopted:
        stated = adoption.offered
        for name, versions in found.items():
            if name not in stated:
                last = versions[-1]
                start = min(adoption.changes_from, last.start) if last.retired else adoption.changes_from
                found[name] = _followed(versions, replace(last, start=start, retired=True))
        for name, achievement in stated.items():
            found[name] = _stated(found.get(name, ()), achievement, adoption)
    return found


def _stated(versions: tuple[Version, ...], achievement: Mapping[str, Any], adoption: Adopted) -> tuple[Version, ...]:
    transition = achievement.get("transition", "keep")
    from_the_beginning = not versions or transition == "reevaluate"
    start = adoption.first_rules_from if from_the_beginning else adoption.changes_from
    rule = achievement["rule"]
    version = Version(start, _rule(json.dumps(rule)), named(canonical(rule)), transition)
    if versions and versions[-1].digest == version.digest and not versions[-1].retired:
        last = versions[-1]  # an unchanged rule keeps the transition with which it came
        return _followed(versions[:-1], replace(last, start=min(start, last.start)))
    return _followed(versions, version)


@cache
def _rule(text: str) -> rules.Rule:
    return msgspec.json.decode(text, type=rules.Rule)


def _followed(versions: Sequence[Version], version: Version) -> tuple[Version, ...]:
    return (*(one for one in versions if one.start < version.start), version)


def _blocks_first(versions: Mapping[str, Sequence[Version]]) -> list[str]:
    """Return the achievements by how deep they build on others; ties do not matter."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name not in order:
            for block in sorted({block for version in versions.get(name, ()) for block in version.blocks}):
                visit(block)
            if name not in order:
                order.append(name)

    for name in sorted(versions):
        visit(name)
    return [name for name in order if name in versions]


def for_learner(
    versions: Sequence[Version], instants: Mapping[str, Sequence[int]], rejudged: tuple[str, int] | None
) -> tuple[Version, ...]:
    """Return the versions by which a learner is judged.

    ``instants`` are those of the evidence, by assessment or `held` and achievement. Who began before a version that grandfathers
    stays with the former one. ``rejudged``: from an instant on the version of that digest judges, up to those that came after it.
    """
    kept = [versions[0]]
    for version in versions[1:]:
        began = any(at < version.start for at in _seen(kept[-1], instants))
        if not (version.transition == "grandfather" and began) or version.retired:
            kept.append(version)
    if rejudged is None:
        return tuple(kept)
    digest, since = rejudged
    named_one = [version for version in kept if version.digest == digest][-1:]
    if not named_one:
        return tuple(kept)
    before = [version for version in kept if version.start < since]
    after = [version for version in kept if version.start > max(named_one[0].start, since)]
    return (*before, replace(named_one[0], start=since), *after)


def _seen(version: Version, instants: Mapping[str, Sequence[int]]) -> Iterator[int]:
    for name in version.assessments:
        yield from instants.get(name, ())
    for block in version.blocks:
        yield from instants.get(f"held {block}", ())
