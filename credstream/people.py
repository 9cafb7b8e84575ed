"""The keys of persons: of staff, who sign requests about learners, and of those who sign catalogues."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from schemas.errors import RefusedError
from services.signing.keys import LocalSigner
from streams.keystore import PASSPHRASE, create_key, signer
from streams.settings import Installation, ProgrammeSettings

Role = Literal["staff", "catalogue"]
PINNED: Final[Mapping[Role, str]] = {"staff": "staff_keys", "catalogue": "catalogue_keys"}


def settings_of(installation: Installation, programme: str) -> ProgrammeSettings:
    """Return what the installation pins of a programme.

    Raises:
        RefusedError: It does not know the programme.
    """
    if programme not in installation.programmes:
        known = ", ".join(installation.programmes) or "none"
        raise RefusedError(f"{installation.folder} does not know the programme {programme}; it knows {known}")
    return installation.programmes[programme]


def member_of(installation: Installation, programme: str, wanted: str | None) -> str:
    """Return the member of staff who asks: the one named, or the only one.

    Raises:
        RefusedError: There is no such member, or several and none was named.
    """
    members = settings_of(installation, programme).staff_keys
    if wanted in members:
        return str(wanted)
    if wanted is None and len(members) == 1:
        return next(iter(members))
    known = ", ".join(members) or "none"
    said = "say who asks, with --as" if wanted is None else f"{wanted} is no member of staff"
    raise RefusedError(f"{said}; {programme} has {known} (`credstream keys person` makes a key for another)")


def staff_signer(installation: Installation, programme: str, member: str) -> LocalSigner:
    """Return the signer of a member of staff.

    Raises:
        RefusedError: Their key cannot be used, or is not the pinned one.
    """
    path = key_path(installation, programme, "staff", member)
    found = open_key(installation, path)
    pinned = settings_of(installation, programme).staff_keys[member]
    if found.public_multikey != pinned:
        raise RefusedError(f"{path}: holds {found.public_multikey}, but {pinned} is pinned for {member}")
    return found


def catalogue_signer(installation: Installation, programme: str, path: Path | None = None) -> tuple[str, LocalSigner]:
    """Return the signer in a catalogue key's file, and the id by which the installation pins it.

    Raises:
        RefusedError: The key cannot be used, or is not pinned.
    """
    pinned = settings_of(installation, programme).catalogue_keys
    found = open_key(installation, path or installation.secret_path(f"catalogue/{programme}.pem"))
    kid = next((name for name, public in pinned.items() if public == found.public_multikey), None)
    if kid is None:
        raise RefusedError(
            f"{path or f'the catalogue key of {programme}'} holds {found.public_multikey}, which {installation.folder} does not "
            f"pin; it pins {', '.join(pinned) or 'none'}"
        )
    return kid, found


def key_path(installation: Installation, programme: str, role: Role, name: str) -> Path:
    """Return where the key of a person lies unless it is kept elsewhere."""
    folder = f"staff/{programme}" if role == "staff" else f"catalogue/{programme}"
    return installation.secret_path(f"{folder}/{name}.pem")


def create(path: Path, passphrase: bytes) -> str:
    """Make a person's key and return its public multikey.

    Raises:
        RefusedError: The file is there already.
    """
    try:
        return create_key(path, passphrase)
    except FileExistsError:
        raise RefusedError(f"{path} is there already; a key is never overwritten") from None


def open_key(installation: Installation, path: Path) -> LocalSigner:
    """Return the signer of a person's key.

    Its passphrase is in a file beside it, or that of the installation if it lies among its secrets, or else is asked for.

    Raises:
        RefusedError: The file cannot be used, or there is nobody to ask.
    """
    beside = path.with_name(f"{path.name}.passphrase")
    if beside.exists():
        return signer(path, beside.read_bytes().strip())
    if path.absolute().is_relative_to(installation.secret_path("").absolute()) or not path.exists():
        return signer(path, installation.secret(PASSPHRASE))
    return signer(path, ask_passphrase(path, f"Passphrase of {path}: "))


def ask_passphrase(path: Path, question: str) -> bytes:
    """Return the passphrase that a person types.

    Raises:
        RefusedError: Nobody is at the terminal.
    """
    if not sys.stdin.isatty():
        raise RefusedError(f"{path} needs its passphrase: run this at a terminal, or put it into {path}.passphrase")
    return getpass.getpass(question).encode()
