"""A catalogue as credentials use it: looked up by id, with the endorsements that hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.catalogue import Achievement, Assessment, Catalogue
from schemas.events import Micros
from schemas.rules import Bar, Count, Criterion, Result, inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsement:
    """A partner's signed endorsement whose proof was verified, and from when until when it holds."""

    document: Mapping[str, Any]
    begins: Micros
    ends: Micros | None = None


class Wording:
    """What a catalogue says, ready to be written into credentials."""

    def __init__(self, catalogue: Catalogue, endorsements: Mapping[str, Sequence[Endorsement]]) -> None:
        """Take in a catalogue and, for each achievement, the endorsements of it that were verified."""
        self.catalogue = catalogue
        self.achievements = {achievement.id: achievement for achievement in catalogue.achievements}
        self.providers = {provider.id: provider for provider in catalogue.providers}
        self.described: dict[Any, Any] = {}  # what `results` has worked out of it
        self._assessments = {assessment.id: assessment for assessment in catalogue.assessments}
        self._endorsements = endorsements
        self._bars = {achievement.id: _bars(achievement) for achievement in catalogue.achievements}

    def endorsements(self, achievement: str, instant: Micros) -> Sequence[Mapping[str, Any]]:
        """Return the endorsements of an achievement that hold at an instant."""
        return [
            known.document
            for known in self._endorsements.get(achievement, ())
            if known.begins <= instant and (known.ends is None or instant < known.ends)
        ]

    def bar(self, achievement: str, assessment: str) -> Bar | None:
        """Return what the achievement's rule asks of an assessment; where it asks several things, no one value is required."""
        return self._bars[achievement].get(assessment)

    def assessment(self, assessment: str) -> Assessment:
        """Return an assessment; of one that this version leaves out, whose results may still count, only the id is known."""
        return self._assessments.get(assessment) or Assessment(id=assessment, name=assessment, providers=())

    def provider_name(self, provider: str) -> str:
        """Return a provider's name, or the id of one that this version leaves out."""
        return self.providers[provider].name if provider in self.providers else provider


def _bars(achievement: Achievement) -> Mapping[str, Bar | None]:
    found: dict[str, Bar | None] = {}
    waiting: list[Criterion] = [achievement.rule.requires]
    while waiting:
        criterion = waiting.pop()
        waiting += inside(criterion)
        if isinstance(criterion, Result | Count):
            for name in criterion.assessments:
                found[name] = None if name in found else criterion
    return found
