"""What became of each inbox record: exactly one outcome, in the order of the inbox; and what was set aside can be recovered."""

from __future__ import annotations

import hashlib
from typing import Final

from credstream.audit.log import Cut
from credstream.audit.redriven import check_redriven
from credstream.audit.store import Store
from schemas.topology import CLAIMED, DECIDED, INBOX, QUARANTINED, STATUS_DECIDED

_END: Final = "end of outcome"
_REASONS: Final = frozenset(
    {
        "malformed",
        "unknown_schema",
        "invalid_value",
        "too_large",
        "tombstone",
        "wrong_lane",
        "unknown_programme",
        "unknown_provider",
        "unknown_assessment",
        "not_allowed",
        "bad_signature",
        "future_dated",
        "event_id_conflict",
        "learner_full",
        "crash_loop",
    }
)


def check_outcomes(store: Store, cut: Cut, lanes: int) -> None:
    """Check every lane anew: one outcome each, numbers without gaps, inbox order, the clock."""
    store.forget(_END)
    for lane in range(lanes):
        done, begin = cut.done("competency", INBOX, lane), cut.begin(INBOX, lane)
        _one_each(store, lane, done)
        _numbers(store, lane)
        _order(store, lane)
        _clock(store, lane, begin)
    _adoptions(store)
    _quarantine(store, cut)
    check_redriven(store, cut, lanes)


def _one_each(store: Store, lane: int, done: int) -> None:
    store.check("outcome", _END, store.one("SELECT COUNT(*) FROM inbox WHERE lane = ? AND at < ?", lane, done))
    query = (
        "SELECT i.at, (SELECT COUNT(DISTINCT d.no || ' ' || d.body) FROM decided d INDEXED BY decided_of_inbox"
        " WHERE d.lane = i.lane AND d.inbox_at = i.at)"
        " + (SELECT COUNT(DISTINCT q.reason) FROM quarantined q WHERE q.topic = ? AND q.partition = i.lane AND q.source = i.at"
        " AND q.stage = 'competency') AS outcomes FROM inbox i WHERE i.lane = ? AND i.at < ? AND outcomes != 1"
    )
    for at, number in store.ask(query, INBOX.name, lane, done):
        store.offend("outcome", f"{INBOX.name}/{lane}@{at}", f"{number} outcomes", _END)
    query = (
        "SELECT d.at, d.inbox_at FROM decided d LEFT JOIN inbox i ON i.lane = d.lane AND i.at = d.inbox_at"
        " WHERE d.lane = ? AND i.at IS NULL"
    )
    for at, inbox_at in store.ask(query, lane):
        store.offend("outcome", f"{DECIDED.name}/{lane}@{at}", f"there is no inbox record {inbox_at}", _END)


def _numbers(store: Store, lane: int) -> None:
    query = "SELECT COUNT(DISTINCT no), MIN(no), MAX(no) FROM decided WHERE lane = ?"
    count, low, high = store.ask(query, lane).fetchone()
    if count and (low != 0 or high != count - 1):
        what = f"{count} decisions are numbered from {low} to {high}"
        store.offend("outcome", f"{DECIDED.name}/{lane}", what, _END)


def _order(store: Store, lane: int) -> None:
    store.check("order", _END, store.one("SELECT COUNT(*) FROM decided WHERE lane = ?", lane))
    query = (
        "SELECT at, inbox_at, before FROM (SELECT MIN(at) AS at, no, inbox_at, LAG(inbox_at) OVER (ORDER BY no) AS before"
        " FROM decided WHERE lane = ? GROUP BY no, inbox_at) WHERE before >= inbox_at"
    )
    for at, inbox_at, before in store.ask(query, lane):
        where = f"{DECIDED.name}/{lane}@{at}"
        store.offend("order", where, f"inbox record {inbox_at} is decided after {before}", _END)


def _clock(store: Store, lane: int, begin: int) -> None:
    """A lane's clock is the latest arrival so far: it never goes back, and it comes from the log alone."""
    if begin:
        return  # what arrived before is gone
    query = (
        "SELECT at, decided_at, clock FROM (SELECT d.at, d.decided_at, MAX(i.arrived_at) OVER (ORDER BY d.inbox_at, d.at) AS clock"
        " FROM decided d JOIN inbox i ON i.lane = d.lane AND i.at = d.inbox_at WHERE d.lane = ?) WHERE decided_at != clock"
    )
    for at, decided_at, clock in store.ask(query, lane):
        where = f"{DECIDED.name}/{lane}@{at}"
        store.offend("decision", where, f"decided at {decided_at} by a clock that says {clock}", _END)


def _adoptions(store: Store) -> None:
    """Adoptions are numbered without gaps in each lane."""
    query = "SELECT programme, lane, COUNT(*), MIN(no), MAX(no) FROM adoption GROUP BY programme, lane"
    for programme, lane, count, low, high in store.ask(query):
        store.check("decision", _END, count)
        if (low, high) != (1, count):
            store.offend("decision", f"{INBOX.name}/{lane}", f"adoptions of {programme} leave a gap", _END)


def _quarantine(store: Store, cut: Cut) -> None:
    """Each record set aside is the one that stands where it says, with a reason from the list."""
    query = "SELECT lane, at, topic, partition, source, reason, sha256, size, value FROM quarantined"
    for lane, at, topic, partition, source, reason, sha256, size, value in store.ask(query):
        store.check("granted", _END)
        where, content = f"{QUARANTINED.name}/{lane}@{at}", value or b""
        if reason not in _REASONS:
            store.offend("granted", where, "its reason is not one of the list", _END)
        if (hashlib.sha256(content).hexdigest(), len(content)) != (sha256, size):
            store.offend("granted", where, "its bytes are not those that its hash and size name", _END)
        if source < cut.begins.get(f"{topic}/{partition}", 0):
            continue
        found = _source(store, topic, partition, source)
        if found is None:
            store.offend("granted", where, f"{topic}/{partition}@{source} is not there", _END)
        elif topic == INBOX.name and found != (True if value is None else value):
            store.offend("granted", where, f"its bytes are not those of {topic}/{partition}@{source}", _END)


def _source(store: Store, topic: str, partition: int, at: int) -> bytes | bool | None:
    """Return a source record's value (True where only its place is kept), or None; a tombstone's value is empty."""
    if topic == INBOX.name:
        row = store.ask("SELECT value FROM inbox WHERE lane = ? AND at = ?", partition, at).fetchone()
        return None if row is None else row[0] if row[0] is not None else True
    tables = {CLAIMED.name: "claim", STATUS_DECIDED.name: "status"}
    if topic not in tables:
        return None
    query = f"SELECT 1 FROM {tables[topic]} WHERE lane = ? AND at = ?"  # noqa: S608  one of two names
    unreadable = "SELECT 1 FROM unreadable WHERE topic = ? AND lane = ? AND at = ?"
    return True if store.one(query, partition, at) or store.one(unreadable, topic, partition, at) else None
