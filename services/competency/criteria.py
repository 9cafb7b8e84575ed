"""Each kind of criterion, judged: from which instant it is met, and why. The one place to look at when a kind is added.

Every kind is monotone: what is met stays met while results are added. So one instant says all, and no order of arrival can show.
Arithmetic is on whole numbers; nothing is rounded at a threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from schemas.catalogue import WHOLE, All, Any, Count, Criterion, Holds, Result, Weighted
from schemas.events import Micros
from services.competency.progress import Standing, named
from services.competency.reasons import MAX_NAMES, Node

Piece: TypeAlias = tuple[Micros, str, Standing]
"""A standing result: when it was shown, its key, what it says. No two share the first two, so pieces have an order."""
_NONE: Final[tuple[Piece, ...]] = ()


class Evidence(Struct, frozen=True):
    """What a learner has to show: results by assessment, and the achievements held, each with the instant from which."""

    results: Mapping[str, list[Piece]]
    held: Mapping[str, Micros]

    def until(self, instant: Micros, assessments: Iterable[str]) -> Evidence:
        """Return what these assessments and the achievements had to show at an instant. Results at one instant enter together."""
        results = {
            name: [piece for piece in self.results[name] if piece[0] <= instant]
            for name in assessments
            if name in self.results
        }
        return Evidence(results, {name: since for name, since in self.held.items() if since <= instant})


def evidence_of(results: Mapping[str, Standing], held: Mapping[str, Micros]) -> Evidence:
    """Return the evidence in a set of standing results; one that was retracted is none."""
    pieces: dict[str, list[Piece]] = {}
    for key, standing in results.items():
        if not standing.retracted:
            pieces.setdefault(standing.assessment, []).append((standing.completed_at, key, standing))
    return Evidence(pieces, held)


def met_since(criterion: Criterion, evidence: Evidence) -> Micros | None:  # noqa: PLR0911  one for each kind
    """Return the first instant at which the evidence up to it met the criterion, or None."""
    match criterion:
        case Result():
            return min((piece[0] for piece in _counting(criterion, (criterion.assessment,), evidence)), default=None)
        case Count():
            instants = sorted(piece[0] for piece in _counting(criterion, criterion.assessments, evidence))
            return instants[criterion.number - 1] if len(instants) >= criterion.number else None
        case Weighted():
            return _weighted_since(criterion, evidence)
        case Holds():
            return evidence.held.get(criterion.achievement)
        case All():
            latest = 0
            for inner in criterion.of:
                if (since := met_since(inner, evidence)) is None:
                    return None
                latest = max(latest, since)
            return latest
        case Any():
            sinces = (met_since(inner, evidence) for inner in criterion.of)
            return min((since for since in sinces if since is not None), default=None)


def explained(criterion: Criterion, evidence: Evidence, used: dict[str, Standing]) -> Node:
    """Return why the evidence meets the criterion or does not. The results that counted are added to ``used``."""
    match criterion:
        case Result():
            return _result(criterion, evidence, used)
        case Count():
            pieces = sorted(_counting(criterion, criterion.assessments, evidence))[: criterion.number]
            used.update((key, standing) for _, key, standing in pieces)
            return Node(
                kind="count",
                met=len(pieces) == criterion.number,
                about=criterion.assessments[:MAX_NAMES],
                share=criterion.at_least,
                passed=criterion.passed,
                needs=criterion.number,
                has=len(pieces),
                by=tuple(_label(key) for _, key, _ in pieces[:MAX_NAMES]),
                more=max(0, len(criterion.assessments) - MAX_NAMES),
            )
        case Weighted():
            return _weighted(criterion, evidence, used)
        case Holds():
            met = criterion.achievement in evidence.held
            return Node(kind="holds", met=met, about=(criterion.achievement,))
        case All():
            of = tuple(explained(inner, evidence, used) for inner in criterion.of)
            has = sum(node.met for node in of)
            return Node(kind="all", met=has == len(of), needs=len(of), has=has, of=of)
        case Any():
            of = tuple(explained(inner, evidence, used) for inner in criterion.of)
            has = sum(node.met for node in of)
            return Node(kind="any", met=has > 0, needs=len(of), has=has, of=of)


def _counting(criterion: Result | Count, assessments: Iterable[str], evidence: Evidence) -> Iterator[Piece]:
    """Yield the results that reach the share of their maximum and passed, where these are asked for."""
    at_least, passed = criterion.at_least, criterion.passed
    for assessment in assessments:
        for piece in evidence.results.get(assessment, _NONE):
            standing = piece[2]
            if passed is not None and standing.passed is not passed:
                continue
            if at_least is not None and (
                standing.score is None
                or standing.score_max is None
                or standing.score * WHOLE < at_least * standing.score_max
            ):
                continue
            yield piece


def _result(criterion: Result, evidence: Evidence, used: dict[str, Standing]) -> Node:
    first = min(_counting(criterion, (criterion.assessment,), evidence), default=None)
    if first is not None:
        used[first[1]] = first[2]
    best = _best(evidence.results.get(criterion.assessment, _NONE))
    return Node(
        kind="result",
        met=first is not None,
        about=(criterion.assessment,),
        share=criterion.at_least,
        passed=criterion.passed,
        has=None if best is None else _share(best[2]),
        by=() if first is None else (_label(first[1]),),
    )


def _weighted_since(criterion: Weighted, evidence: Evidence) -> Micros | None:
    weights = {part.assessment: part.weight for part in criterion.parts}
    mean = _Mean(criterion)
    scored = sorted(
        piece for name in weights for piece in evidence.results.get(name, _NONE) if piece[2].score is not None
    )
    best: dict[str, Standing] = {}
    for instant, _, standing in scored:
        before = best.get(standing.assessment)
        if before is None or _is_better(standing, before):
            best[standing.assessment] = standing
            weight = weights[standing.assessment]
            mean.add(weight, standing)
            if before is not None:
                mean.add(-weight, before)
            if mean.is_reached():
                return instant
    return None


def _weighted(criterion: Weighted, evidence: Evidence, used: dict[str, Standing]) -> Node:
    mean = _Mean(criterion)
    parts: list[tuple[str, int, int | None]] = []
    for part in criterion.parts:
        best = _best(evidence.results.get(part.assessment, _NONE))
        parts.append((part.assessment, part.weight, None if best is None else _share(best[2])))
        if best is not None:
            used[best[1]] = best[2]
            mean.add(part.weight, best[2])
    return Node(
        kind="weighted",
        met=mean.is_reached(),
        share=criterion.at_least,
        has=mean.floor(),
        parts=tuple(parts[:MAX_NAMES]),
        more=max(0, len(parts) - MAX_NAMES),
    )


class _Mean:
    """An exact weighted mean of shares: for each maximum score, the sum of weight times score."""

    def __init__(self, criterion: Weighted) -> None:
        self._at_least = criterion.at_least
        self._weight = sum(part.weight for part in criterion.parts)
        self._sums: dict[int, int] = {}

    def add(self, weight: int, standing: Standing) -> None:
        maximum = standing.score_max or 1
        self._sums[maximum] = self._sums.get(maximum, 0) + weight * (standing.score or 0)

    def is_reached(self) -> bool:
        over, under = self._fraction()
        return over * WHOLE >= self._at_least * under

    def floor(self) -> int:
        over, under = self._fraction()
        return over * WHOLE // under

    def _fraction(self) -> tuple[int, int]:
        over, under = 0, 1
        for maximum, total in self._sums.items():
            over, under = over * maximum + total * under, under * maximum
        return over, under * self._weight


def _best(pieces: Iterable[Piece]) -> Piece | None:
    """Return the result of the greatest share; of several, the earliest."""
    best: Piece | None = None
    for piece in pieces:
        if piece[2].score is None:
            continue
        if best is None or _is_better(piece[2], best[2]) or (piece < best and not _is_better(best[2], piece[2])):
            best = piece
    return best


def _is_better(one: Standing, other: Standing) -> bool:
    return (one.score or 0) * (other.score_max or 1) > (other.score or 0) * (one.score_max or 1)


def _share(standing: Standing) -> int:
    return (standing.score or 0) * WHOLE // (standing.score_max or 1)


def _label(key: str) -> str:
    return " ".join(named(key))
