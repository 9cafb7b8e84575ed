"""`rules simulate` and `why` on the real topics of a running pipe: what they tell is so, and they leave no trace."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.pipe import CATALOGUE, PROGRAMME, Pipe, completion, until

from credstream.why import learner_ref_of
from streams import topics

FORMER = "result: {assessment: site-safety-test, at_least: 70 %}"


def credstream(pipe: Pipe, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "credstream", *words, "--data", str(pipe.place.folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", "PYTHONPATH": ":".join(sys.path)},
    )


def draft(place: Path, rule: str = "result: {assessment: site-safety-test, at_least: 85 %}") -> Path:
    """The catalogue that is published, with another rule for site safety."""
    folder = shutil.copytree(CATALOGUE, place / "draft")
    file = folder / "achievements" / "construction.yaml"
    text = file.read_text("utf-8")
    assert FORMER in text
    file.write_text(text.replace(FORMER, rule), "utf-8")
    return folder


def learner(pipe: Pipe, result_id: str) -> str:
    return learner_ref_of(pipe.place, PROGRAMME, f"email:{result_id}@learners.example")


def quiet_ends(pipe: Pipe) -> Mapping[tuple[str, int], int]:
    """The end of every topic, once nothing moves any more."""
    pipe.drain()
    ends = topics.ends(pipe.place)
    for _ in until("the topics to be quiet", pause_s=2):
        before, ends = ends, topics.ends(pipe.place)
        if before == ends:
            break
    return ends


@pytest.fixture(scope="module")
def sent(pipe: Pipe) -> Pipe:
    """Learners with 60, 75 and 95 of 100 in the site safety test, of which 70 are asked."""
    lines = pipe.send([completion(f"tools-{score}", score=score) for score in (60, 75, 95)])
    assert all(line.accepted for line in lines)
    pipe.drain()
    return pipe


def test_a_draft_is_tried_on_every_learner_and_nothing_is_written(sent: Pipe, tmp_path: Path) -> None:
    before = quiet_ends(sent)
    out, picture = tmp_path / "changes.csv", tmp_path / "changes.svg"
    folder = str(draft(tmp_path))
    done = credstream(sent, "rules", "simulate", folder, "--json", "--csv", str(out), "--picture", str(picture))
    assert done.returncode == 0, done.stderr
    assert topics.ends(sent.place) == before
    found = json.loads(done.stdout)
    by_learner = {row["learner_ref"]: row for row in found["learners"] if row["achievement"] == "site-safety"}
    assert by_learner[learner(sent, "tools-75")]["effect"] == "loses"
    assert by_learner[learner(sent, "tools-75")]["missing"][0].endswith("(at least 85 %): best so far 75 %")
    assert by_learner[learner(sent, "tools-60")]["effect"] == "near"
    assert learner(sent, "tools-95") not in by_learner
    [summary] = [one for one in found["achievements"] if one["achievement"] == "site-safety"]
    assert summary["holders_now"] - summary["holders_draft"] == summary["loses"] >= 1
    assert found["population"] >= 3
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = {row["learner_ref"]: row for row in csv.DictReader(file) if row["achievement"] == "site-safety"}
    assert rows.keys() == by_learner.keys()
    assert rows[learner(sent, "tools-75")]["effect"] == "loses"
    assert "<svg" in picture.read_text("utf-8")


def test_a_simulation_shows_people_who_loses_and_that_publishing_keeps_what_is_held(sent: Pipe, tmp_path: Path) -> None:
    done = credstream(sent, "rules", "simulate", str(draft(tmp_path)), "--achievement", "site-safety")
    assert done.returncode == 0, done.stderr
    assert "lose it; the draft asks" in done.stdout
    assert "what is held stays" in done.stdout
    as_published = credstream(
        sent, "rules", "simulate", str(tmp_path / "draft"), "--achievement", "site-safety", "--as-published", "--json"
    )
    assert [one["loses"] for one in json.loads(as_published.stdout)["achievements"]] == [0]


def test_only_learners_of_the_last_days_are_asked_for(sent: Pipe, tmp_path: Path) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 40 * 86_400))
    sent.send([completion("tools-old", score=75, completed_at=at)])
    sent.drain()
    folder = str(draft(tmp_path))
    wide, narrow = (
        {row["learner_ref"] for row in json.loads(said.stdout)["learners"]}
        for said in (credstream(sent, "rules", "simulate", folder, "--days", days, "--json") for days in ("45", "35"))
    )
    assert learner(sent, "tools-old") in wide - narrow


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--days", "0"], 2, "--days is at least 1"),
        (["--achievement", "nothing"], 78, "has an achievement nothing"),
        (["--csv", "/nowhere/at/all.csv"], 78, "there is no folder"),
    ],
    ids=str,
)
def test_a_mistake_is_one_clear_line(sent: Pipe, tmp_path: Path, words: list[str], code: int, says: str) -> None:
    done = credstream(sent, "rules", "simulate", str(draft(tmp_path)), *words)
    assert (done.returncode, says in " ".join(done.stderr.split())) == (code, True), done.stderr


def told(pipe: Pipe, who: str, *words: str) -> tuple[int, str]:
    done = credstream(pipe, "why", f"email:{who}@learners.example", "site-safety", *words)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def test_why_tells_what_is_missing_then_what_came_of_a_correction_and_of_staff(pipe: Pipe) -> None:
    who = "tools-why"
    pipe.send([completion(who, score=60)])
    pipe.fate(f"{who}-0")
    code, said = told(pipe, who)
    assert (code, "not attained yet" in said, "best so far 60 %" in said) == (1, True, True), said
    pipe.send([completion(who, event_id=f"{who}-1", kind="corrected", revision=1, score=90)])
    pipe.fate(f"{who}-1")
    code, said = told(pipe, who)
    assert (code, "2 decisions" in said, "a correction of" in said, "90 of 100" in said) == (0, True, True, True), said
    code, french = told(pipe, who, "--language", "fr")
    assert (code, "acquise" in french, "90 sur 100" in french) == (0, True, True), french
    code, text = told(pipe, who, "--json")
    [one] = json.loads(text)["achievements"]
    assert (code, one["held"], [d["verdict"] for d in one["decisions"]]) == (0, True, ["not_yet", "granted"])
    credential = one["awards"][0]["credential_id"]
    for _ in until("the credential, to revoke it"):
        if credstream(pipe, "status", "revoke", credential, "--yes").returncode == 0:
            break
    code, said = told(pipe, who)
    assert (code, "not held: revoked by staff" in said, "staff asked to revoke" in said) == (1, True, True), said


def test_why_of_nobody_is_no_and_of_nothing_is_a_mistake(pipe: Pipe) -> None:
    assert told(pipe, "nobody-at-all")[0] == 1
    done = credstream(pipe, "why", "email:a@example.ca", "site-safty")
    assert (done.returncode, "has no achievement site-safty" in " ".join(done.stderr.split())) == (78, True)


def test_nothing_is_adopted_of_a_programme_that_is_new(pipe: Pipe, tmp_path: Path) -> None:
    folder = draft(tmp_path)
    file = folder / "programme.yaml"
    file.write_text(file.read_text("utf-8").replace(f"programme: {PROGRAMME}", "programme: another"), "utf-8")
    done = credstream(pipe, "rules", "simulate", str(folder))
    assert (done.returncode, "does not know the programme another" in " ".join(done.stderr.split())) == (78, True)
