"""Which rows of the views follow from which records. Pure; `streams.views` writes them together with the positions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import Table

from schemas.codec import decode
from schemas.events import (
    CataloguePublished,
    ClaimVoided,
    CompetencyDecided,
    CredentialIssued,
    CredentialStatusChanged,
    GapAccepted,
    Micros,
    QuarantineResolved,
    RecordQuarantined,
    StatusListPublished,
)
from schemas.topology import (
    CATALOGUE_PUBLISHED,
    DECIDED,
    INBOX,
    ISSUED,
    LIST_PUBLISHED,
    QUARANTINED,
    STATUS_CHANGED,
)
from streams.tables import (
    CATALOGUE,
    COMPLETION,
    CREDENTIAL,
    CREDENTIAL_STATUS,
    OUTCOME,
    QUARANTINE,
    RESOLUTION,
    STATUS_LIST,
    VOIDED,
)

Tally: TypeAlias = tuple[str, str, int]
_MINUTE: Final = 60 * 1_000_000
_QUARANTINE_BYTES: Final = QUARANTINED.max_bytes + 65_536


class Row(NamedTuple):
    """A row, and what is counted with it: once, if the row is new."""

    values: dict[str, Any]
    tallies: tuple[Tally, ...] = ()

    def key(self, table: Table) -> tuple[Any, ...]:
        """Return what names it in its table."""
        return tuple(self.values[column.name] for column in table.primary_key)


class Rows:
    """What a batch of records adds: rows by table, with what is counted by kind, label and minute."""

    def __init__(self) -> None:
        """Start empty."""
        self.by_table: defaultdict[Table, list[Row]] = defaultdict(list)

    def take(self, topic: str, value: bytes) -> None:
        """Add what follows from one record.

        Raises:
            MalformedError: The record cannot be read.
        """
        _READERS[topic](self, value)

    def _add(self, table: Table, values: dict[str, Any], *tallies: Tally) -> None:
        self.by_table[table].append(Row(values, tallies))

    def decided(self, value: bytes) -> None:
        """One decision: the completion's fate, and each rule's outcome."""
        event = decode(value, CompetencyDecided)
        body = None if isinstance(event.body, bytes) else event.body
        self._add(
            COMPLETION,
            {
                "lane": event.lane,
                "inbox_offset": event.inbox_offset,
                "programme": event.programme,
                "provider": event.provider,
                "event_id": event.event_id,
                "result_id": event.result_id,
                "learner_ref": event.learner_ref,
                "disposition": event.disposition,
                "detail": body.detail if body else None,
                "decision_no": event.decision_no,
                "decided_at": event.decided_at,
            },
            _tally("decided", event.disposition, event.decided_at),
        )
        for outcome in body.outcomes if body else ():
            self._add(
                OUTCOME,
                {
                    "lane": event.lane,
                    "decision_no": event.decision_no,
                    "achievement": outcome.achievement,
                    "programme": event.programme,
                    "learner_ref": event.learner_ref,
                    "verdict": outcome.verdict,
                    "award": outcome.award,
                    "credential_id": outcome.credential_id,
                    "rule_digest": outcome.rule_digest,
                    "explanation": outcome.explanation,
                    "decided_at": event.decided_at,
                },
                _tally("verdict", outcome.verdict, event.decided_at),
            )

    def issued(self, value: bytes) -> None:
        """One credential, or one claim that gets none."""
        event = decode(value, CredentialIssued, ClaimVoided)
        if isinstance(event, ClaimVoided):
            row = {name: getattr(event, name) for name in VOIDED.columns.keys()}  # noqa: SIM118  not a dict
            self._add(VOIDED, row, _tally("voided", f"{event.programme}/{event.achievement}", event.claimed_at))
            return
        shared = {name: getattr(event, name) for name in _CREDENTIAL}
        tally = _tally("issued", f"{event.programme}/{event.achievement}", event.claimed_at)
        self._add(CREDENTIAL, {"id": event.credential_id, "document": event.credential, **shared}, tally)

    def listed(self, value: bytes) -> None:
        """One version of a status list."""
        event = decode(value, StatusListPublished)
        row = {
            name: getattr(event, name) for name in ("programme", "version", "published_at", "valid_until", "set_bits")
        }
        self._add(STATUS_LIST, {"url": event.status_list, "document": event.credential, **row})

    def changed(self, value: bytes) -> None:
        """One status change."""
        event = decode(value, CredentialStatusChanged)
        row = {name: getattr(event, name) for name in CREDENTIAL_STATUS.columns.keys()}  # noqa: SIM118  not a dict
        self._add(CREDENTIAL_STATUS, row, _tally("status", event.status, event.effective_at))

    def catalogue(self, value: bytes) -> None:
        """One catalogue version."""
        event = decode(value, CataloguePublished)
        row = {"programme": event.programme, "digest": event.digest, "published_at": event.published_at}
        self._add(CATALOGUE, {**row, "packed": event.catalogue})

    def quarantined(self, value: bytes) -> None:
        """One record set aside, and from the inbox also that completion's fate; or what was done about one."""
        event = decode(value, RecordQuarantined, QuarantineResolved, GapAccepted, max_bytes=_QUARANTINE_BYTES)
        if isinstance(event, GapAccepted):
            return
        if isinstance(event, QuarantineResolved):
            self._resolved(event)
            return
        row = {
            name: getattr(event, name) for name in ("topic", "offset", "stage", "reason", "detail", "size", "sha256")
        }
        tally = _tally("quarantined", event.reason, event.appended_at)
        self._add(QUARANTINE, {**row, "lane": event.partition, "appended_at": event.appended_at}, tally)
        if event.topic == INBOX.name:
            self._add(COMPLETION, _set_aside(event))

    def _resolved(self, event: QuarantineResolved) -> None:
        row = {name: getattr(event, name) for name in ("topic", "offset", "resolution", "resolved_by", "resolved_at")}
        place = {"redriven_lane": event.redriven_partition, "redriven_offset": event.redriven_offset}
        self._add(RESOLUTION, {**row, **place, "lane": event.partition})


def _tally(kind: str, label: str, at: Micros) -> Tally:
    return kind, label, at // _MINUTE


def _set_aside(event: RecordQuarantined) -> dict[str, Any]:
    """Return the fate of a completion that was set aside; what it is called, its headers tell, if anything does."""
    headers = {header.name: header.value for header in event.headers if header.value is not None}
    source = headers.get("ce_source", b"").decode("utf-8", "replace")
    place, _, provider = source.rpartition("/providers/")
    return {
        "lane": event.partition,
        "inbox_offset": event.offset,
        "programme": place.rpartition("/")[2][:200] or None,
        "provider": provider[:200] or None,
        "event_id": headers.get("ce_id", b"").decode("utf-8", "replace")[:200] or None,
        "result_id": None,
        "learner_ref": None,
        "disposition": "quarantined",
        "detail": f"{event.reason}: {event.detail}",
        "decision_no": None,
        "decided_at": event.appended_at,
    }


_CREDENTIAL: Final[Sequence[str]] = [
    column.name for column in CREDENTIAL.columns if column.name in CredentialIssued.__struct_fields__
]
_READERS: Final[Mapping[str, Callable[[Rows, bytes], None]]] = {
    DECIDED.name: Rows.decided,
    ISSUED.name: Rows.issued,
    LIST_PUBLISHED.name: Rows.listed,
    STATUS_CHANGED.name: Rows.changed,
    CATALOGUE_PUBLISHED.name: Rows.catalogue,
    QUARANTINED.name: Rows.quarantined,
}
