"""What issuing keeps and shows of claims whose signer is away, and of how long keys last."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from typing import Final

import msgspec
from msgspec import Struct

from schemas.catalogue import Catalogue
from streams import metrics

_RECENT_S: Final = 10.0
_SECOND: Final = 1_000_000


class WaitingClaim(Struct, frozen=True, array_like=True):
    """A claim's record, as far as issuing it needs it."""

    key: bytes | None
    trace: bytes | None
    value: bytes


_DECODER: Final = msgspec.msgpack.Decoder(WaitingClaim)  # made once, here: see `schemas.codec`
WAITING_PREFIX: Final = "waiting:"
"""How the keys begin under which claims wait."""


def waiting_key(programme: str, claim_no: int) -> bytes:
    """Return under which key a claim waits."""
    return f"{WAITING_PREFIX}{programme}:{claim_no}".encode()


def read_waiting(kept: bytes) -> WaitingClaim:
    """Return a claim that waits, as it was kept."""
    return _DECODER.decode(kept)


class WaitingCounts:
    """How many claims wait in the lanes in this worker's hands: those that it turned to within the last seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Know of no lane yet."""
        self._clock = clock
        self._lanes: dict[int, tuple[float, Mapping[str, int]]] = {}
        self._shown: set[str] = set()

    def note(self, lane: int, counts: Mapping[str, int]) -> None:
        """Take a lane's counts, by programme."""
        self._lanes[lane] = self._clock(), counts
        for programme in counts.keys() - self._shown:
            self._shown.add(programme)
            metrics.CLAIMS_WAITING.labels(programme).set_function(partial(self.of, programme))

    def of(self, programme: str) -> float:
        """Return how many claims of a programme wait."""
        since = self._clock() - _RECENT_S
        return sum(counts.get(programme, 0) for at, counts in self._lanes.copy().values() if at >= since)


def note_key_ends(catalogue: Catalogue) -> None:
    """Show when the last of a programme's published keys of each purpose ends."""
    sound = [key for key in catalogue.keys if key.compromised_at is None]
    for purpose in {key.purpose for key in sound}:
        ends = [key.active_until for key in sound if key.purpose == purpose]
        last = max(inf if end is None else end / _SECOND for end in ends)
        metrics.KEY_END.labels(catalogue.programme, purpose).set(last)
