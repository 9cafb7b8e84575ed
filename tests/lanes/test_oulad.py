"""Every real result of OULAD through competency as it runs, in the order of the file and in another: all hold what SQL says."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from support.competency import BASE_URL, PROGRAMME, CompetencyLane, catalogue
from support.shared import shared

from credstream.audit.expected import Graded, oulad_holdings
from credstream.demo.oulad import PROVIDER, Oulad
from schemas.codec import encode
from schemas.events import POINT, AssessmentCompleted, CompletionBody, ResultKind
from schemas.ids import learner_key
from schemas.topology import INBOX
from services.competency.progress import decoded
from streams.stage import Record

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KEYS = catalogue({}).keys


@pytest.fixture(scope="module")
def dataset() -> Oulad:
    return Oulad(shared("data/oulad"))


def completed(sent: Mapping[str, Any]) -> AssessmentCompleted:
    """The event of a completion; the learner is named by the student's number, so that learners can be told apart here."""
    score, most = sent.get("score"), sent.get("score_max")
    at = (datetime.fromisoformat(sent["completed_at"]) - EPOCH) // timedelta(microseconds=1)
    return AssessmentCompleted(
        event_id=sent["event_id"],
        programme=PROGRAMME,
        provider=PROVIDER,
        learner_ref=f"{int(sent['learner']['identifier']):032x}",
        received_at=at,
        body=CompletionBody(
            result_id=sent["result_id"],
            revision=0,
            kind=ResultKind.COMPLETED,
            assessment=sent["assessment"],
            completed_at=at,
            score=None if score is None else int(Decimal(score) * POINT),
            score_max=None if most is None else int(Decimal(most) * POINT),
        ),
    )


def holdings(dataset: Oulad, sent: Iterable[Mapping[str, Any]]) -> set[Graded]:
    """What each learner holds after these results; each record was decided once."""
    lane = CompetencyLane()
    lane.adopt(msgspec.structs.replace(dataset.catalogue().build(base_url=BASE_URL, keys=KEYS), programme=PROGRAMME))
    state: dict[bytes, bytes] = dict(lane.state)
    learners: dict[bytes, str] = {}
    outputs: Counter[str] = Counter()
    for offset, one in enumerate(sent):
        event = completed(one)
        key = learner_key(PROGRAMME, event.learner_ref)
        learners[key] = str(int(event.learner_ref, 16))
        record = Record(
            topic=INBOX.name, lane=0, offset=offset, appended_at=lane.now, key=key, value=encode(event), headers=()
        )
        step = lane.stage.step(lane.ledger, state, record)
        lane.ledger = step.lane
        state.update({name: value for name, value in step.changes.items() if value is not None})
        outputs.update(output.topic.name for output in step.outputs)
    held = {
        (learner, name, award.level)
        for key, learner in learners.items()
        for name, award in decoded(state.get(key)).awards.items()
        if award.counts
    }
    assert outputs["credential.claimed.v1"] >= len(held)
    assert outputs["competency.decided.v1"] == sum(1 for _ in dataset.completions())
    return held


def by_learner(found: Iterable[Graded]) -> dict[str, set[tuple[str, str | None]]]:
    out: dict[str, set[tuple[str, str | None]]] = {}
    for learner, name, level in found:
        out.setdefault(learner, set()).add((name, level))
    return out


@pytest.mark.parametrize("order", ["file", "shuffled"])
def test_each_learner_of_oulad_holds_what_sql_says(dataset: Oulad, order: str) -> None:
    sent = list(dataset.completions())
    if order == "shuffled":
        random.Random(36_184).shuffle(sent)
    expected, found = by_learner(oulad_holdings(shared("data/oulad"))), by_learner(holdings(dataset, sent))
    different = {name: (expected.get(name), found.get(name)) for name in expected.keys() | found.keys()}
    different = {name: (one, other) for name, (one, other) in different.items() if one != other}
    learners = len({one["learner"]["identifier"] for one in sent})
    print(
        f"{len(sent)} results of {learners} learners; {sum(map(len, found.values()))} achievements held by {len(found)}"
    )
    assert not different, dict(list(different.items())[:5])
