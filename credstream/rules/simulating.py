"""What a draft catalogue would change for learners: their evidence, judged by the rules in force and by the draft.

Pure: who reads the learners is `credstream.learners`. Both sides are judged by the same function, so a difference is the draft's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from msgspec import Struct

from credstream.positions import Held, Position, positions, with_blocks
from schemas.catalogue import Catalogue, canonical
from schemas.events import Micros
from schemas.ids import content_digest
from services.competency.progress import Progress
from services.competency.reasons import Node
from services.competency.rulebook import Adoption, Rulebook, rulebook


class Effect(StrEnum):
    """What the draft does to one learner and achievement."""

    GAINS = "gains"
    LOSES = "loses"
    LEVEL = "level"  # held by both, at another level
    DATES = "dates"  # held by both at one level; attained, renewed or ending at other times
    NEAR = "near"  # held by neither; by the draft one result or one achievement is missing


class Compared(Struct, frozen=True, kw_only=True):
    """One learner and achievement by the rules in force and by the draft.

    `missing` is what the side that does not grant it still asks: of who gains the rules in force, else the draft.
    """

    learner_ref: str
    achievement: str
    effect: Effect | None
    now: Held | None
    draft: Held | None
    missing: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Two rulebooks to be compared. `affected` are the achievements about which they may differ, blocks first."""

    now: Rulebook
    draft: Rulebook
    affected: tuple[str, ...]

    def needed(self, names: Sequence[str]) -> AbstractSet[str]:
        """Return these achievements and all that they are built with."""
        return with_blocks(names, self.now, self.draft)


def trial(
    adopted: Sequence[tuple[Adoption, Catalogue]], draft: Catalogue, now: Micros, *, as_published: bool = False
) -> Trial:
    """Return what is in force beside what would be if the draft were adopted now.

    A rule that the draft adds or changes judges all evidence, whatever its transition; or, ``as_published``, what publishing it now
    would have it judge. A rule that the draft leaves as it is keeps its versions.

    Raises:
        ValueError: Achievements build on each other in a circle, over all versions that may still judge something.
    """
    adoption = Adoption(content_digest(canonical(draft)), now)
    before, after = rulebook(adopted), rulebook([*adopted, (adoption, draft)])  # which the lanes must be able to make
    if not as_published:
        anew = tuple(
            msgspec.structs.replace(a, transition="reevaluate") if _is_changed(before, a.id, canonical(a.rule)) else a
            for a in draft.achievements
        )
        after = rulebook([*adopted, (adoption, msgspec.structs.replace(draft, achievements=anew))])
    changed = [name for name in after.rules if before.rules.get(name) != after.rules[name]]
    above = {name for one in changed for name in (*before.building.get(one, ()), *after.building.get(one, ()))}
    return Trial(now=before, draft=after, affected=tuple(n for n in after.rules if n in {*changed, *above}))


def _is_changed(before: Rulebook, name: str, rule: bytes) -> bool:
    versions = before.rules.get(name, ())
    return not versions or versions[-1].retired or versions[-1].rule_digest != content_digest(rule)


def compare(
    tried: Trial, names: Sequence[str], needed: AbstractSet[str], learner_ref: str, progress: Progress, now: Micros
) -> Iterator[Compared]:
    """Yield how a learner stands with each achievement by both rulebooks; of who is near, as things are ``now``."""
    before, after = positions(tried.now, progress, needed), positions(tried.draft, progress, needed)
    for name in names:
        old, new = before.get(name), after.get(name)
        now_held, draft_held = (None if side is None else side.held for side in (old, new))
        effect = _effect(now_held, draft_held)
        missing: tuple[Node, ...] = ()
        if effect is Effect.GAINS:
            missing = _missing(old)
        elif effect is Effect.LOSES:
            missing = _missing(new)
        elif new is not None and new.may_be_earned and new.has_begun:
            outlook, _ = new.outlook(now)
            if steps(outlook) == 1:
                effect, missing = Effect.NEAR, tuple(unmet(outlook))
        yield Compared(
            learner_ref=learner_ref, achievement=name, effect=effect, now=now_held, draft=draft_held, missing=missing
        )


def _missing(position: Position | None) -> tuple[Node, ...]:
    """Return what was missing at the end of the evidence."""
    if position is None or position.judged.since is not None:
        return ()
    return tuple(unmet(position.judged.why()[0]))


def _effect(now: Held | None, draft: Held | None) -> Effect | None:
    if now is None or draft is None:
        return None if now is draft else Effect.GAINS if now is None else Effect.LOSES
    if now.level != draft.level:
        return Effect.LEVEL
    return None if now == draft else Effect.DATES


def steps(node: Node) -> int | None:
    """Return how many results or achievements are missing at least; None when no number of them would do.

    A mean misses a result of each part that has none, and one in any case, for nobody can tell how much better a result will be;
    an expression misses one.
    """
    if node.met:
        return 0
    match node.kind:
        case "count":
            return max(1, (node.needs or 0) - (node.has or 0), *(needs - has for _, needs, has in node.distinct))
        case "all" | "any" | "at_least":
            needs = 1 if node.kind == "any" else node.needs or 0
            inner = sorted(n for n in map(steps, node.of) if n is not None)
            return sum(inner[:needs]) if len(inner) >= needs else None
        case "weighted":
            return max(1, sum(share is None for _, _, share in node.parts))
        case "none":
            return None
        case _:
            return 1


def unmet(node: Node) -> Iterator[Node]:
    """Yield what is not met: of parts that are all asked each one, else the composition itself."""
    if node.met:
        return
    if node.kind == "all":
        for inner in node.of:
            yield from unmet(inner)
    else:
        yield node
