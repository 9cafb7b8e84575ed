"""Runs the examples that stand in a catalogue's files: evidence, and the decision that its author expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from credstream.rules.loader import Draft, Example
from schemas.catalogue import Catalogue
from schemas.events import Micros
from services.competency.attainment import judged
from services.competency.reasons import explanation
from services.competency.rulebook import Adoption, Rulebook, rulebook
from services.competency.selection import Holding, evidence_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """One example, what the rule decides, and why. `attained` is None where the rule is not met."""

    example: Example
    attained: Micros | None
    level: str | None
    explanation: str

    @property
    def passed(self) -> bool:
        """Say whether the decision is the one expected."""
        expected = self.example.attained
        same = expected is (self.attained is not None) if isinstance(expected, bool) else expected == self.attained
        return same and self.example.level in {None, self.level}


def rules_of(draft: Draft | Catalogue) -> Rulebook:
    """Return the rules of a catalogue as if they had been in force from the beginning."""
    catalogue = draft if isinstance(draft, Catalogue) else draft.build(base_url="", keys=())
    return rulebook([(Adoption("", 0), catalogue)])


def run_examples(draft: Draft) -> Sequence[Tested]:
    """Return what the rules decide about each example."""
    book = rules_of(draft)
    return [_tested(book, example) for example in draft.examples]


def _tested(book: Rulebook, example: Example) -> Tested:
    held: Mapping[str, Holding] = {name: Holding(since) for name, since in example.holds.items()}
    evidence = evidence_of(example.results, held)
    found = judged(book.rules[example.achievement], evidence)
    node, _ = found.why(evidence)
    return Tested(example=example, attained=found.since, level=found.level, explanation=explanation(node))


def said(attained: bool | Micros | None) -> str:  # noqa: FBT001  a value to print
    """Return a decision in words."""
    if isinstance(attained, bool) or attained is None:
        return "attained" if attained else "not attained"
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=attained)
    return f"attained on {instant:%Y-%m-%d %H:%M}Z"
