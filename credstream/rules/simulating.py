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

from schemas.catalogue import Catalogue, canonical
from schemas.events import Micros
from schemas.ids import content_digest
from services.competency.attainment import Judged, earned, versions_for
from services.competency.progress import Award, AwardState, Progress
from services.competency.reasons import Node
from services.competency.rulebook import Adoption, Rulebook, rulebook
from services.competency.selection import Evidence, Holding, evidence_of

_ALWAYS_HELD = frozenset({AwardState.KEPT, AwardState.IN_REVIEW})


class Effect(StrEnum):
    """What the draft does to one learner and achievement."""

    GAINS = "gains"
    LOSES = "loses"
    LEVEL = "level"  # held by both, at another level
    DATES = "dates"  # held by both at one level; attained, renewed or ending at other times
    NEAR = "near"  # held by neither; by the draft one result or one achievement is missing


class Held(Struct, frozen=True, omit_defaults=True):
    """How an achievement is held: since when, at which level, until when, and how often it was attained."""

    since: Micros
    level: str | None = None
    until: Micros | None = None
    times: int = 1


class Position(Struct, frozen=True):
    """How a learner stands with an achievement. `judged` is what rules say of it, None where only an award speaks."""

    held: Held | None
    judged: Judged | None


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
        """Return these achievements and all that they are built with, by either rulebook."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                versions = (*self.now.rules.get(name, ()), *self.draft.rules.get(name, ()))
                waiting += {block for version in versions for block in version.blocks}
        return found


def trial(
    adopted: Sequence[tuple[Adoption, Catalogue]], draft: Catalogue, now: Micros, *, as_published: bool = False
) -> Trial:
    """Return what is in force beside what would be if the draft were adopted now.

    A rule that the draft adds or changes judges all evidence, whatever its transition; or, ``as_published``, what publishing it now
    would have it judge. A rule that the draft leaves as it is keeps its versions.

    Raises:
        ValueError: Achievements build on each other in a circle, over all versions that may still judge something.
    """
    before = rulebook(adopted)
    if not as_published:
        anew = tuple(
            msgspec.structs.replace(a, transition="reevaluate") if _is_changed(before, a.id, canonical(a.rule)) else a
            for a in draft.achievements
        )
        draft = msgspec.structs.replace(draft, achievements=anew)
    after = rulebook([*adopted, (Adoption(content_digest(canonical(draft)), now), draft)])
    changed = [name for name in after.rules if before.rules.get(name) != after.rules[name]]
    above = {name for one in changed for name in (*before.building.get(one, ()), *after.building.get(one, ()))}
    return Trial(now=before, draft=after, affected=tuple(n for n in after.rules if n in {*changed, *above}))


def _is_changed(before: Rulebook, name: str, rule: bytes) -> bool:
    versions = before.rules.get(name, ())
    return not versions or versions[-1].retired or versions[-1].rule_digest != content_digest(rule)


def positions(book: Rulebook, progress: Progress, needed: AbstractSet[str]) -> dict[str, Position]:
    """Return how a learner stands with these achievements, of which the blocks must be among them.

    What staff revoked is not held. What stays though its evidence fell away, as a rule or a review says, is held.
    """
    holdings: dict[str, Holding] = {}
    evidence = evidence_of(progress.results, holdings)  # sees holdings grow, since blocks come first
    found: dict[str, Position] = {}
    for name, versions in book.rules.items():
        if name not in needed:
            continue
        asked = versions_for(versions, evidence, progress.rejudged.get(name))
        times = earned(asked, evidence, progress.recognised.get(name))
        award = progress.awards.get(name)
        said = times.times[-1] if times.times else times.following
        held, holding = _held(times.times, award)
        found[name] = Position(held, said)
        if holding is not None:
            holdings[name] = holding
    return found


def _held(times: Sequence[Judged], award: Award | None) -> tuple[Held | None, Holding | None]:
    if award is not None and award.state is AwardState.REVOKED_BY_STAFF:
        return None, None
    if times:
        (since, level), *again = [(time.since or time.at, time.level) for time in times]
        last = times[-1]
        return Held(since, last.level, last.valid_until, len(times)), Holding(since, level, tuple(again))
    if award is not None and award.state in _ALWAYS_HELD:
        return Held(award.attained_at, award.level, award.valid_until), Holding(award.attained_at, award.level)
    return None, None


def compare(
    tried: Trial, names: Sequence[str], needed: AbstractSet[str], learner_ref: str, progress: Progress, now: Micros
) -> Iterator[Compared]:
    """Yield how a learner stands with each achievement by both rulebooks; of who is near, as things are ``now``."""
    before, after = positions(tried.now, progress, needed), positions(tried.draft, progress, needed)
    nothing = Position(None, None)
    for name in names:
        old, new = before.get(name, nothing), after.get(name, nothing)
        effect = _effect(old.held, new.held)
        missing: tuple[Node, ...] = ()
        if effect is Effect.GAINS:
            missing = _missing_of(old.judged)
        elif effect is Effect.LOSES:
            missing = _missing_of(new.judged)
        elif new.held is None and name in tried.draft.newest.achievements and not _is_closed(progress, name):
            missing = _near(new.judged, now)
            effect = Effect.NEAR if missing else None
        yield Compared(
            learner_ref=learner_ref, achievement=name, effect=effect, now=old.held, draft=new.held, missing=missing
        )


def _effect(now: Held | None, draft: Held | None) -> Effect | None:
    if now is None or draft is None:
        return None if now is draft else Effect.GAINS if now is None else Effect.LOSES
    if now.level != draft.level:
        return Effect.LEVEL
    return None if now == draft else Effect.DATES


def _is_closed(progress: Progress, name: str) -> bool:
    award = progress.awards.get(name)
    return award is not None and award.state is AwardState.REVOKED_BY_STAFF


def _missing_of(judged: Judged | None) -> tuple[Node, ...]:
    return () if judged is None or judged.since is not None else tuple(unmet(judged.why()[0]))


def _near(judged: Judged | None, now: Micros) -> tuple[Node, ...]:
    """Return what is missing of a learner who is near; nothing of any other."""
    if judged is None or judged.version.retired or not _has_begun(judged):
        return ()
    node = judged.judge.explain(judged.evidence, max(now, judged.at), {})
    return tuple(unmet(node)) if steps(node) == 1 else ()


def _has_begun(judged: Judged) -> bool:
    evidence: Evidence = judged.evidence
    version = judged.version
    return any(evidence.results.get(a) for a in version.assessments) or any(b in evidence.held for b in version.blocks)


def steps(node: Node) -> int | None:
    """Return how many results or achievements are missing at least; None when no number of them would do.

    A mean or an expression that is not met misses one, for nobody can tell how much better a result will be.
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
