"""Whether and since when a rule is attained, over all its versions: by the time of the evidence, not of its arrival."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from schemas.events import Micros
from services.competency.progress import Standing
from services.competency.reasons import Node
from services.competency.rulebook import Version
from services.competency.selection import Evidence
from services.competency.timeline import BEGINNING, is_true


class Judged(Struct, frozen=True):
    """What the versions of a rule say together. `since` is the instant of attainment, `version` the one that said so.

    Of a rule that is not attained, `version` judged last: what it still asks is what is missing. `at` is the instant at which the
    evidence speaks for the attainment or against it, `level` the one that is awarded.
    """

    since: Micros | None
    version: Version
    at: Micros
    level: str | None = None

    def why(self, evidence: Evidence) -> tuple[Node, dict[str, Standing]]:
        """Return the reasons, and the results that counted, by their keys."""
        used: dict[str, Standing] = {}
        seen = evidence.until(self.at, self.version.assessments)
        return self.version.judge.explain(seen, self.at, used), used


def judged(versions: Sequence[Version], evidence: Evidence) -> Judged:
    """Judge a rule: each moment at which evidence entered by the version in force then.

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
    for at, version in enumerate(versions):
        end = versions[at + 1].start if at + 1 < len(versions) else None
        if version.retired or not (moments := _moments(version, evidence, end)):
            continue
        met = version.judge.timeline(evidence)
        first = version.rule.attained == "first"
        for moment in moments:
            if not is_true(met, moment):
                unbroken = None
            elif first:
                return _with_level(Judged(moment, version, moment), evidence)
            elif unbroken is None:
                unbroken = moment
        last, end_of_evidence = version, moments[-1]
    if unbroken is None or last.rule.attained != "standing":
        return Judged(None, last, end_of_evidence or _latest(last, evidence))
    return _with_level(Judged(unbroken, last, end_of_evidence), evidence)


def _alone(version: Version, evidence: Evidence) -> Judged:
    """Judge a rule with one version for all time that stays met once it is: `first` and `standing` say the same."""
    met = version.judge.timeline(evidence)
    if not met:
        return Judged(None, version, _latest(version, evidence))
    if version.rule.attained == "first" or not version.rule.levels:
        return _with_level(Judged(met[0], version, met[0]), evidence)
    return _with_level(Judged(met[0], version, _latest(version, evidence)), evidence)


def _with_level(found: Judged, evidence: Evidence) -> Judged:
    """Award the highest level whose criterion is met: by `first` at the attainment, by `standing` at the end of the evidence."""
    reached = [name for name, judge in found.version.levels if is_true(judge.timeline(evidence), found.at)]
    return Judged(found.since, found.version, found.at, reached[-1]) if reached else found


def _latest(version: Version, evidence: Evidence) -> Micros:
    return max(_instants(version, evidence), default=BEGINNING)


def _moments(version: Version, evidence: Evidence, end: Micros | None) -> list[Micros]:
    """Return, in order, the instants in a version's time at which evidence entered that it looks at."""
    return sorted(m for m in _instants(version, evidence) if m >= version.start and (end is None or m < end))


def _instants(version: Version, evidence: Evidence) -> set[Micros]:
    results = {piece[0] for name in version.assessments for piece in evidence.results.get(name, ())}
    return results | {evidence.held[name].since for name in version.blocks if name in evidence.held}
