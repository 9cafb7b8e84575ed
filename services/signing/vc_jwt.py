"""Credentials as JWTs, by the rules of Open Badges 3.0 (§8.2.4): RS256, the credential itself as payload."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from services.signing.rsa import RsaSigner


def sign_jwt(credential: Mapping[str, Any], signer: RsaSigner, kid: str) -> bytes:
    """Return a credential as a compact JWS. The same arguments give the same bytes.

    Args:
        credential: The document; its embedded proofs are left out, since this one takes their place.
        signer: The key.
        kid: The URL at which its public JWK is served.

    Raises:
        KeyError: It lacks what a JWT of a badge must have: issuer, id, subject's id, validFrom.
    """
    payload = {name: member for name, member in credential.items() if name != "proof"}
    claims: dict[str, Any] = {
        "iss": credential["issuer"]["id"],
        "jti": credential["id"],
        "sub": credential["credentialSubject"]["id"],
        "nbf": _numeric_date(credential["validFrom"]),
    }
    if "validUntil" in credential:
        claims["exp"] = _numeric_date(credential["validUntil"])
    header = _encoded({"alg": "RS256", "kid": kid, "typ": "JWT"})
    signed = header + b"." + _encoded({**payload, **claims})
    return signed + b"." + _base64(signer.sign(signed))


def _numeric_date(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp())


def _encoded(value: Any) -> bytes:
    return _base64(msgspec.json.encode(value))


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
