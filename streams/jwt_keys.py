"""The RSA keys with which a programme signs JWTs: encrypted PKCS#8 files, and `keys.json` with their public halves."""

from __future__ import annotations

import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from schemas.catalogue import JwtKey
from schemas.errors import RefusedError
from services.signing.keys import KeyFileError
from services.signing.rsa import RsaSigner, generate_rsa_pem, load_rsa_signer
from streams.keystore import PASSPHRASE, Rereading, write_secret
from streams.settings import Installation

_INDEX: Final = "keys.json"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def jwt_keys(installation: Installation, programme: str) -> Sequence[JwtKey]:
    """Return the programme's public RSA keys, as its catalogue publishes them."""
    path = _folder(installation, programme) / _INDEX
    return msgspec.json.decode(path.read_bytes(), type=list[JwtKey]) if path.exists() else []


def create_jwt_key(installation: Installation, programme: str, active_from: int) -> JwtKey:
    """Make an RSA key; it signs once a catalogue that lists it is published and it is active.

    Raises:
        RefusedError: The installation does not know the programme.
    """
    if programme not in installation.programmes:
        raise RefusedError(f"{installation.folder} has no programme {programme}")
    known = list(jwt_keys(installation, programme))
    public, pem = generate_rsa_pem(installation.secret(PASSPHRASE))
    key = JwtKey(id=f"jwt-{len(known) + 1}", n=public["n"], e=public["e"], active_from=active_from if known else 0)
    folder = _folder(installation, programme)
    write_secret(folder / f"{key.id}.pem", pem)
    write_jwt_keys(installation, programme, [*known, key])
    return key


def write_jwt_keys(installation: Installation, programme: str, keys: Sequence[JwtKey]) -> None:
    """List a programme's public RSA keys."""
    folder = _folder(installation, programme)
    draft = folder / f"{_INDEX}.draft"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(keys)))
    draft.replace(folder / _INDEX)


def rsa_signers(installation: Installation) -> Mapping[tuple[str, str], RsaSigner]:
    """Return the signer of every RSA key of the installation's programmes, by programme and key id.

    Raises:
        RefusedError: A key file is missing, open to others, or cannot be used; the message names it, never the passphrase.
    """
    return Rereading(
        lambda known: {
            (programme, key.id): open_jwt_key(installation, programme, key)
            for programme in installation.programmes
            for key in jwt_keys(installation, programme)
            if key.compromised_at is None and (programme, key.id) not in known
            if key_path(installation, programme, key.id).exists() or not _has_ended(key)
        }
    )


def key_path(installation: Installation, programme: str, key_id: str) -> Path:
    """Return the file of an RSA key."""
    return _folder(installation, programme) / f"{key_id}.pem"


def _has_ended(key: JwtKey) -> bool:
    return key.active_until is not None and key.active_until <= time.time_ns() // 1000


def open_jwt_key(installation: Installation, programme: str, key: JwtKey) -> RsaSigner:
    """Return the signer of a key.

    Raises:
        RefusedError: Its file is missing, open to others, or cannot be used; the message names it, never the passphrase.
    """
    return _signer(key_path(installation, programme, key.id), installation.secret(PASSPHRASE), key)


def _signer(path: Path, passphrase: bytes, key: JwtKey) -> RsaSigner:
    try:
        mode, pem = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}; restore it from the backup") from None
    if mode & _OTHERS:
        raise RefusedError(f"{path}: mode {stat.filemode(mode)} lets others read it; chmod 600 it")
    try:
        found = load_rsa_signer(pem, passphrase)
    except KeyFileError as error:
        raise RefusedError(f"{path} (mode {stat.filemode(mode)}): {error}") from None
    if found.public_jwk["n"] != key.n:
        raise RefusedError(f"{path}: is not the key that {_INDEX} publishes as {key.id}")
    return found


def _folder(installation: Installation, programme: str) -> Path:
    return installation.secret_path(f"jwt/{programme}")
