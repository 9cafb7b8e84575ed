"""A programme's keys over time: published, active, superseded, retired, or compromised and in the end removed.

A boundary between keys is an instant of the log's time, of whole seconds since proofs are dated so. Nothing here has a clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias, TypeVar, get_args

from msgspec.structs import replace

from schemas.catalogue import Catalogue, JwtKey, Key
from schemas.errors import RefusedError
from schemas.events import Micros

Purpose = Literal["credentials", "status", "jwt"]
KeyState = Literal["published", "active", "superseded", "retired", "compromised", "removed"]
AnyKey: TypeAlias = Key | JwtKey
K = TypeVar("K", Key, JwtKey)

_SECOND: Final[Micros] = 1_000_000
_HOUR: Final[Micros] = 3_600 * _SECOND
DOCUMENT_CACHE_S: Final = 3_600
"""How long whoever fetches a key document may keep it."""
MIN_LEAD: Final[Micros] = 2 * DOCUMENT_CACHE_S * _SECOND
"""How long a key is published before it signs: longer than any cache keeps the document that lacks it."""
HEADSTART: Final[Micros] = 60 * _SECOND
"""A key that must sign at once begins so long ago, since a broker's clock may be behind ours."""


def purpose_of(key: AnyKey) -> Purpose:
    """Return what a key signs."""
    return key.purpose if isinstance(key, Key) else "jwt"


def every_key(catalogue: Catalogue) -> Sequence[AnyKey]:
    """Return all keys of a programme, of every purpose."""
    return [*catalogue.keys, *catalogue.jwt_keys]


def keys_of(catalogue: Catalogue, purpose: Purpose) -> Sequence[AnyKey]:
    """Return a programme's keys of a purpose."""
    return [key for key in every_key(catalogue) if purpose_of(key) == purpose]


def find(catalogue: Catalogue, key_id: str) -> AnyKey:
    """Return a key by its id.

    Raises:
        RefusedError: There is none.
    """
    found = next((key for key in every_key(catalogue) if key.id == key_id), None)
    if found is None:
        known = ", ".join(key.id for key in every_key(catalogue))
        raise RefusedError(f"{catalogue.programme} publishes no key {key_id}; it publishes {known}")
    return found


def in_force(keys: Sequence[AnyKey], now: Micros) -> AnyKey | None:
    """Return the key of one purpose that signs now: the latest of those that have begun and not ended, and are sound."""
    sound = [key for key in keys if key.compromised_at is None and key.active_from <= now]
    able = [key for key in sound if key.active_until is None or now < key.active_until]
    return max(able, key=lambda key: (key.active_from, key.id), default=None)


def state_of(key: AnyKey, among: Sequence[AnyKey], now: Micros) -> KeyState:
    """Return where a key stands among those of its purpose."""
    if key.removed_at is not None:
        return "removed"
    if key.compromised_at is not None:
        return "compromised"
    if key.active_until is not None and key.active_until <= now:
        return "retired"
    if key.active_from > now:
        return "published"
    signs = in_force(among, now)
    return "active" if signs is not None and signs.id == key.id else "superseded"


def successor(key: AnyKey, among: Sequence[AnyKey]) -> AnyKey | None:
    """Return the next sound key of its purpose that begins after it."""
    later = [
        other
        for other in among
        if other.compromised_at is None and (other.active_from, other.id) > (key.active_from, key.id)
    ]
    return min(later, key=lambda other: (other.active_from, other.id), default=None)


