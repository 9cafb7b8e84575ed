"""Reads the examples that stand in a catalogue's files: evidence, and the decision that its author expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from credstream.rules import grammar
from credstream.rules.criteria import CriteriaReader
from credstream.rules.yaml_source import NOTHING, Mistakes, Value
from schemas.completions import Fault, completion_faults
from schemas.events import POINT, AssessmentCompleted, CompletionBody, Micros, ResultKind
from services.competency.progress import NOTHING as NONE_YET
from services.competency.progress import Standing, observe
from services.competency.selection import Holding

_NOON: Final = 12
_MAX_EXAMPLES: Final = 100
_MAX_RESULTS: Final = 100
_WORDS: Final = {"completed_at": "date", "score_max": "of", "evidence_url": "evidence", "assessor_role": "role"}


class Expected(Struct, frozen=True):
    """When something is expected: at an instant, or at some time of a day. `text` is what was written."""

    text: str
    first: Micros
    last: Micros

    def has(self, at: Micros | None) -> bool:
        """Say whether it was then."""
        return at is not None and self.first <= at <= self.last


class Example(Struct, frozen=True, kw_only=True):
    """Evidence, and the decision that an achievement's author expects. `attained`: whether, or when.

    `again`: when it is attained again; `valid_until`: when the last award ends.
    """

    place: str
    achievement: str
    name: str
    results: Mapping[str, Standing]
    holds: Mapping[str, Holding]
    attained: bool | Expected
    level: str | None = None
    again: tuple[Expected, ...] | None = None
    valid_until: Expected | None = None


class ExampleReader(CriteriaReader):
    """Reads examples, once assessments and the levels of achievements are known."""

    def __init__(self, mistakes: Mistakes) -> None:
        """Begin with none."""
        super().__init__(mistakes)
        self.examples: list[Example] = []

    def read_examples(self, value: Value | None, achievement: str) -> None:
        """Take in the examples of an achievement."""
        shown = self.each(value, lambda v: self._example(v, achievement))
        if value is not None and len(shown) > _MAX_EXAMPLES:
            self.mistakes.add(value.place, f"{len(shown)} examples; at most {_MAX_EXAMPLES} are run")
        self.examples += [found for _, found in shown]

    def _example(self, value: Value, achievement: str) -> Example:
        members = self.members(value, grammar.EXAMPLE)
        results = dict(self._shown(at, v) for at, v in enumerate(self.items(members.get("results"))))
        if len(results) > _MAX_RESULTS:
            self.mistakes.add(value.place, f"{len(results)} results; an example has at most {_MAX_RESULTS}")
        holds = self.entries(members.get("holds"), "achievements, each with a day,") if "holds" in members else {}
        self.blocks += [(v.place, name) for name, v in holds.items()]
        attained = members.get("attained", Value(value.place, "false"))
        said = attained.content in {"true", "false"}
        return Example(
            place=str(value.place),
            achievement=achievement,
            name=self.text(members.get("name")),
            results=results,
            holds={name: self._held(name, v) for name, v in holds.items()},
            attained=self.truth(attained) if said else self._expected(attained),
            level=self._level_of(achievement, members.get("level")),
            again=tuple(self._expected(v) for v in self.items(members["again"])) if "again" in members else None,
            valid_until=self._expected(members["valid_until"]) if "valid_until" in members else None,
        )

    def _expected(self, value: Value) -> Expected:
        return Expected(str(value.content), *self.day(value))

    def _held(self, name: str, value: Value) -> Holding:
        """Return a building block held from a day; its level only if it says one."""
        if not isinstance(value.content, Mapping):
            return Holding(self.instant(value, hour=_NOON))
        members = self.members(value, grammar.EXAMPLE_HOLDING)
        since = self.instant(members["since"], hour=_NOON) if "since" in members else 0
        return Holding(since, self._level_of(name, members.get("level")))

    def _level_of(self, achievement: str, value: Value | None) -> str | None:
        """Return a level of an achievement's award."""
        if value is None:
            return None
        return next(iter(self.from_level(value, self.levels.get(achievement, ()), achievement)), None)

    def _shown(self, at: int, value: Value) -> tuple[str, Standing]:
        members = self.members(value, grammar.EXAMPLE_RESULT)
        assessment = self.known_assessment(members.get("assessment", NOTHING))
        score = members.get("score")
        maximum = self.number(members["of"]) if "of" in members else 100 * POINT
        if "of" in members and score is None:
            self.mistakes.add(members["of"].place, "of is the maximum of a score: score is missing")
        if "level" in members and assessment in self.assessments:
            self.from_level(members["level"], self.assessments[assessment].levels, assessment)
        body = CompletionBody(
            result_id=f"{at:05d}",
            revision=0,
            kind=ResultKind.COMPLETED,
            assessment=assessment or "unknown",
            completed_at=self.instant(members["date"], hour=_NOON) if "date" in members else 0,
            score=None if score is None else self.number(score),
            score_max=None if score is None else maximum,
            passed=self.truth(members["passed"]) if "passed" in members else None,
            level=self.optional(members.get("level")),
            evidence_url=self.optional(members.get("evidence")),
            assessor_ref=self.optional(members.get("assessor")),
            assessor_role=self.optional(members.get("role")),
            site=self.optional(members.get("site")),
            critical=self.truth(members["critical"]) if "critical" in members else None,
        )
        sent = AssessmentCompleted(
            event_id="example",
            programme="example",
            provider=self.optional(members.get("provider")) or "provider",
            learner_ref="0" * 32,
            received_at=body.completed_at,
            body=body,
        )
        for fault in completion_faults(sent):
            self._note(fault, members)
        [(key, standing)] = observe(NONE_YET, sent, body, late=False).progress.results.items()
        return key, standing

    def _note(self, fault: Fault, members: Mapping[str, Value]) -> None:
        """Note what no provider could send."""
        word = _WORDS.get(fault.field, fault.field)
        if word in members:
            problem = fault.problem.replace("score_max", "of (100 unless given)")
            self.mistakes.add(members[word].place, f"{word}: {problem}")
