"""Which catalogue versions the lanes have adopted, in which order and since when: read from what competency keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from credstream.learners import LaneKept
from credstream.reading import committed
from schemas.catalogue import Catalogue
from schemas.errors import RefusedError
from schemas.events import Micros
from schemas.topology import PROGRESS
from services.competency.rulebook import Adoption
from streams.settings import Installation

_OWN = b"\x00"
_PREFIX = "sha256-"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedVersion:
    """One adoption. `adopted_at` has when by lane; a lane that is missing has not adopted it yet."""

    number: int
    digest: str
    catalogue: Catalogue
    effective_from: Micros | None
    adopted_at: Mapping[int, Micros]

    @property
    def in_force_from(self) -> Micros:
        """Return from when it is in force, in the first lane that adopted it."""
        first = min(self.adopted_at.values())
        return Adoption(self.digest, first, self.effective_from).changes_from


def lanes_kept(installation: Installation) -> Sequence[LaneKept]:
    """Return what each lane keeps beside learners.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    own: list[dict[bytes, bytes]] = [{} for _ in range(installation.kafka.lanes)]
    for record in committed(installation.bootstrap_servers, PROGRESS):
        if record.key.startswith(_OWN) and record.value is not None:
            own[record.partition][record.key] = record.value
    return [LaneKept(lane=lane, own=kept) for lane, kept in enumerate(own)]


def history(lanes: Sequence[LaneKept], programme: str) -> Sequence[AdoptedVersion]:
    """Return every adoption of a programme, oldest first."""
    found: list[AdoptedVersion] = []
    by_lane = {kept.lane: kept.adopted(programme) for kept in lanes}
    for number in range(1, 1 + max(map(len, by_lane.values()), default=0)):
        having = {lane: adopted[number - 1] for lane, adopted in by_lane.items() if len(adopted) >= number}
        adoption, catalogue = next(iter(having.values()))
        found.append(
            AdoptedVersion(
                number=number,
                digest=adoption.digest,
                catalogue=catalogue,
                effective_from=adoption.effective_from,
                adopted_at={lane: one.adopted_at for lane, (one, _) in having.items()},
            )
        )
    return found


def find(versions: Sequence[AdoptedVersion], name: str) -> AdoptedVersion:
    """Return the version with this adoption number, digest or beginning of a digest; the latest adoption of a digest.

    Raises:
        RefusedError: There is none, or several digests begin so.
    """
    if name.isdecimal() and 1 <= int(name) <= len(versions):
        return versions[int(name) - 1]
    wanted = name.removeprefix(_PREFIX)
    matching = {one.digest: one for one in versions if wanted and one.digest.removeprefix(_PREFIX).startswith(wanted)}
    if len(matching) == 1:
        return next(iter(matching.values()))
    told = "several versions begin so" if matching else "no such version"
    raise RefusedError(f"{name}: {told}; credstream rules versions lists them")
