"""What a step of competency costs, without Kafka: microseconds of CPU for each result. It asserts nothing.

`PYTHONPATH=tests python tests/bench/bench_competency.py` prints a table: how many results a learner has, how many rules there are.
"""

from __future__ import annotations

import time

from support.competency import DAY, EPOCH_START, PROGRAMME, CompetencyLane, catalogue, completion

from schemas import codec
from schemas.catalogue import All, Count, Criterion, Holds, Result, Weight, Weighted
from schemas.ids import learner_key
from schemas.topology import CLAIMED, INBOX
from streams.stage import Overlay, Record

LEARNERS = 200
ROUNDS = 5
ASSESSMENTS = 8


def rules(number: int) -> dict[str, Criterion]:
    """Ten rules look at each group of assessments; a learner meets one group, as learners do."""
    out: dict[str, Criterion] = {}
    for group in range(max(1, number // 10)):
        names = tuple(f"g{group}-a{n}" for n in range(ASSESSMENTS))
        for n, name in enumerate(names):
            out[f"g{group}-{n}"] = Result(assessment=name, at_least=700_000)
        parts = tuple(Weight(assessment=name, weight=125_000) for name in names)
        out[f"g{group}-mean"] = All(
            of=(Weighted(parts=parts, at_least=600_000), Count(number=9, assessments=names, at_least=400_000))
        )
        out[f"g{group}-stack"] = All(of=tuple(Holds(achievement=f"g{group}-{n}") for n in range(3)))
    return out


def measure(results: int, number: int) -> tuple[float, float]:
    """Return the mean microseconds of a step and its claims, for the result that follows ``results`` - 1 others."""
    lane = CompetencyLane()
    asked = rules(number)
    groups = max(1, number // 10)
    lane.adopt(catalogue(asked, assessments=[f"g{g}-a{n}" for g in range(groups) for n in range(ASSESSMENTS)]))
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
    print("results a learner   rules   µs a result   claims a result")  # noqa: T201
    for number in (10, 1_000):
        for results in (1, 10, 100):
            cost, claims = measure(results, number)
            print(f"{results:17}   {number:5}   {cost:11.1f}   {claims:15.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
