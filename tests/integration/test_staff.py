"""What staff do by command, on the real pipe: reviews, awards, suspensions, versions, backfills, recalls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from support.pipe import PROGRAMME, Pipe, completion, until, whole_pipe

from credstream import installation as installations
from credstream.local import broker
from credstream.people import catalogue_signer
from credstream.reading import committed
from credstream.rules.adopted import history, lanes_kept
from credstream.rules.loader import load
from credstream.rules.publishing import prepared
from credstream.staff import jobs
from credstream.why import learner_ref_of
from schemas import codec
from schemas.events import CompetencyDecided, DecisionBody, Outcome, Verdict
from schemas.ids import lane_of, learner_key
from schemas.topology import DECIDED, INBOX

YEARS_AGO = (datetime.now(UTC) - timedelta(days=800)).isoformat(timespec="seconds")
_PROGRAMME = """\
programme: ontario-pilots
version: "{version}"
issuer: {{name: Staff Tests}}
providers: [{{id: great-river-training, name: Great River}}]
"""
_ASSESSMENTS = """\
- {id: site-safety-test, name: Site safety test, providers: [great-river-training], accepted_late: 90}
- {id: tools, name: Tools, providers: [great-river-training]}
- {id: climb, name: Climb, providers: [great-river-training]}
"""
_ACHIEVEMENTS = """\
- id: site-safety
  name: Site safety
  description: Safe on sites.
  criteria: Score enough.
  valid: 36 months
  rule:
    requires: {{result: {{assessment: site-safety-test, at_least: {bar} %}}}}
    levels:
      pass: {{result: {{assessment: site-safety-test, at_least: {bar} %}}}}
      merit: {{result: {{assessment: site-safety-test, at_least: 90 %}}}}
- id: tools
  name: Tools
  description: Uses tools.
  criteria: Pass.
  rule:
    on_loss: ask
    requires: {{result: {{assessment: tools, passed: true}}}}
- id: heights
  name: Heights
  description: Works at heights.
  criteria: Climb.
  rule:
    requires: {{result: {{assessment: climb, at_least: {climb} %}}}}
