"""What competency keeps of learners and lanes, read from its state topic. Nothing is ever written, and no group is joined."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from credstream.reading import committed
from schemas.catalogue import Catalogue, unpack
from schemas.errors import IntegrityError
from schemas.topology import PROGRESS
from services.competency import ledger as ledgers
from services.competency.progress import Progress, decoded
from services.competency.rulebook import Adoption, Rulebook, rulebook
from streams.competency import LEDGER_KEY, catalogue_key
from streams.settings import Installation

_OWN: Final = b"\x00"
_EVERY: Final = 1_000
Say = Callable[[int], None]
"""Told how many more records were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneKept:
    """What a lane keeps beside the learners: its adoptions, and the catalogues by their digests' keys."""

    lane: int
    own: Mapping[bytes, bytes]

    def adopted(self, programme: str) -> Sequence[tuple[Adoption, Catalogue]]:
        """Return the catalogues of a programme that the lane has adopted, oldest first.

        Raises:
            IntegrityError: The state does not fit together.
        """
        kept = self.own.get(LEDGER_KEY)
        numbers = None if kept is None else ledgers.decoded(kept).programmes.get(programme)
        return [] if numbers is None else [(one, self._catalogue(one.digest)) for one in numbers.adoptions]

    def rulebook(self, programme: str) -> Rulebook | None:
        """Return the rules in force in this lane, None before the first adoption."""
        adopted = self.adopted(programme)
        return rulebook(adopted) if adopted else None

    def _catalogue(self, digest: str) -> Catalogue:
        packed = self.own.get(catalogue_key(digest))
        if packed is None:
            raise IntegrityError(f"lane {self.lane}: the adopted catalogue {digest} is missing from {PROGRESS.name}")
        return unpack(packed, digest)


def one_learner(
    installation: Installation, lane: int, key: bytes, say: Say = lambda _: None
) -> tuple[LaneKept, Progress]:
    """Return what is kept of a learner, and of the learner's lane, in one reading of it.

    Raises:
        UnavailableError: Kafka does not answer.
        IntegrityError: What is kept cannot be read.
    """
    latest: dict[bytes, bytes | None] = {}
    for record in _told(installation, lane, say):
        if record.key == key or record.key.startswith(_OWN):
            latest[record.key] = record.value
    own = {name: value for name, value in latest.items() if value is not None and name.startswith(_OWN)}
    return LaneKept(lane=lane, own=own), decoded(latest.get(key))


def learners(
    installation: Installation, lane: int, programme: str, say: Say = lambda _: None
) -> tuple[LaneKept, Iterator[tuple[str, Progress]]]:
    """Return what is kept of a lane, and each learner of a programme in it once, as kept last.

    The lane is read twice, since a compacted topic still holds what was replaced: the first reading remembers where the last record
    of each learner stands (about 200 bytes each), the second decodes that one, or a later one if the lane has gone on meanwhile.

    Raises:
        UnavailableError: Kafka does not answer.
        IntegrityError: What is kept cannot be read.
    """
    prefix = f"{programme}:".encode()
    last: dict[bytes, int] = {}
    own: dict[bytes, bytes] = {}
    for record in _told(installation, lane, say):
        if record.key.startswith(_OWN):
            if record.value is not None:
                own[record.key] = record.value
        elif not record.key.startswith(prefix):
            continue
        elif record.value is None:
            last.pop(record.key, None)
        else:
            last[record.key] = record.offset
    return LaneKept(lane=lane, own=own), _latest(installation, lane, len(prefix), last, say)


def _latest(
    installation: Installation, lane: int, skip: int, last: dict[bytes, int], say: Say
) -> Iterator[tuple[str, Progress]]:
    for record in _told(installation, lane, say):
        if record.offset >= last.get(record.key, record.offset + 1):
            del last[record.key]
            if record.value is not None:
                yield record.key[skip:].decode(), decoded(record.value)


def _told(installation: Installation, lane: int, say: Say) -> Iterator[Any]:
    for number, record in enumerate(committed(installation.bootstrap_servers, PROGRESS, lane=lane), 1):
        if number % _EVERY == 0:
            say(_EVERY)
        yield record
