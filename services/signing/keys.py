"""Ed25519 keys: the port through which everything is signed, and keys in this process's memory.

libsodium signs, since it takes 0.6 of OpenSSL's time; OpenSSL verifies, so that no fault of one library hides in the other.
"""

from __future__ import annotations

from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_seed_keypair

from schemas.errors import UnavailableError
from services.signing.multikey import multikey, public_bytes

SAMPLED: Final = 64
"""Of what a local key signs by the thousand, every so many-th is checked, by claim number: a replay checks the same ones."""


class KeyFileError(ValueError):
    """A key's bytes cannot be used; the message never holds any of them."""


class WrongSignatureError(UnavailableError):
    """What was signed does not verify: key, hardware or memory is at fault. It has not left."""


class Signer(Protocol):
    """Whatever can sign with one Ed25519 key."""

    @property
    def public_multikey(self) -> str:
        """The public half, as documents show it."""

    def sign(self, data: bytes, *, check: bool = True) -> bytes:
        """Return the 64 bytes of an Ed25519 signature (RFC 8032), verified first if `check`; hardware's always is.

        Raises:
            WrongSignatureError: It does not verify.
            UnavailableError: The key cannot be used now.
        """


class LocalSigner:
    """A key in this process's memory."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Sign with this key.

        Raises:
            WrongSignatureError: It signs wrongly from the start.
        """
        public, self._secret = crypto_sign_seed_keypair(private.private_bytes_raw())
        self.public_multikey = multikey(private.public_key().public_bytes_raw())
        if multikey(public) != self.public_multikey:
            raise WrongSignatureError("libsodium and OpenSSL disagree on this key")
        self.sign(b"credstream")

    def sign(self, data: bytes, *, check: bool = True) -> bytes:
        """Return an Ed25519 signature.

        Raises:
            WrongSignatureError: It was checked and does not verify.
        """
        signature = bytes(crypto_sign(data, self._secret)[:crypto_sign_BYTES])
        return checked(self.public_multikey, signature, data) if check else signature


def checked(public_multikey: str, signature: bytes, data: bytes) -> bytes:
    """Return the signature if it verifies.

    Raises:
        WrongSignatureError: It does not.
    """
    if not is_signed_by(public_multikey, signature, data):
        raise WrongSignatureError(f"the key {public_multikey} made a signature that does not verify")
    return signature


def generate_pem(passphrase: bytes) -> tuple[str, bytes]:
    """Return a new key's public multikey and its PKCS#8 PEM, encrypted with the passphrase."""
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    return multikey(private.public_key().public_bytes_raw()), pem


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
