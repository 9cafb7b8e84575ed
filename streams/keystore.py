"""An installation's signing keys: in encrypted PKCS#8 files that nobody else may read, or in PKCS#11 tokens, as its settings say.

A processor gets the keys of its own purpose and no others. Those that the programme publishes are listed in `keys.json`; a key
that is missing, unreadable or another than the published one keeps the processor from starting. A token that is away does not:
its programme's work waits, and nobody else's.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from schemas.catalogue import Key
from schemas.errors import RefusedError, UnavailableError
from services.signing.keys import KeyFileError, LocalSigner, Signer, WrongSignatureError, generate_pem, load_signer
from streams import metrics
from streams.pkcs11 import Pin, TokenSigner, generate, module
from streams.settings import Installation, TokenSettings

log = logging.getLogger(__name__)

PASSPHRASE: Final = "keys/passphrase"  # noqa: S105  a file name
Purpose = Literal["credentials", "status"]
V = TypeVar("V")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_AGAIN_S: Final = 1.0
"""How long a signer that failed is left alone."""
_LOOK_S: Final = 1.0
"""How long a keystore that lacks a key does not look again."""


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


def create_signing_key(installation: Installation, programme: str, key_id: str) -> str:
    """Make a signing key where the settings put it, a token or a file, and return its public multikey.

    Raises:
        FileExistsError: The file is there already.
        RefusedError: The settings name no usable library or PIN file.
        UnavailableError: The token is away or refuses.
    """
    at = installation.programmes[programme].signers.get(key_id)
    if at is None:
        return create_key(key_path(installation, programme, key_id), installation.secret(PASSPHRASE))
    return generate(module(at.module), at.token, at.label or key_id, _pin(installation, at))


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


def write_keys(installation: Installation, programme: str, keys: Sequence[Key]) -> None:
    """List a programme's public keys for its processors, and for whoever publishes its catalogue."""
    path = installation.secret_path(f"keys/{programme}/keys.json")
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(keys)))
    draft.replace(path)


def published_keys(installation: Installation, programme: str) -> Sequence[Key]:
    """Return the programme's public keys, as its catalogue publishes them.

    Raises:
        RefusedError: Their list cannot be read.
    """
    path = installation.secret_path(f"keys/{programme}/keys.json")
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Key])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        raise RefusedError(f"{path}: {error}") from None


def signers(installation: Installation, purpose: Purpose) -> Mapping[tuple[str, str], Signer]:
    """Return the signer of each of the installation's keys of a purpose, by programme and key id.

    A key that is made later is found when it is first asked for, so a rotation needs no restart.

    Raises:
        RefusedError: A key cannot be used, or is not the published one; one line that names the file and its mode.
    """
    return Rereading(
        lambda known: {
            (programme, key.id): WatchedSigner(programme, key.id, found)
            for programme in installation.programmes
            for key, found in _signers(installation, programme, purpose, known)
        }
    )


