"""Runs the examples that stand in a catalogue's files: evidence, and the decision that its author expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from credstream.rules.examples import Example, Expected
from credstream.rules.loader import Draft
from credstream.zones import minute
from schemas.catalogue import Catalogue
from schemas.events import Micros
from services.competency.attainment import Judged, earned
from services.competency.reasons import explanation
from services.competency.rulebook import Adoption, Rulebook, rulebook
from services.competency.selection import evidence_of


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
    def valid_until(self) -> Micros | None:
        """Return when the last award ends, or None."""
        return self.times[-1].valid_until if self.times else None

    @property
    def passed(self) -> bool:
        """Say whether the decision is the one expected."""
        example, expected = self.example, self.example.attained
        same = expected is (self.attained is not None) if isinstance(expected, bool) else expected.has(self.attained)
        again = [time.since for time in self.times[1:]]
        return (
            same
            and example.level in {None, self.level}
            and (example.again is None or _are(example.again, again))
            and (example.valid_until is None or example.valid_until.has(self.valid_until))
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
    evidence = evidence_of(example.results, example.holds)
    found = earned(book.rules[example.achievement], evidence)
    shown = found.times[-1] if found.times else found.following
    return Tested(example=example, times=found.times, explanation="" if shown is None else explanation(shown.why()[0]))


def _are(expected: Sequence[Expected], instants: Sequence[Micros | None]) -> bool:
    return len(expected) == len(instants) and all(map(Expected.has, expected, instants))


def expected_in_words(example: Example) -> str:
    """Return the decision that an example's author expects."""
    if isinstance(example.attained, bool):
        said = "attained" if example.attained else "not attained"
    else:
        said = f"attained on {example.attained.text}"
    again = None if example.again is None else [time.text for time in example.again]
    until = None if example.valid_until is None else example.valid_until.text
    return said + _more(again, until, example.level)


def decided_in_words(tested: Tested, zone: str) -> str:
    """Return what was decided, with instants in a time zone."""
    times = [minute(time.since, zone) for time in tested.times if time.since is not None]
    if not times:
        return "not attained"
    until = None if tested.valid_until is None else minute(tested.valid_until, zone)
    return f"attained on {times[0]}" + _more(times[1:], until, tested.level)


def _more(again: Sequence[str] | None, until: str | None, level: str | None) -> str:
    said = "" if again is None else "".join(f", again on {time}" for time in again)
    return said + (f", until {until}" if until else "") + (f", level {level}" if level else "")