def whole_second(instant: Micros) -> Micros:
    """Return the first whole second that is not earlier."""
    return -(-instant // _SECOND) * _SECOND


def changed(catalogue: Catalogue, key: AnyKey) -> Catalogue:
    """Return the catalogue with a key in the place of the one of its id, or added."""
    if isinstance(key, Key):
        return replace(catalogue, keys=_with(catalogue.keys, key))
    return replace(catalogue, jwt_keys=_with(catalogue.jwt_keys, key))


def _with(keys: tuple[K, ...], key: K) -> tuple[K, ...]:
    if all(other.id != key.id for other in keys):
        return keys + (key,)  # noqa: RUF005  a display would lose which kind they are
    return tuple(key if other.id == key.id else other for other in keys)


def begun_at(catalogue: Catalogue, key: AnyKey, begins: Micros) -> Catalogue:
    """Return the catalogue with a key that signs from an instant on."""
    return _replaced(catalogue, key, active_from=whole_second(begins))


def ended_at(catalogue: Catalogue, key: AnyKey, ends: Micros) -> Catalogue:
    """Return the catalogue with a key that signs nothing dated then or later."""
    return _replaced(catalogue, key, active_until=whole_second(ends))


def marked(catalogue: Catalogue, key: AnyKey, now: Micros) -> Catalogue:
    """Return the catalogue with a key marked as compromised, and another one in force at once.

    Raises:
        RefusedError: There is no other key.
    """
    purpose = purpose_of(key)
    after = _replaced(catalogue, key, compromised_at=key.compromised_at or whole_second(now))
    if in_force(keys_of(after, purpose), now - HEADSTART) is not None:
        return after
    waiting = [k for k in keys_of(after, purpose) if k.compromised_at is None and k.active_from > now - HEADSTART]
    if not waiting:
        raise RefusedError(f"{catalogue.programme} has no other {purpose} key; make one first")
    known = min(waiting, key=lambda k: (len(k.id), k.id))  # the one made first: verifiers may know it already
    return begun_at(after, known, now - HEADSTART - _SECOND)


def removed(catalogue: Catalogue, key: AnyKey, now: Micros) -> Catalogue:
    """Return the catalogue with a compromised key that stands in no document any more."""
    return _replaced(catalogue, key, removed_at=key.removed_at or whole_second(now))


def _replaced(catalogue: Catalogue, key: AnyKey, **changes: Micros) -> Catalogue:
    if isinstance(key, Key):
        return changed(catalogue, replace(key, **changes))
    return changed(catalogue, replace(key, **changes))


def schedule_faults(
    before: Catalogue | None, after: Catalogue, now: Micros, *, lead: Micros = MIN_LEAD
) -> Iterator[str]:
    """Yield why a catalogue's keys may not follow those published before it.

    Verifiers hold what was published, so nothing that a key signed may lose its key, and no key may sign before they know it.
    """
    if before is None:
        return
    for purpose in get_args(Purpose):
        old = {key.id: key for key in keys_of(before, purpose)}
        new = {key.id: key for key in keys_of(after, purpose)}
        for name in old.keys() - new.keys():
            yield f"{name} is not there any more; a key that was published stays in the catalogue (keys.json) for ever"
        for name in old.keys() & new.keys():
            yield from _changes(old[name], new[name], now)
        alone = not any(key.compromised_at is None and key.active_from <= now for key in old.values())
        emergency = any(
            k.compromised_at is not None and old[k.id].compromised_at is None for k in new.values() if k.id in old
        )
        if not (alone or emergency):
            yield from _too_soon(old, new, now, lead)
        if old and in_force(list(new.values()), now) is None:
            yield f"no {purpose} key would be in force"


def _changes(old: AnyKey, new: AnyKey, now: Micros) -> Iterator[str]:
    halves = ("public_key_multibase",) if isinstance(old, Key) else ("n", "e")
    if any(getattr(old, half) != getattr(new, half, None) for half in halves):
        yield f"{old.id} has another public half than was published; a new key has a new id"
    if old.active_from <= now and new.active_from != old.active_from:
        yield f"{old.id} has begun already, so its beginning stays as it was published"
    for name, word in (("compromised_at", "compromised"), ("removed_at", "removed")):
        if getattr(old, name) is not None and getattr(new, name) != getattr(old, name):
            yield f"{old.id} was published as {word}, and that is final"
    if new.removed_at is not None and new.compromised_at is None:
        yield f"{old.id} is not compromised, so it stays in the documents: what it signed must go on verifying"


def _too_soon(old: Mapping[str, AnyKey], new: Mapping[str, AnyKey], now: Micros, lead: Micros) -> Iterator[str]:
    """A key that verifiers do not know yet may not begin before every cache has expired."""
    for name, key in new.items():
        known = old.get(name)
        if known is None and key.active_from < now + lead and key.compromised_at is None:
            yield (
                f"{name} would sign before verifiers have seen it: they may keep documents for an hour. Let it begin at least "
                f"{lead / _HOUR:g} hours from now: credstream keys rotate"
            )