class Rereading(Mapping[tuple[str, str], V]):
    """What was read about keys, by programme and key id; read again for a key that it lacks, though not all the time.

    Whatever is wrong with a key that is made later, its work waits and the log says so.
    """

    def __init__(
        self,
        read: Callable[[Container[tuple[str, str]]], Mapping[tuple[str, str], V]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read; ``read`` is told what is known already.

        Raises:
            RefusedError: A key cannot be used.
        """
        self._read, self._clock = read, clock
        self._found = dict(read(()))
        self._again_at = clock() + _LOOK_S
        self._said = ""

    def __getitem__(self, name: tuple[str, str]) -> V:
        """Return what is known of a key."""
        if name not in self._found and self._clock() >= self._again_at:
            self._again_at = self._clock() + _LOOK_S
            try:
                self._found |= self._read(self._found)
            except RefusedError as error:
                if str(error) != self._said:
                    self._said = str(error)
                    log.error("a key cannot be used: %s", error)  # noqa: TRY400  a refusal is one line
        return self._found[name]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Return the keys that are known."""
        return iter(self._found)

    def __len__(self) -> int:
        """Return how many are."""
        return len(self._found)


def _signers(
    installation: Installation, programme: str, purpose: Purpose, known: Container[tuple[str, str]] = ()
) -> Iterator[tuple[Key, Signer]]:
    published = published_keys(installation, programme)
    for path in sorted(installation.secret_path(f"keys/{programme}").glob("*.pem")):
        if path.stem not in {key.id for key in published}:
            raise RefusedError(f"{path}: no published key; keys.json beside it does not list {path.stem}")
    for key in published:
        if key.purpose != purpose or key.compromised_at is not None or (programme, key.id) in known:
            continue
        held = (
            installation.programmes[programme].signers.get(key.id) or key_path(installation, programme, key.id).exists()
        )
        if held or not _has_ended(key):
            yield key, open_key(installation, programme, key)


def open_key(installation: Installation, programme: str, key: Key) -> Signer:
    """Return the signer of a key, wherever the settings say that it is.

    Raises:
        RefusedError: It cannot be used, or is not the published one; one line that names the file and its mode.
    """
    at = installation.programmes[programme].signers.get(key.id)
    if at is not None:
        pin = _pin(installation, at)
        return TokenSigner(module(at.module), at.token, at.label or key.id, pin, key.public_key_multibase)
    path = key_path(installation, programme, key.id)
    found = signer(path, installation.secret(PASSPHRASE))
    if found.public_multikey != key.public_key_multibase:
        raise RefusedError(f"{path}: holds {found.public_multikey}, but {key.public_key_multibase} is published")
    return found


def key_path(installation: Installation, programme: str, key_id: str) -> Path:
    """Return the file of a key."""
    return installation.secret_path(f"keys/{programme}/{key_id}.pem")


def _has_ended(key: Key) -> bool:
    """Whether it signs no more, so that its private half may be destroyed."""
    return key.active_until is not None and key.active_until <= time.time_ns() // 1000


def _pin(installation: Installation, at: TokenSettings) -> Pin:
    installation.secret(at.pin_file)  # refuse at once what could not be read later
    refused = installation.folder / "run" / f"pin-refused-{at.token}"
    return Pin(lambda: installation.secret(at.pin_file), installation.secret_path(at.pin_file), refused)


class WatchedSigner:
    """A signer with its metrics. One that failed is left alone for a moment, and said to be away once, not each time."""

    def __init__(self, programme: str, key_id: str, inner: Signer, clock: Callable[[], float] = time.monotonic) -> None:
        """Watch a signer."""
        self._name, self._inner, self._clock = f"the key {key_id} of {programme}", inner, clock
        self._seconds = metrics.SIGNATURE_SECONDS.labels(programme, key_id)
        self._errors = {kind: metrics.SIGNATURE_ERRORS.labels(programme, key_id, kind) for kind in ("away", "wrong")}
        self._away: UnavailableError | None = None
        self._again_at = 0.0
        self.public_multikey = inner.public_multikey

    def sign(self, data: bytes, *, check: bool = True) -> bytes:
        """Return an Ed25519 signature. While the signer recovers, every one is checked.

        Raises:
            WrongSignatureError: It does not verify.
            UnavailableError: The key cannot be used now.
        """
        began = self._clock()
        if self._away is not None and began < self._again_at:
            raise UnavailableError(str(self._away))
        try:
            signature = self._inner.sign(data, check=check or self._away is not None)
        except UnavailableError as error:
            self._failed(error)
            raise
        self._seconds.observe(self._clock() - began)
        if self._away is not None:
            log.warning("%s signs again", self._name)
            self._away = None
        return signature

    def _failed(self, error: UnavailableError) -> None:
        self._errors["wrong" if isinstance(error, WrongSignatureError) else "away"].inc()
        if self._away is None or str(self._away) != str(error):
            log.error("%s cannot sign: %s", self._name, error)
        self._away, self._again_at = error, self._clock() + _AGAIN_S
