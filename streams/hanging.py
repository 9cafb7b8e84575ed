"""Notices a transaction that stays open: whoever reads committed records waits behind it for ever.

Views, of which there is one, look at every topic. `credstream topics unhang` ends what no coordinator will end.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Final

from schemas.errors import PipelineError
from streams import metrics
from streams.settings import Installation
from streams.topics import open_ends

log = logging.getLogger(__name__)
_EVERY_S: Final = 30.0
Place = tuple[str, int]


class OpenTransactions:
    """Remembers since when the last stable offset of a lane stands still behind its end."""

    def __init__(self) -> None:
        """Know of none."""
        self._since: dict[Place, tuple[int, float]] = {}

    def seen(self, found: Mapping[Place, int], now_s: float) -> Mapping[Place, float]:
        """Take in where transactions are open now, and return for how long each has been the same; 0 for those that have ended."""
        ended = dict.fromkeys(self._since.keys() - found.keys(), 0.0)
        known = self._since
        self._since = {
            place: known[place] if place in known and known[place][0] == at else (at, now_s)
            for place, at in found.items()
        }
        return {**ended, **{place: now_s - since for place, (_, since) in self._since.items()}}


def watch_open_transactions(installation: Installation) -> None:
    """Measure it twice a minute, in a thread of its own, for as long as the process lives."""
    threading.Thread(target=_watch, args=(installation,), name="open-transactions", daemon=True).start()


def _watch(installation: Installation) -> None:
    known = OpenTransactions()
    while True:
        try:
            for (topic, lane), seconds in known.seen(open_ends(installation), time.monotonic()).items():
                metrics.OPEN_SECONDS.labels(topic, lane).set(seconds)
        except PipelineError as error:
            log.warning("open transactions cannot be looked for: %s", error)
        time.sleep(_EVERY_S)
