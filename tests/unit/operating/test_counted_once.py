"""A transaction that stands twice in the log counts once for every reader: views, their tallies, the auditor."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from support.audited import MemoryLog, audited, healthy

from schemas.codec import encode
from schemas.events import ClaimVoided, VoidReason
from schemas.topology import (
    CLAIMED,
    DECIDED,
    ISSUED,
    QUARANTINED,
    STATUS_CHANGED,
    STATUS_DECIDED,
    Processor,
    inputs,
)
from streams.tables import METADATA, POSITION, TALLY, VOIDED, open_database
from streams.views import View


@pytest.fixture(scope="module")
def whole() -> MemoryLog:
    return healthy()


def records(log: MemoryLog, shift: int = 0) -> list[Any]:
    topics = inputs(Processor.VIEWS)
    lanes = range(log.lanes)
    return [
        (r.topic, r.lane, r.offset + shift, r.value)
        for t in topics
        for lane in lanes
        for r in log.records_of[t.name, lane]
    ]


def contents(url: str) -> dict[str, list[Any]]:
    tables = [table for table in METADATA.sorted_tables if table is not POSITION]
    with open_database(url).connect() as connection:
        return {t.name: sorted(map(tuple, connection.execute(select(t))), key=repr) for t in tables}


def test_views_and_their_tallies(whole: MemoryLog, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'views.db'}"
    View(open_database(url)).take(records(whole))
    before = contents(url)
    assert all(before[t.name] for t in METADATA.sorted_tables if t not in {POSITION, VOIDED})
    view = View(open_database(url))
    again = records(whole, 1_000_000)
    for start in range(0, len(again), 11):
        view.take(again[start : start + 11])
    view.take([*records(whole, 2_000_000), *records(whole, 3_000_000)])
    assert contents(url) == before


def test_a_tally_counts_what_is_new(whole: MemoryLog, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'views.db'}"
    view = View(open_database(url))
    view.take(records(whole))
    with open_database(url).connect() as connection:
        found = connection.execute(select(TALLY)).mappings()
        issued = sum(row["count"] for row in found if row["kind"] == "issued")
    assert issued == sum(len(whole.records_of[ISSUED.name, lane]) for lane in range(whole.lanes))


def test_a_voided_claim(tmp_path: Path) -> None:
    claim: Any = {"claim_no": 0, "lane": 0, "programme": "p", "learner_ref": "l", "achievement": "a"}
    about: Any = {
        "award": 1,
        "edition": 1,
        "credential_id": "c",
        "key_id": "k",
        "claimed_at": 1,
        "catalogue_digest": "d",
    }
    value = encode(ClaimVoided(**claim, **about, reason=VoidReason.KEY_COMPROMISED))
    url = f"sqlite:///{tmp_path / 'views.db'}"
    view = View(open_database(url))
    view.take([(ISSUED.name, 0, at, value) for at in (0, 1)])
    view.take([(ISSUED.name, 0, 7, value)])
    assert contents(url)["tally"] == [("voided", "p/a", 0, 1)]


@pytest.mark.parametrize(
    "topic", [DECIDED, CLAIMED, ISSUED, STATUS_DECIDED, STATUS_CHANGED, QUARANTINED], ids=lambda t: t.name
)
def test_the_auditor(whole: MemoryLog, tmp_path: Path, topic: Any) -> None:
    log = copy.deepcopy(whole)
    for lane in range(log.lanes):
        for record in list(log.records_of[topic.name, lane]):
            log.append(topic, lane, record.appended_at, record.key, record.value, record.headers)
        log.positions = {name: max(at, log.cut().ends[name.partition("/")[2]]) for name, at in log.positions.items()}
    assert {one.invariant.name: one.first for one in audited(log, tmp_path) if one.violations} == {}
