"""A provider's list, held against the views: each line has one answer, and none of it is a formula."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from credstream.reconciling import ADDED, Columns, Reconciled, inert, lines, reconcile, write
from schemas.errors import RefusedError
from schemas.topology import INBOX
from streams.tables import COMPLETION, OUTCOME, RESOLUTION, open_database

COLUMNS = Columns(event_id="event_id", result_id="result_id")


def completion(offset: int, event_id: str | None, disposition: str, **about: Any) -> dict[str, Any]:
    plain = {"result_id": None, "detail": None, "decision_no": None, "learner_ref": None, "provider": "college"}
    place = {"lane": 0, "inbox_offset": offset, "programme": "p", "decided_at": 1_700_000_000_000_000}
    return {**plain, **place, "event_id": event_id, "disposition": disposition, **about}


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = open_database(f"sqlite:///{tmp_path / 'views.db'}")
    rows = [
        completion(0, "a", "recorded", result_id="r-a", decision_no=0),
        completion(1, "a", "known", result_id="r-a", decision_no=1),
        completion(2, "b", "quarantined", detail="unknown_assessment: 'b' is not in the catalogue"),
        completion(3, "c", "quarantined", detail="not_allowed: it may not"),
        completion(4, "c", "recorded", result_id="r-c", decision_no=2),
        completion(5, "d", "recorded", provider="another", result_id="r-d", decision_no=3),
        completion(6, "e", "recorded", result_id="r-e", decision_no=4),
        completion(7, "e", "quarantined", detail="event_id_conflict: another content"),
    ]
    earned = {
        "achievement": "x",
        "programme": "p",
        "learner_ref": None,
        "award": 1,
        "rule_digest": "d",
        "explanation": "{}",
    }
    granted = {"lane": 0, "decision_no": 0, "verdict": "granted", "credential_id": "id-1", "decided_at": 1}
    redriven = {
        "resolution": "redriven",
        "redriven_lane": 0,
        "redriven_offset": 4,
        "resolved_by": "sam",
        "resolved_at": 1,
    }
    with made.begin() as connection:
        connection.execute(insert(COMPLETION), rows)
        connection.execute(insert(OUTCOME), [{**earned, **granted}])
        connection.execute(insert(RESOLUTION), [{"topic": INBOX.name, "lane": 0, "offset": 3, **redriven}])
    return made


def asked(engine: Engine, *given: dict[str, str]) -> list[Reconciled]:
    return list(reconcile(engine, "p", "college", given, COLUMNS))


def test_each_line_is_decided_quarantined_or_missing(engine: Engine) -> None:
    found = asked(
        engine, {"event_id": "a"}, {"event_id": "b"}, {"event_id": "zzz"}, {"result_id": "r-e"}, {"event_id": ""}
    )
    assert [one.state for one in found] == ["decided", "quarantined", "missing", "decided", "missing"]
    assert [one.line for one in found] == [2, 3, 4, 5, 6]
    assert found[0].credentials == ("id-1",)
    assert found[0].disposition == "recorded", "the first time counts, not the repeat"
    assert found[1].detail.startswith("unknown_assessment")
    assert found[0].decided_at == "2023-11-14T22:13:20+00:00"


def test_what_was_redriven_counts_by_what_became_of_it_last(engine: Engine) -> None:
    assert [(one.state, one.disposition) for one in asked(engine, {"event_id": "c"})] == [("decided", "recorded")]


def test_what_conflicts_with_a_decided_one_does_not_hide_it(engine: Engine) -> None:
    assert [one.state for one in asked(engine, {"event_id": "e"})] == ["decided"]


def test_what_another_provider_sent_is_missing_here(engine: Engine) -> None:
    assert [one.state for one in asked(engine, {"event_id": "d"})] == ["missing"]


def test_many_lines_are_numbered_through(engine: Engine) -> None:
    found = asked(engine, *({"event_id": f"e-{i}"} for i in range(1_201)))
    assert [one.line for one in found] == list(range(2, 1_203))


def test_no_cell_of_the_answer_is_a_formula(engine: Engine, tmp_path: Path) -> None:
    given = {
        "event_id": "b",
        "=HYPERLINK(1)": "=cmd|' /C calc'!A0",
        "note": "@SUM(1)",
        "balance": "-5.5",
        "plus": "+1+1",
    }
    out = tmp_path / "out.csv"
    assert len(list(write(out, list(given), asked(engine, given)))) == 1
    with out.open(newline="") as file:
        [row] = csv.DictReader(file)
    assert row["'=HYPERLINK(1)"] == "'=cmd|' /C calc'!A0"
    assert (row["note"], row["balance"], row["plus"]) == ("'@SUM(1)", "-5.5", "'+1+1")
    assert list(row)[-len(ADDED) :] == list(ADDED)


@pytest.mark.parametrize("cell", ["=1", "\t=1", "\r=1", "-1+1", "+a", "@x", "\uff1d1"])
def test_what_begins_like_a_formula_is_quoted(cell: str) -> None:
    assert inert(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=b", "-1", "+2,5", "1", "e-1"])
def test_what_does_not_is_left_alone(cell: str) -> None:
    assert inert(cell) == cell


def test_a_list_is_read_with_its_own_names_byte_order_mark_and_short_lines(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes('\ufeffAttempt ID, name\na,"x, y"\n\nb\n'.encode())
    names, given = lines(path, Columns(event_id="Attempt ID", result_id="result_id"))
    assert names == ["Attempt ID", "name"]
    assert list(given) == [{"Attempt ID": "a", "name": "x, y"}, {"Attempt ID": "b", "name": ""}]


@pytest.mark.parametrize("content", [b"", b"x,y\n1,2\n", b"\xff\xfe\x00"])
def test_a_list_that_names_no_completions_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(RefusedError):
        lines(path, COLUMNS)
