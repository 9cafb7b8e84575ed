"""Each kind of criterion, judged: when it is met, and why. The one place to look at when a kind is added.

A criterion is a function of the set of standing results and of what is held, so no order of arrival can show. Arithmetic is on
whole numbers and fractions; nothing is rounded at a threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import nsmallest
from typing import Protocol

from schemas.events import Micros
from schemas.rules import (
    WHOLE,
    All,
    Any,
    AtLeast,
    Count,
    Criterion,
    Expression,
    Holds,
    Nothing,
    Result,
    Weighted,
    inside,
)
from services.competency import expression
from services.competency.calendars import FOREVER, later, period_of
from services.competency.progress import Standing
from services.competency.reasons import MAX_NAMES, Node
from services.competency.selection import Evidence, Piece, Selector, floor_share, label, reaches, share_of
from services.competency.tallies import MeanOf, Number, Taken, best, sweep
from services.competency.timeline import NEVER, Timeline, at_least, is_true, negated
from services.competency.wording import conditions


class Judge(Protocol):
    """A criterion made ready to be judged. What is `monotone` stays met once it is, from an instant at which evidence entered."""

    monotone: bool

    def timeline(self, evidence: Evidence) -> Timeline:
        """Return when the criterion is met."""

    def explain(self, evidence: Evidence, at: Micros, used: dict[str, Standing]) -> Node:
        """Return why the evidence, nothing of which is later than ``at``, meets the criterion then or does not.

        The results that counted are added to ``used``.
        """


def judge_of(criterion: Criterion) -> Judge:
    """Return a criterion made ready."""
    match criterion:
        case Result():
            return _Result(criterion)
        case Count():
            return _Count(criterion)
        case Weighted():
            return _Weighted(criterion)
        case Holds():
            return _Holds(criterion)
        case Expression():
            return _Expression(criterion)
        case All() | Any() | AtLeast() | Nothing():
            return _Composed(criterion)


class _Result:
    def __init__(self, criterion: Result) -> None:
        self._criterion, self._selector, self._reached = criterion, Selector(criterion), reaches(criterion)
        self._asks = conditions(criterion)
        self.monotone = criterion.take in {"any", "first"} and criterion.recent is None

    def timeline(self, evidence: Evidence) -> Timeline:
        criterion, recent = self._criterion, self._selector.recent
        pieces = self._pieces(evidence)
        leaves = None if recent is None else self._selector.leaves(recent)
        if criterion.take != "any":
            return sweep(pieces, Taken(criterion), leaves, ever=False)
        enough = [piece for piece in pieces if self._reached(piece[2])]
        if leaves is None:
            return (min(piece[0] for piece in enough),) if enough else NEVER
        return sweep(enough, Number(1), leaves, ever=False)

    def explain(self, evidence: Evidence, at: Micros, used: dict[str, Standing]) -> Node:
        criterion = self._criterion
        pieces = _at_hand(self._selector, self._pieces(evidence), at)
        if criterion.take == "any":
            enough = [piece for piece in pieces if self._reached(piece[2])]
            counted: Sequence[Piece] = [min(enough)] if enough else ()
            met, shown = bool(enough), best(pieces)
            share = None if shown is None else share_of(shown[2])
        else:
            taken = Taken(criterion)
            for piece in sorted(pieces):
                taken.enter(piece)
            met, counted, share = taken.is_met(), taken.taken(), taken.share()
        used.update((key, standing) for _, key, standing in counted if met)
        return Node(
            kind="result",
            met=met,
            about=criterion.assessments[:MAX_NAMES],
            take="" if criterion.take == "any" else criterion.take,
            asks=self._asks,
            has=floor_share(share),
            by=tuple(label(key) for _, key, _ in counted[:MAX_NAMES]) if met else (),
            more=max(0, len(criterion.assessments) - MAX_NAMES),
        )

    def _pieces(self, evidence: Evidence) -> Sequence[Piece]:
        criterion, selector = self._criterion, self._selector
        if not criterion.others:
            return selector.pieces(evidence, criterion.assessment)
        return [piece for assessment in criterion.assessments for piece in selector.pieces(evidence, assessment)]


class _Count:
    def __init__(self, criterion: Count) -> None:
        self._criterion, self._selector, self._reached = criterion, Selector(criterion), reaches(criterion)
        self._span = criterion.within or criterion.recent
        self._is_plain = self._span is None and criterion.period is None and not criterion.distinct
        self._asks = conditions(criterion)
        self.monotone = criterion.recent is None

    def timeline(self, evidence: Evidence) -> Timeline:
        criterion, pieces = self._criterion, self._enough(evidence)
        if self._is_plain:
            if len(pieces) < criterion.number:
                return NEVER
            return (sorted(piece[0] for piece in pieces)[criterion.number - 1],)
        leaves = None if self._span is None else self._selector.leaves(self._span)
        return at_least(
            1, [sweep(some, Number.of(criterion), leaves, ever=self.monotone) for some in self._apart(pieces)]
        )

    def explain(self, evidence: Evidence, at: Micros, used: dict[str, Standing]) -> Node:
        criterion, enough = self._criterion, self._enough(evidence)
        found, until = (None, None) if self._is_plain else self._closest(enough, at)
        if found is None:
            counted = sorted(enough) if len(enough) <= criterion.number else nsmallest(criterion.number, enough)
            met = len(counted) == criterion.number
        else:
            counted, met = sorted(found.results.values()), found.is_met()
        used.update((key, standing) for _, key, standing in counted)
        return Node(
            kind="count",
            met=met,
            about=criterion.assessments[:MAX_NAMES],
            asks=self._asks,
            needs=criterion.number,
            has=len(counted),
            distinct=() if found is None else tuple(found.different()),
            until=None if met else until,
            by=tuple(label(key) for _, key, _ in counted[:MAX_NAMES]),
            more=max(0, len(criterion.assessments) - MAX_NAMES),
        )

    def _enough(self, evidence: Evidence) -> list[Piece]:
        return [
            piece
            for assessment in self._criterion.assessments
            for piece in self._selector.pieces(evidence, assessment)
            if self._reached(piece[2])
        ]

    def _apart(self, pieces: Sequence[Piece]) -> Sequence[Sequence[Piece]]:
        """Return the results of each calendar period apart."""
        criterion = self._criterion
        if criterion.period is None:
            return (pieces,)
        periods: dict[tuple[int, ...], list[Piece]] = {}
        for piece in pieces:
            periods.setdefault(period_of(piece[0], criterion.period, criterion.zone), []).append(piece)
        return list(periods.values())

    def _closest(self, pieces: Sequence[Piece], at: Micros) -> tuple[Number, Micros | None]:
        """Return the first results that were enough, else those that can still become it; and until when more would do."""
        criterion, nothing = self._criterion, Number.of(self._criterion)
        if criterion.period is not None:
            now = period_of(at, criterion.period, criterion.zone)
            for some in sorted(self._apart(pieces), key=min):
                found = Number.of(criterion)
                if sweep(some, found, ever=True) or period_of(some[0][0], criterion.period, criterion.zone) == now:
                    return found, None
            return nothing, None
        if self._span is None:
            sweep(pieces, nothing, ever=False)
            return nothing, None
        leaves = self._selector.leaves(self._span)
        if self.monotone and sweep(pieces, found := Number.of(criterion), leaves, ever=True):
            return found, None
        for piece in sorted(pieces):
            if leaves(piece[0]) > at:
                nothing.enter(piece)
        until = min((leaves(piece[0]) - 1 for piece in nothing.results.values()), default=FOREVER)
        return nothing, until if until < FOREVER else None


class _Weighted:
    def __init__(self, criterion: Weighted) -> None:
        self._criterion, self._selector, self._asks = criterion, Selector(criterion), conditions(criterion)
        self.monotone = (
            criterion.take in {"best", "first"} and criterion.missing != "excluded" and criterion.recent is None
        )

    def timeline(self, evidence: Evidence) -> Timeline:
        recent = self._selector.recent
        leaves = None if recent is None else self._selector.leaves(recent)
        return sweep(self._scored(evidence), MeanOf(self._criterion), leaves, ever=self.monotone)

    def explain(self, evidence: Evidence, at: Micros, used: dict[str, Standing]) -> Node:
        criterion, mean = self._criterion, MeanOf(self._criterion)
        for piece in sorted(_at_hand(self._selector, self._scored(evidence), at)):
            mean.enter(piece)
        for attempts in mean.attempts.values():
            used.update((key, standing) for _, key, standing in attempts.taken())
        whole = sum(part.weight for part in criterion.parts)
        parts = [
            (part.assessment, part.weight * WHOLE // whole, floor_share(mean.attempts[part.assessment].share()))
            for part in criterion.parts
        ]
        return Node(
            kind="weighted",
            met=mean.is_met(),
            share=criterion.at_least,
            asks=self._asks,
            has=mean.floor(),
            parts=tuple(parts[:MAX_NAMES]),
            more=max(0, len(parts) - MAX_NAMES),
        )

    def _scored(self, evidence: Evidence) -> list[Piece]:
        return [
            piece
            for part in self._criterion.parts
            for piece in self._selector.pieces(evidence, part.assessment)
            if piece[2].score is not None
        ]


class _Holds:
    def __init__(self, criterion: Holds) -> None:
        self._criterion, self._asks = criterion, conditions(criterion)
        self.monotone = criterion.recent is None

    def timeline(self, evidence: Evidence) -> Timeline:
        criterion, holding = self._criterion, evidence.held.get(self._criterion.achievement)
        times = () if holding is None else holding.times
        enough = [since for since, level in times if not criterion.levels or level in criterion.levels]
        if criterion.recent is None:
            return (enough[0],) if enough else NEVER
        ends = [later(since, criterion.recent, criterion.zone) + 1 for since in enough]
        return at_least(
            1, [(since, end) if end < FOREVER else (since,) for since, end in zip(enough, ends, strict=True)]
        )

    def explain(self, evidence: Evidence, at: Micros, used: dict[str, Standing]) -> Node:
        del used
        met = is_true(self.timeline(evidence), at)
        return Node(kind="holds", met=met, about=(self._criterion.achievement,), asks=self._asks)


class _Expression:
    monotone = False

    def __init__(self, criterion: Expression) -> None:
        self._criterion = criterion

    def timeline(self, evidence: Evidence) -> Timeline:
        return expression.timeline(self._criterion, evidence)

    def explain(self, evidence: Evidence, at: Micros, used: dict[str, Standing]) -> Node:
        asked_at = max((i for i in expression.asked_at(self._criterion, evidence) if i <= at), default=None)
        pieces = expression.seen(self._criterion, evidence, at)
        met, failed = (False, None) if asked_at is None else expression.is_true(self._criterion, evidence, asked_at)
        if met:
            used.update((key, standing) for _, key, standing in pieces)
        return Node(
            kind="expression",
            met=met,
            about=self._criterion.assessments[:MAX_NAMES],
            asks=(("expression", self._criterion.cel), *((("failed", failed[:200]),) if failed else ())),
            has=len(pieces),
        )


class _Composed:
    """All, any, at least so many, or none of several criteria."""

    def __init__(self, criterion: All | Any | AtLeast | Nothing) -> None:
        self._of = [judge_of(inner) for inner in inside(criterion)]
        self._is_none = isinstance(criterion, Nothing)
        match criterion:
            case All():
                self._needs = len(self._of)
            case AtLeast():
                self._needs = criterion.number
            case Any() | Nothing():
                self._needs = 1
        self._kind = {All: "all", Any: "any", AtLeast: "at_least", Nothing: "none"}[type(criterion)]
        self.monotone = not self._is_none and all(judge.monotone for judge in self._of)

    def timeline(self, evidence: Evidence) -> Timeline:
        enough = at_least(self._needs, list(self._timelines(evidence)))
        return negated(enough) if self._is_none else enough

    def explain(self, evidence: Evidence, at: Micros, used: dict[str, Standing]) -> Node:
        counted: dict[str, Standing] = {} if self._is_none else used
        of = tuple(judge.explain(evidence, at, counted) for judge in self._of)
        has = sum(node.met for node in of)
        met = (has >= self._needs) is not self._is_none
        needs = self._needs if self._kind == "at_least" else len(of)
        return Node(kind=self._kind, met=met, needs=needs, has=has, of=of)  # type: ignore[arg-type] # a table of kinds

    def _timelines(self, evidence: Evidence) -> Iterator[Timeline]:
        for judge in self._of:
            timeline = judge.timeline(evidence)
            yield timeline
            if not timeline and self._needs == len(self._of) and not self._is_none:
                return  # all were asked and one is never met


def _at_hand(selector: Selector, pieces: Sequence[Piece], at: Micros) -> Sequence[Piece]:
    """Return the results that are recent enough at an instant."""
    if selector.recent is None:
        return pieces
    leaves = selector.leaves(selector.recent)
    return [piece for piece in pieces if leaves(piece[0]) > at]
