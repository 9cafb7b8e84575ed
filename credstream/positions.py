"""How learners stand: which achievements they hold by a rulebook, at which level, since when, and what is missing otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from msgspec import Struct

from schemas.events import Micros
from services.competency.attainment import Judged, Renewal, earned, renewal, versions_for
from services.competency.progress import Award, AwardState, Progress, Standing
from services.competency.reasons import Node
from services.competency.rulebook import Rulebook, Version
from services.competency.selection import Holding, evidence_of

_STAYS: Final = frozenset({AwardState.KEPT, AwardState.IN_REVIEW})


class Held(Struct, frozen=True, omit_defaults=True):
    """How an achievement is held: since when, at which level, until when, and how often it was attained."""

    since: Micros
    level: str | None = None
    until: Micros | None = None
    times: int = 1


class Position(Struct, frozen=True):
    """How a learner stands with an achievement: what holds, what rules say of it, and of the next award if it may be earned again.

    `version` is the one that judges what is shown next. `closed`: staff revoked it, and that stays.
    """

    held: Held | None
    judged: Judged
    following: Judged | None
    version: Version
    closed: bool = False

    @property
    def may_be_earned(self) -> bool:
        """Say whether it is not held, and more evidence may change that."""
        return self.held is None and self.judged.since is None and not (self.closed or self.version.retired)

    def outlook(self, now: Micros) -> tuple[Node, dict[str, Standing]]:
        """Return what is asked and what there is ``now``, by the version that judges next; and the results that count."""
        used: dict[str, Standing] = {}
        return self.version.judge.explain(self.judged.evidence, max(now, self.judged.at), used), used

    @property
    def renewal(self) -> Renewal | None:
        """Return what renews it, where it is held and ends."""
        if self.held is None or self.judged.since is None or self.version.retired:
            return None
        return renewal(self.version, self.judged)

    @property
    def has_begun(self) -> bool:
        """Say whether there is anything that the rule looks at."""
        evidence, version = self.judged.evidence, self.version
        shown = any(evidence.results.get(name) for name in version.assessments)
        return shown or any(name in evidence.held for name in version.blocks)


def with_blocks(names: Iterable[str], *books: Rulebook) -> AbstractSet[str]:
    """Return these achievements and all that they are built with, by any of the rulebooks."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += {block for book in books for version in book.rules.get(name, ()) for block in version.blocks}
    return found


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
        said = earned(asked, evidence, progress.recognised.get(name))
        award = progress.awards.get(name)
        held, holding = _held(said.times, award)
        closed = award is not None and award.state is AwardState.REVOKED_BY_STAFF
        judged = said.times[-1] if said.times else said.following
        if judged is None:
            continue
        found[name] = Position(held, judged, said.following if said.times else None, asked[-1], closed)
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
    if award is not None and award.state in _STAYS:
        return Held(award.attained_at, award.level, award.valid_until), Holding(award.attained_at, award.level)
    return None, None
