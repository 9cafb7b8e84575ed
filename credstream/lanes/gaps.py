"""What a lane is parked for, found as its next owner would find it; and the decision of a person that it goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from kafka import IsolationLevel, TopicPartition
from msgspec import Struct

from credstream.audit.broker import KafkaLog
from credstream.audit.log import LogRecord
from credstream.lanes.state import Kept, as_read, input_of, kept, write
from credstream.people import staff_signer
from schemas.codec import encode, headers
from schemas.errors import GapError, IntegrityError, MalformedError, UnavailableError
from schemas.events import GapAccepted, GapKind
from schemas.topology import QUARANTINED, Processor, Topic
from services.signing.jws import HEADER, sign_detached
from services.status.ledger import Cadence
from streams import competency
from streams.gaps import accepted_key, digest
from streams.issuing import IssuingStage
from streams.settings import Installation
from streams.stage import Overlay, Stage
from streams.status import StatusStage
from streams.topics import administration

_EARLIEST: Final = -2
_LATEST: Final = -1


class Gap(Struct, frozen=True, kw_only=True):
    """What a lane is parked for, at an offset of its input; `GapAccepted` explains the fields."""

    processor: Processor
    lane: int
    offset: int
    kind: GapKind | None
    says: str
    series: str | None = None
    first: int = 0
    until: int = 0
    sha256: str | None = None

    @property
    def acceptable(self) -> bool:
        """Say whether a person may decide that the lane goes on."""
        return self.kind is not None


def parked_for(installation: Installation, processor: Processor, lane: int) -> Gap | None:
    """Return what parks a lane where it stands, None where nothing does.

    Raises:
        UnavailableError: Kafka does not answer, or the lane does not come to rest.
    """
    found = kept(installation, processor, lane)
    begin, end = _bounds(installation, input_of(processor), lane)
    position = max(0, found.position)
    common: dict[str, Any] = {"processor": processor, "lane": lane}
    if position < begin:
        says = f"records {position} to {begin - 1} are gone from the log, and {processor} had not read them"
        return Gap(**common, offset=begin, kind=GapKind.GONE, first=position, until=begin, says=says)
    if position > end:
        says = f"the log ends at {end}, and {processor} had read up to {position}: what was there is lost"
        return Gap(**common, offset=end, kind=GapKind.CUT_OFF, first=end, until=position, says=says)
    record = _next(installation, processor, lane, position)
    return None if record is None else _fault(installation, found, record)


def accept(installation: Installation, gap: Gap, programme: str, member: str, note: str) -> None:
    """Let a lane go on, on the record: the decision is signed, kept by the lane, and published with what was set aside.

    Raises:
        RefusedError: The processor runs, the lane has gone on meanwhile, or the member's key cannot be used.
        UnavailableError: Kafka does not answer; nothing was changed.
    """
    if gap.kind is None:
        raise IntegrityError(gap.says)
    source = input_of(gap.processor)
    event = GapAccepted(
        stage=gap.processor,
        topic=source.name,
        partition=gap.lane,
        offset=gap.offset,
        kind=gap.kind,
        series=gap.series,
        first=gap.first,
        until=gap.until,
        sha256=gap.sha256,
        requested_by=member,
        requested_at=time.time_ns() // 1000,
        note=note,
    )
    value = encode(event)
    signature = sign_detached(value, staff_signer(installation, programme, member), member)
    sent = [
        *headers(event, source=f"/staff/{member}", event_id=f"{gap.processor}/{source.name}/{gap.lane}@{gap.offset}"),
        (HEADER, signature),
    ]
    moved = gap.kind in {GapKind.GONE, GapKind.CUT_OFF}
    before = kept(installation, gap.processor, gap.lane).position
    write(
        installation,
        gap.processor,
        gap.lane,
        {accepted_key(gap.offset): value},
        expected=before,
        position=gap.offset if moved else before,
        outputs=((QUARANTINED, None, value, sent),),
    )


def _fault(installation: Installation, found: Kept, record: LogRecord) -> Gap | None:
    stage = _stage(installation, found.processor)
    about: dict[str, Any] = {"processor": found.processor, "lane": found.lane, "offset": record.offset}
    try:
        own = stage.restored(found.lane, found.state)
        stage.step(own, Overlay(found.state), as_read(record))
    except GapError as error:
        kind = GapKind.CONFLICT if error.first == error.until else GapKind.MISSING
        numbers: dict[str, Any] = {"series": error.series, "first": error.first, "until": error.until}
        return Gap(**about, **numbers, kind=kind, says=str(error), sha256=digest(record.value))
    except IntegrityError as error:
        return Gap(**about, kind=None, says=str(error))
    except (MalformedError, UnavailableError):
        return None
    return None


def _stage(installation: Installation, processor: Processor) -> Stage[Any]:
    """Return the stage without any key: whether it would go on is all that is asked."""
    if processor is Processor.COMPETENCY:
        return competency.stage(installation)
    return IssuingStage({}) if processor is Processor.ISSUING else StatusStage({}, Cadence(every=0, valid=0))


def _bounds(installation: Installation, topic: Topic, lane: int) -> tuple[int, int]:
    place = TopicPartition(topic.name, lane)
    with administration(installation.bootstrap_servers) as admin:
        found: list[Mapping[Any, Any]] = [
            admin.list_partition_offsets({place: which}, isolation_level=IsolationLevel.READ_UNCOMMITTED)
            for which in (_EARLIEST, _LATEST)
        ]
    begin, end = (int(one[place].offset) for one in found)
    return begin, end


def _next(installation: Installation, processor: Processor, lane: int, position: int) -> LogRecord | None:
    log = KafkaLog(installation.bootstrap_servers, installation.kafka.lanes)
    try:
        end = log.cut().end(input_of(processor), lane)
        return next(iter(log.records(input_of(processor), lane, position, end)), None)
    finally:
        log.close()
