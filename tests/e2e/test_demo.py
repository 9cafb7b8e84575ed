"""The commands as a new user runs them: the demonstration, a second run, and what it leaves to look at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def credstream(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "credstream", *args]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env={**os.environ, "COLUMNS": "160", **env}
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "data"


def test_the_demo_checks_itself_and_exports(data: Path, tmp_path: Path) -> None:
    done = credstream("demo", "--count", "1500", "--data", str(data), "--export", str(tmp_path / "export"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WRONG" not in done.stdout
    assert "0 lost, 0 extra" in done.stdout
    counts = json.loads((tmp_path / "export" / "counts.json").read_text())
    lines = (tmp_path / "export" / "credentials.ndjson").read_text().splitlines()
    assert counts["credentials"] == len(lines) > 100
    index = json.loads((tmp_path / "export" / "documents.json").read_text())
    assert all((tmp_path / "export" / name).is_file() for name in index["documents"].values())
    logs = {p.name: p.read_text("utf-8", "replace") for p in (data / "logs").glob("*.log")}
    assert not any("@learners.example" in text for text in logs.values())
    assert [(name, text) for name, text in logs.items() if "Traceback" in text] == []


def test_a_second_run_on_the_same_data_issues_nothing_new(data: Path) -> None:
    done = credstream("demo", "--data", str(data))
    assert done.returncode == 0, done.stdout + done.stderr
    [row] = [line for line in done.stdout.splitlines() if "issued anew by the second run" in line]
    assert "│ 0 " in row


def test_no_identifier_of_a_learner_is_in_kafkas_files(data: Path) -> None:
    files = [p for p in (data / "kafka").rglob("*.log") if p.is_file()]
    assert files
    assert not any(b"learners.example" in p.read_bytes() for p in files)
