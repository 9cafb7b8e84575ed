"""A VC-JWT is valid only with RS256 by a key that its issuer publishes, and only if its claims repeat the credential."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.badges import DID, DID_URL, DOCUMENTS, NOW, badge

from services.signing.rsa import RsaSigner
from services.signing.verdict import Verdict
from services.signing.verifying import Verifier

PRIVATE = rsa.generate_private_key(65_537, 2048)
KEY, OTHER, SMALL = (
    RsaSigner(PRIVATE),
    RsaSigner(rsa.generate_private_key(65_537, 2048)),
    RsaSigner(rsa.generate_private_key(65_537, 1024)),  # noqa: S505  too small, as it should be found to be
)
KID = f"{DID}#rsa-1"
KEY_URL = "https://issuer.example/keys/rsa-1"
CLAIMS = {
    "iss": DID,
    "jti": "https://issuer.example/credentials/1",
    "sub": "urn:uuid:1",
    "nbf": 1_772_359_200,
    "exp": 1_893_456_000,
}


def segment(value: Any) -> bytes:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(header: Any = None, payload: Any = None, signer: RsaSigner = KEY) -> bytes:
    signed = (
        segment(header or {"alg": "RS256", "typ": "JWT", "kid": KID}) + b"." + segment(payload or {**badge(), **CLAIMS})
    )
    return signed + b"." + segment(signer.sign(signed))


def documents(signer: RsaSigner = KEY, **changes: Any) -> dict[str, bytes]:
    about = json.loads(DOCUMENTS[DID_URL])
    method = {"id": KID, "type": "JsonWebKey", "controller": DID, "publicKeyJwk": {**signer.public_jwk}, **changes}
    about["verificationMethod"].append(method)
    about["assertionMethod"].append(KID)
    return {**DOCUMENTS, DID_URL: json.dumps(about).encode(), KEY_URL: json.dumps({**KEY.public_jwk}).encode()}


def verdict(data: bytes, known: dict[str, bytes] | None = None) -> Verdict:
    return Verifier(known or documents(), now=NOW, is_suspended=lambda _: False).verify(data)


def decided(found: Verdict) -> tuple[str, str] | None:
    step = found.deciding
    return None if step is None else (step.name, step.outcome)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "RS256", "typ": "JWT", "kid": KID},
        {"alg": "RS256", "kid": KID},
        {"alg": "RS256", "kid": KEY_URL},
        {"alg": "RS256", "jwk": {**KEY.public_jwk}},
        {"alg": "RS256", "jwk": {**KEY.public_jwk}, "kid": KID},
    ],
    ids=["kid and typ", "kid", "the key's own URL", "jwk", "both"],
)
def test_a_token_with_a_published_key_is_valid(header: dict[str, Any]) -> None:
    assert verdict(token(header)).overall == "valid"


def unsigned(header: dict[str, Any], payload: Any = None) -> bytes:
    return segment(header) + b"." + segment(payload or {**badge(), **CLAIMS}) + b"."


def hmac_signed(secret: bytes) -> bytes:
    """Return a token whose MAC's key is the public key, which a confused verifier would take."""
    signed = segment({"alg": "HS256", "kid": KID}) + b"." + segment({**badge(), **CLAIMS})
    return signed + b"." + segment(hmac.digest(secret, signed, hashlib.sha256))


