"""Each time that an achievement is earned, with its version and end, by the auditor's evaluator; and what is asked for next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from credstream.audit.books import Version
from credstream.audit.evaluator import Held, Shown, Versions, end_of, entries, first_time, next_time
from schemas.rules import Rule

MOST_TIMES: Final = 100


@dataclass(frozen=True, slots=True)
class Time:
    """An attainment: since when, at which level, until when, and the rule that said so."""

    since: int
    level: str | None
    until: int | None
    version: Version


@dataclass(frozen=True, slots=True)
class Earned:
    """Each time, oldest first; and the version that says what is missing to the next one, if it is asked for."""

    times: tuple[Time, ...]
    asked: Version | None


@dataclass(frozen=True, slots=True)
class Recognised:
    """Prior learning that staff recognised."""

    at: int
    level: str | None
    narrative: str
    evidence_url: str | None


def earned(
    versions: Sequence[Version], shown: Sequence[Shown], others: Mapping[str, Held], recognised: Recognised | None
) -> Earned:
    """Return when an achievement is attained, by evidence or by recognition, whichever was first; and each time after that."""
    looked_at = frozenset().union(*(one.assessments for one in versions))
    shown = [one for one in shown if one.assessment in looked_at]
    blocks = frozenset().union(*(one.blocks for one in versions))
    others = {name: held for name, held in others.items() if name in blocks}
    plain: Versions = [(one.start, None if one.retired else one.rule) for one in versions]
    found = first_time(plain, shown, others)
    if recognised is not None and (found is None or recognised.at < found[0][0]):
        found = (recognised.at, recognised.level), _stated(versions, recognised.at).rule
    if found is None:
        return Earned((), _judged_last(versions, shown, others))
    (since, level), rule = found
    times = [Time(since, level, end_of(rule, since), _version(versions, rule))]
    may_come_again = any(one.rule.repeatable or one.rule.renewal is not None for one in versions)
    while may_come_again and len(times) < MOST_TIMES:
        last = times[-1]
        again = next_time(plain, shown, others, last.since, last.until)
        if again is None:
            return Earned(tuple(times), _asked_next(versions, shown, others, last))
        (since, level), rule = again
        start = max(since, last.until) if rule.renewal is not None and last.until is not None else since
        times.append(Time(since, level, end_of(rule, start), _version(versions, rule)))
    return Earned(tuple(times), times[-1].version if may_come_again else None)


def _version(versions: Sequence[Version], rule: Rule) -> Version:
    return next(one for one in reversed(versions) if one.rule == rule)


def _stated(versions: Sequence[Version], instant: int) -> Version:
    stated = [one for one in versions if not one.retired] or list(versions)
    return ([one for one in stated if one.start <= instant] or stated[:1])[-1]


def _moments(versions: Sequence[Version], entered: Sequence[tuple[int, str]]) -> list[tuple[int, Version]]:
    """Return the moments that are judged, each with the version in force then."""
    together: dict[int, set[str]] = {}
    for at, what in entered:
        together.setdefault(at, set()).add(what)
    found = []
    for moment in sorted(together):
        version = next((one for one in reversed(versions) if one.start <= moment), None)
        if version is not None and not version.retired and not version.looks_at.isdisjoint(together[moment]):
            found.append((moment, version))
    return found


def _judged_last(versions: Sequence[Version], shown: Sequence[Shown], others: Mapping[str, Held]) -> Version:
    judged = _moments(versions, entries(shown, others))
    stated = [one for one in versions if not one.retired] or list(versions)
    return judged[-1][1] if judged else stated[-1]


def _asked_next(
    versions: Sequence[Version], shown: Sequence[Shown], others: Mapping[str, Held], last: Time
) -> Version | None:
    """Return the version that judged last whether it is earned once more."""
    entered = [(at, what) for at, what in entries(shown, others) if at > last.since]
    renewable = [
        version
        for _, version in _moments(versions, entered)
        if version.rule.repeatable or (version.rule.renewal is not None and last.until is not None)
    ]
    return renewable[-1] if renewable else None
