"""Everything that can be checked about a programme's keys before it hurts: files, tokens, times, what is published and served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import httpx

from credstream.documents import catalogue_documents
from credstream.keys.lanes import lanes
from credstream.keys.publishing import Schedule
from credstream.local.supervisor import gateway_url
from credstream.people import catalogue_signer
from credstream.zones import minute
from schemas.catalogue import Catalogue, JwtKey
from schemas.errors import PipelineError, RefusedError, UnavailableError
from schemas.events import Micros
from schemas.ids import issuer_document_url
from services.signing.keys import Signer
from services.signing.schedule import MIN_LEAD, AnyKey, Purpose, every_key, in_force, keys_of, purpose_of, successor
from streams.jwt_keys import jwt_keys, open_jwt_key
from streams.keystore import open_key, published_keys

Outcome = Literal["ok", "wrong", "unknown"]
_DAY: Final[Micros] = 86_400_000_000
_SOON_DAYS: Final = 30
_TIMEOUT_S: Final = 5.0
_PURPOSES: Final[tuple[Purpose, ...]] = ("credentials", "status", "jwt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One thing, what was found of it, and what to do about it."""

    what: str
    outcome: Outcome
    found: str
    do: str = ""


def checks(schedule: Schedule, now: Micros) -> Iterator[Checked]:
    """Yield every check of a programme's keys. Nothing is changed.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    yield from local_checks(schedule, now)
    yield _served(schedule)
    yield from _waiting(schedule)


def local_checks(schedule: Schedule, now: Micros) -> Iterator[Checked]:
    """Yield what files, tokens and the schedule tell, without Kafka and gateway."""
    yield _catalogue_key(schedule)
    yield _listed(schedule)
    for purpose in _PURPOSES:
        among = keys_of(schedule.published, purpose)
        if among:
            yield _signs(purpose, among, now)
        for key in keys_of(schedule.catalogue, purpose):
            yield from _of_key(schedule, key, now)
    yield from _strays(schedule)


def _catalogue_key(schedule: Schedule) -> Checked:
    what, place, programme = "catalogue key", schedule.place, schedule.programme
    path = place.secret_path(f"catalogue/{programme}.pem")
    pinned = ", ".join(place.programmes[programme].catalogue_keys)
    if not place.programmes[programme].catalogue_keys:
        return Checked(
            what=what, outcome="wrong", found="none is pinned", do="credstream keys person NAME --signs catalogue"
        )
    if not path.exists():
        return Checked(what=what, outcome="ok", found=f"pinned: {pinned}; kept elsewhere")
    try:
        kid, _ = catalogue_signer(place, programme)
    except PipelineError as error:
        return Checked(what=what, outcome="wrong", found=str(error), do="restore it, or pin the one in use")
    return Checked(what=what, outcome="ok", found=f"{kid} is pinned, and opens; better kept offline")


def _listed(schedule: Schedule) -> Checked:
    """Compare what processors and `rules publish` read with what was adopted last."""
    what, place, programme = "keys.json", schedule.place, schedule.programme
    local: dict[str, AnyKey] = {key.id: key for key in published_keys(place, programme)}
    local |= {key.id: key for key in jwt_keys(place, programme)}
    published = {key.id: key for key in every_key(schedule.published)}
    unlike = sorted(name for name in published if local.get(name) != published[name])
    if unlike:
        return Checked(
            what=what,
            outcome="wrong",
            found=f"not as published: {', '.join(unlike)}",
            do="ask again for what was interrupted, or restore it from the backup",
        )
    new = sorted(local.keys() - published.keys())
    told = f"; made and not published: {', '.join(new)}" if new else ""
    return Checked(what=what, outcome="ok", found=f"as published{told}")


def _signs(purpose: Purpose, keys: Sequence[AnyKey], now: Micros) -> Checked:
    what, key = f"signs {purpose}", in_force(keys, now)
    rotate = f"credstream keys rotate --purpose {purpose}"
    if key is None:
        return Checked(what=what, outcome="wrong", found="no key does: its work waits", do=f"{rotate} --despite-caches")
    ends, follows = key.active_until, successor(key, keys)
    if ends is not None and ends < now + _SOON_DAYS * _DAY and (follows is None or follows.active_from > ends):
        return Checked(
            what=what, outcome="wrong", found=f"{key.id} ends {minute(ends, 'UTC')}, and none follows", do=rotate
        )
    then = f"; {follows.id} takes over {minute(follows.active_from, 'UTC')}" if follows is not None else ""
    return Checked(what=what, outcome="ok", found=f"{key.id}{then}")


def _of_key(schedule: Schedule, key: AnyKey, now: Micros) -> Iterator[Checked]:
    if key.removed_at is not None:
        return
    if key.compromised_at is not None:
        do = f"credstream keys compromised --key {key.id}"
        yield Checked(what=key.id, outcome="wrong", found="compromised, and not removed yet", do=do)
        return
    yield _opens(schedule, key, now)
    if purpose_of(key) != "jwt" and key.active_from > 0:
        yield from _early_enough(schedule, key, now)


def _opens(schedule: Schedule, key: AnyKey, now: Micros) -> Checked:
    place, programme = schedule.place, schedule.programme
    try:
        if isinstance(key, JwtKey):
            open_jwt_key(place, programme, key)
        else:
            signer: Signer = open_key(place, programme, key)
            signer.sign(b"credstream keys check")
    except UnavailableError as error:
        return Checked(what=key.id, outcome="wrong", found=str(error), do="bring its token back; claims wait till then")
    except RefusedError as error:
        if key.active_until is not None and key.active_until <= now:
            return Checked(what=key.id, outcome="ok", found="retired; its private half is gone")
        return Checked(what=key.id, outcome="wrong", found=str(error), do="as it says, or restore it from the backup")
    ended = key.active_until is not None and key.active_until <= now
    more = f"; retired: credstream keys retire {key.id} --destroy may delete it" if ended else ""
    return Checked(what=key.id, outcome="ok", found=f"opens, and is the one that is listed{more}")


def _early_enough(schedule: Schedule, key: AnyKey, now: Micros) -> Iterator[Checked]:
    what, known = f"{key.id}, published", schedule.known_since(key.id)
    if not known:
        if key.active_from < now + MIN_LEAD:
            yield Checked(what=what, outcome="wrong", found="not yet, and it is to sign", do="credstream keys rotate")
        else:
            yield Checked(what=what, outcome="ok", found="not yet")
        return
    early = key.active_from - max(known.values())
    hours = f"{early / 3_600_000_000:.1f} hours before it signs"
    if missing := set(range(schedule.place.kafka.lanes)) - known.keys():
        do = "is competency running? credstream keys rotate again"
        yield Checked(what=what, outcome="wrong", found=f"not in lanes {sorted(missing)}", do=do)
    elif early >= MIN_LEAD:
        yield Checked(what=what, outcome="ok", found=hours)
    elif now < max(known.values()) + MIN_LEAD:
        do = "caches may lack it for two hours; rotate earlier the next time"
        yield Checked(what=what, outcome="wrong", found=hours if early > 0 else "only when it signed already", do=do)
    else:
        yield Checked(what=what, outcome="ok", found="long enough by now")


def _strays(schedule: Schedule) -> Iterator[Checked]:
    """Yield key files that nothing lists: with one, processors do not start."""
    known = {key.id for key in every_key(schedule.catalogue)}
    for folder in ("keys", "jwt"):
        for path in sorted(schedule.place.secret_path(f"{folder}/{schedule.programme}").glob("*.pem")):
            if path.stem not in known:
                do = "move it away: processors refuse to start with a key that nobody published"
                yield Checked(what=path.name, outcome="wrong", found=f"{path} is listed nowhere", do=do)


def _served(schedule: Schedule) -> Checked:
    """Compare what the gateway serves with what was adopted last."""
    what, catalogue = "DID document", schedule.published
    try:
        served = httpx.get(f"{gateway_url(schedule.place)}{_path(catalogue)}", timeout=_TIMEOUT_S)
    except (httpx.HTTPError, PipelineError, OSError) as error:
        return Checked(what=what, outcome="unknown", found=f"the gateway does not answer: {error}", do="credstream up")
    if served.content != catalogue_documents(catalogue)[issuer_document_url(catalogue.base_url, catalogue.programme)]:
        do = "is views running, and the gateway of this installation? wait a moment, and check again"
        return Checked(what=what, outcome="wrong", found=f"not the catalogue's (HTTP {served.status_code})", do=do)
    return Checked(what=what, outcome="ok", found="served as published")


def _path(catalogue: Catalogue) -> str:
    return issuer_document_url(catalogue.base_url, catalogue.programme).removeprefix(catalogue.base_url)


def _waiting(schedule: Schedule) -> Iterator[Checked]:
    found: dict[str, int] = {}
    for lane in lanes(schedule.place, schedule.programme):
        for key_id, count in lane.waiting.items():
            found[key_id] = found.get(key_id, 0) + count
    for key_id, count in sorted(found.items()):
        do = "see the runbook ClaimsWaiting"
        yield Checked(what=key_id, outcome="wrong", found=f"{count:,} claims wait for it", do=do)
