"""What a step of competency costs, without Kafka: microseconds of CPU for each result. It asserts nothing.

`PYTHONPATH=tests python tests/bench/bench_competency.py` prints what a result costs with few and many rules and results, and what
writing and reading its records costs. Each figure is the median of several rounds, taken in turns, since a machine is never quiet.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import fastavro
import msgspec
from support.competency import DAY, EPOCH_START, PROGRAMME, CompetencyLane, catalogue, completion

from schemas import codec
from schemas.events import AssessmentCompleted, CompetencyDecided, CredentialClaimed
from schemas.ids import learner_key
from schemas.rules import All, Count, Criterion, Holds, Result, Weight, Weighted
from schemas.topology import CLAIMED, INBOX
from services.competency.progress import decoded, encoded
from streams.stage import Overlay, Record

ROUNDS = 15
ASSESSMENTS = 8
LEARNERS = 20
Step = Callable[[], object]


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


class Bench:
    """A lane with so many rules, and learners who each have so many results but one, which is the step that is measured."""

    def __init__(self, results: int, number: int, rules: Callable[[int, Sequence[str]], dict[str, Criterion]]) -> None:
        self.lane = CompetencyLane()
        names: list[list[str]] = []
        asked: dict[str, Criterion] = {}
        while len(asked) < number:
            names.append([f"g{len(names)}-a{n}" for n in range(ASSESSMENTS)])
            asked.update(rules(len(names) - 1, names[-1]))
        self.lane.adopt(catalogue(asked, assessments=[name for group in names for name in group]))
        self.last = [self._learner(learner, learner % len(names), results) for learner in range(LEARNERS)]

    def _learner(self, learner: int, group: int, results: int) -> Record:
        reference = f"{learner:032x}"
        key = learner_key(PROGRAMME, reference)
        records = []
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
            records.append(record)
            if n + 1 < results:
                step = self.lane.stage.step(self.lane.ledger, self.lane.state, record)
                self.lane.ledger = step.lane
                self.lane.state.update({k: v for k, v in step.changes.items() if v is not None})
        return records[-1]

    def run(self) -> None:
        """Decide each learner's last result, and keep nothing."""
        for record in self.last:
            self.lane.stage.step(self.lane.ledger, Overlay(self.lane.state), record)

    def claims(self) -> float:
        """Return how many claims a result makes."""
        made = [self.lane.stage.step(self.lane.ledger, Overlay(self.lane.state), record) for record in self.last]
        return sum(output.topic is CLAIMED for step in made for output in step.outputs) / LEARNERS


def medians(steps: Sequence[tuple[Step, int]]) -> list[float]:
    """Return the median microseconds of CPU of each step, which does its work so many times; all take turns."""
    costs: list[list[float]] = [[] for _ in steps]
    for step, _ in steps:
        step()
    for _ in range(ROUNDS):
        for cost, (step, times) in zip(costs, steps, strict=True):
            began = time.process_time()
            step()
            cost.append((time.process_time() - began) / times * 1e6)
    return [statistics.median(cost) for cost in costs]


def main() -> None:
    """Print the tables."""
    print("rules at a result   results a learner   rules   µs a result   claims a result")
    shown = []
    for rules, name in ((one_each, "1"), (many_each, "2 to 3")):
        for number, results in ((10, 1), (10, 10), (1_000, 10), (10_000, 10), (10, 100), (10, 1_000)):
            shown.append((name, results, number, Bench(results, number, rules)))
    costs = medians([(bench.run, LEARNERS) for *_, bench in shown])
    for (name, results, number, bench), cost in zip(shown, costs, strict=True):
        print(f"{name:>17}   {results:17}   {number:6}  {cost:11.1f}   {bench.claims():15.2f}")
    print()
    print("record                 bytes   write   fastavro   read   fastavro   (µs)")
    for event in examples():
        print(coding(event))
    print()
    print("state of a learner   bytes   read   write   (µs, msgpack)")
    kept = {results: bench.lane.state.get(bench.last[0].key or b"") for name, results, _, bench in shown if name == "1"}
    for results, state in kept.items():
        if state is not None:
            print(keeping(results, state))


def examples() -> list[Any]:
    """Return what goes through a step: a completion, its decision, its claim."""
    lane = CompetencyLane()
    lane.adopt(catalogue({"a": Result(assessment="quiz", at_least=500_000)}))
    done = completion()
    return [done, lane.send(done), lane.claims[0]]


def coding(event: AssessmentCompleted | CompetencyDecided | CredentialClaimed) -> str:
    """Return what writing and reading a record costs, ours and with fastavro and msgspec as general as they come."""
    kind, value = type(event), codec.encode(event)
    schema, plenty = codec.latest_schema(kind.__name__), range(200)

    def write() -> None:
        for _ in plenty:
            codec.encode(event)

    def read() -> None:
        for _ in plenty:
            codec.decode(value, kind)

    def write_with_fastavro() -> None:
        for _ in plenty:
            plain = msgspec.to_builtins(event, builtin_types=(bytes,))
            fastavro.schemaless_writer(io.BytesIO(), schema.parsed, plain)

    def read_with_fastavro() -> None:
        for _ in plenty:
            plain = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema.parsed, None)
            codec.text_fault_in(plain)  # type: ignore[arg-type]
            msgspec.convert(plain, kind, builtin_types=(bytes,))

    figures = medians([(step, len(plenty)) for step in (write, write_with_fastavro, read, read_with_fastavro)])
    ours, theirs, read_ours, read_theirs = figures
    return f"{kind.__name__:20}   {len(value):5}   {ours:5.1f}   {theirs:8.1f}   {read_ours:4.1f}   {read_theirs:8.1f}"


def keeping(results: int, kept: bytes) -> str:
    """Return what reading and writing a learner's state costs."""
    progress = decoded(kept)
    read, write = medians([(lambda: decoded(kept), 1), (lambda: encoded(progress), 1)])
    return f"{results - 1:10} results   {len(kept):5}   {read:4.0f}   {write:5.0f}"


if __name__ == "__main__":
    main()
