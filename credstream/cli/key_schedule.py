"""`credstream keys create | list | rotate | retire`: which key signs when, and how one follows another."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from rich.table import Table

from credstream.cli.console import (
    DEFAULT_FOLDER,
    Data,
    Exit,
    Json,
    Programme,
    Yes,
    chosen_programme,
    confirmed,
    installation,
    out,
    write_json,
)
from credstream.keys import rotation
from credstream.keys.publishing import Schedule, Signing, current, publish
from credstream.zones import minute
from schemas.errors import RefusedError, UnavailableError
from schemas.events import Micros
from services.signing.schedule import (
    MIN_LEAD,
    AnyKey,
    KeyState,
    Purpose,
    find,
    keys_of,
    purpose_of,
    state_of,
)
from streams.jwt_keys import key_path as jwt_key_path
from streams.keystore import key_path
from streams.settings import Installation

Of = Annotated[Purpose, Parameter(help="What it signs: credentials, status lists, or JWTs.")]
CatalogueKey = Annotated[
    Path | None, Parameter(name="--key", help="The file of your catalogue key; by default that of this installation.")
]
Output = Annotated[
    Path | None, Parameter(name=["--output", "-o"], help="Where a proposal goes, if another person must sign too.")
]
KeyId = Annotated[str, Parameter(help="The key's id: credstream keys list.")]
_HOUR: Final[Micros] = 3_600_000_000
_DAY_HOURS: Final = 24.0
_COLOURS: Final[dict[KeyState, str]] = {
    "published": "cyan",
    "active": "green",
    "superseded": "yellow",
    "retired": "dim",
    "compromised": "bold red",
    "removed": "red",
}
_PURPOSES: Final[tuple[Purpose, ...]] = ("credentials", "status", "jwt")


def create(
    *,
    purpose: Of = "credentials",
    programme: Programme = None,
    active_in_hours: Annotated[
        float, Parameter(help="When it begins to sign; caches must have seen it before.")
    ] = _DAY_HOURS,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Make a signing key, in a file or where the settings say. It signs once it is published and active.

    `credstream keys rotate` makes one too, and publishes it. A spare that is published early and begins in years can take over at
    once in an emergency, since verifiers know it: make one with a long --active-in-hours, then `credstream rules publish`.

    Example: credstream keys create --active-in-hours 17520
    """
    place = installation(data)
    chosen = chosen_programme(place, programme)
    made = rotation.makes(place, chosen, purpose, _now() + int(active_in_hours * _HOUR))
    out.print(f"made {made}, active from {active_in_hours:g} hours on")
    out.print(
        "next: publish the catalogue again (credstream rules publish), or credstream keys rotate to publish it now"
    )
    return Exit.DONE


def table(*, programme: Programme = None, as_json: Json = False, data: Data = DEFAULT_FOLDER) -> Exit:
    """List the keys of a programme: which signs now, which will, which has, and which came into other hands.

    Example: credstream keys list
    """
    place = installation(data)
    schedule = current(place, chosen_programme(place, programme))
    now = _now()
    every = [(key, _state(schedule, key, now)) for purpose in _PURPOSES for key in keys_of(schedule.catalogue, purpose)]
    if as_json:
        write_json(
            [
                {
                    "id": key.id,
                    "purpose": purpose_of(key),
                    "state": state,
                    "active_from": key.active_from,
                    "active_until": key.active_until,
                    "compromised_at": key.compromised_at,
                    "removed_at": key.removed_at,
                    "kept": _kept(place, schedule.programme, key),
                }
                for key, state in every
            ]
        )
        return Exit.DONE
    shown = Table("key", "signs", "state", "from", "until", "private half", title=schedule.programme)
    for key, state in every:
        colour = _COLOURS.get(state, "cyan")  # type: ignore[call-overload]
        shown.add_row(
            key.id,
            purpose_of(key),
            f"[{colour}]{state}[/]",
            minute(key.active_from, "UTC") if key.active_from else "the beginning",
            _end(key),
            _kept(place, schedule.programme, key),
        )
    out.print(shown)
    return Exit.DONE


