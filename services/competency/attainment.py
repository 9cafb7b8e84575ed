"""Whether and since when a rule is attained, over all its versions: by the time of the evidence, not of its arrival."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from schemas.events import Micros
from services.competency.criteria import Evidence, explained, met_since
from services.competency.progress import Standing
from services.competency.reasons import Node
from services.competency.rulebook import BEGINNING, Version


class Judged(Struct, frozen=True):
    """What the versions of a rule say together. `since` is the instant of attainment, `version` the one that said so.

    Of a rule that is not attained, `version` judged last: what it still asks is what is missing.
    """

    since: Micros | None
    version: Version

    def why(self, evidence: Evidence) -> tuple[Node, dict[str, Standing]]:
        """Return the reasons, and the results that counted, by their keys."""
        used: dict[str, Standing] = {}
        seen = evidence if self.since is None else evidence.until(self.since, self.version.assessments)
        return explained(self.version.rule.requires, seen, used), used


def judged(versions: Sequence[Version], evidence: Evidence) -> Judged:
    """Judge a rule: each moment at which evidence entered by the version in force then.

    A version that says `first` attains for good at the first moment at which its criterion is met. One that says `standing` attains
    if it judges the last moment and its criterion is met then; the instant is that from which no moment spoke against it.
    A retired rule looks at no moment: what was attained before stays so, what comes later adds nothing.
    """
    version = versions[0]
    if (
        len(versions) == 1 and version.start == BEGINNING and not version.retired
    ):  # one version for all time: both say the same
        return Judged(met_since(version.rule.requires, evidence), version)
    last = next((v for v in reversed(versions) if not v.retired), version)
    unbroken: Micros | None = None
    for at, version in enumerate(versions):
        end = versions[at + 1].start if at + 1 < len(versions) else None
        if version.retired or not (moments := _moments(version, evidence, end)):
            continue
        met = met_since(version.rule.requires, evidence)
        holding = None if met is None else next((moment for moment in moments if moment >= met), None)
        if holding is not None and version.rule.attained == "first":
            return Judged(holding, version)
        if unbroken is None or holding != moments[0]:
            unbroken = holding
        last = version
    return Judged(unbroken if last.rule.attained == "standing" else None, last)


def _moments(version: Version, evidence: Evidence, end: Micros | None) -> list[Micros]:
    """Return, in order, the instants in a version's time at which evidence entered that it looks at."""
    results = {piece[0] for name in version.assessments for piece in evidence.results.get(name, ())}
    blocks = {evidence.held[name] for name in version.blocks if name in evidence.held}
    return sorted(moment for moment in results | blocks if moment >= version.start and (end is None or moment < end))
