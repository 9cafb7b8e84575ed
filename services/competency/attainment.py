"""When a rule is attained, over all its versions, and when again: by the time of the evidence, not of its arrival."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from msgspec import Struct
from msgspec.structs import replace as amended

from schemas.events import Micros
from services.competency.calendars import earliest, later
from services.competency.criteria import Judge
from services.competency.progress import Recognition, Rejudged, Standing
from services.competency.reasons import Node
from services.competency.rulebook import Version
from services.competency.selection import Evidence
from services.competency.timeline import BEGINNING, Timeline, is_true

MAX_TIMES: Final = 100
"""How often an achievement can be earned at most."""
_RECOGNISED: Final = Node(kind="recognised", met=True)


class Judged(Struct, frozen=True):
    """What the versions of a rule say together. `since` is the instant of attainment, `version` the one that said so.

    Of a rule that is not attained, `version` judged last: what it still asks is what is missing. `at` is the instant at which the
    evidence, of which `judge` looked at no more than `evidence`, speaks for the attainment or against it.
    """

    since: Micros | None
    version: Version
    at: Micros
    judge: Judge
    evidence: Evidence
    level: str | None = None
    valid_until: Micros | None = None
    recognition: Recognition | None = None

    def why(self) -> tuple[Node, dict[str, Standing]]:
        """Return the reasons, and the results that counted, by their keys."""
        used: dict[str, Standing] = {}
        if self.recognition is not None:
            return _RECOGNISED, used
        seen = self.evidence.until(self.at, self.version.assessments)
        return self.judge.explain(seen, self.at, used), used


class Renewal(Struct, frozen=True):
    """What renews an award, and from when and until when results that were shown do."""

    opens: Micros
    until: Micros
    asked: Node


class Earned(Struct, frozen=True):
    """Each time that an achievement was attained, oldest first; and how it stands with the next one, if it may be earned again."""

    times: list[Judged]
    following: Judged | None


def earned(versions: Sequence[Version], evidence: Evidence, recognition: Recognition | None = None) -> Earned:
    """Judge a rule: when it was attained, by evidence or by recognition, whichever was first, and each time after that."""
    first = judged(versions, evidence)
    if recognition is not None and (first.since is None or recognition.at < first.since):
        first = _recognised(versions, evidence, recognition)
    if first.since is None:
        return Earned([], first)
    times, following = [_dated(first)], None
    if any(version.may_be_earned_again for version in versions):
        while len(times) < MAX_TIMES and (following := _next_time(versions, evidence, times[-1])) is not None:
            if following.since is None:
                break
            times.append(following)
    return Earned(times, following)


def judged(versions: Sequence[Version], evidence: Evidence) -> Judged:
    """Judge a rule for the first time: each moment at which evidence entered by the version in force then.

    A version that says `first` attains for good at the first moment at which its criterion is met. One that says `standing` attains
    if it judges the last moment and its criterion is met then; the instant is that from which no moment spoke against it.
    A retired rule looks at no moment: what was attained before stays so, what comes later adds nothing.
    """
    version = versions[0]
    if len(versions) == 1 and version.start == BEGINNING and not version.retired and version.judge.monotone:
        return _alone(version, evidence)
    last = next((v for v in reversed(versions) if not v.retired), version)
    end_of_evidence = BEGINNING
    unbroken: Micros | None = None
    for version, moments in _judging(versions, evidence):
        met = version.judge.timeline(evidence)
        first = version.rule.attained == "first"
        for moment in moments:
            if not is_true(met, moment):
                unbroken = None
            elif first:
                return _with_level(Judged(moment, version, moment, version.judge, evidence))
            elif unbroken is None:
                unbroken = moment
        last, end_of_evidence = version, moments[-1]
    if unbroken is None or last.rule.attained != "standing":
        return Judged(None, last, end_of_evidence or _latest(last, evidence), last.judge, evidence)
    return _with_level(Judged(unbroken, last, end_of_evidence, last.judge, evidence))


def versions_for(versions: Sequence[Version], evidence: Evidence, rejudged: Rejudged | None) -> Sequence[Version]:
    """Return the versions by which this learner is judged.

    Who had begun before a version that grandfathers took force stays with the former one. A re-evaluation has one version judge
    from an instant on, up to those that came after it.
    """
    if any(version.transition == "grandfather" for version in versions[1:]):
        versions = _grandfathered(versions, evidence)
    if rejudged is None:
        return versions
    named = next((v for v in reversed(versions) if v.rule_digest == rejudged.rule_digest), None)
    if named is None:
        return versions
    before = [v for v in versions if v.start < rejudged.since]
    after = [v for v in versions if v.start > max(named.start, rejudged.since)]
    return (*before, replace(named, start=rejudged.since), *after)


def _grandfathered(versions: Sequence[Version], evidence: Evidence) -> Sequence[Version]:
    kept = [versions[0]]
    for version in versions[1:]:
        had_begun = any(at < version.start for at in _instants(kept[-1], evidence))
        if version.transition != "grandfather" or version.retired or not had_begun:
            kept.append(version)
    return kept


def _recognised(versions: Sequence[Version], evidence: Evidence, recognition: Recognition) -> Judged:
    stated = [v for v in versions if not v.retired] or versions
    version = next((v for v in reversed(stated) if v.start <= recognition.at), stated[0])
    return Judged(
        recognition.at, version, recognition.at, version.judge, evidence, recognition.level, recognition=recognition
    )


def _next_time(versions: Sequence[Version], evidence: Evidence, last: Judged) -> Judged | None:
    """Judge a rule once more, by what was shown since it was attained; None while nothing can be said of it."""
    since = last.since or BEGINNING
    fresh = evidence.shown(lambda at: at > since)
    following: Judged | None = None
    for version, moments in _judging(versions, fresh):
        if not version.may_be_earned_again:
            continue
        renewing, anew = _renewing(version, evidence, last), Asked(version.judge, fresh)
        for moment in moments:
            asked = anew if version.rule.repeatable else _asked(version, renewing, anew, last.valid_until, moment)
            if moment <= since or asked is None:
                continue
            following = Judged(None, version, moment, asked.judge, asked.evidence)
            if is_true(asked.met(), moment):
                return _dated(_with_level(amended(following, since=moment)), last)
    return following


class Asked:
    """A criterion and the evidence that it looks at; judged once."""

    def __init__(self, judge: Judge, evidence: Evidence) -> None:
        """Judge when asked."""
        self.judge, self.evidence = judge, evidence
        self._met: Timeline | None = None

    def met(self) -> Timeline:
        """Return when it is met."""
        if self._met is None:
            self._met = self.judge.timeline(self.evidence)
        return self._met


def _renewing(version: Version, evidence: Evidence, last: Judged) -> Asked | None:
    """Return what renews an award: by results shown since it was attained, and not longer before its end than is allowed."""
    renewal, since, end = version.rule.renewal, last.since or BEGINNING, last.valid_until
    if renewal is None or end is None:
        return None
    opens, zone = renewal.opens, version.zone
    seen = evidence.shown(lambda at: at > since and (opens is None or later(at, opens, zone) >= end))
    return Asked(version.renews, seen)


def _asked(version: Version, renewing: Asked | None, anew: Asked, end: Micros | None, moment: Micros) -> Asked | None:
    """Return what is asked at a moment: the renewal until the end and its grace, after that everything anew."""
    if renewing is None or end is None:
        return None
    return renewing if moment <= _grace_ends(version, end) else anew


def _grace_ends(version: Version, end: Micros) -> Micros:
    renewal = version.rule.renewal
    return end if renewal is None or renewal.grace is None else later(end, renewal.grace, version.zone)


def renewal(version: Version, last: Judged) -> Renewal | None:
    """Return what renews an award by a version of its rule; None where nothing does."""
    renewing, end, since = _renewing(version, last.evidence, last), last.valid_until, last.since
    if renewing is None or version.rule.renewal is None or end is None or since is None:
        return None
    opens = version.rule.renewal.opens
    start = since if opens is None else max(since, earliest(end, opens, version.zone))
    return Renewal(start, _grace_ends(version, end), renewing.judge.explain(renewing.evidence, end, {}))


def _dated(found: Judged, before: Judged | None = None) -> Judged:
    """Say until when an award is valid: one renewed before the end of the one before, from that end on."""
    validity, since = found.version.rule.validity, found.since
    if validity is None or since is None:
        return found
    renewed = before is not None and before.valid_until is not None and found.version.rule.renewal is not None
    start = max(since, before.valid_until or since) if renewed and before is not None else since
    return amended(found, valid_until=later(start, validity, validity.zone))


def _alone(version: Version, evidence: Evidence) -> Judged:
    """Judge a rule with one version for all time that stays met once it is: `first` and `standing` say the same."""
    met = version.judge.timeline(evidence)
    if not met:
        return Judged(None, version, _latest(version, evidence), version.judge, evidence)
    if version.rule.attained == "first" or not version.rule.levels:
        return _with_level(Judged(met[0], version, met[0], version.judge, evidence))
    return _with_level(Judged(met[0], version, _latest(version, evidence), version.judge, evidence))


def _with_level(found: Judged) -> Judged:
    """Award the highest level whose criterion is met: by `first` at the attainment, by `standing` at the end of the evidence."""
    reached = [name for name, judge in found.version.levels if is_true(judge.timeline(found.evidence), found.at)]
    return amended(found, level=reached[-1]) if reached else found


def _judging(versions: Sequence[Version], evidence: Evidence) -> Iterator[tuple[Version, list[Micros]]]:
    """Yield each version that judges something, with the moments in its time at which evidence entered that it looks at."""
    for at, version in enumerate(versions):
        end = versions[at + 1].start if at + 1 < len(versions) else None
        if version.retired:
            continue
        moments = [m for m in _instants(version, evidence) if m >= version.start and (end is None or m < end)]
        if moments:
            yield version, sorted(moments)


def _latest(version: Version, evidence: Evidence) -> Micros:
    return max(_instants(version, evidence), default=BEGINNING)


def _instants(version: Version, evidence: Evidence) -> set[Micros]:
    results = {piece[0] for name in version.assessments for piece in evidence.results.get(name, ())}
    return results | {at for name in version.blocks if name in evidence.held for at, _ in evidence.held[name].times}
