"""Detached JWS (RFC 7515 appendix F) over a record's exact bytes: who asked for it, on the record.

The algorithm is fixed here and the key by the caller's registry; a token chooses neither.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

import msgspec

from services.signing.keys import Signer, is_signed_by

HEADER: Final = "jws"
"""The Kafka header that carries it."""
_MAX_BYTES: Final = 1_000
_SIGNATURE_BYTES: Final = 64


class _Protected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: str
    kid: str


_DECODER: Final = msgspec.json.Decoder(_Protected)  # made once, here: see `schemas.codec`


def sign_detached(payload: bytes, signer: Signer, kid: str) -> bytes:
    """Return `header..signature` over the payload."""
    protected = _encode(msgspec.json.encode(_Protected("EdDSA", kid)))
    return protected + b".." + _encode(signer.sign(protected + b"." + _encode(payload)))


def signer_of(token: bytes | None, payload: bytes, keys: Mapping[str, str]) -> str | None:
    """Return the `kid` that signed the payload, if it is one of `keys` (kid to public multikey), else None."""
    if token is None or len(token) > _MAX_BYTES or token.count(b".") != 2:  # noqa: PLR2004  three parts
        return None
    protected, detached, signature = token.split(b".")
    try:
        header = _DECODER.decode(_decode(protected))
        raw = _decode(signature)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None
    public = keys.get(header.kid)
    if detached or header.alg != "EdDSA" or public is None or len(raw) != _SIGNATURE_BYTES:
        return None
    return header.kid if is_signed_by(public, raw, protected + b"." + _encode(payload)) else None


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
