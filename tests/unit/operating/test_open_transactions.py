"""For how long a transaction has been open is measured from where the last stable offset stands still."""

from __future__ import annotations

from streams.hanging import OpenTransactions


def test_only_what_stands_still_grows_old() -> None:
    known = OpenTransactions()
    assert known.seen({("t", 0): 5, ("t", 1): 7}, 100.0) == {("t", 0): 0.0, ("t", 1): 0.0}
    assert known.seen({("t", 0): 5, ("t", 1): 9}, 130.0) == {("t", 0): 30.0, ("t", 1): 0.0}
    assert known.seen({("t", 1): 9}, 160.0) == {("t", 0): 0.0, ("t", 1): 30.0}
    assert known.seen({}, 190.0) == {("t", 1): 0.0}
    assert known.seen({}, 220.0) == {}
