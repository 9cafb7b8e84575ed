"""Positions against ends, and both against what an earlier run saw: nothing goes back, nothing is cut off, it is the same log."""

from __future__ import annotations

import json
from typing import Final

from credstream.audit.log import READ, Cut
from credstream.audit.store import Store

_END: Final = "end of offsets"
_BEFORE: Final = "cut before"


def check_offsets(store: Store, cut: Cut, lanes: int) -> None:
    """Check the cut before anything is read by it."""
    store.forget(_END)
    for name, position in cut.positions.items():
        store.check("offsets", _END)
        where = name.partition("/")[2]
        if position > cut.ends.get(where, 0):
            what = f"{name.partition('/')[0]} is at {position}, past the end {cut.ends.get(where, 0)}"
            store.offend("offsets", where, what, _END)
    for topic in READ:
        for lane in range(lanes):
            read, where = store.position(topic.name, lane), f"{topic.name}/{lane}"
            store.check("offsets", _END)
            if read > cut.end(topic, lane):
                store.offend("offsets", where, f"it ends at {cut.end(topic, lane)}; it was read to {read}", _END)
            if read < cut.begin(topic, lane):
                store.offend("offsets", where, f"records before {cut.begin(topic, lane)} are gone unread", _END)
    _check_going_on(store, cut)
    if not cut.positions:
        store.skip("offsets", "positions of processors: they are not at hand")


def _check_going_on(store: Store, cut: Cut) -> None:
    before = store.noted(_BEFORE)
    if before is not None:
        known = json.loads(before)
        for name, position in known["positions"].items():
            if cut.positions.get(name, 0) < position:
                what = f"{name.partition('/')[0]} went back from {position} to {cut.positions.get(name, 0)}"
                store.offend("offsets", name.partition("/")[2], what)
        if known["identity"] != cut.identity:
            store.offend("offsets", "topics", "their ids are others: it is another log")
    kept = {"positions": dict(cut.positions), "identity": cut.identity}
    store.note(_BEFORE, json.dumps(kept))
