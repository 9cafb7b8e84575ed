"""Signatures, checked anew: `eddsa-rdfc-2022` by PyLD from end to end, detached JWS, keys by the bytes.

Contexts come from the package that carries the standards' files, pinned by digest; nothing is fetched.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pyld import jsonld

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ED25519: Final = b"\xed\x01"
_CONTEXTS: Final = {
    "https://www.w3.org/ns/credentials/v2": (
        "credentials-v2.json",
        "59955ced6697d61e03f2b2556febe5308ab16842846f5b586d7f1f7adec92734",
    ),
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json": (
        "ob-v3p0-context-3.0.3.json",
        "3d34f4d4ef1bce691106e63798beb5e7b862ba841423f5ee1e53ab7ddf3bca84",
    ),
    "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json": (
        "ob-v3p0-extensions.json",
        "87c06c81bc2317663bf288d740d94fddd2818c4342b186270ff6371dfaa63f93",
    ),
}
_MAX_JWS: Final = 1_000


def proof_fault(document: Mapping[str, Any], public: str) -> str | None:
    """Say why a secured document's one proof does not hold for a key (a multikey), or None when it does.

    Data Integrity EdDSA Cryptosuites 1.0 §3.2: hash of the canonical proof options, then of the canonical document.
    """
    proofs = document.get("proof")
    proof = proofs[0] if isinstance(proofs, list) and len(proofs) == 1 else proofs
    if not isinstance(proof, dict):
        return "it has not exactly one proof"
    asked = ("DataIntegrityProof", "eddsa-rdfc-2022", "assertionMethod")
    if tuple(proof.get(name) for name in ("type", "cryptosuite", "proofPurpose")) != asked:
        return "its proof is of another kind, or for another purpose"
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    unsecured = {name: value for name, value in document.items() if name != "proof"}
    try:
        signature = base58(str(proof.get("proofValue", ""))[1:])
        hashes = [
            hashlib.sha256(_canonical(part)).digest()
            for part in ({**options, "@context": document["@context"]}, unsecured)
        ]
        _key(public).verify(signature, b"".join(hashes))
    except InvalidSignature:
        return "the signature is not of this document by this key"
    except (ValueError, KeyError, jsonld.JsonLdError) as error:
        return f"its proof cannot be checked: {type(error).__name__}"
    return None


def _canonical(document: Mapping[str, Any]) -> bytes:
    """Return canonical N-Quads.

    Raises:
        ValueError: A term is defined nowhere, so no signature covers it.
    """
    unknown: list[str] = []
    processor = jsonld.JsonLdProcessor(on_property_dropped=unknown.append)
    options = {"algorithm": "URDNA2015", "format": "application/n-quads", "documentLoader": _load, "base": None}
    text: str = processor.normalize(document, options)
    if unknown:
        raise ValueError(f"terms without a meaning: {', '.join(map(str, unknown))}")
    return text.encode()


def _load(url: str, _options: object = None) -> dict[str, Any]:
    return {"contextUrl": None, "documentUrl": url, "document": _context(url), "contentType": "application/ld+json"}


@cache
def _context(url: str) -> Any:
    if url not in _CONTEXTS:
        raise ValueError("a context that is not pinned")
    name, digest = _CONTEXTS[url]
    text = files("openbadgeslib").joinpath("ob3", "contexts", name).read_bytes()
    if hashlib.sha256(text).hexdigest() != digest:
        raise RuntimeError(f"openbadgeslib carries another {name}; install the version in the lock file")
    return json.loads(text)


def base58(text: str) -> bytes:
    """Return the bytes behind base58btc.

    Raises:
        ValueError: A character is not of the alphabet.
    """
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


@cache
def _key(multikey: str) -> Ed25519PublicKey:
    data = base58(multikey[1:]) if multikey.startswith("z") else b""
    if data[:2] != _ED25519:
        raise ValueError("not an Ed25519 multikey")
    return Ed25519PublicKey.from_public_bytes(data[2:])


def signer_of(token: bytes | None, payload: bytes, keys: Mapping[str, str]) -> str | None:
    """Return which of these keys (id to multikey) made a detached JWS over the payload (RFC 7515 appendix F), or None."""
    parts = (token or b"").split(b".")
    if len(token or b"") > _MAX_JWS or len(parts) != 3 or parts[1]:  # noqa: PLR2004  three parts
        return None
    try:
        header = json.loads(_from_base64(parts[0]))
        public = keys[header["kid"]]
        if header != {"alg": "EdDSA", "kid": header["kid"]}:
            return None
        signed = parts[0] + b"." + base64.urlsafe_b64encode(payload).rstrip(b"=")
        _key(public).verify(_from_base64(parts[2]), signed)
    except (ValueError, KeyError, TypeError, InvalidSignature):
        return None
    return str(header["kid"])


def _from_base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
