"""What is in quarantine: each record set aside, with its reason, whose it is, and what was done about it since."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from credstream.reading import committed
from schemas.codec import decode, decode_any
from schemas.errors import MalformedError, QuarantineReason, RefusedError
from schemas.events import REDRIVEN_FROM, GapAccepted, Header, Micros, QuarantineResolved, RecordQuarantined
from schemas.topology import INBOX, QUARANTINED
from streams.competency import INBOX_KINDS, max_bytes
from streams.settings import Installation

SET_ASIDE_BYTES: Final = QUARANTINED.max_bytes + 65_536
_NAME: Final = re.compile(r"(?:(?P<topic>[a-z0-9.-]+)/)?(?P<lane>\d{1,4})@(?P<offset>\d{1,19})")
Say = Callable[[int], None]


class Position(NamedTuple):
    """Where a record was set aside: by which stage, in which topic, lane and offset. It names the case."""

    stage: str
    topic: str
    lane: int
    offset: int

    def __str__(self) -> str:
        """Return it as people write it; the inbox goes without saying."""
        place = f"{self.lane}@{self.offset}"
        return place if self.topic == INBOX.name else f"{self.topic}/{place}"

    @property
    def source(self) -> str:
        """Return it in full, as the header of a redriven record has it."""
        return f"{self.topic}/{self.lane}@{self.offset}"


class Case(Struct, frozen=True, kw_only=True):
    """A record in quarantine, without its bytes. `earlier`: where it was set aside before, if redriven, the original first."""

    position: Position
    reason: str
    detail: str
    appended_at: Micros
    size: int
    sha256: str
    kind: str | None = None
    programme: str | None = None
    provider: str | None = None
    event_id: str | None = None
    earlier: tuple[str, ...] = ()
    resolved: QuarantineResolved | None = None

    @property
    def is_open(self) -> bool:
        """Say whether nothing was done about it yet."""
        return self.resolved is None


class Wanted(Struct, frozen=True, kw_only=True):
    """Which cases are meant; what is None, or empty, does not matter. Times are those of the log, `until` excluded."""

    reasons: tuple[QuarantineReason, ...] = ()
    provider: str | None = None
    programme: str | None = None
    since: Micros | None = None
    until: Micros | None = None

    def holds(self, case: Case) -> bool:
        """Say whether a case is meant."""
        return (
            (not self.reasons or case.reason in self.reasons)
            and self.provider in {None, case.provider}
            and self.programme in {None, case.programme}
            and (self.since is None or case.appended_at >= self.since)
            and (self.until is None or case.appended_at < self.until)
        )


def set_aside(value: bytes | None) -> RecordQuarantined | None:
    """Return the record of the quarantine that says what was set aside; None for one that says what a person decided.

    Raises:
        MalformedError: It is neither.
    """
    event = decode(value, RecordQuarantined, QuarantineResolved, GapAccepted, max_bytes=SET_ASIDE_BYTES)
    return event if isinstance(event, RecordQuarantined) else None


def cases(installation: Installation, say: Say = lambda _: None) -> Sequence[Case]:
    """Return every case, oldest first.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    found: dict[Position, Case] = {}
    resolved: dict[Position, QuarantineResolved] = {}
    for record in committed(installation.bootstrap_servers, QUARANTINED):
        say(1)
        event = decode(record.value, RecordQuarantined, QuarantineResolved, GapAccepted, max_bytes=SET_ASIDE_BYTES)
        if isinstance(event, GapAccepted):
            continue
        place = Position(event.stage, event.topic, event.partition, event.offset)
        if isinstance(event, QuarantineResolved):
            resolved.setdefault(place, event)
        else:
            found[place] = _case(place, event)
    done = (replace(case, resolved=resolved.get(place)) for place, case in found.items())
    return sorted(done, key=lambda case: (case.appended_at, case.position))


def contents(installation: Installation, chosen: Collection[Case]) -> Iterator[tuple[Case, RecordQuarantined]]:
    """Yield the chosen cases with their bytes and headers, lane by lane in the order in which they were set aside.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    waiting = {case.position: case for case in chosen}
    for record in committed(installation.bootstrap_servers, QUARANTINED):
        event = set_aside(record.value)
        if event is not None:
            case = waiting.pop(Position(event.stage, event.topic, event.partition, event.offset), None)
            if case is not None:
                yield case, event


def named(found: Sequence[Case], names: Sequence[str]) -> Sequence[Case]:
    """Return the cases of these names, `lane@offset` of the inbox or `topic/lane@offset`.

    Raises:
        RefusedError: A name is none, or there is no such case.
    """
    by_place = {(case.position.topic, case.position.lane, case.position.offset): case for case in found}
    chosen = []
    for name in dict.fromkeys(names):
        parts = _NAME.fullmatch(name)
        if parts is None:
            raise RefusedError(f"{name}: lane@offset is wanted, as `credstream quarantine list` has it")
        case = by_place.get((parts["topic"] or INBOX.name, int(parts["lane"]), int(parts["offset"])))
        if case is None:
            raise RefusedError(f"{name} was not set aside; see credstream quarantine list")
        chosen.append(case)
    return chosen


def inbox_event(value: bytes | None) -> Any:
    """Return the event in a record of the inbox.

    Raises:
        MalformedError: There is none that competency would read.
    """
    return decode_any(value, INBOX_KINDS, max_bytes=max_bytes(value))


def _case(place: Position, event: RecordQuarantined) -> Case:
    said = _said_in_value(event) or _said_in_headers(event.headers)
    return Case(
        position=place,
        reason=event.reason,
        detail=event.detail,
        appended_at=event.appended_at,
        size=event.size,
        sha256=event.sha256,
        earlier=tuple(_text(header) for header in event.headers if header.name == REDRIVEN_FROM),
        **said,
    )


def _said_in_value(event: RecordQuarantined) -> Mapping[str, Any] | None:
    if event.topic != INBOX.name:
        return None
    try:
        inner = inbox_event(event.value)
    except MalformedError:
        return None
    provider = getattr(inner, "provider", None) if hasattr(inner, "event_id") else None
    name = getattr(inner, "event_id", None) or getattr(inner, "request_id", None)
    return {"kind": type(inner).__name__, "programme": inner.programme, "provider": provider, "event_id": name}


def _said_in_headers(headers: Sequence[Header]) -> Mapping[str, Any]:
    """What a record that cannot be read is called, its headers tell, if anything does."""
    by_name = {header.name: _text(header) for header in reversed(headers)}
    place, _, provider = by_name.get("ce_source", "").rpartition("/providers/")
    kind = by_name.get("ce_type", "").rpartition(".")[2]
    programme = place.rpartition("/programmes/")[2]
    said = {"kind": kind, "programme": programme, "provider": provider, "event_id": by_name.get("ce_id", "")}
    return {name: text[:200] or None for name, text in said.items()}


def _text(header: Header) -> str:
    return shown(header.value)


def shown(value: bytes | None) -> str:
    """Return bytes of a sender's as they may be shown on a terminal: nothing in them moves a cursor or turns a line round."""
    text = (value or b"").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
