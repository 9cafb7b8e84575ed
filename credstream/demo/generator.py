"""Completions of a training programme, honest about life: second tries, late and repeated reports, corrections, mistakes.

The same seed and date give the same completions. Times never lie later than ``now``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from schemas.catalogue import Achievement
from schemas.codec import encode
from schemas.events import POINT, AssessmentCompleted, CompletionBody, ResultKind
from schemas.rules import All, Count, Criterion, Holds, Result, Weighted, assessments_in
from schemas.rules import Any as AnyOf

_DAYS: Final = 300
_TRIES: Final = 3
_LATE_DAYS: Final = 1_200
SCHEME: Final = "email"


@dataclass(frozen=True, slots=True)
class Sent:
    """A completion, whose key sends it, and whether the gateway is expected to take it."""

    provider: str
    completion: Mapping[str, Any]
    accepted: bool = True


@dataclass(frozen=True, slots=True)
class _Task:
    """An assessment as a learner meets it: who gives it, and what a pass is."""

    assessment: str
    providers: Sequence[str]
    threshold: int  # percent
    scored: bool
    times: int


class Generator:
    """Makes completions for a catalogue's sectors."""

    def __init__(
        self, seed: int, now: datetime, achievements: Sequence[Achievement], givers: Mapping[str, Sequence[str]]
    ) -> None:
        """Draw from ``seed``; ``givers`` are the providers allowed for each assessment."""
        self._random = Random(seed)  # noqa: S311  nothing here is secret
        self._now = now
        sectors: dict[str, dict[str, _Task]] = {}
        for achievement in achievements:
            tasks = sectors.setdefault(achievement.sector or achievement.id, {})
            for assessment in dict.fromkeys(assessments_in(achievement.rule.requires)):
                threshold, scored, times = _asked(achievement.rule.requires, assessment)
                tasks[assessment] = _Task(assessment, givers[assessment], threshold, scored, times)
        self._sectors = [list(tasks.values()) for tasks in sectors.values() if tasks]
        self._assessments = sorted(givers)

    def completions(self, count: int) -> list[Sent]:
        """Return ``count`` completions in the order in which they are sent."""
        out: list[tuple[float, Sent]] = []
        learner = 0
        while len(out) < count:
            out += self._learner(learner)
            learner += 1
        out = out[:count]
        out.sort(key=lambda pair: pair[0])
        return [sent for _, sent in out]

    def _learner(self, number: int) -> Iterator[tuple[float, Sent]]:
        """Yield one learner's completions with the moment of sending, in days."""
        random = self._random
        who = {"scheme": SCHEME, "identifier": f"learner{number:05d}@learners.example"}
        ability = random.gauss(76, 12)
        day = random.uniform(3, _DAYS)
        for task in random.choice(self._sectors):
            if random.random() < 0.08:  # gave up before this one
                return
            for time in range(task.times):
                for attempt in range(1, _TRIES + 1):
                    day = max(0.2, day - random.uniform(0.1, 6))
                    score = round(min(100.0, max(0.0, random.gauss(ability + 4 * attempt, 9))) * 2) / 2
                    result = f"{number:05d}-{task.assessment}-{time}-{attempt}"
                    yield from self._report(who, task, result, attempt, score, day)
                    if score >= task.threshold:
                        break

    def _report(
        self, who: Mapping[str, str], task: _Task, result: str, attempt: int, score: float, day: float
    ) -> Iterator[tuple[float, Sent]]:
        """Yield the report of one result and what may follow it: a repeat, a correction, a retraction, a mistake."""
        random = self._random
        provider = random.choice(list(task.providers))
        base = {"learner": who, "result_id": result, "assessment": task.assessment, "attempt": attempt}
        first = {**base, **_shown(task, score), "event_id": f"{result}-0", "completed_at": self._at(day)}
        sent_at = _DAYS - day + random.expovariate(2)  # usually within a day, sometimes after what followed
        chance = random.random()
        if chance < 0.004:
            first["completed_at"] = self._at(_LATE_DAYS)  # reported after years: a person must look at it
        if chance > 0.99:
            first |= {"evidence_url": f"https://evidence.example/{result}"}
        yield sent_at, Sent(provider, first)
        if random.random() < 0.03:
            yield sent_at + random.uniform(0, 2), Sent(provider, first)  # the provider's retry
        if random.random() < 0.02:
            other = round(min(100.0, max(0.0, score + random.gauss(0, 12))) * 2) / 2
            fix = {**first, **_shown(task, other), "event_id": f"{result}-1", "revision": 1, "kind": "corrected"}
            yield sent_at + random.uniform(-0.5, 5), Sent(provider, fix)  # now and then before what it corrects
        elif random.random() < 0.012:
            gone = {
                **base,
                "event_id": f"{result}-1",
                "revision": 1,
                "kind": "retracted",
                "completed_at": first["completed_at"],
            }
            yield sent_at + random.uniform(0.5, 8), Sent(provider, gone)
        if random.random() < 0.012:
            yield sent_at + random.uniform(0, 3), self._mistake(provider, first)

    def _mistake(self, provider: str, good: Mapping[str, Any]) -> Sent:
        """Return a completion with something wrong in it."""
        event_id = f"{good['event_id']}-x"
        result_id = f"{good['result_id']}-x"
        changed = {**good, "event_id": event_id, "result_id": result_id}
        kind = self._random.randrange(6)
        if kind == 0:
            return Sent(provider, {**changed, "assessment": "underwater-welding"})  # taken, then quarantined
        if kind == 1:
            return Sent(provider, {**good, "site": "another campus"})  # the same event id with another content
        if kind == 2:
            return Sent(provider, {**changed, "score": 250, "score_max": 100}, accepted=False)
        if kind == 3:
            ahead = (self._now + timedelta(days=400)).isoformat()
            return Sent(provider, {**changed, "completed_at": ahead}, accepted=False)
        if kind == 4:
            return Sent(provider, {**changed, "site": "line\nbreak"}, accepted=False)
        return Sent(provider, {**changed, "completed_at": "2026-02-30 12:00"}, accepted=False)

    def _at(self, days_ago: float) -> str:
        return (self._now - timedelta(days=days_ago)).replace(microsecond=0).isoformat()


