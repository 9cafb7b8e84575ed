"""Makes an installation: its settings, and every secret that must be backed up."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from credstream.rules.loader import Draft
from schemas.catalogue import Catalogue, Key
from schemas.errors import RefusedError
from schemas.topology import DEFAULT_LANES
from streams import keystore
from streams.jwt_keys import create_jwt_key, jwt_keys
from streams.keystore import PASSPHRASE, create_key, published_keys, write_secret
from streams.settings import (
    CREDENTIAL_SECRET,
    LEARNER_SECRET,
    SETTINGS_FILE,
    SHARE_SECRET,
    STATUS_SECRET,
    Installation,
    load,
)

STAFF: Final = "staff"
_TEMPLATE: Final = """\
# One credstream installation. Secrets are files below secrets/; docs/operating.md says what each is for.
base_url = {base_url}  # inside every credential: it cannot change
epoch = {epoch}  # names this log; a lane refuses the state of another

[kafka]
bootstrap_servers = ""  # empty: the embedded broker in this folder
lanes = {lanes}  # partitions of every topic; fixed for this log

[status]
cadence_s = {cadence_s}  # changed status lists are signed this often
"""
_PROGRAMME: Final = """
[programmes.{programme}]
catalogue_keys = {{ {catalogue_key} = {catalogue_public} }}  # who may change its rules
staff_keys = {{ {staff} = {staff_public} }}  # who may change a credential's status
"""


@dataclass(frozen=True, slots=True)
class Secret:
    """A file to back up, and what is lost with it."""

    path: Path
    purpose: str


def create(
    folder: Path, *, base_url: str, programmes: Sequence[str], lanes: int = DEFAULT_LANES, cadence_s: float = 10.0
) -> Installation:
    """Make an installation in an empty or new folder.

    Raises:
        RefusedError: There is one already, or the base URL is not fit for credentials.
    """
    if (folder / SETTINGS_FILE).exists():
        raise RefusedError(f"{folder} holds an installation already; it is never overwritten")
    if not base_url.startswith("https://") or base_url.endswith("/"):
        raise RefusedError(f"{base_url}: the public base URL begins with https:// and does not end with a slash")
    folder.mkdir(parents=True, exist_ok=True)
    for name in (LEARNER_SECRET, CREDENTIAL_SECRET, STATUS_SECRET, SHARE_SECRET):
        write_secret(folder / "secrets" / name, secrets.token_bytes(32))
    write_secret(folder / "secrets" / PASSPHRASE, secrets.token_urlsafe(32).encode())
    text = _TEMPLATE.format(
        base_url=json.dumps(base_url), epoch=json.dumps(secrets.token_hex(5)), lanes=lanes, cadence_s=cadence_s
    )
    for programme in programmes:
        text += _PROGRAMME.format(**_programme(folder, programme))
    draft = folder / f"{SETTINGS_FILE}.draft"
    draft.write_text(text, "utf-8")
    draft.replace(folder / SETTINGS_FILE)  # last: an installation that has this file is whole
    made = load(folder)
    for programme in programmes:
        create_signing_key(made, programme, "credentials")
        create_signing_key(made, programme, "status")
        create_jwt_key(made, programme, 0)
    return made


def _programme(folder: Path, programme: str) -> dict[str, Any]:
    passphrase = (folder / "secrets" / PASSPHRASE).read_bytes()
    catalogue_public = create_key(folder / "secrets" / "catalogue" / f"{programme}.pem", passphrase)
    staff_public = create_key(folder / "secrets" / "staff" / programme / f"{STAFF}.pem", passphrase)
    return {
        "programme": json.dumps(programme),
        "catalogue_key": json.dumps(f"{programme}-catalogue-1"),
        "catalogue_public": json.dumps(catalogue_public),
        "staff": json.dumps(STAFF),
        "staff_public": json.dumps(staff_public),
    }


def public_keys(installation: Installation, programme: str) -> Sequence[Key]:
    """Return the programme's public keys, as its catalogue publishes them."""
    return published_keys(installation, programme)


def build_catalogue(installation: Installation, draft: Draft) -> Catalogue:
    """Return a draft as this installation publishes it: with its base URL and the programme's public keys."""
    return draft.build(
        base_url=installation.base_url,
        keys=public_keys(installation, draft.programme),
        jwt_keys=jwt_keys(installation, draft.programme),
    )


def create_signing_key(
    installation: Installation,
    programme: str,
    purpose: Literal["credentials", "status"],
    active_from: int | None = None,
) -> Key:
    """Make a signing key of a programme; it signs once a catalogue that lists it is published and it is active.

    It is made in a token where the settings name one for its id, else in a file.

    `active_from` is in microseconds; the programme's first key of a purpose is active from the beginning, others from now.

    Raises:
        RefusedError: The installation does not know the programme, or names no usable token.
        UnavailableError: The token is away.
    """
    if programme not in installation.programmes:
        raise RefusedError(
            f"{installation.folder} has no programme {programme}; it has {', '.join(installation.programmes)}"
        )
    known = list(public_keys(installation, programme))
    number = 1 + sum(1 for key in known if key.purpose == purpose)
    begins = active_from if active_from is not None else (0 if number == 1 else time.time_ns() // 1000)
    key_id = f"{purpose}-{number}"
    public = keystore.create_signing_key(installation, programme, key_id)
    key = Key(id=key_id, purpose=purpose, public_key_multibase=public, active_from=begins)
    keystore.write_keys(installation, programme, [*known, key])
    return key


_PURPOSES: Final = {
    SETTINGS_FILE: "has the base URL, epoch and pinned public keys: without it the log is not accepted",
    f"secrets/{LEARNER_SECRET}": "turns identifiers into learner_refs: without it nobody is found again",
    f"secrets/{CREDENTIAL_SECRET}": "makes credential ids: without it a replay makes others",
    f"secrets/{STATUS_SECRET}": "hides the order of places in status lists",
    f"secrets/{SHARE_SECRET}": "makes learners' share links: without it those handed out end",
    f"secrets/{PASSPHRASE}": "opens every key file; keep it apart from them",
    "secrets/keys": "sign credentials and status lists",
    "secrets/jwt": "sign credentials as JWTs, and learners' records",
    "secrets/catalogue": "signs catalogues; keep it offline",
    "secrets/staff": "signs staff requests",
    "secrets/providers": "the providers' API keys, to hand over; the gateway keeps only their digests",
}


def to_back_up(installation: Installation) -> Sequence[Secret]:
    """Return what must be backed up, apart from Kafka's own data."""
    found = ((installation.folder / name, purpose) for name, purpose in _PURPOSES.items())
    return [Secret(path, purpose) for path, purpose in found if path.exists()]