"""


def catalogue(folder: Path, version: str, *, bar: int = 70, climb: int = 70) -> Path:
    """A small catalogue whose rules differ from version to version."""
    (folder / "achievements").mkdir(parents=True, exist_ok=True)
    (folder / "programme.yaml").write_text(_PROGRAMME.format(version=version))
    (folder / "assessments.yaml").write_text(_ASSESSMENTS)
    (folder / "achievements" / "all.yaml").write_text(_ACHIEVEMENTS.format(bar=bar, climb=climb))
    return folder


@pytest.fixture(scope="module")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    """A pipe of its own, since its catalogue changes."""
    folder = tmp_path_factory.mktemp("staff")
    with (
        broker.running(tmp_path_factory.mktemp("staff-kafka")) as kafka,
        whole_pipe(folder / "data", kafka.bootstrap_servers, catalogue=catalogue(folder / "first", "1")) as pipe,
    ):
        yield pipe


def credstream(pipe: Pipe, *args: str, code: int | None = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "credstream", *args, "--data", str(pipe.place.folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


def told(pipe: Pipe, *args: str, code: int = 0) -> Any:
    return json.loads(
        credstream(pipe, *args, "--json", code=code) if code == 0 else credstream(pipe, *args, "--json", code=None)
    )


def outcomes(pipe: Pipe, name: str, achievement: str) -> list[Outcome]:
    """Return what was decided about a learner and an achievement, in order."""
    ref = learner_ref_of(pipe.place, PROGRAMME, f"email:{name}@learners.example")
    key = learner_key(PROGRAMME, ref)
    lane = lane_of(key, pipe.place.kafka.lanes)
    found = []
    for record in committed(pipe.place.bootstrap_servers, DECIDED, lane=lane):
        if record.key == key:
            body = codec.decode(record.value, CompetencyDecided).body
            assert isinstance(body, DecisionBody)
            found += [outcome for outcome in body.outcomes if outcome.achievement == achievement]
    return found


def verdicts(pipe: Pipe, name: str, achievement: str) -> list[str]:
    return [outcome.verdict.value for outcome in outcomes(pipe, name, achievement)]


def sent(pipe: Pipe, result_id: str, **changes: Any) -> dict[str, Any]:
    """Send one result and return what became of it."""
    event = completion(result_id, **changes)
    [line] = pipe.send([event])
    assert line.accepted, line
    [fate] = pipe.fate(event["event_id"])
    return dict(fate)


def credential(pipe: Pipe, name: str, achievement: str) -> str:
    found = [one.credential_id for one in outcomes(pipe, name, achievement) if one.verdict is Verdict.GRANTED]
    return str(found[-1])


def test_a_late_result_waits_and_counts_once_a_person_accepts_it(staffed: Pipe) -> None:
    assert sent(staffed, "late-a", completed_at=YEARS_AGO, score=95)["disposition"] == "awaiting_review"
    sent(staffed, "late-b", completed_at=YEARS_AGO, score=20)
    sent(staffed, "late-c", completed_at=YEARS_AGO)
    waiting = {one["result_id"]: one for one in told(staffed, "review", "list", "--assessment", "site-safety-test")}
    assert waiting.keys() == {"late-a", "late-b", "late-c"}
    one = waiting["late-a"]
    assert one["answers"]["accept"] == [{"achievement": "site-safety", "effect": "granted", "level": "merit"}]
    assert waiting["late-b"]["answers"]["accept"] == []
    shown = credstream(staffed, "review", "show", one["id"])
    assert "95 of 100" in shown
    assert "days old, accepted for 90 days" in shown
    assert "confirm" in credstream(staffed, "review", "decide", "accept", one["id"], code=78)
    assert "the answer is accept or reject" in credstream(staffed, "review", "decide", "keep", one["id"], code=78)

    said = credstream(staffed, "review", "decide", "accept", one["id"], "--note", "college closed", "--yes")
    assert "granted site-safety: 1" in said
    assert verdicts(staffed, "late-a", "site-safety") == ["granted"]
    said = credstream(staffed, "review", "decide", "reject", "--all", "--assessment", "site-safety-test", "--yes")
    assert "decided: reject 2" in said
    assert told(staffed, "review", "list") == []
    assert verdicts(staffed, "late-c", "site-safety") == []
    assert "does not wait" in credstream(staffed, "review", "decide", "accept", one["id"], "--yes", code=78)


def test_an_award_that_lost_its_evidence_waits_for_a_person(staffed: Pipe) -> None:
    for name in ("ask-a", "ask-b"):
        passed = {"assessment": "tools", "score": None, "score_max": None}
        sent(staffed, name, **passed, passed=True)
        sent(staffed, name, **passed, passed=False, revision=1, kind="corrected", event_id=f"{name}-1")
        assert verdicts(staffed, name, "tools") == ["granted", "review"]
    waiting = told(staffed, "review", "list", "--achievement", "tools")
    assert len(waiting) == 2
    first = credential(staffed, "ask-a", "tools")
    assert "has not passed" in credstream(staffed, "review", "show", first) or "passed" in waiting[0]["explanation"]
    assert "in review" not in credstream(staffed, "status", "show", first).partition("(")[0]

    credstream(staffed, "review", "decide", "suspend", first, "--yes")
    shown = told(staffed, "status", "show", first, code=1)
    assert shown["status"] == "suspended"
    credstream(staffed, "review", "decide", "revoke", "--all", "--achievement", "tools", "--yes")
    shown = told(staffed, "status", "show", credential(staffed, "ask-b", "tools"), code=1)
    assert shown["status"] == "revoked"


def test_prior_learning_is_awarded_with_its_day_its_reason_and_its_level(staffed: Pipe) -> None:
    about = ("award", "email:rpl@learners.example", "site-safety", "--reason", "Journeyperson since 2011")
    said = credstream(staffed, *about, "--date", "2026-01-05", "--level", "distinction", "--yes", code=1)
    assert "has no level distinction; it has pass, merit" in said
    assert "https://" in credstream(staffed, *about, "--date", "2026-01-05", "--evidence", "ftp://x", "--yes", code=78)
    assert "a day (2026-01-05)" in credstream(staffed, *about, "--date", "yesterday", "--yes", code=78)
    said = credstream(
        staffed, *about, "--date", "2026-01-05", "--level", "merit", "--evidence", "https://e.example/1", "--yes"
    )
    assert "granted: site-safety, award 1, merit" in said
    [outcome] = outcomes(staffed, "rpl", "site-safety")
    assert (outcome.verdict, outcome.level, outcome.award) == (Verdict.GRANTED, "merit", 1)
    again = credstream(staffed, *about, "--date", "2026-02-05", "--yes", code=1)
    assert "holds it already" in again
    found = shown_json(staffed, credential(staffed, "rpl", "site-safety"))
    assert found["awardedDate"].startswith("2026-01-05")
    assert found["validUntil"].startswith("2029-01-05")


def shown_json(pipe: Pipe, name: str) -> dict[str, Any]:
    with pipe.http() as http:
        for _ in until("the credential in the view"):
            if http.get(f"/credentials/{name}").is_success:
                break
        link = http.post(f"/v1/credentials/{name}/share").json()["url"].partition(".example")[2]
        return dict(http.get(link).json())


def page(pipe: Pipe, name: str, until_it_says: str) -> str:
    with pipe.http() as http:
        for _ in until(f"the page to say {until_it_says}"):
            text = http.get(f"/credentials/{name}", headers={"Accept": "text/html"}).text
            if until_it_says in text:
                return text
    raise AssertionError


def test_a_suspension_shows_on_the_page_and_not_in_the_list_until_it_is_reinstated(staffed: Pipe) -> None:
    sent(staffed, "suspend")
    name = credential(staffed, "suspend", "site-safety")
    shown_json(staffed, name)
    said = credstream(staffed, "status", "suspend", name, code=78)
    assert "Status lists do not show it" in said
    credstream(staffed, "status", "suspend", name, "--yes")
    assert 'class="status suspended"' in page(staffed, name, "suspended")
    with staffed.http() as http:
        assert http.get(f"/credentials/{name}").json() == {"id": name, "status": "suspended"}
        lists = http.get("/v1/flow").json()["lists"]
    assert told(staffed, "status", "show", name, code=1)["reason"] == "suspended by staff"
    credstream(staffed, "status", "reinstate", name, "--yes")
    text = page(staffed, name, "Reinstated")
    assert 'class="status valid"' in text
    with staffed.http() as http:
        assert http.get(f"/credentials/{name}").json() == {"id": name, "status": "valid"}
        bits = {one["url"]: one["set_bits"] for one in http.get("/v1/flow").json()["lists"]}
    assert all(bits[one["url"]] == one["set_bits"] for one in lists)
    assert "staff did not suspend it" in credstream(staffed, "status", "reinstate", name, "--yes")
    credstream(staffed, "status", "revoke", name, "--reason", "misconduct", "--urgent", "--yes")
    assert "a revocation is final" in credstream(staffed, "status", "reinstate", name, "--yes", code=1)


def test_a_version_takes_force_later_applies_to_history_is_rolled_back_and_recalled(
    staffed: Pipe, tmp_path: Path
) -> None:
    sent(staffed, "history-a", assessment="climb", score=60)
    sent(staffed, "history-b", assessment="climb", score=65)
    assert verdicts(staffed, "history-a", "heights") == ["not_yet"]
    lower = str(catalogue(tmp_path / "lower", "2", climb=50))
    assert "adoption 2: adopted by every lane" in credstream(staffed, "rules", "publish", lower)
    assert "this is the current version already" in credstream(staffed, "rules", "publish", lower)
    future = credstream(staffed, "rules", "publish", lower, "--effective-from", "2099-01-01")
    assert "adoption 3: adopted by every lane" in future
    adopted = told(staffed, "rules", "versions")
    assert [(one["number"], one["version"]) for one in adopted] == [(1, "1"), (2, "2"), (3, "2")]
    assert all(len(one["adopted_at"]) == staffed.place.kafka.lanes for one in adopted)

    previewed = told(staffed, "rules", "backfill", "heights", "--dry-run")
    [effect] = previewed["effects"]
    assert (effect["achievement"], effect["effect"], effect["awards"]) == ("heights", "granted", 2)
    assert verdicts(staffed, "history-a", "heights") == ["not_yet"]
    credstream(staffed, "rules", "backfill", "heights", "--yes")
    assert verdicts(staffed, "history-a", "heights") == ["not_yet", "granted"]
    assert "nothing to do" in credstream(staffed, "rules", "backfill", "heights", "--yes")

    assert "in force still" in credstream(staffed, "rules", "recall", "2", "--redecide", "--yes", code=78)
    rolled = credstream(staffed, "rules", "rollback", "1", "--yes")
    assert "adoption 4: adopted by every lane" in rolled
    assert adopted[0]["digest"] in rolled
    sent(staffed, "after", assessment="climb", score=60)
    assert verdicts(staffed, "after", "heights") == ["not_yet"]

    listed = told(staffed, "rules", "recall", adopted[1]["digest"])
    assert {one["achievement"] for one in listed} == {"heights"}
    assert len(listed) == 2
    credstream(staffed, "rules", "recall", "2", "--redecide", "--yes")
    assert verdicts(staffed, "history-a", "heights") == ["not_yet", "granted", "regressed"]
    assert "nothing to do" in credstream(staffed, "rules", "recall", "2", "--redecide", "--yes")


def test_an_interrupted_job_goes_on_where_it_was(staffed: Pipe, tmp_path: Path) -> None:
    for name in ("resume-a", "resume-b", "resume-c"):
        sent(staffed, name, score=60)
    credstream(staffed, "rules", "publish", str(catalogue(tmp_path / "easier", "5", bar=55)))
    slowly = ("rules", "backfill", "site-safety", "--rate", "1", "--yes", "--data", str(staffed.place.folder))
    killed = subprocess.Popen(
        [sys.executable, "-m", "credstream", *slowly], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    folder = staffed.place.folder / "jobs"
    for _ in until("the job to begin", pause_s=0.02):
        if list(folder.glob("*.done")):
            break
    killed.kill()
    killed.wait()
    [file] = folder.glob("*.ndjson")
    job = jobs.unfinished(staffed.place, file.stem)
    assert job is not None
    before = job.done
    assert 1 <= before < len(job.requests) == 3
    done = credstream(staffed, "rules", "backfill", "site-safety", "--yes", code=None)
    assert f"{before} of 3 are done" in done
    assert list(folder.iterdir()) == []
    assert all(verdicts(staffed, n, "site-safety")[-1] == "granted" for n in ("resume-a", "resume-b", "resume-c"))

    recalled = credstream(staffed, "rules", "recall", "5", "--revoke", "--dry-run")
    assert "revoked" in recalled
    credstream(staffed, "rules", "recall", "5", "--revoke", "--yes")
    shown = told(staffed, "status", "show", credential(staffed, "resume-a", "site-safety"), code=1)
    assert (shown["status"], shown["reason"]) == ("revoked", "staff revoked it")


def test_lanes_that_a_dead_publisher_left_behind_are_caught_up(staffed: Pipe, tmp_path: Path) -> None:
    draft = load(catalogue(tmp_path / "half", "5.1", climb=71))
    built = installations.build_catalogue(staffed.place, draft)
    proposal, _ = prepared(staffed.place, built, None)
    kid, signer = catalogue_signer(staffed.place, PROGRAMME)
    signature = proposal.signed(signer, kid).signatures[0].adopted
    number = proposal.event.adoption_no
    sent: list[Any] = [
        *codec.headers(proposal.event, source="/publisher", event_id=f"adoption-{number}"),
        ("jws", signature),
    ]
    producer = Producer({"bootstrap.servers": staffed.place.bootstrap_servers})
    producer.produce(INBOX.name, proposal.adopted, PROGRAMME.encode(), 1, headers=sent)
    assert producer.flush(15) == 0
    for _ in until("one lane to adopt it"):
        if len(history(lanes_kept(staffed.place), PROGRAMME)) == number:
            break
    said = credstream(staffed, "rules", "publish", str(catalogue(tmp_path / "whole", "5.2", climb=72)))
    assert f"adoption {number} did not reach all lanes; repeating it" in said
    assert f"adoption {number + 1}: adopted by every lane" in said
    assert all(len(one["adopted_at"]) == staffed.place.kafka.lanes for one in told(staffed, "rules", "versions"))


def test_two_people_publish_and_each_member_of_staff_signs_for_themself(staffed: Pipe, tmp_path: Path) -> None:
    key, settings = tmp_path / "mo.pem", staffed.place.folder / "credstream.toml"
    key.with_name("mo.pem.passphrase").write_text("a horse with a staple")
    lines = {
        made.splitlines()[2].partition(" = ")[0]: made.splitlines()[2]
        for made in (
            credstream(staffed, "keys", "person", "mo", "--signs", "catalogue", "--key", str(key)),
            credstream(staffed, "keys", "person", "sam"),
        )
    }
    text = [lines.get(line.partition(" = ")[0], line) for line in settings.read_text().splitlines()]
    settings.write_text("\n".join([*text, "catalogue_signatures = 2", ""]))
    staffed.supervisor.stop()
    staffed.supervisor.start()
    staffed.supervisor.wait_until_ready()

    stricter, proposal = str(catalogue(tmp_path / "stricter", "6", climb=80)), tmp_path / "autumn.proposal"
    assert "2 people must sign" in credstream(staffed, "rules", "publish", stricter, code=78)
    credstream(staffed, "rules", "propose", stricter, "-o", str(proposal))
    assert "has signed it already" in credstream(staffed, "rules", "approve", str(proposal), "--yes", code=78)
    approved = credstream(staffed, "rules", "approve", str(proposal), "--key", str(key), "--yes")
    assert "changed achievement heights" in approved
    assert "adopted by every lane" in approved
    late = credstream(staffed, "rules", "approve", str(proposal), "--key", str(key), "--yes", code=78)
    assert "another version was published since" in late

    about = ("award", "email:two@learners.example", "heights", "--date", "2026-01-05", "--reason", "Seen", "--yes")
    assert "say who asks, with --as" in credstream(staffed, *about, code=78)
    credstream(staffed, *about, "--as", "sam")
    assert verdicts(staffed, "two", "heights") == ["granted"]
