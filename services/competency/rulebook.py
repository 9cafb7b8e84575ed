"""Adopted catalogues, made ready for use: which version of each rule is in force when, and what looks at what.

Nothing here depends on a learner, so one rulebook serves all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Final

from msgspec import Struct

from schemas.catalogue import Achievement, Catalogue, Transition, canonical
from schemas.events import Micros
from schemas.ids import content_digest
from schemas.rules import Rule, achievements_in, assessments_in, criteria_of
from services.competency.criteria import Judge, judge_of
from services.competency.timeline import BEGINNING

DAY: Final[Micros] = 86_400_000_000


class Adoption(Struct, frozen=True, array_like=True):
    """A catalogue version as a lane adopted it, at `adopted_at` by the lane's clock."""

    digest: str
    adopted_at: Micros
    effective_from: Micros | None = None

    @property
    def first_rules_from(self) -> Micros:
        """A rule's first version is in force from the beginning, unless it names a start."""
        return BEGINNING if self.effective_from is None else self.effective_from

    @property
    def changes_from(self) -> Micros:
        """A change takes force once it is adopted, or later: what was judged before stays judged."""
        return max(self.adopted_at, self.first_rules_from)


@dataclass(frozen=True, kw_only=True)
class Version:
    """A rule as it was in force from `start` on."""

    start: Micros
    achievement: str
    rule: Rule
    rule_digest: str
    transition: Transition = "keep"
    retired: bool = False  # from `start` on nothing is looked at, so what is held stays held

    @property
    def may_be_earned_again(self) -> bool:
        """Say whether evidence may earn it once more."""
        return self.rule.repeatable or self.rule.renewal is not None

    @property
    def zone(self) -> str:
        """Return the time zone in which the lives of its awards are counted."""
        return "UTC" if self.rule.validity is None else self.rule.validity.zone

    @cached_property
    def assessments(self) -> frozenset[str]:
        """Return every assessment that it looks at."""
        return frozenset(name for criterion in criteria_of(self.rule) for name in assessments_in(criterion))

    @cached_property
    def blocks(self) -> frozenset[str]:
        """Return every achievement that it builds on."""
        return frozenset(name for criterion in criteria_of(self.rule) for name in achievements_in(criterion))

    @cached_property
    def judge(self) -> Judge:
        """Return its criterion, ready to be judged."""
        return judge_of(self.rule.requires)

    @cached_property
    def renews(self) -> Judge:
        """Return what renews an award, ready to be judged."""
        renewal = self.rule.renewal
        return self.judge if renewal is None or renewal.requires is None else judge_of(renewal.requires)

    @cached_property
    def levels(self) -> tuple[tuple[str, Judge], ...]:
        """Return its levels, rising, each ready to be judged."""
        return tuple((level.name, judge_of(level.requires)) for level in self.rule.levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A catalogue from when it is in force: what may be granted then, and in which words.

    `schedule` is the catalogue adopted last, in force yet or not: its keys sign, at once.
    """

    start: Micros
    digest: str
    catalogue: Catalogue
    achievements: Mapping[str, Achievement]
    schedule: Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """From whom results of an assessment are accepted, and how long after they were shown (None: for ever)."""

    providers: frozenset[str]
    late_after_days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """What a lane has adopted of a programme. Who may attest for what is as the catalogue adopted last says, at once.

    `offers` are its catalogues in the order of adoption. `rules` holds each achievement's versions, oldest first; building blocks
    stand before what is built with them. `looking` gives for an assessment, `building` for an achievement, everything whose rule
    may be met by it, directly or through blocks, in that order.
    """

    offers: tuple[Offer, ...]
    providers: frozenset[str]
    assessments: Mapping[str, Accepted]
    rules: Mapping[str, tuple[Version, ...]]
    looking: Mapping[str, tuple[str, ...]]
    building: Mapping[str, tuple[str, ...]]

    @property
    def newest(self) -> Offer:
        """Return the catalogue adopted last, in force yet or not."""
        return self.offers[-1]

    def in_force(self, now: Micros) -> Offer:
        """Return the catalogue adopted last among those in force; what it does not offer is granted to nobody any more."""
        return next((offer for offer in reversed(self.offers) if offer.start <= now), self.offers[0])

    def looking_at(self, assessments: Sequence[str]) -> tuple[str, ...]:
        """Return the achievements that any of these assessments may touch, blocks first."""
        if not assessments:
            return ()
        if len(assessments) == 1:
            return self.looking.get(assessments[0], ())
        touched = {name for assessment in assessments for name in self.looking.get(assessment, ())}
        return tuple(name for name in self.rules if name in touched)


def rulebook(adopted: Sequence[tuple[Adoption, Catalogue]]) -> Rulebook:
    """Return what is in force after these adoptions, oldest first.

    Raises:
        ValueError: Achievements build on each other in a circle, over all versions that may still judge something.
    """
    histories: dict[str, tuple[Version, ...]] = {}
    for adoption, catalogue in adopted:
        offered = {achievement.id: achievement for achievement in catalogue.achievements}
        for name in histories.keys() - offered.keys():
            histories[name] = _retired(histories[name], adoption)
        for name, achievement in offered.items():
            histories[name] = _amended(histories.get(name, ()), achievement, adoption)
    order = _blocks_first(histories)
    rules = {name: histories[name] for name in order}
    building: dict[str, set[str]] = {name: set() for name in rules}
    looking: dict[str, set[str]] = {}
    for name in reversed(order):  # what is built with a block is complete before the block is
        above = {name, *building[name]}
        for version in rules[name]:
            for block in version.blocks:
                building.setdefault(block, set()).update(above)
            for assessment in version.assessments:
                looking.setdefault(assessment, set()).update(above)
    place = {name: at for at, name in enumerate(order)}
    _, catalogue = adopted[-1]
    return Rulebook(
        offers=tuple(
            Offer(
                start=a.changes_from,
                digest=a.digest,
                catalogue=c,
                achievements={one.id: one for one in c.achievements},
                schedule=catalogue,
            )
            for a, c in adopted
        ),
        providers=frozenset(provider.id for provider in catalogue.providers),
        assessments={
            a.id: Accepted(providers=frozenset(a.providers), late_after_days=a.accepted_late_days)
            for a in catalogue.assessments
        },
        rules=rules,
        looking={name: tuple(sorted(above, key=place.__getitem__)) for name, above in looking.items()},
        building={name: tuple(sorted(above, key=place.__getitem__)) for name, above in building.items()},
    )


def _amended(history: tuple[Version, ...], achievement: Achievement, adoption: Adoption) -> tuple[Version, ...]:
    """Return the versions after a catalogue that states the rule.

    At every instant judges the catalogue adopted last among those that have taken force by then. One that has everything
    re-evaluated judges from the beginning.
    """
    anew = not history or achievement.transition == "reevaluate"
    version = Version(
        start=adoption.first_rules_from if anew else adoption.changes_from,
        achievement=achievement.id,
        rule=achievement.rule,
        rule_digest=content_digest(canonical(achievement.rule)),
        transition=achievement.transition,
    )
    if history and not history[-1].retired and history[-1].rule_digest == version.rule_digest:
        start, transition = min(version.start, history[-1].start), history[-1].transition
        unchanged = replace(version, start=start, transition=transition)
        return _followed(history[:-1], unchanged)
    return _followed(history, version)


def _retired(history: tuple[Version, ...], adoption: Adoption) -> tuple[Version, ...]:
    last, start = history[-1], adoption.changes_from
    return _followed(history, replace(last, start=min(start, last.start) if last.retired else start, retired=True))


def _followed(history: tuple[Version, ...], version: Version) -> tuple[Version, ...]:
    return (*(earlier for earlier in history if earlier.start < version.start), version)


def _blocks_first(histories: Mapping[str, Sequence[Version]]) -> list[str]:
    """Return the achievements, each after those that any version of its rule builds on."""
    graph = {
        name: sorted({block for version in versions for block in version.blocks})
        for name, versions in sorted(histories.items())
    }
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise ValueError(f"achievements build on each other in a circle: {' → '.join(error.args[1])}") from None
