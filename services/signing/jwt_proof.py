"""VC-JWT as Open Badges 3.0 secures credentials with it (OB 3.0 §8.2): RS256, and claims that repeat the credential.

The algorithm is fixed here, and the key comes from what the issuer publishes. A token chooses neither: not by `alg`, not by a
key of its own, not by an address.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from services.signing.badge import id_of, instant, parsed

ALGORITHM: Final = "RS256"
_MEMBERS: Final = frozenset({"alg", "kid", "jwk", "typ"})
_OTHER_SIGNATURES: Final = frozenset(
    {"RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519"}
)
_MIN_BITS: Final = 2048
_MAX_BITS: Final = 8192
_MAX_EXPONENT: Final = 2**32
_MAX_HEADER_CHARS: Final = 8_000
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class CompactJws:
    """A token taken apart; nothing of it is believed yet."""

    header: Mapping[str, Any]
    payload: Mapping[str, Any]
    signed: bytes
    signature: bytes


def read_jws(token: bytes) -> CompactJws | str:
    """Return a compact JWS taken apart (RFC 7515 §7.1), or what is wrong with it."""
    signed, _, signature = token.rpartition(b".")
    header, _, payload = signed.partition(b".")
    if len(header) > _MAX_HEADER_CHARS:
        return "the token's header is too long"
    try:
        about, content = parsed(_decoded(header)), parsed(_decoded(payload))
        raw = _decoded(signature)
    except ValueError:
        return "a part of the token is not base64url"
    if isinstance(about, str) or isinstance(content, str):
        return f"in the token: {about if isinstance(about, str) else content}"
    return CompactJws(about, content, signed, raw)


def _decoded(part: bytes) -> bytes:
    """Return the bytes behind base64url in its one right spelling.

    Raises:
        ValueError: It is another spelling, or none.
    """
    try:
        data = base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part:
        raise ValueError("not canonical")
    return data


def is_read(jws: CompactJws) -> bool:
    """Say whether the token's algorithm is a signature that might be sound, yet is not read here."""
    return jws.header.get("alg") not in _OTHER_SIGNATURES


def header_fault(header: Mapping[str, Any]) -> str | None:
    """Say why a header is not one of OB 3.0 §8.2.1, or None."""
    if header.get("alg") != ALGORITHM:
        return (
            f"its algorithm is {header.get('alg')!s}, which is no signature with a public key"
            if header
            else "no header"
        )
    if beyond := sorted(header.keys() - _MEMBERS):
        return f"its header has members that Open Badges do not know: {', '.join(beyond)}"
    if header.get("typ", "JWT") != "JWT":
        return f"its type is {header['typ']!s} and not JWT"
    if not isinstance(header.get("kid", ""), str) or not isinstance(header.get("jwk", {}), dict):
        return "its kid or jwk is of another form"
    return None if "kid" in header or "jwk" in header else "it names no key"


def claims_fault(payload: Mapping[str, Any]) -> str | None:
    """Say which claim does not repeat what the credential says (OB 3.0 §8.2.2), or None.

    A missing `sub` is let pass, as 1EdTech's own validator does: the subject is signed all the same.
    """
    subject = payload.get("credentialSubject")
    wanted = {"iss": id_of(payload.get("issuer")), "jti": id_of(payload), "sub": id_of(subject)}
    for claim, value in wanted.items():
        if payload.get(claim, value if claim == "sub" else None) != value:
            return f"its claim {claim} is not what the credential says"
    ends = [("nbf", "validFrom")] + ([("exp", "validUntil")] if {"exp", "validUntil"} & payload.keys() else [])
    for claim, member in ends:
        moment, seconds = instant(payload.get(member)), payload.get(claim)
        if moment is None or isinstance(seconds, bool) or not isinstance(seconds, int | float):
            return f"its claim {claim} or its {member} is missing or of another form"
        if int(moment.timestamp()) != seconds:
            return f"its claim {claim} is not the instant of its {member}"
    return None


def public_key(jwk: Mapping[str, Any]) -> RSAPublicKey:
    """Return the RSA key of a JWK (RFC 7517, RFC 7518 §6.3.1).

    Raises:
        ValueError: It is another kind of key, of another use, holds a private part, or is too small or too large.
    """
    if "d" in jwk or jwk.get("kty") != "RSA":
        raise ValueError("the key is no public RSA key")
    if jwk.get("alg", ALGORITHM) != ALGORITHM or jwk.get("use", "sig") != "sig":
        raise ValueError(f"the key is for another use than {ALGORITHM}")
    modulus, exponent = (_number(jwk.get(name)) for name in ("n", "e"))
    if not _MIN_BITS <= modulus.bit_length() <= _MAX_BITS or not 1 < exponent < _MAX_EXPONENT:
        raise ValueError(f"the key has {modulus.bit_length()} bits; {_MIN_BITS} to {_MAX_BITS} are read")
    return RSAPublicNumbers(exponent, modulus).public_key()


def _number(text: Any) -> int:
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise ValueError("the key's numbers are not base64url")
    return int.from_bytes(_decoded(text.encode()), "big")


def is_same_key(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two JWKs show the same RSA key."""
    try:
        return public_key(one).public_numbers() == public_key(other).public_numbers()
    except ValueError:
        return False


def is_signed_with(jws: CompactJws, jwk: Mapping[str, Any]) -> bool:
    """Say whether the token's signature is this key's (RSASSA-PKCS1-v1_5 with SHA-256).

    Raises:
        ValueError: The JWK is not a public RSA key for it.
    """
    try:
        public_key(jwk).verify(jws.signature, jws.signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
