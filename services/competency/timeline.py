"""When something is true: instants at which it changes, beginning with the one from which it is.

`(3, 7)` is true from 3 to before 7; `(3,)` from 3 on; `()` never.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, TypeAlias

from schemas.events import Micros

Timeline: TypeAlias = tuple[Micros, ...]
BEGINNING: Final[Micros] = 0
NEVER: Final[Timeline] = ()


def is_true(timeline: Timeline, instant: Micros) -> bool:
    """Say whether it is true at an instant."""
    return bisect_right(timeline, instant) % 2 == 1


def negated(timeline: Timeline) -> Timeline:
    """Return when it is not true."""
    return timeline[1:] if timeline[:1] == (BEGINNING,) else (BEGINNING, *timeline)


def at_least(number: int, timelines: Sequence[Timeline]) -> Timeline:
    """Return when at least so many are true at once."""
    if all(len(timeline) <= 1 for timeline in timelines):
        starts = sorted(timeline[0] for timeline in timelines if timeline)
        return (starts[number - 1],) if len(starts) >= number else NEVER
    steps: dict[Micros, int] = {}
    for timeline in timelines:
        for at, instant in enumerate(timeline):
            steps[instant] = steps.get(instant, 0) + (-1 if at % 2 else 1)
    changes: list[Micros] = []
    count = 0
    for instant in sorted(steps):
        count += steps[instant]
        if (count >= number) == (len(changes) % 2 == 0):
            changes.append(instant)
    return tuple(changes)