def _shown(task: _Task, score: float) -> dict[str, Any]:
    if task.scored:
        return {"score": int(score) if score == int(score) else score, "score_max": 100}
    return {"passed": score >= task.threshold}


def _asked(criterion: Criterion, assessment: str) -> tuple[int, bool, int]:
    """Return what a rule asks of an assessment: percent, whether as a score, and how many results."""
    match criterion:
        case Result(assessment=asked, at_least=share) if asked == assessment:
            return (share // 10_000 if share is not None else 70), share is not None, 1
        case Count(assessments=asked, at_least=share, number=number) if assessment in asked:
            return (share // 10_000 if share is not None else 70), share is not None, -(-number // len(asked))
        case Weighted(parts=parts, at_least=share) if any(part.assessment == assessment for part in parts):
            return share // 10_000, True, 1
        case All(of=of) | AnyOf(of=of):
            return next(
                (_asked(inner, assessment) for inner in of if assessment in assessments_in(inner)), (70, True, 1)
            )
        case Holds() | _:
            return 70, True, 1


def broken_records(programme: str, learner: str, now_micros: int) -> list[tuple[str, bytes, bytes | None]]:
    """Return records that no gateway lets through, as (expected reason, key, value): straight into the inbox they go."""
    body = CompletionBody(
        result_id="broken",
        revision=0,
        kind=ResultKind.COMPLETED,
        assessment="site-safety-test",
        completed_at=now_micros - 86_400 * 1_000_000,
        score=90 * POINT,
        score_max=100 * POINT,
    )
    good = encode(
        AssessmentCompleted(
            event_id="broken",
            programme=programme,
            provider="great-river-training",
            learner_ref=learner,
            received_at=now_micros,
            body=body,
        )
    )
    key = f"{programme}:{learner}".encode()
    return [
        ("malformed", key, good[:-3]),
        ("malformed", key, good + b"\x00"),
        ("malformed", key, b"{}"),
        ("unknown_schema", key, b"\x00\x00\x00\x03\xe7" + good[5:]),
        ("tombstone", key, None),
        ("too_large", key, good + b"\x00" * 20_000),
        ("wrong_lane", b"somebody:else", good),
    ]
