"""The demonstration's traffic: every sector's, with every kind of mishap; and the pipe decides it as the second evaluator does."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.traffic import Traffic, published

from credstream.audit.evaluator import Held
from credstream.audit.expected import Expectation
from credstream.demo.generator import SCHEME, Generator, Sent
from credstream.rules.loader import Draft, load

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
COUNT = 4_000


@pytest.fixture(scope="module")
def draft(root: Path) -> Draft:
    return load(root / "catalogues" / "ontario-pilots")


@pytest.fixture(scope="module")
def sent(draft: Draft) -> list[Sent]:
    return Generator(1, NOW, draft).completions(COUNT)


@pytest.fixture(scope="module")
def judge(draft: Draft, sent: list[Sent]) -> Expectation:
    judge = Expectation(published(draft), NOW)
    for one in sent:
        if one.accepted:
            judge.take(one.provider, one.completion)
    return judge


@pytest.fixture(scope="module")
def expected(judge: Expectation) -> dict[str, dict[str, Held]]:
    return judge.held()


def test_the_same_seed_and_date_give_the_same_completions(draft: Draft, sent: list[Sent]) -> None:
    assert Generator(1, NOW, draft).completions(COUNT) == sent
    assert Generator(2, NOW, draft).completions(COUNT) != sent


def test_every_achievement_is_attained_by_some_and_not_by_all_who_begin(
    draft: Draft, sent: list[Sent], expected: dict[str, dict[str, Held]]
) -> None:
    sector_of = {a.id: a.sector for a in draft.achievements}
    learners = Counter(next((sector_of[n] for n in found), None) for found in expected.values())
    holders = Counter(name for found in expected.values() for name in found)
    for achievement in draft.achievements:
        assert 0 < holders[achievement.id] < 0.98 * learners[achievement.sector], achievement.id
    used = {one.completion["assessment"] for one in sent}
    assert {a.id for a in draft.assessments} <= used


def test_every_level_is_reached_and_awards_are_earned_again(draft: Draft, expected: dict[str, dict[str, Held]]) -> None:
    reached = {(name, level) for found in expected.values() for name, one in found.items() for _, level in one.times}
    assert reached >= {(a.id, level.name) for a in draft.achievements for level in a.rule.levels}
    again = {name for found in expected.values() for name, one in found.items() if one.again}
    assert again >= {"safe-patient-transfer", "patient-record-privacy"}


def test_the_traffic_has_every_mishap(sent: list[Sent]) -> None:
    kinds = Counter(one.completion.get("kind", "completed") for one in sent)
    assert kinds["corrected"] > 50
    assert kinds["retracted"] > 30
    assert sum(not one.accepted for one in sent) > 20
    events = Counter((one.completion["learner"]["identifier"], one.completion["event_id"]) for one in sent)
    assert sum(times > 1 for times in events.values()) > 100
    assert any(one.completion.get("critical") for one in sent)


def test_the_lane_decides_all_of_it_as_the_second_evaluator_does_learner_by_learner(
    draft: Draft, sent: list[Sent], judge: Expectation, expected: dict[str, dict[str, Held]]
) -> None:
    traffic = Traffic(published(draft), NOW)
    traffic.send((one.provider, one.completion) for one in sent)
    assert sum(traffic.refused.values()) == sum(not one.accepted for one in sent)
    assert traffic.set_aside == judge.set_aside
    stays = {a.id for a in draft.achievements if a.rule.on_loss == "ask"}
    for learner, theirs in expected.items():
        mine = traffic.held(SCHEME, learner)
        assert mine.keys() == theirs.keys(), learner
        assert {n: one for n, one in mine.items() if n not in stays} == {
            n: one for n, one in theirs.items() if n not in stays
        }, learner
    assert sum(map(len, expected.values())) > COUNT / 5
