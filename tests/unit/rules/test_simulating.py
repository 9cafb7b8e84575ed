"""What a draft would change is told of the very evidence that there is, by the rules that judge it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from support.competency import DAY, EPOCH_START, LEARNER, PROGRAMME, CompetencyLane, catalogue, completion

from credstream.learners import LaneKept
from credstream.rules.bars import picture
from credstream.rules.simulating import Compared, Effect, Trial, compare, steps, trial, unmet
from credstream.rules.simulation import Rows, Summary, harmless, summaries
from schemas.catalogue import Catalogue
from schemas.rules import All, Any, Count, Criterion, Distinct, Holds, Level, Nothing, Result, Rule, Span
from services.competency.reasons import Node

NOW = EPOCH_START + 365 * DAY
QUIZ = Result(assessment="quiz", at_least=800_000)


def lane(*adopted: Catalogue) -> CompetencyLane:
    made = CompetencyLane()
    for one in adopted:
        made.adopt(one)
    return made


def tried(made: CompetencyLane, draft: Catalogue, *, as_published: bool = False) -> Trial:
    kept = LaneKept(lane=0, own={name: value for name, value in made.state.items() if name.startswith(b"\0")})
    return trial(kept.adopted(PROGRAMME), draft, made.now, as_published=as_published)


def found(
    made: CompetencyLane, draft: Catalogue, *names: str, as_published: bool = False, now: int = NOW
) -> dict[str, Compared]:
    both = tried(made, draft, as_published=as_published)
    chosen = names or both.affected
    return {one.achievement: one for one in compare(both, chosen, both.needed(chosen), LEARNER, made.progress(), now)}


def test_who_meets_the_draft_alone_gains_and_is_told_what_the_rule_in_force_still_asks() -> None:
    made = lane(catalogue({"badge": QUIZ}))
    made.send(completion(score=70))
    one = found(made, catalogue({"badge": Result(assessment="quiz", at_least=600_000)}))["badge"]
    assert (one.effect, one.now, one.draft is not None) == (Effect.GAINS, None, True)
    assert [(node.kind, node.has) for node in one.missing] == [("result", 700_000)]


def test_who_meets_the_rule_in_force_alone_loses_and_is_told_what_the_draft_asks() -> None:
    made = lane(catalogue({"badge": QUIZ}))
    made.send(completion(score=85))
    draft = catalogue({"badge": All(of=(QUIZ, Result(assessment="lab", passed=True)))})
    one = found(made, draft)["badge"]
    assert (one.effect, one.draft) == (Effect.LOSES, None)
    assert one.now is not None
    assert one.now.since == EPOCH_START
    assert [node.about for node in one.missing] == [("lab",)]


def test_a_level_that_changes_and_dates_that_change_are_told_apart() -> None:
    levels = (Level(name="merit", requires=Result(assessment="quiz", at_least=900_000)),)
    made = lane(catalogue({"graded": Rule(requires=QUIZ), "dated": Rule(requires=QUIZ)}))
    made.send(completion("r-1", score=80), completion("r-2", at=DAY, score=95))
    draft = catalogue(
        {
            "graded": Rule(attained="standing", requires=QUIZ, levels=levels),
            "dated": Result(assessment="quiz", at_least=900_000),
        }
    )
    both = found(made, draft)
    assert {name: one.effect for name, one in both.items()} == {"graded": Effect.LEVEL, "dated": Effect.DATES}
    assert both["graded"].draft is not None
    assert both["graded"].draft.level == "merit"


def test_what_is_built_with_a_changed_block_changes_with_it_and_nothing_else_is_judged() -> None:
    stack = All(of=(Holds(achievement="block"), Result(assessment="lab", passed=True)))
    rules: dict[str, Criterion | Rule] = {
        "block": QUIZ,
        "stack": stack,
        "other": Result(assessment="essay", passed=True),
    }
    made = lane(catalogue(rules))
    made.send(completion("r-1", score=70), completion("r-2", assessment="lab", passed=True))
    both = found(made, catalogue({**rules, "block": Result(assessment="quiz", at_least=700_000)}))
    assert {name: one.effect for name, one in both.items()} == {"block": Effect.GAINS, "stack": Effect.GAINS}


def test_an_unchanged_rule_keeps_its_versions_so_the_draft_is_not_blamed_for_an_earlier_change() -> None:
    made = lane(catalogue({"badge": Result(assessment="quiz", at_least=500_000)}))
    made.send(completion(score=60))
    made.now += DAY
    made.adopt(catalogue({"badge": QUIZ}))
    draft = catalogue({"badge": QUIZ, "new": Result(assessment="quiz", at_least=100_000)})
    assert {name: one.effect for name, one in found(made, draft).items()} == {"new": Effect.GAINS}
    assert found(made, draft, "badge")["badge"].effect is None


def test_as_published_a_change_takes_nothing_from_its_holders_unless_it_reevaluates() -> None:
    made = lane(catalogue({"badge": Result(assessment="quiz", at_least=500_000)}))
    made.send(completion(score=60))
    draft = catalogue({"badge": QUIZ})
    assert draft.achievements[0].transition == "keep"
    anew = msgspec.structs.replace(draft.achievements[0], transition="reevaluate")
    assert found(made, draft)["badge"].effect is Effect.LOSES
    assert found(made, draft, as_published=True)["badge"].effect is None
    judged_anew = msgspec.structs.replace(draft, achievements=(anew,))
    assert found(made, judged_anew, as_published=True)["badge"].effect is Effect.LOSES
    assert found(made, catalogue({}), "badge")["badge"].effect is None  # left out: retired, and held on


def test_what_staff_revoked_is_held_by_nobody_and_never_near() -> None:
    made = lane(catalogue({"badge": QUIZ}))
    made.send(completion(score=85))
    made.revoke(made.claims[0].credential_id)
    one = found(made, catalogue({"badge": Result(assessment="quiz", at_least=900_000)}))["badge"]
    assert (one.effect, one.now, one.draft) == (None, None, None)


def test_near_is_one_result_short_of_what_was_begun_as_things_are_now() -> None:
    made = lane(catalogue({"old": Result(assessment="essay", passed=True)}))
    draft = catalogue({"three": Count(assessments=("lab",), number=3, passed=True, within=Span(hours=90 * 24))})
    made.send(completion("l-1", 0, None, assessment="lab", passed=True))
    assert found(made, draft)["three"].effect is None
    made.send(completion("l-2", DAY, None, assessment="lab", passed=True))
    soon = found(made, draft, now=EPOCH_START + 30 * DAY)["three"]
    assert soon.effect is Effect.NEAR
    assert soon.missing[0].until == EPOCH_START + 90 * DAY
    assert found(made, draft, now=NOW)["three"].effect is None  # the two are too old by now


def test_nobody_is_near_who_has_shown_nothing() -> None:
    made = lane(catalogue({"badge": Result(assessment="essay", passed=True)}))
    made.send(completion(score=85))
    assert found(made, catalogue({"badge": Result(assessment="lab", passed=True)}))["badge"].effect is None


def node(kind: str, **about: object) -> Node:
    return Node(kind=kind, met=False, **about)  # type: ignore[arg-type]


ONE, MET = node("result"), Node(kind="result", met=True)


@pytest.mark.parametrize(
    ("criterion", "least"),
    [
        (MET, 0),
        (ONE, 1),
        (node("count", needs=3, has=1), 2),
        (node("count", needs=3, has=3, distinct=(("assessor", 2, 1),)), 1),
        (node("count", needs=2, has=1, distinct=(("site", 4, 1),)), 3),
        (
            node("weighted", share=700_000, has=650_000, parts=(("quiz", 500_000, 600_000), ("lab", 500_000, 700_000))),
            1,
        ),
        (node("weighted", share=700_000, has=0, parts=(("quiz", 500_000, None), ("lab", 500_000, None))), 2),
        (node("all", needs=3, has=1, of=(MET, ONE, node("count", needs=2, has=0))), 3),
        (node("any", needs=2, has=0, of=(node("count", needs=2, has=0), ONE)), 1),
        (node("at_least", needs=2, has=1, of=(MET, node("count", needs=5, has=0), ONE)), 1),
        (node("none", needs=1, has=1, of=(MET,)), None),
        (node("all", needs=2, has=0, of=(ONE, node("none", of=(MET,)))), None),
        (node("any", needs=2, has=0, of=(ONE, node("none", of=(MET,)))), 1),
    ],
    ids=lambda value: value.kind if isinstance(value, Node) else str(value),
)
def test_the_least_that_is_missing(criterion: Node, least: int | None) -> None:
    assert steps(criterion) == least


def test_what_is_missing_names_each_part_that_is_asked_and_a_choice_as_a_whole() -> None:
    choice = node("any", needs=2, has=0, of=(ONE, ONE))
    assert list(unmet(node("all", needs=3, has=1, of=(MET, ONE, node("all", of=(choice,)))))) == [ONE, choice]


def test_a_circle_over_live_versions_is_refused() -> None:
    made = lane(catalogue({"a": QUIZ, "b": Any(of=(Holds(achievement="a"), QUIZ))}))
    with pytest.raises(ValueError, match="circle"):
        tried(made, catalogue({"a": Any(of=(Holds(achievement="b"), QUIZ)), "b": QUIZ}))


def test_distinct_assessors_and_incidents_are_told_in_words(tmp_path: Path) -> None:
    made = lane(catalogue({"transfer": Result(assessment="essay", passed=True)}))
    rule = All(
        of=(
            Count(assessments=("lab",), number=2, passed=True, distinct=(Distinct(of="assessor", number=2),)),
            Nothing(of=(Result(assessment="quiz", critical=True),)),
        )
    )
    draft = catalogue({"transfer": rule})
    for at in range(2):
        made.send(completion(f"l-{at}", at * DAY, None, assessment="lab", passed=True, assessor_ref="ana"))
    both = tried(made, draft)
    [one] = compare(both, both.affected, both.needed(both.affected), LEARNER, made.progress(), NOW)
    summed = summaries(both, both.affected)
    with Rows("America/Toronto") as rows:
        rows.add(one, summed["transfer"], {"lab": "=Lab", "transfer": "=1+1"})
        [row] = [json.loads(line) for line in rows.lines()]
        assert rows.write_csv(tmp_path / "out.csv") == 1
    assert row["missing"] == ["2 of 2 results of =Lab (passed, 2 different assessors), 1 of 2 different assessors"]
    text = (tmp_path / "out.csv").read_text("utf-8-sig")
    [told] = list(csv.DictReader(text.splitlines()))
    assert (told["learner_ref"], told["effect"]) == (LEARNER, "near")
    assert summed["transfer"].plain()["near"] == 1
    assert [entry["learners"] for entry in summed["transfer"].plain()["reasons"]["near"]] == [1]
    assert not (tmp_path / "out.csv.part").exists()


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_begins_a_formula(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert harmless("2 of 3") == "2 of 3"


def test_the_picture_has_a_bar_for_each_number_and_breaks_on_no_name() -> None:
    summed = [Summary("a", "<A & B>" + "x" * 60, "changed", "revoke"), Summary("b", "B", "added", "revoke")]
    summed[0].effects.update({Effect.GAINS: 1_200, Effect.LOSES: 30, Effect.NEAR: 5})
    drawn = picture("Draft <2>", summed)
    tree = ET.fromstring(drawn)  # noqa: S314  our own
    texts = [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"1,200", "30", "5", "Draft <2>"} <= set(texts)
    assert "href" not in drawn
    assert ET.fromstring(picture("Nothing", [])) is not None  # noqa: S314


def test_a_draft_that_changes_no_rule_affects_nothing() -> None:
    assert tried(lane(catalogue({"a": QUIZ})), catalogue({"a": QUIZ}, version="2")).affected == ()
