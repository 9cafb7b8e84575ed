"""What a step of competency costs, without Kafka: microseconds of CPU for each result. It asserts nothing.

`PYTHONPATH=tests python tests/bench/bench_competency.py` prints a table: how many results a learner has, how many rules there are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from support.competency import DAY, EPOCH_START, PROGRAMME, CompetencyLane, catalogue, completion

from schemas import codec
from schemas.ids import learner_key
from schemas.rules import All, Count, Criterion, Holds, Result, Weight, Weighted
from schemas.topology import CLAIMED, INBOX
from streams.stage import Overlay, Record

LEARNERS = 200
ROUNDS = 5
ASSESSMENTS = 8


def one_each(group: int, names: Sequence[str]) -> dict[str, Criterion]:
    """One rule looks at a result, as in most catalogues: thresholds and a count."""
    half = len(names) // 2
    return {
        f"g{group}-{n}": All(
            of=(
                *(Result(assessment=a, at_least=700_000) for a in part),
                Count(number=4, assessments=part, at_least=500_000),
            )
        )
        for n, part in enumerate((tuple(names[:half]), tuple(names[half:])))
    }


def many_each(group: int, names: Sequence[str]) -> dict[str, Criterion]:
    """Two or three rules look at a result, one of them a weighted mean of eight, one a stack."""
    parts = tuple(Weight(assessment=name, weight=125_000) for name in names)
    mean = All(
        of=(Weighted(parts=parts, at_least=600_000), Count(number=9, assessments=tuple(names), at_least=400_000))
    )
    passes = {f"g{group}-{n}": Result(assessment=name, at_least=700_000) for n, name in enumerate(names)}
    stack = All(of=tuple(Holds(achievement=name) for name in list(passes)[:3]))
    return {**passes, f"g{group}-mean": mean, f"g{group}-stack": stack}


def measure(
    results: int, number: int, rules: Callable[[int, Sequence[str]], dict[str, Criterion]]
) -> tuple[float, float]:
    """Return the mean microseconds of a step and its claims, for the result that follows ``results`` - 1 others."""
    lane = CompetencyLane()
    names: list[list[str]] = []
    asked: dict[str, Criterion] = {}
    while len(asked) < number:
        names.append([f"g{len(names)}-a{n}" for n in range(ASSESSMENTS)])
        asked.update(rules(len(names) - 1, names[-1]))
    groups = len(names)
    lane.adopt(catalogue(asked, assessments=[name for group in names for name in group]))
    cost, claims = 0.0, 0
    for learner in range(LEARNERS):
        reference = f"{learner:032x}"
        key = learner_key(PROGRAMME, reference)
        group = learner % groups
        for n in range(results):
            value = codec.encode(
                completion(
                    f"result-{n:05d}",
                    at=n * DAY // 100,
                    score=40 + (7 * n + learner) % 60,
                    assessment=f"g{group}-a{n % ASSESSMENTS}",
                    learner_ref=reference,
                )
            )
            record = Record(
                topic=INBOX.name,
                lane=0,
                offset=n,
                appended_at=EPOCH_START + 365 * DAY,
                key=key,
                value=value,
                headers=(),
            )
            step = lane.stage.step(lane.ledger, lane.state, record)
            if n + 1 == results:
                began = time.process_time()
                for _ in range(ROUNDS):
                    lane.stage.step(lane.ledger, Overlay(lane.state), record)
                cost += time.process_time() - began
                claims += sum(output.topic is CLAIMED for output in step.outputs)
            lane.ledger = step.lane
            lane.state.update({k: v for k, v in step.changes.items() if v is not None})
    return cost / LEARNERS / ROUNDS * 1e6, claims / LEARNERS


def main() -> None:
    """Print the table."""
    print("rules at a result   results a learner   rules   µs a result   claims a result")
    for rules, name in ((one_each, "1"), (many_each, "2 to 3")):
        for number in (10, 1_000):
            for results in (1, 10, 100):
                cost, claims = measure(results, number, rules)
                print(f"{name:>17}   {results:17}   {number:5}   {cost:11.1f}   {claims:15.2f}")


if __name__ == "__main__":
    main()
