"""What was set aside is listed, redriven once and counted once, by command and when a catalogue comes to know it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from support.auditing import violations
from support.commands import credstream
from support.pipe import PROGRAMME, Pipe, completion, until
from support.small import SECOND, THIRD, catalogue

from credstream import installation as installations
from credstream.quarantine.cases import Case, cases, contents
from credstream.quarantine.foreseeing import Foresight
from credstream.quarantine.redriving import redrive
from credstream.reading import committed
from credstream.rules.loader import load
from credstream.rules.publishing import publish
from schemas.events import REDRIVEN_FROM
from schemas.ids import lane_of, learner_key
from schemas.topology import INBOX


def adopted(mended: Pipe, folder: Path, version: str, *assessments: str) -> None:
    draft = load(catalogue(folder / version, version, *assessments))
    publish(mended.place, installations.build_catalogue(mended.place, draft))


def fate(mended: Pipe, event_id: str, disposition: str, provider: str = "great-river-training") -> dict[str, Any]:
    """Return what became of a completion; it has one fate, however often it was tried."""
    for _ in until(f"{event_id} to be {disposition}"):
        [one] = mended.fate(event_id, provider)
        if one["disposition"] == disposition:
            return dict(one)
    raise AssertionError


def copies(mended: Pipe) -> list[tuple[bytes | None, list[bytes]]]:
    """Return the redriven records of the inbox: value, and where they were set aside."""
    found = []
    for record in committed(mended.place.bootstrap_servers, INBOX):
        sources = [value for name, value in record.headers if name == REDRIVEN_FROM]
        if sources:
            found.append((record.value, sources))
    return found


def open_cases(mended: Pipe) -> list[Case]:
    return [case for case in cases(mended.place) if case.is_open]


def test_what_waits_for_an_assessment_is_redriven_by_itself_once_it_is_known(mended: Pipe, tmp_path: Path) -> None:
    [line] = mended.send([completion("rig", assessment="rigging")])
    assert line.accepted
    mended.send([completion("weld", assessment="welding")])
    assert fate(mended, "rig-0", "quarantined")["detail"].startswith("unknown_assessment")
    fate(mended, "weld-0", "quarantined")
    adopted(mended, tmp_path, "2", *SECOND)
    fate(mended, "rig-0", "recorded")
    fate(mended, "weld-0", "quarantined")
    adopted(mended, tmp_path, "2", *SECOND)  # again: nothing is left to be redriven
    assert len(copies(mended)) == 1
    assert [case.event_id for case in open_cases(mended)] == ["weld-0"]


def test_an_operator_redrives_what_was_mended_once_and_leaves_the_rest(mended: Pipe, tmp_path: Path) -> None:
    for name in ("n-1", "n-2"):
        mended.send([completion(name)], "northern-college")
    fate(mended, "n-1-0", "quarantined", "northern-college")
    fate(mended, "n-2-0", "quarantined", "northern-college")
    args = ("quarantine", "redrive", "--provider", "northern-college")
    said = credstream(mended, *args, "--dry-run")
    assert "not_allowed" in said
    assert "to be redriven: 0; left, since they would be set aside again: 2" in said
    before = len(copies(mended))
    adopted(mended, tmp_path, "3", *THIRD)
    assert len(copies(mended)) == before, "only what waits for an assessment is redriven by itself"
    assert "to be redriven: 2" in credstream(mended, *args, "--dry-run")
    assert len(copies(mended)) == before
    assert "redriven: 2" in credstream(mended, *args, "--yes", "--note", "they may attest now", "--as", "sam")
    assert "nothing open fits" in credstream(mended, *args, "--yes")
    for name in ("n-1-0", "n-2-0"):
        credentials = [
            o for o in fate(mended, name, "recorded", "northern-college")["outcomes"] if o["verdict"] == "granted"
        ]
        assert len(credentials) == 1
    [listed] = [
        one
        for one in json.loads(
            credstream(mended, "quarantine", "list", "--all", "--provider", "northern-college", "--json")
        )
        if one["event_id"] == "n-1-0"
    ]
    assert listed["resolved"]["resolution"] == "redriven"
    assert (listed["resolved"]["resolved_by"], listed["resolved"]["note"]) == ("sam", "they may attest now")


def test_a_redrive_that_died_before_it_could_say_so_is_not_done_twice(mended: Pipe) -> None:
    [case] = [case for case in open_cases(mended) if case.event_id == "weld-0"]
    [(_, aside)] = contents(mended.place, [case])
    producer = Producer({"bootstrap.servers": mended.place.bootstrap_servers})
    sent: list[Any] = [*((h.name, h.value) for h in aside.headers), (REDRIVEN_FROM, case.position.source.encode())]
    producer.produce(INBOX.name, aside.value, aside.key, case.position.lane, headers=sent)
    assert producer.flush(10) == 0
    before = copies(mended)
    assert redrive(mended.place, [case], Foresight(mended.place), "sam") == 0
    assert copies(mended) == before
    for _ in until("its copy to be set aside"):
        again = [one for one in open_cases(mended) if one.event_id == "weld-0"]
        if again:
            break
    assert again[0].earlier == (case.position.source,)
    fate(mended, "weld-0", "quarantined")


def test_a_record_in_a_wrong_lane_goes_to_its_own_and_rubbish_can_be_shown_and_dismissed(mended: Pipe) -> None:
    [line] = mended.send([completion("astray")])
    assert line.accepted
    fate(mended, "astray-0", "recorded")
    original = next(r for r in committed(mended.place.bootstrap_servers, INBOX) if ("ce_id", b"astray-0") in r.headers)
    wrong = (original.partition + 1) % mended.place.kafka.lanes
    producer = Producer({"bootstrap.servers": mended.place.bootstrap_servers})
    producer.produce(INBOX.name, original.value, b"no key of ours", wrong, headers=list(original.headers))
    producer.produce(INBOX.name, b"\x01 [red]rubbish[/]\x1b[2J", b"k", wrong, headers=[("\u202ename", b"\x1b[2J\xff")])
    assert producer.flush(10) == 0
    for _ in until("both to be set aside"):
        found = {case.reason: case for case in open_cases(mended) if case.reason in {"wrong_lane", "malformed"}}
        if len(found) == 2:
            break
    said = credstream(mended, "quarantine", "redrive", str(found["wrong_lane"].position), "--yes")
    assert "redriven: 1" in said
    for _ in until("the copy to be decided"):
        fates = mended.fate("astray-0")
        if sorted(one["disposition"] for one in fates) == ["known", "recorded"]:
            break
    ref = learner_key(PROGRAMME, original.key.decode().partition(":")[2])
    assert lane_of(ref, mended.place.kafka.lanes) == original.partition
    name = str(found["malformed"].position)
    said = credstream(mended, "quarantine", "show", name)
    assert "[red]rubbish[/" in said
    assert "\x1b" not in said
    assert "would be set aside again" in said
    assert "dismissed: 1" in credstream(mended, "quarantine", "dismiss", name, "--note", "a test", "--yes")
    assert name not in credstream(mended, "quarantine", "list")


def test_wrong_use_is_told_in_one_line(mended: Pipe) -> None:
    assert "name what is redriven, or say which" in credstream(mended, "quarantine", "redrive", code=78)
    assert "was not set aside" in credstream(mended, "quarantine", "show", "0@999999", code=78)
    assert "lane@offset is wanted" in credstream(mended, "quarantine", "show", "nonsense", code=78)


def test_after_every_redrive_each_completion_has_one_outcome(mended: Pipe) -> None:
    mended.drain()
    assert violations(mended.place) == []
