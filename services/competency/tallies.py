"""What the results at hand amount to, kept up as results enter and leave; and since when that is enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Literal, Protocol, TypeAlias

from schemas.events import Micros
from schemas.rules import WHOLE, Count, Dimension, Distinct, Result, Take, Weighted
from services.competency.calendars import FOREVER, day_of
from services.competency.progress import Standing, named
from services.competency.selection import Piece, reaches, share_of
from services.competency.timeline import Timeline

Share: TypeAlias = tuple[int, int]


class Tally(Protocol):
    """Results enter in the order in which they were shown, and leave in any."""

    def enter(self, piece: Piece) -> None:
        """Take a result in."""

    def leave(self, piece: Piece) -> None:
        """Let a result go that entered."""

    def is_met(self) -> bool:
        """Say whether the results at hand are enough."""


def sweep(
    pieces: Iterable[Piece], tally: Tally, leaves: Callable[[Micros], Micros] | None = None, *, ever: bool
) -> Timeline:
    """Return when the tally of the results at hand is met; with ``ever``, what is met once stays met.

    A result is at hand from when it was shown until ``leaves`` of that instant. Results at one instant enter together.
    """
    entering = sorted(pieces)
    leaving = sorted((leaves(piece[0]), piece) for piece in entering) if leaves else []
    changes: list[Micros] = []
    entered = left = 0
    while entered < len(entering) or (left < len(leaving) and leaving[left][0] < FOREVER):
        instant = min(
            entering[entered][0] if entered < len(entering) else FOREVER,
            leaving[left][0] if left < len(leaving) else FOREVER,
        )
        while left < len(leaving) and leaving[left][0] == instant:
            tally.leave(leaving[left][1])
            left += 1
        while entered < len(entering) and entering[entered][0] == instant:
            tally.enter(entering[entered])
            entered += 1
        if tally.is_met() == (len(changes) % 2 == 0):
            changes.append(instant)
            if ever:
                break
    return tuple(changes)


class Number:
    """So many results, with as many different ones as asked."""

    def __init__(self, number: int, distinct: Iterable[Distinct] = (), zone: str = "UTC") -> None:
        """Begin with none."""
        self.results: dict[str, Piece] = {}
        self._number, self._zone = number, zone
        self._different: list[tuple[Distinct, Counter[tuple[str, ...] | int]]] = [
            (asked, Counter()) for asked in distinct
        ]

    @classmethod
    def of(cls, count: Count) -> Number:
        """Begin with none of what a count asks."""
        return cls(count.number, count.distinct, count.zone)

    def enter(self, piece: Piece) -> None:
        """Take a result in."""
        self.results[piece[1]] = piece
        for asked, seen in self._different:
            if (value := self._value(asked.of, piece)) is not None:
                seen[value] += 1

    def leave(self, piece: Piece) -> None:
        """Let a result go."""
        del self.results[piece[1]]
        for asked, seen in self._different:
            if (value := self._value(asked.of, piece)) is not None:
                seen[value] -= 1
                if not seen[value]:
                    del seen[value]

    def is_met(self) -> bool:
        """Say whether there are enough, and different enough."""
        return len(self.results) >= self._number and all(len(seen) >= asked.number for asked, seen in self._different)

    def different(self) -> Iterator[tuple[Dimension, int, int]]:
        """Yield in what results must differ, how many are needed and how many there are."""
        return ((asked.of, asked.number, len(seen)) for asked, seen in self._different)

    def _value(self, of: Dimension, piece: Piece) -> tuple[str, ...] | int | None:
        _, key, standing = piece
        match of:
            case "assessment":
                return (standing.assessment,)
            case "assessor":
                return None if standing.assessor_ref is None else (named(key)[0], standing.assessor_ref)
            case "site":
                return None if standing.site is None else (named(key)[0], standing.site)
            case "day":
                return day_of(standing.completed_at, self._zone)


class Attempts:
    """The attempts at one assessment, in the order in which they were shown, and the one that is taken (or their mean)."""

    def __init__(self, take: Take) -> None:
        """Begin with none."""
        self._take = take
        self._pieces: dict[str, Piece] = {}
        self._best: Piece | None = None
        self._sum = Fraction(0)
        self._scored = 0

    def enter(self, piece: Piece) -> None:
        """Take an attempt in."""
        self._pieces[piece[1]] = piece
        if self._best is None or is_better(piece[2], self._best[2]):
            self._best = piece
        self._add(piece[2], 1)

    def leave(self, piece: Piece) -> None:
        """Let an attempt go."""
        del self._pieces[piece[1]]
        if piece is self._best:
            self._best = best(self._pieces.values())
        self._add(piece[2], -1)

    def taken(self) -> Sequence[Piece]:
        """Return the attempt that is judged, or all whose mean is."""
        if not self._pieces:
            return ()
        match self._take:
            case "first":
                return (next(iter(self._pieces.values())),)
            case "latest":
                return (next(reversed(self._pieces.values())),)
            case "mean":
                return [piece for piece in self._pieces.values() if piece[2].score is not None]
            case _:
                return () if self._best is None else (self._best,)

    def share(self) -> Share | None:
        """Return the share of the maximum: of the attempt that is taken, or the mean of those that have one."""
        if self._take == "mean":
            return (self._sum / self._scored).as_integer_ratio() if self._scored else None
        return next((share_of(piece[2]) for piece in self.taken()), None)

    def _add(self, standing: Standing, times: Literal[1, -1]) -> None:
        if self._take == "mean" and (share := share_of(standing)) is not None:
            self._sum += times * Fraction(*share)
            self._scored += times


class Taken(Attempts):
    """The attempt that is taken reaches what is asked; of a mean, the share."""

    def __init__(self, asked: Result) -> None:
        """Begin with no attempt."""
        super().__init__(asked.take)
        self._asked, self._reached = asked, reaches(asked)

    def is_met(self) -> bool:
        """Say whether it does."""
        if self._asked.take != "mean":
            return any(self._reached(piece[2]) for piece in self.taken())
        share = self.share()
        return share is not None and share[0] * self._asked.out_of >= (self._asked.at_least or 0) * share[1]


class MeanOf:
    """The exact weighted mean of the shares of several assessments; of one, the mean of its attempts."""

    def __init__(self, asked: Weighted) -> None:
        """Begin with nothing."""
        self._asked = asked
        self._weights: Mapping[str, int] = {part.assessment: part.weight for part in asked.parts}
        self.attempts: Mapping[str, Attempts] = {name: Attempts(asked.take) for name in self._weights}
        self._shares: dict[str, Share] = {}
        self._sums: dict[int, int] = {}  # by denominator, so that adding is exact and cheap
        self._weight = 0 if asked.missing == "excluded" else sum(self._weights.values())

    def enter(self, piece: Piece) -> None:
        """Take a result in."""
        self.attempts[piece[2].assessment].enter(piece)
        self._refresh(piece[2].assessment)

    def leave(self, piece: Piece) -> None:
        """Let a result go."""
        self.attempts[piece[2].assessment].leave(piece)
        self._refresh(piece[2].assessment)

    def is_met(self) -> bool:
        """Say whether the mean is reached."""
        if self._asked.missing == "blocks" and len(self._shares) < len(self._weights):
            return False
        over, under = self._fraction()
        return under > 0 and over * WHOLE >= self._asked.at_least * under

    def floor(self) -> int:
        """Return the mean in millionths, rounded down."""
        over, under = self._fraction()
        return over * WHOLE // under if under else 0

    def _refresh(self, assessment: str) -> None:
        before, after = self._shares.get(assessment), self.attempts[assessment].share()
        if before == after:
            return
        weight = self._weights[assessment]
        if before is not None:
            self._add(before, -weight)
            del self._shares[assessment]
        if after is not None:
            self._add(after, weight)
            self._shares[assessment] = after

    def _add(self, share: Share, weight: int) -> None:
        over, under = share
        self._sums[under] = self._sums.get(under, 0) + weight * over
        if not self._sums[under]:
            del self._sums[under]
        if self._asked.missing == "excluded":
            self._weight += weight

    def _fraction(self) -> Share:
        over, under = 0, 1
        for denominator, total in self._sums.items():
            over, under = over * denominator + total * under, under * denominator
        return over, under * self._weight


def best(pieces: Iterable[Piece]) -> Piece | None:
    """Return the result of the greatest share; of several, the earliest. One without a score is better than none."""
    several = list(pieces)
    if len(several) <= 1:
        return several[0] if several else None
    maxima = {piece[2].score_max for piece in several}
    if len(maxima) == 1 and None not in maxima:  # shares of one maximum are as their scores
        return min(several, key=lambda piece: (-(piece[2].score or 0), piece[0], piece[1]))
    found: Piece | None = None
    for piece in several:
        if found is None or is_better(piece[2], found[2]) or (piece < found and not is_better(found[2], piece[2])):
            found = piece
    return found


def is_better(one: Standing, other: Standing) -> bool:
    """Say whether one has the greater share; any share is greater than none."""
    first, second = share_of(one), share_of(other)
    if first is None or second is None:
        return first is not None and second is None
    return first[0] * second[1] > second[0] * first[1]
