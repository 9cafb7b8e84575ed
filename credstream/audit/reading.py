"""Reads the log into the store, each record once: from where the last run stopped to the cut."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

import msgspec

from credstream.audit.credentials import Credentials
from credstream.audit.decoding import Fields, UnreadableError, decoded, unpacked
from credstream.audit.identity import Identities
from credstream.audit.lists import Lists
from credstream.audit.log import READ, Cut, Log, LogRecord
from credstream.audit.secrecy import Secrecy
from credstream.audit.store import Store
from credstream.audit.trust import Trust
from schemas.topology import (
    CATALOGUE_PUBLISHED,
    CLAIMED,
    DECIDED,
    INBOX,
    ISSUED,
    LIST_PUBLISHED,
    QUARANTINED,
    STATUS_CHANGED,
    STATUS_DECIDED,
    Topic,
)

_CHUNK: Final = 20_000
_REDRIVEN_FROM: Final = "redriven-from"
_AHEAD: Final = 5 * 60 * 1_000_000
"""A record counts as arrived at the broker's time, or the gateway's plus five minutes if that is sooner."""


class Reading:
    """Reads one log into one store."""

    def __init__(
        self, log: Log, store: Store, trust: Trust, credentials: Credentials, advance: Callable[[int], None]
    ) -> None:
        """Read ``log``; ``advance`` hears how far it went on."""
        self._log, self._store, self._trust, self._advance = log, store, trust, advance
        self._credentials, self._lists, self._secrecy = credentials, Lists(store, trust), Secrecy(store, trust)
        self._identities = Identities(store, trust)
        self._takers: dict[str, Callable[[LogRecord, str, Fields], None]] = {
            INBOX.name: self._inbox,
            DECIDED.name: self._decided,
            QUARANTINED.name: self._quarantined,
            CLAIMED.name: self._claimed,
            ISSUED.name: self._credentials.take,
            STATUS_DECIDED.name: self._status,
            STATUS_CHANGED.name: self._changed,
            LIST_PUBLISHED.name: self._lists.take,
            CATALOGUE_PUBLISHED.name: self._catalogue,
        }

    def read(self, cut: Cut) -> None:
        """Read up to the cut. What was read stays read, whatever happens then."""
        for topic in READ:
            for lane in range(self._log.lanes):
                start, end = self._store.position(topic.name, lane), cut.end(topic, lane)
                records = self._log.records(topic, lane, start, end)
                while chunk := list(islice(records, _CHUNK)):
                    with self._store.whole():
                        self._take(topic, lane, chunk)
                    self._advance(len(chunk))
                if end > start:
                    with self._store.whole():
                        self._store.add("position", topic.name, lane, end)

    def _take(self, topic: Topic, lane: int, chunk: list[LogRecord]) -> None:
        take = self._takers[topic.name]
        for record in chunk:
            try:
                kind, fields = decoded(record.value)
            except UnreadableError:
                kind, fields = "", {}
                self._store.add("unreadable", topic.name, lane, record.offset)
            self._secrecy.look(record, kind, fields)
            if fields or topic is INBOX:
                take(record, kind, fields)
        self._store.flush()
        self._store.add("position", topic.name, lane, chunk[-1].offset + 1)
        read = self._store.one("SELECT records FROM seen WHERE topic = ? AND lane = ?", topic.name, lane) or 0
        self._store.add("seen", topic.name, lane, read + len(chunk))

    def _inbox(self, record: LogRecord, kind: str, fields: Fields) -> None:
        learner = f"{fields['programme']}:{fields['learner_ref']}" if "learner_ref" in fields else None
        event = fields.get("event_id", fields.get("request_id"))
        arrived = record.appended_at
        if fields.get("received_at") is not None:
            arrived = min(arrived, fields["received_at"] + _AHEAD)
        if kind == "CatalogueAdopted":
            event = f"adoption-{fields['adoption_no']}"
            self._keep(fields)
        signatures = b"\n".join(value or b"" for name, value in record.headers if name == "jws")
        self._store.add(
            "inbox",
            record.lane,
            record.offset,
            learner,
            kind or None,
            event,
            fields.get("provider"),
            record.appended_at,
            arrived,
            record.key,
            record.value,
            signatures or None,
        )
        sources = [value or b"" for name, value in record.headers if name == _REDRIVEN_FROM]
        if sources:
            digest = hashlib.sha256(record.value or b"").hexdigest()
            self._store.add("redriven", record.lane, record.offset, sources[-1].decode("utf-8", "replace"), digest)
        if learner is not None:
            self._store.add("due", learner)

    def _keep(self, fields: Fields) -> None:
        try:
            text = unpacked(fields["catalogue"], fields["digest"])
        except UnreadableError:
            return  # its outcome says so
        self._store.add("catalogue", fields["digest"], fields["programme"], msgspec.json.encode(text))
        self._store.flush()

    def _catalogue(self, record: LogRecord, _kind: str, fields: Fields) -> None:
        self._keep(fields)
        if not self._store.one("SELECT 1 FROM catalogue WHERE digest = ?", fields["digest"]):
            self._store.offend("agreement", record.position, "the catalogue is not the content that its digest names")

    def _decided(self, record: LogRecord, kind: str, fields: Fields) -> None:
        if kind != "CompetencyDecided":
            return
        learner = None if fields["learner_ref"] is None else f"{fields['programme']}:{fields['learner_ref']}"
        self._epoch(record)
        self._store.add(
            "decided",
            record.lane,
            record.offset,
            fields["decision_no"],
            fields["inbox_offset"],
            learner,
            fields["decided_at"],
            _decision(fields),
        )
        if learner is not None:
            self._store.add("due", learner)

    def _epoch(self, record: LogRecord) -> None:
        """Each decision says in its source from which log it is (CloudEvents `source`)."""
        self._store.check("offsets")
        source = (record.header("ce_source") or b"").decode("ascii", "replace")
        if source.rpartition("/")[2] != self._trust.epoch:
            self._store.offend("offsets", record.position, "it is of another log epoch")

    def _quarantined(self, record: LogRecord, kind: str, fields: Fields) -> None:
        if kind == "RecordQuarantined":
            stated = [fields[n] for n in ("stage", "topic", "partition", "offset", "reason", "sha256", "size", "value")]
            self._store.add("quarantined", record.lane, record.offset, *stated)
        elif kind == "QuarantineResolved":
            source = f"{fields['topic']}/{fields['partition']}@{fields['offset']}"
            place = (fields["redriven_partition"], fields["redriven_offset"])
            self._store.add("resolved", record.lane, record.offset, source, fields["resolution"], *place)

    def _claimed(self, record: LogRecord, kind: str, fields: Fields) -> None:
        if kind != "CredentialClaimed":
            return
        self._identities.take(record, fields)
        self._store.add("due", f"{fields['programme']}:{fields['learner_ref']}")
        self._store.add(
            "claim",
            record.lane,
            record.offset,
            fields["programme"],
            fields["claim_no"],
            fields["decision_no"],
            f"{fields['programme']}:{fields['learner_ref']}",
            fields["achievement"],
            fields["award"],
            fields["edition"],
            fields["credential_id"],
            fields["status_list"],
            fields["status_index"],
            fields["claimed_at"],
            record.value,
        )

    def _status(self, record: LogRecord, kind: str, fields: Fields) -> None:
        if kind not in {"StatusDecided", "StatusListOpened"}:
            return
        opened = kind == "StatusListOpened"
        learner = None if opened else f"{fields['programme']}:{fields['learner_ref']}"
        names = ("credential_id", "status", "reason", "status_index", "cause", "urgent", "decided_at", "key_id")
        about = [fields.get(name) for name in names]
        self._store.add(
            "status", record.lane, record.offset, fields["status_list"], fields["decision_no"], kind, learner, *about
        )
        if learner is not None:
            self._store.add("due", learner)

    def _changed(self, record: LogRecord, kind: str, fields: Fields) -> None:
        if kind == "CredentialStatusChanged":
            names = (
                "status_list",
                "credential_id",
                "status",
                "status_index",
                "list_version",
                "decided_at",
                "effective_at",
            )
            self._store.add("changed", record.lane, record.offset, *(fields[name] for name in names))


def _decision(fields: Fields) -> str:
    """Return of a decision what is compared: all but the prose."""
    body: Any = fields["body"]
    outcomes = body["outcomes"] if isinstance(body, dict) else []
    kept = [{name: value for name, value in outcome.items() if name != "explanation"} for outcome in outcomes]
    names = ("programme", "provider", "event_id", "result_id", "disposition", "catalogue_digest")
    about = {name: fields[name] for name in names}
    return msgspec.json.encode({**about, "sealed": fields["sealed_with"], "outcomes": kept}).decode()