def rotate(
    *,
    purpose: Of = "credentials",
    active_in_hours: Annotated[
        float | None,
        Parameter(help="When the new key begins to sign; by default 24, at least 2: caches must have seen it before."),
    ] = None,
    despite_caches: Annotated[
        bool,
        Parameter(
            name="--despite-caches",
            negative=(),
            help="Let it begin sooner: verifiers that hold an older document refuse what it signs until they fetch anew.",
        ),
    ] = False,
    programme: Programme = None,
    key: CatalogueKey = None,
    output: Output = None,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Publish a key that takes over: the one made by `keys create`, or a new one. Nothing needs a restart.

    What is dated before the boundary is signed with the old key, however late; it goes on verifying. Asked again, it changes
    nothing. Afterwards: `credstream keys retire`.

    Example: credstream keys rotate --active-in-hours 48
    """
    place = installation(data)
    schedule = current(place, chosen_programme(place, programme))
    now = _now()
    ahead = rotation.waiting_key(schedule, purpose, now)
    if ahead is not None and ahead.published and active_in_hours is None:
        out.print(f"{_takes_over(ahead)}, on {minute(ahead.new.active_from, 'UTC')}; nothing to do")
        return Exit.DONE
    begins = now + int((_DAY_HOURS if active_in_hours is None else active_in_hours) * _HOUR)
    known = max(schedule.known_since(ahead.new.id).values()) if ahead is not None and ahead.published else now
    if not despite_caches and begins < known + MIN_LEAD:
        raise RefusedError(
            f"--active-in-hours {active_in_hours:g}: a key is published at least {MIN_LEAD / _HOUR:g} hours before it signs, since "
            "verifiers may keep the document that lacks it for an hour; in an emergency, --despite-caches"
        )
    if not confirmed(f"Publish another {purpose} key of {schedule.programme}?", yes=yes):
        return Exit.NO
    takeover, catalogue = rotation.rotated(place, schedule, purpose, begins)
    lead = 0 if despite_caches else MIN_LEAD - _HOUR  # what publishing itself takes
    path = publish(schedule, catalogue, Signing(key=key, output=output), out.print, lead=lead)
    if path is not None:
        return _must_sign(path, "the rotation is published then")
    out.print(f"{_takes_over(takeover)}, on {minute(takeover.new.active_from, 'UTC')}")
    if takeover.old is not None:
        out.print(f"next, after that: credstream keys retire {takeover.old.id}; and back up secrets/ now")
    return Exit.DONE


def retire(
    key_id: KeyId,
    *,
    destroy: Annotated[
        bool, Parameter(name="--destroy", negative=(), help="Delete its private half too, once nothing needs it.")
    ] = False,
    programme: Programme = None,
    key: CatalogueKey = None,
    output: Output = None,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """End a key that another one has followed: refused while a lane still has something for it to sign.

    Its public half stays published, so what it signed goes on verifying.

    Example: credstream keys retire credentials-1 --destroy
    """
    place = installation(data)
    schedule = current(place, chosen_programme(place, programme))
    catalogue = rotation.retired(schedule, key_id)
    ends = find(catalogue, key_id).active_until or 0
    out.print(f"{key_id} signs nothing dated after {minute(ends, 'UTC')}; what it signed goes on verifying")
    if not confirmed(f"Retire {key_id}{' and delete its private half' if destroy else ''}?", yes=yes):
        return Exit.NO
    path = publish(schedule, catalogue, Signing(key=key, output=output), out.print)
    if path is not None:
        return _must_sign(path, f"then: credstream keys retire {key_id}")
    try:
        rotation.passed(current(place, schedule.programme), key_id)
    except UnavailableError as error:
        raise UnavailableError(f"{error}; until then keep its private half") from None
    out.print(f"retired {key_id}: no lane needs its private half any more")
    return _destroyed(place, schedule.programme, find(catalogue, key_id), destroy=destroy)


def _destroyed(place: Installation, programme: str, key: AnyKey, *, destroy: bool) -> Exit:
    kept, path = _kept(place, programme, key), _path(place, programme, key)
    if not path.exists():
        out.print(f"its private half is in {kept}: delete it there with the maker's tool" if kept else "it is gone")
    elif destroy:
        path.unlink()
        out.print(f"deleted {path}; delete it from backups as well")
    else:
        out.print(f"next, if nobody is to have it: credstream keys retire {key.id} --destroy (deletes {path})")
    return Exit.DONE


def _must_sign(path: Path, then: str) -> Exit:
    out.print(f"{path}: another person must sign it: credstream rules approve {path} --key FILE; {then}")
    return Exit.NO


def _takes_over(takeover: rotation.Takeover) -> str:
    return f"{takeover.new.id} takes over" + (f" from {takeover.old.id}" if takeover.old is not None else "")


def _state(schedule: Schedule, key: AnyKey, now: Micros) -> str:
    among = keys_of(schedule.published, purpose_of(key))
    if all(known.id != key.id for known in among):
        return "not published"
    return state_of(key, among, now)


def _end(key: AnyKey) -> str:
    if key.removed_at is not None:
        return f"removed {minute(key.removed_at, 'UTC')}"
    if key.compromised_at is not None:
        return f"compromised {minute(key.compromised_at, 'UTC')}"
    return "" if key.active_until is None else minute(key.active_until, "UTC")


def _path(place: Installation, programme: str, key: AnyKey) -> Path:
    return (jwt_key_path if purpose_of(key) == "jwt" else key_path)(place, programme, key.id)


def _kept(place: Installation, programme: str, key: AnyKey) -> str:
    """Return where a private half is, empty when it is nowhere here."""
    at = place.programmes[programme].signers.get(key.id)
    if at is not None:
        return f"token {at.token}"
    return "file" if _path(place, programme, key).exists() else ""


def _now() -> Micros:
    return time.time_ns() // 1000
