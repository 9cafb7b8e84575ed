"""RSA keys, for the one form that Open Badges 3.0 asks for besides Ed25519 proofs: JWTs with RS256 (§6.1.1)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from schemas.errors import IntegrityError
from services.signing.keys import KeyFileError

_BITS: Final = 3072
_LEAST_BITS: Final = 2048
_EXPONENT: Final = 65_537


class RsaSigner:
    """An RSA key in this process's memory. Every signature is verified before it leaves (an RSA fault gives the key away)."""

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        """Sign with this key."""
        self._private = private
        numbers = private.public_key().public_numbers()
        self.public_jwk: Mapping[str, str] = {"kty": "RSA", "n": _encoded(numbers.n), "e": _encoded(numbers.e)}

    def sign(self, data: bytes) -> bytes:
        """Return an RSASSA-PKCS1-v1_5 signature with SHA-256: the same data gives the same bytes (RFC 8017 §8.2).

        Raises:
            IntegrityError: The signature does not verify.
        """
        signature = self._private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        try:
            self._private.public_key().verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise IntegrityError("an RSA key made a signature that does not verify") from None
        return signature


def generate_rsa_pem(passphrase: bytes) -> tuple[Mapping[str, str], bytes]:
    """Return a new key's public JWK and its PKCS#8 PEM, encrypted with the passphrase."""
    private = rsa.generate_private_key(_EXPONENT, _BITS)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    return RsaSigner(private).public_jwk, pem


def load_rsa_signer(pem: bytes, passphrase: bytes) -> RsaSigner:
    """Return a signer for an encrypted PKCS#8 PEM.

    Raises:
        KeyFileError: It is not one, the passphrase is wrong, it is not encrypted, or the key is of another kind or too short.
    """
    try:
        key = load_pem_private_key(pem, passphrase)
    except TypeError:
        raise KeyFileError("the key is not encrypted; encrypt it with the passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError("no PKCS#8 key, or another passphrase") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _LEAST_BITS:
        raise KeyFileError(f"not an RSA key of at least {_LEAST_BITS} bits")
    return RsaSigner(key)


def _encoded(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
