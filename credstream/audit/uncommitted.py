"""What was committed against everything that was ever written: what readers get stands there, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator

from credstream.audit.log import READ, Cut, Log, LogRecord
from credstream.audit.store import Store

_SCOPE = "end of uncommitted"


def check_uncommitted(store: Store, committed: Log, everything: Log, cut: Cut) -> int:
    """Read both, in step, and return how many records were written and never committed.

    Raises:
        UnavailableError: The log cannot be read.
    """
    store.forget(_SCOPE)
    aborted = 0
    for topic in READ:
        for lane in range(committed.lanes):
            begin, end = cut.begin(topic, lane), cut.end(topic, lane)
            wanted = committed.records(topic, lane, begin, end)
            aborted += _compare(store, wanted, everything.records(topic, lane, begin, end))
    return aborted


def _compare(store: Store, committed: Iterator[LogRecord], everything: Iterator[LogRecord]) -> int:
    aborted = 0
    for record in committed:
        store.check("offsets", _SCOPE)
        other = next(everything, None)
        while other is not None and other.offset < record.offset:
            aborted += 1
            other = next(everything, None)
        if other != record:
            store.offend("offsets", record.position, "read without waiting for commits, it is another record", _SCOPE)
    return aborted + sum(1 for _ in everything)
