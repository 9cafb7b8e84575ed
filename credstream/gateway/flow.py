"""The live flow along the pipe, as the dashboard shows it: asked of Kafka and the views at most once a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from credstream.gateway.records import Records
from schemas.errors import UnavailableError
from schemas.topology import INBOX, Processor, inputs
from streams.settings import Installation
from streams.topics import ends, lags

_FRESH_S: Final = 1.0
_MINUTE: Final = 60


class Flow:
    """Counts, lags and the newest of everything; remembers its answer for a second."""

    def __init__(self, installation: Installation, records: Records) -> None:
        """Ask this installation."""
        self._installation, self._records = installation, records
        self._lock = threading.Lock()
        self._answer: dict[str, Any] = {}
        self._answered_at = 0.0

    def now(self) -> Mapping[str, Any]:
        """Return the flow as JSON-able data; `kafka` is False when the broker does not answer."""
        with self._lock:
            if time.monotonic() - self._answered_at > _FRESH_S:
                self._answer = self._ask()
                self._answered_at = time.monotonic()
            return self._answer

    def _ask(self) -> dict[str, Any]:
        records = self._records
        answer: dict[str, Any] = {
            "at": time.time(),
            "tallies": records.tallies(),
            "issued_by_minute": records.issued_by_minute(int(time.time()) // _MINUTE),
            "newest": [dict(row._mapping) for row in records.newest_credentials()],  # noqa: SLF001
            "quarantine": [dict(row._mapping) for row in records.newest_quarantined()],  # noqa: SLF001
            "lists": [dict(row._mapping) for row in records.lists()],  # noqa: SLF001
            "kafka": True,
        }
        try:
            answer["inbox"], answer["lag"] = self._kafka()
        except UnavailableError as error:
            answer |= {"kafka": False, "why": str(error), "inbox": None, "lag": {}}
        return answer

    def _kafka(self) -> tuple[int, dict[str, list[int]]]:
        """Return how many records the inbox holds, and how far each processor is behind in each lane."""
        at = ends(self._installation)
        lanes = range(self._installation.kafka.lanes)
        behind: dict[str, list[int]] = {p.value: [0] * len(lanes) for p in Processor}
        for lag in lags(self._installation):
            behind[lag.processor][lag.lane] += lag.records
        positions = self._records.positions()
        for topic in inputs(Processor.VIEWS):
            for lane in lanes:
                # the last record of a transactional topic is followed by its marker, which no reader is given
                left = at[topic.name, lane] - positions.get((topic.name, lane), 0)
                behind[Processor.VIEWS][lane] += left if left > 1 else 0
        return sum(at[INBOX.name, lane] for lane in lanes), behind
