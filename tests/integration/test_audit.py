"""The auditor on a real Kafka, on an export of it, and as a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.auditing import findings, violations
from support.pipe import Pipe, completion

from credstream import exporting
from credstream.auditor import Gateway

COUNT = 40


@pytest.fixture(scope="module")
def drained(pipe: Pipe) -> Pipe:
    assert all(line.accepted for line in pipe.send(completion(f"audit-{i}") for i in range(COUNT)))
    pipe.drain()
    return pipe


def credstream(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "credstream", *args], capture_output=True, text=True, timeout=240, check=False
    )


def test_the_topics_of_a_healthy_pipe_pass(drained: Pipe) -> None:
    gateway = Gateway(drained.url)
    try:
        found = {one.invariant.name: one for one in findings(drained.place, public=gateway)}
    finally:
        gateway.close()
    assert [(one.invariant.name, one.first) for one in found.values() if one.violations] == []
    asked = ("outcome", "granted", "decision", "identity", "bytes", "place", "claim", "agreement", "answer")
    assert {name: found[name].checked for name in asked if found[name].checked < COUNT} == {}
    assert found["proof"].checked > 0


def test_an_export_says_the_same_and_a_damaged_one_does_not(drained: Pipe, tmp_path: Path) -> None:
    folder = tmp_path / "handover"
    exporting.export(drained.place, folder, lambda _: None)
    said = credstream("audit", str(folder), "--grace-s", "0", "--json")
    assert said.returncode == 0, said.stdout + said.stderr
    by_name = {one["invariant"]: one for one in json.loads(said.stdout)}
    assert by_name["counters"]["verdict"] == "holds"
    assert by_name["identity"]["not_checked"]
    counts = json.loads((folder / "counts.json").read_text())
    (folder / "counts.json").write_text(json.dumps({**counts, "credentials": counts["credentials"] + 1}))
    said = credstream("audit", str(folder), "--grace-s", "0")
    assert said.returncode == 1
    assert "counts.json credentials" in said.stdout


@pytest.mark.fault("B16")
def test_what_was_never_committed_is_told_apart(drained: Pipe) -> None:
    said = credstream("audit", "--uncommitted", "--sample", "1", "--data", str(drained.place.folder))
    assert said.returncode == 0, said.stdout + said.stderr
    assert "records were written and never committed" in said.stderr


def test_a_folder_without_a_log_is_refused_in_one_line(tmp_path: Path) -> None:
    said = credstream("audit", str(tmp_path))
    assert said.returncode == 78
    assert "holds no log to audit" in said.stderr
    assert "Traceback" not in said.stderr


def test_the_pipe_is_still_well(drained: Pipe) -> None:
    assert violations(drained.place) == []
