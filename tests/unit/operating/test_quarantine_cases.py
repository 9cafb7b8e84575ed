"""Cases are named, chosen and read without trusting a byte of what was set aside."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from support.competency import completion

from credstream.quarantine.cases import Case, Position, Wanted, _case, named, set_aside
from schemas import codec
from schemas.errors import MalformedError, QuarantineReason, RefusedError
from schemas.events import REDRIVEN_FROM, Header, QuarantineResolved, RecordQuarantined, Resolution
from schemas.topology import CLAIMED, INBOX


def aside(value: bytes | None, **about: Any) -> RecordQuarantined:
    content = value or b""
    stated = {
        "stage": "competency",
        "topic": INBOX.name,
        "partition": 2,
        "offset": 17,
        "appended_at": 1_000,
        "reason": "malformed",
        "detail": "no",
        **about,
    }
    return RecordQuarantined(sha256=hashlib.sha256(content).hexdigest(), size=len(content), value=value, **stated)


def case(value: bytes | None, **about: Any) -> Case:
    event = aside(value, **about)
    return _case(Position(event.stage, event.topic, event.partition, event.offset), event)


def test_what_can_be_read_says_whose_it_is_whatever_its_headers_say() -> None:
    event = completion("q")
    found = case(codec.encode(event), headers=(Header(name="ce_id", value=b"another"),))
    assert (found.provider, found.event_id, found.kind) == (event.provider, event.event_id, "AssessmentCompleted")


def test_what_cannot_be_read_is_called_what_its_headers_say() -> None:
    headers = (
        Header(name="ce_source", value=b"/programmes/p/providers/college"),
        Header(name="ce_id", value=b"e-1"),
        Header(name="ce_id", value=b"forged"),
        Header(name="ce_type", value=b"\xff\x1b[2J"),
    )
    found = case(b"rubbish", headers=headers)
    assert (found.programme, found.provider, found.event_id) == ("p", "college", "e-1")
    assert case(None).provider is None


def test_it_remembers_where_it_was_set_aside_before() -> None:
    headers = tuple(Header(name=REDRIVEN_FROM, value=place) for place in (b"t/0@1", b"t/0@5"))
    assert case(b"", headers=headers).earlier == ("t/0@1", "t/0@5")


def test_cases_are_chosen_by_reason_provider_and_time() -> None:
    one = case(codec.encode(completion("q", provider="college")), reason="not_allowed")
    reasons = (QuarantineReason.NOT_ALLOWED, QuarantineReason.MALFORMED)
    assert Wanted(reasons=reasons, provider="college", since=1_000, until=1_001).holds(one)
    for wanted in (
        Wanted(reasons=(QuarantineReason.MALFORMED,)),
        Wanted(provider="another"),
        Wanted(since=1_001),
        Wanted(until=1_000),
        Wanted(programme="another"),
    ):
        assert not wanted.holds(one)


def test_a_case_is_named_by_lane_and_offset_of_the_inbox_or_in_full() -> None:
    inbox, claim = case(b""), case(b"", topic=CLAIMED.name, stage="issuing")
    assert named([inbox, claim], ["2@17", "2@17"]) == [inbox]
    assert named([inbox, claim], [str(claim.position)]) == [claim]
    assert str(inbox.position) == "2@17"
    for wrong in ("2@18", "x", "@", f"{INBOX.name}/2"):
        with pytest.raises(RefusedError):
            named([inbox], [wrong])


def test_what_was_done_about_a_case_is_no_case() -> None:
    done = QuarantineResolved(
        stage="competency",
        topic=INBOX.name,
        partition=0,
        offset=1,
        resolution=Resolution.DISMISSED,
        resolved_by="sam",
        resolved_at=1,
    )
    assert set_aside(codec.encode(done)) is None
    assert set_aside(codec.encode(aside(b"x"))) is not None
    with pytest.raises(MalformedError):
        set_aside(codec.encode(completion("q")))
