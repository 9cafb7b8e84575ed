"""An explanation says what was asked, what there was and what is missing, in few words and exactly."""

from __future__ import annotations

import json

import pytest
from support.competency import CompetencyLane, catalogue, completion, outcomes

from schemas.rules import All, Count, Criterion, Holds, Result, Weight, Weighted
from schemas.rules import Any as AnyOf
from services.competency.reasons import MAX_BYTES, Node, explanation, lines, render
from services.competency.wording import percent

ALL_KINDS = All(
    of=(
        Result(assessment="quiz", at_least=700_000, passed=True),
        Count(number=3, assessments=("quiz", "lab"), at_least=500_000),
        Weighted(
            parts=(Weight(assessment="quiz", weight=300_000), Weight(assessment="essay", weight=700_000)),
            at_least=400_000,
        ),
        AnyOf(of=(Holds(achievement="first"), Result(assessment="essay"))),
    )
)


def test_a_learner_can_read_what_is_missing() -> None:
    lane = CompetencyLane()
    lane.adopt(catalogue({"first": Result(assessment="quiz"), "all": ALL_KINDS}))
    decided = lane.send(completion(score=69, passed=True), completion("r-2", assessment="lab", score=50))
    assert render(outcomes(decided)["all"].explanation) == [
        "✗ all of 4: 1 met, 3 still needed",
        "  ✗ a result of quiz (at least 70 %, passed): best so far 69 %",
        "  ✗ 2 of 3 results of quiz, lab (at least 50 %), 1 still needed",
        "  ✗ a weighted mean of 40 %: reached 20.7 %",
        "    · quiz: 69 %, with a weight of 30 %",
        "    · essay: nothing that counts yet, with a weight of 70 %",
        "  ✓ at least one of 2: 1 met",
        "    ✓ the achievement first is held",
        "    ✗ a result of essay: no result that counts yet",
    ]


def test_what_counted_is_named_in_the_reasons_and_as_evidence() -> None:
    lane = CompetencyLane()
    lane.adopt(catalogue({"a": Count(number=2, assessments=("quiz",), at_least=500_000)}))
    sent = [
        completion("r-3", at=3),
        completion("r-1", at=1),
        completion("r-0", at=0, score=40),
        completion("r-2", at=2),
    ]
    outcome = outcomes(lane.send(*sent))["a"]
    assert render(outcome.explanation) == ["✓ 2 of 2 results of quiz (at least 50 %)"]
    assert json.loads(outcome.explanation)["by"] == ["college r-1", "college r-2"]
    assert [(e.provider, e.result_id, e.revision) for e in outcome.evidence] == [
        ("college", "r-1", 0),
        ("college", "r-2", 0),
    ]


def test_what_came_after_the_attainment_is_no_reason_for_it() -> None:
    lane = CompetencyLane()
    lane.adopt(catalogue({"a": Weighted(parts=(Weight(assessment="quiz", weight=1),), at_least=500_000)}))
    outcome = outcomes(lane.send(completion("r-2", at=2, score=90), completion("r-1", at=1, score=60)))["a"]
    assert [e.result_id for e in outcome.evidence] == ["r-1"]


def test_a_correction_is_cited_by_its_revision() -> None:
    lane = CompetencyLane()
    lane.adopt(catalogue({"a": Result(assessment="quiz", at_least=700_000)}))
    outcome = outcomes(lane.send(completion(score=10), completion(score=70, revision=1)))["a"]
    assert [(e.result_id, e.revision) for e in outcome.evidence] == [("r-1", 1)]


@pytest.mark.parametrize(
    "criterion",
    [
        All(of=tuple(Result(assessment=f"a{n}") for n in range(900))),
        AnyOf(of=(All(of=tuple(Result(assessment=f"a{n}") for n in range(450))),) * 2),
        Count(number=900, assessments=tuple(f"a{n}" for n in range(900))),
        Weighted(parts=tuple(Weight(assessment=f"a{n}", weight=1) for n in range(900)), at_least=1),
    ],
    ids=["wide", "nested", "count", "mean"],
)
def test_an_explanation_stays_small_whatever_the_rule(criterion: Criterion) -> None:
    lane = CompetencyLane()
    lane.adopt(catalogue({"a": criterion}, [f"a{n}" for n in range(900)]))
    outcome = outcomes(lane.send(completion(assessment="a7", score=0)))["a"]
    assert len(outcome.explanation.encode()) <= MAX_BYTES
    assert len(render(outcome.explanation)) <= 30
    assert any("more" in line.text for line in lines(outcome.explanation))


def test_names_of_any_length_fit() -> None:
    node = Node(kind="holds", met=False, about=("é" * 200,))
    nested = Node(kind="all", met=False, needs=50, has=0, of=(node,) * 50)
    assert len(explanation(nested).encode()) <= MAX_BYTES


@pytest.mark.parametrize(
    ("millionths", "text"),
    [(0, "0 %"), (400_000, "40 %"), (399_999, "39.9999 %"), (1_000_000, "100 %"), (1, "0.0001 %"), (125_000, "12.5 %")],
)
def test_a_share_is_shown_exactly(millionths: int, text: str) -> None:
    assert percent(millionths) == text


def test_what_is_no_explanation_is_said_to_be_none() -> None:
    with pytest.raises(ValueError, match="JSON"):
        render("nonsense")
