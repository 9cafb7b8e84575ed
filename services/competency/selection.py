"""Which standing results a criterion looks at, and which of them reach what it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from schemas.events import Micros
from schemas.rules import WHOLE, Bar, Selection, Span
from services.competency.calendars import FOREVER, later
from services.competency.progress import Award, Standing, named

Piece: TypeAlias = tuple[Micros, str, Standing]
"""A standing result: when it was shown, its key, what it says. No two share the first two, so pieces have an order."""
Test: TypeAlias = Callable[[Standing], bool]
NO_PIECES: Final[tuple[Piece, ...]] = ()


class Holding(Struct, frozen=True):
    """An achievement that is held: since when, and at which level; and each time that it was earned again."""

    since: Micros
    level: str | None = None
    again: tuple[tuple[Micros, str | None], ...] = ()

    @property
    def times(self) -> tuple[tuple[Micros, str | None], ...]:
        """Return each time that it was earned, with the level."""
        return ((self.since, self.level), *self.again)

    def until(self, instant: Micros) -> Holding:
        """Return what had been earned at an instant, the first time included."""
        return Holding(self.since, self.level, tuple(one for one in self.again if one[0] <= instant))


class Evidence(Struct, frozen=True):
    """What a learner has to show: results by assessment, and the achievements held."""

    results: Mapping[str, list[Piece]]
    held: Mapping[str, Holding]

    def until(self, instant: Micros, assessments: Iterable[str]) -> Evidence:
        """Return what these assessments and the achievements had to show at an instant. Results at one instant enter together."""
        results = {
            name: [piece for piece in self.results[name] if piece[0] <= instant]
            for name in assessments
            if name in self.results
        }
        held = {name: holding.until(instant) for name, holding in self.held.items() if holding.since <= instant}
        return Evidence(results, held)

    def shown(self, counts: Callable[[Micros], bool]) -> Evidence:
        """Return the results that were shown at instants that count, and all the achievements."""
        results = {name: [piece for piece in pieces if counts(piece[0])] for name, pieces in self.results.items()}
        return Evidence(results, self.held)


def holding_of(awards: Iterable[Award]) -> Holding | None:
    """Return what a learner holds by these awards of one achievement; None if there are none."""
    times = sorted(((award.attained_at, award.level) for award in awards), key=lambda time: time[0])
    return Holding(*times[0], tuple(times[1:])) if times else None


def evidence_of(results: Mapping[str, Standing], held: Mapping[str, Holding]) -> Evidence:
    """Return the evidence in a set of standing results; one that was retracted is none."""
    pieces: dict[str, list[Piece]] = {}
    for key, standing in results.items():
        if not standing.retracted:
            pieces.setdefault(standing.assessment, []).append((standing.completed_at, key, standing))
    return Evidence(pieces, held)


class Selector:
    """Picks the results that a criterion looks at. Attempts and gaps are counted among all standing results of the assessment."""

    def __init__(self, selection: Selection) -> None:
        """Read the conditions once."""
        self._attempts, self._gap, self._zone = selection.attempts, selection.gap, selection.zone
        self._in_order = self._attempts is not None or self._gap is not None
        self._tests = _tests_of(selection)
        self.recent: Span | None = selection.recent

    def pieces(self, evidence: Evidence, assessment: str) -> Sequence[Piece]:
        """Return the results of one assessment that are looked at, in no order; `recent` is for the moment to say."""
        found: Sequence[Piece] = evidence.results.get(assessment, NO_PIECES)
        if self._in_order and found:
            attempts = sorted(found)
            befores = (None, *attempts)
            found = [
                p for before, p in zip(befores, attempts[: self._attempts], strict=False) if self._is_apart(before, p)
            ]
        for test in self._tests:
            found = [piece for piece in found if test(piece[2])]
        return found

    def leaves(self, span: Span) -> Callable[[Micros], Micros]:
        """Return when a result is too old, by when it was shown: the first instant that is more than ``span`` later."""
        return lambda shown: min(FOREVER, later(shown, span, self._zone) + 1)

    def _is_apart(self, before: Piece | None, piece: Piece) -> bool:
        return self._gap is None or before is None or later(before[0], self._gap, self._zone) <= piece[0]


def reaches(bar: Bar) -> Test:
    """Return what says whether a result reaches what is asked."""
    at_least, out_of, passed, levels = bar.at_least, bar.out_of, bar.passed, frozenset(bar.levels)

    def reached(standing: Standing) -> bool:
        if passed is not None and standing.passed is not passed:
            return False
        if levels and standing.level not in levels:
            return False
        return at_least is None or (
            standing.score is not None
            and standing.score_max is not None
            and standing.score * out_of >= at_least * standing.score_max
        )

    return reached


def _tests_of(selection: Selection) -> list[Test]:
    roles, sites, critical = frozenset(selection.roles), frozenset(selection.sites), selection.critical
    not_before, by = selection.not_before, selection.by
    tests: list[Test] = []
    if roles:
        tests.append(lambda s: s.assessor_role in roles)
    if sites:
        tests.append(lambda s: s.site in sites)
    if selection.evidence:
        tests.append(lambda s: s.evidence_url is not None)
    if critical is not None:
        tests.append(lambda s: bool(s.critical) is critical)
    if not_before is not None:
        tests.append(lambda s: s.completed_at >= not_before)
    if by is not None:
        tests.append(lambda s: s.completed_at <= by)
    return tests


def share_of(standing: Standing) -> tuple[int, int] | None:
    """Return the share of the maximum as a fraction, exactly, or None without a score."""
    return None if standing.score is None else (standing.score, standing.score_max or 1)


def floor_share(share: tuple[int, int] | None) -> int | None:
    """Return a share in millionths, rounded down, so that none reads as reached that was not."""
    return None if share is None else share[0] * WHOLE // share[1]


def label(key: str) -> str:
    """Return a result's name for people: provider and result_id."""
    return " ".join(named(key))
