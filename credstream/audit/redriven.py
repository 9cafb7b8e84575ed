"""A redriven record is the completion that was set aside: the same bytes, and one outcome in the end, however often tried."""

from __future__ import annotations

from typing import Final

from credstream.audit.log import Cut
from credstream.audit.store import Store
from schemas.topology import INBOX, QUARANTINED

_END: Final = "end of outcome"
_ASIDE: Final = "q.topic || '/' || q.partition || '@' || q.source"


def check_redriven(store: Store, cut: Cut, lanes: int) -> None:
    """Check that what was redriven had been set aside, is what was set aside, and counted once; and that its quarantine says so."""
    store.ask("DROP TABLE IF EXISTS temp.aside")
    store.ask(f"CREATE TEMP TABLE aside AS SELECT {_ASIDE} AS source, sha256 FROM quarantined q")  # noqa: S608  our own names
    store.ask("CREATE INDEX temp.aside_source ON aside (source)")
    whole = not any(cut.begin(QUARANTINED, lane) for lane in range(lanes))  # else what was set aside may be gone
    for lane in range(lanes):
        _copies(store, lane, cut.done("competency", INBOX, lane), whole=whole)
    _once(store)
    _said(store, whole=whole)


def _copies(store: Store, lane: int, done: int, *, whole: bool) -> None:
    store.check("outcome", _END, store.one("SELECT COUNT(*) FROM redriven WHERE lane = ? AND at < ?", lane, done))
    query = (
        "SELECT r.at, r.source, a.source, MAX(a.sha256 = r.sha256) FROM redriven r"
        " LEFT JOIN temp.aside a ON a.source = r.source WHERE r.lane = ? AND r.at < ? GROUP BY r.at"
    )
    for at, source, found, same in store.ask(query, lane, done):
        where = f"{INBOX.name}/{lane}@{at}"
        if found is None and whole:
            store.offend("outcome", where, f"it is said to be redriven from {source}, which was never set aside", _END)
        elif found is not None and not same:
            store.offend("outcome", where, f"it is not the record that was set aside at {source}", _END)


def _once(store: Store) -> None:
    """Two copies, of two operators at once, are harmless: competency knows the second, or sets it aside."""
    query = (
        "SELECT r.source, COUNT(*) FROM redriven r JOIN decided d ON d.lane = r.lane AND d.inbox_at = r.at"
        " WHERE json_extract(d.body, '$.disposition') != 'known' GROUP BY r.source HAVING COUNT(DISTINCT r.lane || '@' || r.at) > 1"
    )
    for source, number in store.ask(query):
        store.offend("outcome", source, f"it was redriven, and then decided {number} times", _END)


def _said(store: Store, *, whole: bool) -> None:
    query = (
        "SELECT s.lane, s.at, s.source, s.resolution, s.to_lane, s.to_at, r.at, a.source FROM resolved s"
        " LEFT JOIN redriven r ON r.lane = s.to_lane AND r.at = s.to_at AND r.source = s.source"
        " LEFT JOIN temp.aside a ON a.source = s.source GROUP BY s.lane, s.at"
    )
    for lane, at, source, resolution, to_lane, to_at, copy, aside in store.ask(query):
        store.check("outcome", _END)
        where = f"{QUARANTINED.name}/{lane}@{at}"
        if aside is None and whole:
            store.offend("outcome", where, f"it is about {source}, which was never set aside", _END)
        elif resolution == "redriven" and copy is None:
            store.offend("outcome", where, f"{INBOX.name}/{to_lane}@{to_at} is not {source} again", _END)
