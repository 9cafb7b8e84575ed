"""What follows from the log is rebuilt from it alone, and what was damaged is put right."""

from __future__ import annotations

import json
import sqlite3

import pytest
from support.auditing import violations
from support.commands import credstream, stopped
from support.pipe import Pipe, completion

from credstream.lanes.state import kept, write
from schemas.topology import Processor


@pytest.fixture(scope="module")
def drained(mended: Pipe) -> Pipe:
    assert all(line.accepted for line in mended.send(completion(f"replayed-{i}") for i in range(30)))
    mended.send([completion("replayed-odd", assessment="whistling")])
    mended.drain()
    return mended


@pytest.mark.parametrize("target", ["views", "competency", "issuing", "status"])
def test_a_healthy_pipe_is_what_its_log_says(drained: Pipe, target: str) -> None:
    drained.fate("replayed-29-0")
    said = credstream(drained, "replay", target)
    assert "differs" not in said
    assert "what the log says" in said


def test_damaged_views_are_told_and_replaced_while_they_run(drained: Pipe) -> None:
    path = drained.place.folder / "views" / "views.db"
    database = sqlite3.connect(path, timeout=10)
    with database:
        database.execute("DELETE FROM completion WHERE event_id = 'replayed-3-0'")
        database.execute("UPDATE credential SET achievement = 'forged' WHERE rowid % 7 = 0")
    database.close()
    assert "they differ" in credstream(drained, "replay", "views", code=1)
    found = {one["table"]: one["same"] for one in json.loads(_json(drained, "replay", "views"))}
    assert {name for name, same in found.items() if not same} == {"completion", "credential"}
    assert "replaced: " in credstream(drained, "replay", "views", "--swap", "--yes")
    drained.send([completion("replayed-after")])
    assert [one["disposition"] for one in drained.fate("replayed-after-0")] == ["recorded"]
    assert [one["disposition"] for one in drained.fate("replayed-3-0")] == ["recorded"]
    assert "the views are what the log says" in credstream(drained, "replay", "views")


def test_what_a_lane_lost_is_put_back_and_it_goes_on(drained: Pipe) -> None:
    assert "is running" in credstream(drained, "replay", "competency", "--swap", "--yes", code=78)
    with stopped(drained, "competency"):
        lane, key = next(
            (lane, key)
            for lane in range(drained.place.kafka.lanes)
            for key in kept(drained.place, Processor.COMPETENCY, lane).state
            if not key.startswith(b"\x00")
        )
        before = kept(drained.place, Processor.COMPETENCY, lane)
        write(drained.place, Processor.COMPETENCY, lane, {key: None, b"stray:learner": b"\x00"})
        args = ("replay", "competency", "--lane", str(lane))
        said = credstream(drained, *args, code=1)
        assert "2 keys differ" in said
        assert "replaced 2 keys" in credstream(drained, *args, "--swap", "--yes")
        after = kept(drained.place, Processor.COMPETENCY, lane)
        assert (after.state, after.position) == (before.state, before.position)
    drained.send([completion("replayed-last")])
    assert [one["disposition"] for one in drained.fate("replayed-last-0")] == ["recorded"]
    drained.drain()
    assert violations(drained.place) == []


def _json(pipe: Pipe, *args: str) -> str:
    said = credstream(pipe, *args, "--json", code=None)
    return said[: said.rindex("]") + 1]
