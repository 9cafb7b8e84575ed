"""Ed25519 keys: the port through which everything is signed, and the adapter for encrypted PKCS#8 files."""

from __future__ import annotations

from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from schemas.errors import IntegrityError
from services.signing.multikey import multikey, public_bytes

_SAMPLE: Final = 64


class KeyFileError(ValueError):
    """A key's bytes cannot be used; the message never holds any of them."""


class Signer(Protocol):
    """Whatever can sign with one Ed25519 key."""

    @property
    def public_multikey(self) -> str:
        """The public half, as documents show it."""

    def sign(self, data: bytes) -> bytes:
        """Return the 64 bytes of an Ed25519 signature (RFC 8032).

        Raises:
            IntegrityError: The signature does not verify: the key or the hardware is at fault.
            UnavailableError: The key cannot be reached now.
        """


class LocalSigner:
    """A key in this process's memory. One signature in 64, the first among them, is verified before it leaves."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Sign with this key."""
        self._private = private
        self._public = private.public_key()
        self._signed = 0
        self.public_multikey = multikey(self._public.public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, data: bytes) -> bytes:
        """Return an Ed25519 signature.

        Raises:
            IntegrityError: A sampled signature does not verify.
        """
        signature = self._private.sign(data)
        if self._signed % _SAMPLE == 0:
            try:
                self._public.verify(signature, data)
            except InvalidSignature:
                raise IntegrityError(f"the key {self.public_multikey} made a signature that does not verify") from None
        self._signed += 1
        return signature


def generate_pem(passphrase: bytes) -> tuple[str, bytes]:
    """Return a new key's public multikey and its PKCS#8 PEM, encrypted with the passphrase."""
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    return LocalSigner(private).public_multikey, pem


def load_signer(pem: bytes, passphrase: bytes) -> LocalSigner:
    """Return a signer for an encrypted PKCS#8 PEM.

    Raises:
        KeyFileError: It is not one, the passphrase is wrong, it is not encrypted, or the key is of another kind.
    """
    try:
        key = load_pem_private_key(pem, passphrase)
    except TypeError:
        raise KeyFileError("the key is not encrypted; encrypt it with the passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError("no PKCS#8 key, or another passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError("not an Ed25519 key")
    return LocalSigner(key)


def seed_signer(seed: bytes) -> LocalSigner:
    """Return a signer for a raw 32-byte seed: for the standards' published test vectors."""
    return LocalSigner(Ed25519PrivateKey.from_private_bytes(seed))


def is_signed_by(public_multikey: str, signature: bytes, data: bytes) -> bool:
    """Say whether the signature over the data is this key's.

    Raises:
        ValueError: The multikey is not an Ed25519 key.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public_bytes(public_multikey)).verify(signature, data)
    except InvalidSignature:
        return False
    return True
