"""How made-up learners work towards what a catalogue's rules ask: which assessments, how often, and how they do.

Whatever a rule asks for (roles, assessors, evidence, rubrics, no incident) most learners show, and some do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from schemas import rules
from schemas.catalogue import Assessment
from schemas.rules import Criterion, assessments_in, criteria_of, inside

GOOD: Final = 70.0
"""A performance from which on a learner reaches what is asked; they are drawn around their ability, of 100."""
_WHOLE: Final = 100.0
_USUALLY: Final = 0.95
_SELDOM: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How results of an assessment look, by what all rules together ask of it. `bar` is in percent."""

    assessment: str
    providers: tuple[str, ...]
    rubric: tuple[str, ...]
    bar: float | None = None
    level: int | None = None
    judged: bool = False
    roles: tuple[str, ...] = ()
    evidence: bool = False
    observed: bool = False
    incidents: bool = False

    def shown(self, random: Random, performance: float) -> dict[str, Any]:
        """Return what is reported of a performance."""
        shown: dict[str, Any] = {}
        if self.bar is not None:
            shown |= {"score": _score(self.bar, performance), "score_max": 100}
        if self.judged:
            shown["passed"] = performance >= GOOD
        if self.rubric:
            shown["level"] = self.rubric[self._level(random, performance)]
        return shown

    def around(self, random: Random, provider: str) -> dict[str, Any]:
        """Return what is reported beside it: who assessed, where, with what evidence, and whether something happened."""
        around: dict[str, Any] = {}
        if self.roles:
            around["assessor_role"] = random.choice(self.roles) if random.random() < _USUALLY else "peer"
        if self.observed or self.rubric or self.roles:
            around["assessor_ref"] = f"{provider}-{random.randrange(1, 5)}"
            around["site"] = f"{provider}-campus-{random.randrange(1, 4)}"
        if random.random() < (0.92 if self.evidence else 0.01):
            around["evidence_url"] = f"https://evidence.example/{self.assessment}/{random.getrandbits(32):08x}"
        if self.incidents:
            around["critical"] = random.random() < _SELDOM
        return around

    def _level(self, random: Random, performance: float) -> int:
        asked, top = self.level or 0, len(self.rubric) - 1
        if performance < GOOD:
            return random.randrange(asked) if asked else 0
        return min(top, asked + (performance >= 84) + (performance >= 94))  # noqa: PLR2004


def _score(bar: float, performance: float) -> int | float:
    """Return points of 100 such that a good performance, and no other, reaches the bar; in halves."""
    above = (_WHOLE - bar) / (_WHOLE - GOOD)
    slope = above if performance >= GOOD else max(1.0, above)
    score = round(min(_WHOLE, max(0.0, bar + (performance - GOOD) * slope)) * 2) / 2
    score = min(score, bar - 0.5) if performance < GOOD else max(score, bar)
    return int(score) if score == int(score) else score


def forms(assessments: Sequence[Assessment], asked: Sequence[rules.Rule]) -> dict[str, Form]:
    """Return the form of each assessment's results."""
    every = [one for rule in asked for criterion in criteria_of(rule) for one in _leaves(criterion)]
    required = [one for rule in asked for one in _leaves(rule.requires)]
    found = {}
    for assessment in assessments:
        mine = [one for one in every if assessment.id in assessments_in(one)]
        selections = [one for one in mine if isinstance(one, rules.Selection)]
        bars = [one for one in mine if isinstance(one, rules.Bar)]
        shares = [share for one in required if assessment.id in assessments_in(one) for share in _shares(one)]
        levels = [
            assessment.levels.index(one.levels[0])
            for one in required
            if isinstance(one, rules.Bar) and one.levels and assessment.id in assessments_in(one)
        ]
        roles = dict.fromkeys(role for one in selections for role in one.roles)
        anybody = any(not one.roles for one in bars if one.critical is None)
        found[assessment.id] = Form(
            assessment=assessment.id,
            providers=assessment.providers,
            rubric=assessment.levels,
            bar=max(shares) if shares else 60.0 if any(isinstance(one, rules.Expression) for one in mine) else None,
            level=min(levels) if levels else None,
            judged=any(one.passed is not None for one in bars),
            roles=(*roles, *(("faculty",) if roles and anybody else ())),
            evidence=any(one.evidence for one in selections),
            observed=any(isinstance(one, rules.Count) and one.distinct for one in mine),
            incidents=any(one.critical is not None for one in selections),
        )
    return found


def _leaves(criterion: Criterion) -> Iterator[Criterion]:
    within = inside(criterion)
    if not within:
        yield criterion
    for inner in within:
        yield from _leaves(inner)


def _shares(criterion: Criterion) -> Iterator[float]:
    match criterion:
        case rules.Weighted(at_least=share):
            yield 100 * share / rules.WHOLE
        case rules.Bar(at_least=int(share), out_of=out_of):
            yield 100 * share / out_of


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do: results of an assessment, of which so many are to be good, each in at most so many tries.

    A mishap is what a learner does without meaning to: a poor result, with a critical incident more often than not.
    """

    assessment: str
    times: int
    tries: int = 3
    gap_days: float = 0.0
    mishap: bool = False


def tasks(criterion: Criterion, done: Counter[str], random: Random) -> Iterator[Task]:  # noqa: C901, PLR0912  one for each kind
    """Yield what a learner does towards a criterion, with what has been done already left out."""
    match criterion:
        case rules.Result():
            name = random.choice(criterion.assessments) if criterion.others else criterion.assessment
            gap = criterion.gap.hours / 24 if criterion.gap is not None else 0.0
            if not done[name]:
                tries = 2 if criterion.take == "mean" else min(criterion.attempts or 3, 3)
                yield Task(name, 1, tries, gap if random.random() < 0.8 else 0.0)  # noqa: PLR2004
        case rules.Count():
            yield from _counted(criterion, done, random)
        case rules.Weighted(parts=parts):
            for part in parts:
                if not done[part.assessment] and random.random() < _USUALLY:
                    yield Task(part.assessment, 1, 2)
        case rules.Expression(assessments=names):
            for name in names:
                yield Task(name, 2, 1)
        case rules.Nothing(of=of):
            if random.random() < 0.08:  # noqa: PLR2004
                yield Task(random.choice([*assessments_in(random.choice(of))]), 1, 1, mishap=True)
        case rules.All(of=of):
            for inner in of:
                yield from tasks(inner, done, random)
        case rules.Any(of=of):
            yield from tasks(random.choice(of), done, random)
        case rules.AtLeast(of=of, number=number):
            for inner in random.sample(of, number):
                yield from tasks(inner, done, random)


def _counted(criterion: rules.Count, done: Counter[str], random: Random) -> Iterator[Task]:
    """Yield one of each where they must differ, now and then one more; else all that is still missing, turn by turn."""
    names = criterion.assessments
    kinds = max([d.number for d in criterion.distinct if d.of == "assessment"], default=1)
    missing = criterion.number - sum(done[name] for name in names)
    if kinds > 1:
        some = min(len(names), kinds + (random.random() < 0.25))  # noqa: PLR2004
        yield from (Task(name, 1) for name in random.sample(names, some) if not done[name])
    elif missing > 0:
        turns = (
            Counter(random.choice(names) for _ in range(missing)) if len(names) > 1 else Counter({names[0]: missing})
        )
        yield from (Task(name, times, 2) for name, times in turns.items())
