"""`credstream keys person`: a key for one more person, who signs catalogues or requests of staff."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from credstream import people
from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, Programme, chosen_programme, installation, out
from credstream.people import PINNED, Role, settings_of
from schemas.errors import RefusedError
from streams.keystore import PASSPHRASE
from streams.settings import SETTINGS_FILE

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MIN_PASSPHRASE: Final = 12


def person(
    name: Annotated[str, Parameter(help="Who signs with it: a short name, kept in the log with what they sign.")],
    *,
    signs: Annotated[Role, Parameter(help="staff: requests about learners; catalogue: catalogue versions.")] = "staff",
    key: Annotated[
        Path | None, Parameter(help="Where to keep it, such as the person's own medium; by default in this folder.")
    ] = None,
    programme: Programme = None,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Make a key for one more person, and say how to pin it. Nobody's signature counts before that.

    A key that is kept elsewhere has a passphrase of its own, which is asked for, or is in FILE.passphrase.

    Example: credstream keys person mo --signs catalogue --key /media/mo/catalogue.pem
    """
    place = installation(data)
    chosen = chosen_programme(place, programme)
    if not _NAME.fullmatch(name):
        raise RefusedError(f"{name}: lower-case letters, digits and hyphens are wanted")
    pinned = getattr(settings_of(place, chosen), PINNED[signs])
    if name in pinned:
        raise RefusedError(f"{chosen} has a {signs} key {name} already; choose another name")
    path = key or people.key_path(place, chosen, signs, name)
    if path.exists():
        raise RefusedError(f"{path} is there already; a key is never overwritten")
    passphrase = place.secret(PASSPHRASE) if key is None else _own_passphrase(key)
    public = people.create(path, passphrase)
    keys = ", ".join(f"{json.dumps(who)} = {json.dumps(half)}" for who, half in {**pinned, name: public}.items())
    out.print(f"made {path}")
    out.print(f"next: in {place.folder / SETTINGS_FILE}, below \\[programmes.{chosen}], write")
    out.print(f"{PINNED[signs]} = {{ {keys} }}", markup=False, highlight=False, soft_wrap=True)
    if signs == "catalogue" and len(pinned) == 1:
        out.print("catalogue_signatures = 2  # no one person changes the rules", markup=False, highlight=False)
    out.print("and restart the processors, which read it when they start")
    return Exit.DONE


def _own_passphrase(key: Path) -> bytes:
    beside = key.with_name(f"{key.name}.passphrase")
    chosen = beside.read_bytes().strip() if beside.exists() else people.ask_passphrase(key, "A passphrase for it: ")
    if len(chosen) < _MIN_PASSPHRASE:
        raise RefusedError(f"a passphrase has at least {_MIN_PASSPHRASE} characters")
    return chosen
