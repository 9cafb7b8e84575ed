"""Completions of a training programme, honest about life: second tries, late and repeated reports, corrections, mistakes.

The same seed and date give the same completions. Times never lie later than ``now``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from credstream.demo.learners import GOOD, Form, Task, forms, tasks
from credstream.rules.loader import Draft
from schemas.catalogue import Achievement, Catalogue
from schemas.codec import encode
from schemas.events import POINT, AssessmentCompleted, CompletionBody, ResultKind

_DAYS: Final = 385
_TODAY: Final = 0.2
_LATE_DAYS: Final = 1_200
SCHEME: Final = "email"


@dataclass(frozen=True, slots=True)
class Sent:
    """A completion, whose key sends it, and whether the gateway is expected to take it."""

    provider: str
    completion: Mapping[str, Any]
    accepted: bool = True


@dataclass(slots=True)
class _Learner:
    """Who learns, how well, what they have done, and how many days ago they did the last of it."""

    number: int
    ability: float
    day: float
    done: Counter[str] = field(default_factory=Counter)

    @property
    def named(self) -> Mapping[str, str]:
        return {"scheme": SCHEME, "identifier": f"learner{self.number:05d}@learners.example"}


class Generator:
    """Makes completions for a catalogue's sectors: each learner works through the achievements of one."""

    def __init__(self, seed: int, now: datetime, catalogue: Catalogue | Draft) -> None:
        """Draw from ``seed``."""
        self._random = Random(seed)  # noqa: S311  nothing here is secret
        self._now = now
        self._forms = forms(catalogue.assessments, [a.rule for a in catalogue.achievements])
        self._sectors: dict[str, list[Achievement]] = {}
        for achievement in catalogue.achievements:
            self._sectors.setdefault(achievement.sector or achievement.id, []).append(achievement)

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
        learner = _Learner(number, random.gauss(78, 12), random.uniform(3, _DAYS))
        sector = list(self._sectors.values())[number % len(self._sectors)]
        for achievement in sector:
            if random.random() < 0.1:  # not this one
                continue
            for task in tasks(achievement.rule.requires, learner.done, random):
                yield from self._does(learner, task)
            yield from self._renews(learner, achievement)
            if random.random() < 0.05 or learner.day <= _TODAY:  # gave up, or is under way
                return

    def _does(self, learner: _Learner, task: Task) -> Iterator[tuple[float, Sent]]:
        """Yield what a learner shows for a task, try by try."""
        random, form = self._random, self._forms[task.assessment]
        for _ in range(task.times):
            for attempt in range(1, task.tries + 1):
                pause = random.uniform(0.1, 5) + (task.gap_days if attempt > 1 else 0)
                learner.day -= pause if random.random() > 0.03 else pause + random.uniform(30, 120)
                if learner.day <= _TODAY:
                    return
                performance = 50.0 if task.mishap else random.gauss(learner.ability + 4 * attempt, 9)
                yield from self._report(learner, form, performance, critical=task.mishap and random.random() < 0.7)
                if performance >= GOOD:
                    break

    def _renews(self, learner: _Learner, achievement: Achievement) -> Iterator[tuple[float, Sent]]:
        """Yield what a learner shows shortly before an award ends, if that is within these days."""
        rule = achievement.rule
        if rule.renewal is None or rule.renewal.requires is None or rule.validity is None:
            return
        end = learner.day - rule.validity.months * 30.4
        renewing = _Learner(learner.number, learner.ability, end + self._random.uniform(10, 80), learner.done)
        if _TODAY < renewing.day < learner.day:
            for task in tasks(rule.renewal.requires, Counter(), self._random):
                yield from self._does(renewing, task)

    def _report(
        self, learner: _Learner, form: Form, performance: float, *, critical: bool
    ) -> Iterator[tuple[float, Sent]]:
        """Yield the report of one result and what may follow it: a repeat, a correction, a retraction, a mistake."""
        random = self._random
        provider = random.choice(form.providers)
        learner.done[form.assessment] += 1
        result = f"{learner.number:05d}-{form.assessment}-{learner.done[form.assessment]}"
        base = {"learner": learner.named, "result_id": result, "assessment": form.assessment}
        shown = {**form.shown(random, performance), **form.around(random, provider)}
        shown |= {"critical": True} if critical else {}
        first = {**base, **shown, "event_id": f"{result}-0", "completed_at": self._at(learner.day)}
        sent_at = _DAYS - learner.day + random.expovariate(2)  # usually within a day, sometimes after what followed
        if random.random() < 0.004:
            first["completed_at"] = self._at(_LATE_DAYS)  # reported after years: a person must look at it
        yield sent_at, Sent(provider, first)
        if random.random() < 0.03:
            yield sent_at + random.uniform(0, 2), Sent(provider, first)  # the provider's retry
        if random.random() < 0.02:
            other = form.shown(random, performance + random.gauss(0, 12))
            fix = {**first, **other, "event_id": f"{result}-1", "revision": 1, "kind": "corrected"}
            yield sent_at + random.uniform(-0.5, 5), Sent(provider, fix)  # now and then before what it corrects
        elif random.random() < 0.012:
            gone = {**base, "event_id": f"{result}-1", "revision": 1, "kind": "retracted"}
            yield sent_at + random.uniform(0.5, 8), Sent(provider, {**gone, "completed_at": first["completed_at"]})
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
