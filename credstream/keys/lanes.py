"""How far lanes are with keys: what competency has claimed, what issuing has done, and which claims wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from credstream.reading import committed
from credstream.rules.adopted import lanes_kept
from schemas.catalogue import Key, unpack
from schemas.codec import decode
from schemas.events import CredentialClaimed, Micros, StatusListPublished
from schemas.topology import ISSUING_PROGRESS, LIST_PUBLISHED, Processor
from services.competency import ledger as ledgers
from streams import topics
from streams.competency import LEDGER_KEY
from streams.issuing import CATALOGUE_PREFIX, LANE_KEY, Progress, catalogue_key, read_progress
from streams.settings import Installation
from streams.waiting import WAITING_PREFIX, read_waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneKeys:
    """One lane. `clock` and `claims` are competency's; `done` is how many of these claims issuing has done with."""

    lane: int
    clock: Micros
    claims: int
    done: int
    waiting: Mapping[str, int]
    is_quiet: bool

    def is_past(self, instant: Micros) -> bool:
        """Say whether nothing more can be claimed here that is dated before an instant, which is over."""
        return self.clock >= instant or self.is_quiet


def lanes(place: Installation, programme: str) -> Sequence[LaneKeys]:
    """Return how far every lane is. Issuing is read first, so what it is behind is never told too small.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    issuing_found = issuing_lanes(place, programme)
    behind = {lag.lane for lag in topics.lags(place) if lag.processor is Processor.COMPETENCY and lag.records}
    found = []
    for kept in lanes_kept(place):
        own = kept.own.get(LEDGER_KEY)
        ledger = ledgers.Ledger(kept.lane) if own is None else ledgers.decoded(own)
        numbers = ledger.programmes.get(programme, ledgers.ProgrammeNumbers())
        issuing = issuing_found.get(kept.lane, IssuingLane(progress=Progress(1, {}), keys=(), waiting={}))
        last = issuing.progress.last.get(programme, -1)
        found.append(
            LaneKeys(
                lane=kept.lane,
                clock=ledger.clock,
                claims=numbers.next_claim,
                done=min(last + 1, issuing.progress.waiting.get(programme, last + 1)),
                waiting=issuing.waiting,
                is_quiet=kept.lane not in behind,
            )
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuingLane:
    """What issuing keeps of a lane: its numbers, the keys that it goes by, and how many claims wait, by key."""

    progress: Progress
    keys: Sequence[Key]
    waiting: Mapping[str, int]


def issuing_lanes(place: Installation, programme: str) -> Mapping[int, IssuingLane]:
    """Return what issuing keeps of a programme, by lane; nothing of a lane in which it did nothing yet.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    own: dict[int, Progress] = {}
    waits: dict[tuple[int, bytes], bytes | None] = {}
    catalogues: dict[bytes, bytes] = {}
    prefix = f"{WAITING_PREFIX}{programme}:".encode()
    for record in committed(place.bootstrap_servers, ISSUING_PROGRESS):
        if record.key == LANE_KEY:
            own[record.partition] = read_progress(record.value)
        elif record.key.startswith(prefix):
            waits[record.partition, record.key] = record.value
        elif record.key.startswith(CATALOGUE_PREFIX):
            catalogues[record.key] = record.value
    waiting: dict[int, Counter[str]] = {}
    for (lane, _), value in waits.items():
        if value is not None:
            waiting.setdefault(lane, Counter())[decode(read_waiting(value).value, CredentialClaimed).key_id] += 1
    keys: dict[str, Sequence[Key]] = {}
    for digest in {one.adopted[programme] for one in own.values() if programme in one.adopted}:
        keys[digest] = unpack(catalogues[catalogue_key(digest)], digest).keys
    return {
        lane: IssuingLane(
            progress=progress,
            keys=keys.get(progress.adopted.get(programme, ""), ()),
            waiting=waiting.get(lane, Counter()),
        )
        for lane, progress in own.items()
    }


def lists_by_key(place: Installation, programme: str) -> Mapping[str, Sequence[StatusListPublished]]:
    """Return the newest version of each status list of a programme, by the key that signed it.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    newest: dict[str, StatusListPublished] = {}
    for record in committed(place.bootstrap_servers, LIST_PUBLISHED):
        listed = decode(record.value, StatusListPublished)
        known = newest.get(listed.status_list)
        if listed.programme == programme and (known is None or listed.version > known.version):
            newest[listed.status_list] = listed
    found: dict[str, list[StatusListPublished]] = {}
    for listed in newest.values():
        found.setdefault(listed.key_id, []).append(listed)
    return found
