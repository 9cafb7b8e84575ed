"""Runs the examples that stand in a catalogue's files: evidence, and the decision that its author expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from credstream.rules.loader import Draft, Example
from schemas.catalogue import Catalogue
from schemas.events import Micros
from services.competency.attainment import Judged, earned
from services.competency.reasons import explanation
from services.competency.rulebook import Adoption, Rulebook, rulebook
from services.competency.selection import Holding, evidence_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """One example, what the rule decides, and why. `times` has each time that it is attained, with level and end."""

    example: Example
    times: Sequence[Judged]
    explanation: str

    @property
    def attained(self) -> Micros | None:
        """Return when it is attained first, or None."""
        return self.times[0].since if self.times else None

    @property
    def level(self) -> str | None:
        """Return the level of the last award."""
        return self.times[-1].level if self.times else None

    @property
    def passed(self) -> bool:
        """Say whether the decision is the one expected."""
        example, expected = self.example, self.example.attained
        same = expected is (self.attained is not None) if isinstance(expected, bool) else expected == self.attained
        again = tuple(time.since for time in self.times[1:])
        until = self.times[-1].valid_until if self.times else None
        return (
            same
            and example.level in {None, self.level}
            and example.again in {None, again}
            and example.valid_until in {None, until}
        )


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
    found = earned(book.rules[example.achievement], evidence)
    shown = found.times[-1] if found.times else found.following
    return Tested(example=example, times=found.times, explanation="" if shown is None else explanation(shown.why()[0]))


def said(
    attained: bool | Micros | None,  # noqa: FBT001  a value to print
    again: Sequence[Micros | None] = (),
    valid_until: Micros | None = None,
) -> str:
    """Return a decision in words."""
    if isinstance(attained, bool) or attained is None:
        return "attained" if attained else "not attained"
    more = "".join(f", again on {_instant(at)}" for at in again if at is not None)
    return f"attained on {_instant(attained)}{more}" + (f", until {_instant(valid_until)}" if valid_until else "")


def _instant(at: Micros) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at):%Y-%m-%d %H:%M}Z"
