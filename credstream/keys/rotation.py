"""Rotation: a new key is published long before it signs, and the one before it is retired once nothing waits for it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from credstream import installation as installations
from credstream.keys.lanes import lanes, lists_by_key
from credstream.keys.publishing import Schedule, current
from schemas.catalogue import Catalogue
from schemas.errors import RefusedError, UnavailableError
from schemas.events import Micros
from schemas.topology import Processor
from services.signing.schedule import (
    AnyKey,
    Purpose,
    begun_at,
    ended_at,
    find,
    in_force,
    keys_of,
    purpose_of,
    successor,
    whole_second,
)
from streams import topics
from streams.jwt_keys import create_jwt_key
from streams.settings import Installation

_PASSED_S = 60.0
_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """Which key takes over from which, and when. `published`: it is known to verifiers already."""

    new: AnyKey
    old: AnyKey | None
    published: bool


def makes(place: Installation, programme: str, purpose: Purpose, active_from: Micros) -> str:
    """Make a key of a purpose and return its id.

    Raises:
        RefusedError: It cannot be made where the settings say.
        UnavailableError: The token is away.
    """
    if purpose == "jwt":
        return create_jwt_key(place, programme, active_from).id
    return installations.create_signing_key(place, programme, purpose, active_from).id


def waiting_key(schedule: Schedule, purpose: Purpose, now: Micros) -> Takeover | None:
    """Return the key that is to take over next, published or only made; None when there is none."""
    keys = keys_of(schedule.catalogue, purpose)
    ahead = [key for key in keys if key.compromised_at is None and key.active_from > now]
    unpublished = [key for key in keys if not any(key.id == known.id for known in keys_of(schedule.published, purpose))]
    found = min((*ahead, *unpublished), key=lambda key: (key.active_from, key.id), default=None)
    if found is None:
        return None
    old = in_force([key for key in keys if key.id != found.id], now)
    return Takeover(new=found, old=old, published=all(found.id != key.id for key in unpublished))


def rotated(place: Installation, schedule: Schedule, purpose: Purpose, begins: Micros) -> tuple[Takeover, Catalogue]:
    """Return which key takes over at an instant, making one unless one was made before, and the catalogue that says so.

    Raises:
        RefusedError: It cannot be made where the settings say.
        UnavailableError: The token, or Kafka, is away.
    """
    now = time.time_ns() // 1000
    if waiting_key(schedule, purpose, now) is None:
        makes(place, schedule.programme, purpose, whole_second(begins))
        schedule = current(place, schedule.programme)
    takeover = waiting_key(schedule, purpose, now)
    if takeover is None:
        raise RefusedError(f"the new {purpose} key of {schedule.programme} is not in keys.json")
    catalogue = begun_at(schedule.catalogue, takeover.new, begins)
    return Takeover(new=find(catalogue, takeover.new.id), old=takeover.old, published=takeover.published), catalogue


def retired(schedule: Schedule, key_id: str) -> Catalogue:
    """Return the catalogue in which a key has ended: after everything that it signed or is still to sign.

    Raises:
        RefusedError: It is still needed; the message says for what, and what to do.
        UnavailableError: Kafka does not answer.
    """
    key, now = find(schedule.published, key_id), time.time_ns() // 1000
    purpose = purpose_of(key)
    among = keys_of(schedule.published, purpose)
    signs, follows = in_force(among, now), successor(key, among)
    if key.compromised_at is not None:
        raise RefusedError(f"{key_id} is compromised, and a compromised key is removed, not retired")
    if key.active_from > now:
        raise RefusedError(f"{key_id} has not begun to sign yet")
    if signs is None or signs.id == key_id or follows is None or follows.active_from > now:
        after = f"; {follows.id} takes over later" if follows is not None else "; credstream keys rotate first"
        raise RefusedError(f"{key_id} still signs{after}")
    known = schedule.known_since(follows.id)
    if missing := set(range(schedule.place.kafka.lanes)) - known.keys():
        raise RefusedError(f"lanes {_named(missing)} have not adopted {follows.id} yet; credstream keys rotate again")
    ends = whole_second(max(follows.active_from, max(known.values()) + 1, *_signed_until(schedule, key_id)))
    if ends > now:
        raise RefusedError(f"{key_id} may have signed within this second; try again")
    if faults := list(_still_needed(schedule, key, ends)):
        raise RefusedError(f"{key_id} is still needed: {'; '.join(faults)}")
    return ended_at(schedule.catalogue, key, min(ends, key.active_until or ends))


def _signed_until(schedule: Schedule, key_id: str) -> Sequence[Micros]:
    listed = lists_by_key(schedule.place, schedule.programme).get(key_id, ())
    return [0, *(one.published_at + 1 for one in listed)]


def _still_needed(schedule: Schedule, key: AnyKey, ends: Micros) -> Sequence[str]:
    """Return what a key is still needed for."""
    purpose, place = purpose_of(key), schedule.place
    if purpose == "status":
        behind = {lag.lane for lag in topics.lags(place) if lag.processor is Processor.STATUS and lag.records}
        return [f"status has not read all of lanes {_named(behind)}"] if behind else []
    if purpose == "jwt":
        return []
    found = lanes(place, schedule.programme)
    early = [one.lane for one in found if not one.is_past(ends)]
    waiting = sum(one.waiting.get(key.id, 0) for one in found)
    told = [f"lanes {_named(early)} have results before the boundary to decide"] if early else []
    if waiting:
        told.append(f"{waiting:,} claims wait for it; bring its signer back, and they are signed")
    return told or _unsigned(schedule, {one.lane: one.claims for one in found})


def _unsigned(schedule: Schedule, claims: Mapping[int, int]) -> Sequence[str]:
    """Wait until issuing has done with what was claimed by now; return which lanes have not after a minute."""
    deadline = time.monotonic() + _PASSED_S
    while True:
        behind = [one for one in lanes(schedule.place, schedule.programme) if one.done < claims[one.lane]]
        if not behind:
            return []
        if time.monotonic() > deadline:
            return [
                f"issuing has not passed the boundary in lanes {_named(one.lane for one in behind)}; is it running?"
            ]
        time.sleep(_AGAIN_S)


def passed(schedule: Schedule, key_id: str) -> None:
    """Return once no lane has anything to sign with a retired key, so that its private half is needed no more.

    Raises:
        UnavailableError: Some lane still has.
    """
    key = find(schedule.published, key_id)
    if faults := _still_needed(schedule, key, key.active_until or 0):
        raise UnavailableError(f"{key_id} is retired, but {'; '.join(faults)}; ask again later")


def _named(numbers: object) -> str:
    return ", ".join(map(str, sorted(numbers)))  # type: ignore[call-overload]