PUBLIC_PEM = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
MODULUS = PRIVATE.public_key().public_numbers().n.to_bytes(256, "big")
REFUSED: dict[str, tuple[bytes, str, str]] = {
    "alg none": (unsigned({"alg": "none", "kid": KID}), "proof", "fail"),
    "alg None": (unsigned({"alg": "None", "kid": KID}), "proof", "fail"),
    "no alg": (token({"kid": KID}), "proof", "fail"),
    "alg a number": (token({"alg": 256, "kid": KID}), "proof", "fail"),
    "HS256 with the public PEM": (hmac_signed(PUBLIC_PEM), "proof", "fail"),
    "HS256 with the modulus": (hmac_signed(MODULUS), "proof", "fail"),
    "no signature": (unsigned({"alg": "RS256", "kid": KID}), "proof", "fail"),
    "PS256": (token({"alg": "PS256", "kid": KID}), "proof", "unknown"),
    "ES256": (token({"alg": "ES256", "kid": KID}), "proof", "unknown"),
    "another's key": (token(signer=OTHER), "proof", "fail"),
    "another's key shown in the token": (
        token({"alg": "RS256", "jwk": {**OTHER.public_jwk}}, signer=OTHER),
        "key",
        "fail",
    ),
    "another's key under our kid": (
        token({"alg": "RS256", "jwk": {**OTHER.public_jwk}, "kid": KID}, signer=OTHER),
        "key",
        "fail",
    ),
    "an Ed25519 method as kid": (token({"alg": "RS256", "kid": f"{DID}#key-1"}), "key", "fail"),
    "a kid of another DID": (token({"alg": "RS256", "kid": "did:web:evil.example#rsa-1"}), "key", "fail"),
    "a kid that is a path": (token({"alg": "RS256", "kid": "../../../../etc/passwd"}), "key", "fail"),
    "a kid that is a file": (token({"alg": "RS256", "kid": "file:///etc/passwd"}), "key", "fail"),
    "a kid with a query": (token({"alg": "RS256", "kid": "' OR 1=1 --"}), "key", "fail"),
    "a kid to fetch": (token({"alg": "RS256", "kid": "https://evil.example/key"}), "key", "unknown"),
    "a kid that is a list": (token({"alg": "RS256", "kid": [KID]}), "proof", "fail"),
    "no key named": (token({"alg": "RS256"}), "proof", "fail"),
    "jku": (token({"alg": "RS256", "kid": KID, "jku": "https://evil.example/keys"}), "proof", "fail"),
    "x5c": (token({"alg": "RS256", "kid": KID, "x5c": ["MII"]}), "proof", "fail"),
    "crit": (token({"alg": "RS256", "kid": KID, "crit": ["b64"], "b64": False}), "proof", "fail"),
    "another typ": (token({"alg": "RS256", "kid": KID, "typ": "at+jwt"}), "proof", "fail"),
    "alg twice": (token(b'{"alg":"none","alg":"RS256","kid":"%s"}' % KID.encode()), "parse", "fail"),
    "a header too long": (token({"alg": "RS256", "kid": "x" * 9_000}), "parse", "fail"),
    "a payload that is a list": (token(payload=[1]), "parse", "fail"),
    "base64 with padding": (token() + b"==", "parse", "fail"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_token_chooses_neither_algorithm_nor_key(name: str) -> None:
    data, step, outcome = REFUSED[name]
    assert decided(verdict(data)) == (step, outcome)


@pytest.mark.parametrize(
    ("claims", "holds"),
    [
        ({}, True),
        ({"sub": None}, True),
        ({"iat": 5, "aud": "x"}, True),
        ({"iss": "did:web:other.example"}, False),
        ({"iss": None}, False),
        ({"jti": "https://issuer.example/credentials/2"}, False),
        ({"jti": None}, False),
        ({"sub": "urn:uuid:2"}, False),
        ({"nbf": 1_772_359_201}, False),
        ({"nbf": True}, False),
        ({"nbf": "1772359200"}, False),
        ({"nbf": None}, False),
        ({"nbf": 1e400}, False),
        ({"exp": 1_893_456_001}, False),
        ({"exp": None}, False),
    ],
    ids=str,
)
def test_claims_repeat_what_the_credential_says(claims: dict[str, Any], holds: bool) -> None:
    payload = {name: value for name, value in {**badge(), **CLAIMS, **claims}.items() if value is not None}
    assert (verdict(token(payload=payload)).overall == "valid") == holds


def test_a_credential_without_an_end_has_no_exp() -> None:
    forever = {name: value for name, value in {**badge(), **CLAIMS}.items() if name not in {"validUntil", "exp"}}
    assert verdict(token(payload=forever)).overall == "valid"
    assert decided(verdict(token(payload={**forever, "exp": 1_893_456_000}))) == ("proof", "fail")


def padded(name: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda jwk: {**jwk, name: jwk[name] + "=="}


@pytest.mark.parametrize(
    "change",
    [
        lambda jwk: {**jwk, "d": "AQAB"},
        lambda jwk: {**jwk, "kty": "oct"},
        lambda jwk: {**jwk, "alg": "RS512"},
        lambda jwk: {**jwk, "use": "enc"},
        lambda jwk: {**jwk, "e": "AQ"},
        lambda jwk: {**jwk, "n": "AQAB"},
        lambda jwk: {**jwk, "n": 5},
        padded("n"),
        lambda _: {**SMALL.public_jwk},
        lambda _: {},
    ],
    ids=["private", "symmetric", "RS512", "enc", "e of 1", "tiny", "a number", "padded", "1024 bits", "empty"],
)
def test_a_published_key_that_is_no_sound_rsa_key_verifies_nothing(change: Callable[[dict[str, str]], Any]) -> None:
    found = verdict(token(), documents(publicKeyJwk=change({**KEY.public_jwk})))
    assert found.overall == "invalid"


def test_a_weak_key_verifies_nothing_even_with_its_own_signature() -> None:
    assert decided(verdict(token(signer=SMALL), documents(SMALL))) == ("proof", "fail")


@pytest.mark.parametrize(
    "change", [{"revoked": "2026-01-01T00:00:00Z"}, {"controller": "did:web:other.example"}], ids=str
)
def test_a_withdrawn_key_verifies_nothing(change: dict[str, Any]) -> None:
    assert decided(verdict(token(), documents(**change))) == ("key", "fail")


def test_a_token_of_the_older_data_model_is_unknown_and_not_invalid() -> None:
    assert decided(verdict(token(payload={"vc": badge(), **CLAIMS}))) == ("context", "unknown")


def test_half_a_surrogate_pair_is_no_text() -> None:
    payload = json.dumps({**badge(), **CLAIMS, "name": "\ud800"}).encode()
    assert decided(verdict(token(payload=payload))) == ("proof", "fail")
