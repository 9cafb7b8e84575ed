"""Each operator of the language, against an evaluator that knows nothing but `docs/rules.md`, at the operator's own boundaries."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence

import pytest
from support.cases import FEATURES, case
from support.competency import catalogue
from support.meaning import Held, body_of, in_force, meaning

from schemas.events import AssessmentCompleted
from schemas.rules import Rule
from services.competency.attainment import earned
from services.competency.progress import NOTHING, Standing, observe
from services.competency.rulebook import Adoption, rulebook
from services.competency.selection import Holding, evidence_of

CASES = max(24, int(os.environ.get("CREDSTREAM_CASES", "120")) // 4)


def standing_results(log: Sequence[AssessmentCompleted]) -> Mapping[str, Standing]:
    """What stands after a log, as competency keeps it."""
    progress = NOTHING
    for completed in log:
        progress = observe(progress, completed, body_of(completed), late=False).progress
    return progress.results


def held(rules: Mapping[str, Rule], results: Mapping[str, Standing]) -> Held:
    """What competency holds by these results: blocks first, as a step does it."""
    holding: dict[str, Holding] = {}
    evidence = evidence_of(results, holding)
    for name, versions in rulebook([(Adoption("", 0), catalogue(rules))]).rules.items():
        found = earned(versions, evidence)
        assert all(time.why()[0].met for time in found.times)
        if found.following is not None and found.following.since is None:
            assert not found.following.why()[0].met
        if times := [(time.since or 0, time.level) for time in found.times]:
            holding[name] = Holding(*times[0], tuple(times[1:]))
    return {name: list(one.times) for name, one in holding.items()}


@pytest.mark.parametrize("feature", FEATURES)
def test_an_operator_means_what_is_written_in_any_order(feature: str) -> None:
    attained, mattered = 0, 0
    for number in range(FEATURES.index(feature), CASES * len(FEATURES), len(FEATURES)):
        made = case(number)
        expected = meaning(in_force((made.rules, 0, None)), made.log)
        results = standing_results(made.log)
        assert held(made.rules, results) == expected, f"case {number}"
        chance = random.Random(number)
        shuffled = made.log + chance.choices(made.log, k=3)
        chance.shuffle(shuffled)
        again = standing_results(shuffled)
        assert again == results, f"case {number}"
        assert held(made.rules, again) == expected, f"case {number}"
        attained += "it" in expected
        mattered += made.matters()
    print(f"{feature}: {CASES} cases, attained in {attained}; the operator changed what is held in {mattered}")
    assert 0 < attained < CASES, "only one verdict was reached"
    assert mattered, "no case told the operator from its absence"
