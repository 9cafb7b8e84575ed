"""Bytes that break their contract are told apart; what is written is read back."""

from __future__ import annotations

import pytest

from schemas.codec import decode, encode, headers
from schemas.errors import MalformedError, QuarantineReason
from schemas.events import (
    POINT,
    AssessmentCompleted,
    CatalogueAdopted,
    CompletionBody,
    Header,
    RecordQuarantined,
    ResultKind,
)

BODY = CompletionBody(
    result_id="r-1",
    revision=0,
    kind=ResultKind.COMPLETED,
    assessment="theory",
    completed_at=1_790_000_000_000_000,
    score=71 * POINT + 500_000,
    score_max=100 * POINT,
)
COMPLETED = AssessmentCompleted(
    event_id="e-1",
    programme="ontario-pilots",
    provider="northern-college",
    learner_ref="0" * 32,
    received_at=1_790_000_000_000_000,
    body=BODY,
)


def test_what_is_written_is_read_back() -> None:
    assert decode(encode(COMPLETED), AssessmentCompleted) == COMPLETED


def test_a_sealed_body_stays_bytes() -> None:
    sealed = AssessmentCompleted(
        event_id="e", programme="p", provider="v", learner_ref="l", received_at=1, sealed_with="key-1", body=b"\x00\xff"
    )
    assert decode(encode(sealed), AssessmentCompleted) == sealed


def test_a_quarantined_record_keeps_its_bytes_whatever_they_are() -> None:
    quarantined = RecordQuarantined(
        stage="competency",
        topic="learner",
        partition=3,
        offset=9,
        appended_at=1,
        reason="malformed",
        detail="",
        sha256="",
        size=2,
        key=b"\xff",
        headers=(Header(name="h", value=b"\xfe"), Header(name="n")),
        value=b"\x00\x80",
    )
    assert decode(encode(quarantined), RecordQuarantined) == quarantined


GOOD = encode(COMPLETED)


@pytest.mark.fault("E7", "E8", "E9", "B14")
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, QuarantineReason.TOMBSTONE),
        (b"", QuarantineReason.MALFORMED),
        (b"\x01" + GOOD[1:], QuarantineReason.MALFORMED),
        (GOOD[:4], QuarantineReason.MALFORMED),
        (GOOD[:-1], QuarantineReason.MALFORMED),
        (GOOD[:20], QuarantineReason.MALFORMED),
        (GOOD + b"\x00", QuarantineReason.MALFORMED),
        (b"\x00\x00\x00\x27\x0f" + GOOD[5:], QuarantineReason.UNKNOWN_SCHEMA),
        (b"\x00" * 20_000, QuarantineReason.TOO_LARGE),
        (GOOD.replace(b"theory", b"th\xffory"), QuarantineReason.MALFORMED),
        (GOOD.replace(b"theory", b"th\x00ory"), QuarantineReason.INVALID_VALUE),
        (GOOD.replace(b"completed", b"concluded"), QuarantineReason.INVALID_VALUE),
    ],
    ids=str,
)
def test_each_way_of_breaking_the_contract_has_its_reason(value: bytes | None, reason: QuarantineReason) -> None:
    with pytest.raises(MalformedError) as caught:
        decode(value, AssessmentCompleted, max_bytes=16_384)
    assert caught.value.reason is reason


@pytest.mark.fault("E11")
def test_a_record_of_another_kind_is_not_read_as_this_one() -> None:
    with pytest.raises(MalformedError) as caught:
        decode(GOOD, CatalogueAdopted)
    assert caught.value.reason is QuarantineReason.UNKNOWN_SCHEMA
    assert "CatalogueAdopted" in caught.value.detail


def test_headers_are_cloud_events_in_binary_mode() -> None:
    found = dict(headers(COMPLETED, source="/gateway", event_id="e-1", traceparent=b"00-a-b-01"))
    assert found == {
        "ce_specversion": b"1.0",
        "ce_id": b"e-1",
        "ce_source": b"/gateway",
        "ce_type": b"org.credstream.assessment-completed.v1",
        "content-type": b"application/avro",
        "traceparent": b"00-a-b-01",
    }
