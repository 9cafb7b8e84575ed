"""Private keys in an installation's folder: encrypted PKCS#8 files that nobody else may read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from schemas.errors import RefusedError
from services.signing.keys import KeyFileError, LocalSigner, generate_pem, load_signer
from streams.settings import Installation

PASSPHRASE: Final = "keys/passphrase"  # noqa: S105  a file name
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def write_secret(path: Path, value: bytes) -> None:
    """Write a new file that only its owner may read.

    Raises:
        FileExistsError: It is there already; a secret is never overwritten.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(value)


def create_key(path: Path, passphrase: bytes) -> str:
    """Make a key, keep it encrypted in a new file, and return its public multikey.

    Raises:
        FileExistsError: The file is there already.
    """
    public, pem = generate_pem(passphrase)
    write_secret(path, pem)
    return public


def signer(path: Path, passphrase: bytes) -> LocalSigner:
    """Return a signer for a key file.

    Raises:
        RefusedError: The file is missing, open to others, of another kind, or the passphrase is wrong; the message names the
            file and its mode, never the passphrase.
    """
    try:
        mode = path.stat().st_mode
        pem = path.read_bytes()
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}") from None
    if mode & _OTHERS:
        raise RefusedError(f"{path}: mode {stat.filemode(mode)} lets others read it; chmod 600 it")
    try:
        return load_signer(pem, passphrase)
    except KeyFileError as error:
        raise RefusedError(f"{path} (mode {stat.filemode(mode)}): {error}") from None


def signers(installation: Installation) -> Mapping[tuple[str, str], LocalSigner]:
    """Return the signer of every key of the installation's programmes, by programme and key id.

    Raises:
        RefusedError: A key cannot be used; see `signer`.
    """
    passphrase = installation.secret(PASSPHRASE)
    return {
        (programme, path.stem): signer(path, passphrase)
        for programme in installation.programmes
        for path in sorted(installation.secret_path(f"keys/{programme}").glob("*.pem"))
    }
