"""The public documents of an organisation, made from a catalogue: issuer profile, providers' profiles, DID document.

The credential embeds the same profiles, so what was signed and what is served cannot differ by a word.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.catalogue import Catalogue, JwtKey, Key, Provider
from schemas.ids import emblem_url, issuer_did, jwk_url, provider_url
from services.issuing.formats import date_time

CREDENTIALS_V2: Final = "https://www.w3.org/ns/credentials/v2"
OPEN_BADGES_V3: Final = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
OPEN_BADGES_EXTENSIONS: Final = "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json"
_DID_CONTEXTS: Final = ("https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1")
_JWK_CONTEXT: Final = "https://w3id.org/security/jwk/v1"


def verification_method(catalogue: Catalogue, key_id: str) -> str:
    """Return the DID URL of a key, as `proof.verificationMethod` names it."""
    return f"{issuer_did(catalogue.base_url, catalogue.programme)}#{key_id}"


def did_document(catalogue: Catalogue) -> dict[str, Any]:
    """Return the did:web document of a programme: every key that ever signed stays under `assertionMethod` (CID §2.3.1).

    A key that came into other hands says so (`revoked`, CID §2.2) until all that it signed is issued anew, and then leaves.
    """
    did = issuer_did(catalogue.base_url, catalogue.programme)
    methods: list[dict[str, Any]] = [
        {
            "id": verification_method(catalogue, key.id),
            "type": "Multikey",
            "controller": did,
            "publicKeyMultibase": key.public_key_multibase,
            **_revoked(key),
        }
        for key in catalogue.keys
        if key.removed_at is None
    ]
    methods += [
        {
            "id": verification_method(catalogue, key.id),
            "type": "JsonWebKey",
            "controller": did,
            "publicKeyJwk": jwk(catalogue, key),
            **_revoked(key),
        }
        for key in catalogue.jwt_keys
        if key.removed_at is None
    ]
    return {
        "@context": [*_DID_CONTEXTS, *([_JWK_CONTEXT] if catalogue.jwt_keys else [])],
        "id": did,
        "verificationMethod": methods,
        "assertionMethod": [method["id"] for method in methods],
    }


def _revoked(key: Key | JwtKey) -> dict[str, str]:
    return {} if key.compromised_at is None else {"revoked": date_time(key.compromised_at)}


def key_history(catalogue: Catalogue) -> dict[str, Any]:
    """Return every key that the programme ever published, and its times: did:web keeps no history of its own."""
    keys: list[Key | JwtKey] = [*catalogue.keys, *catalogue.jwt_keys]
    return {
        "controller": issuer_did(catalogue.base_url, catalogue.programme),
        "keys": [_times(catalogue, key) for key in keys],
    }


def _times(catalogue: Catalogue, key: Key | JwtKey) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": verification_method(catalogue, key.id)}
    if isinstance(key, Key):
        shown |= {"purpose": key.purpose, "publicKeyMultibase": key.public_key_multibase}
    else:
        shown |= {"purpose": "jwt", "publicKeyJwk": jwk(catalogue, key)}
    for name, instant in (
        ("activeFrom", key.active_from or None),
        ("activeUntil", key.active_until),
        ("compromised", key.compromised_at),
        ("removed", key.removed_at),
    ):
        if instant is not None:
            shown[name] = date_time(instant)
    return shown


def jwk(catalogue: Catalogue, key: JwtKey) -> dict[str, Any]:
    """Return a public JWK, as its own URL and the DID document show it."""
    kid = jwk_url(catalogue.base_url, catalogue.programme, key.id)
    return {"kty": "RSA", "n": key.n, "e": key.e, "alg": "RS256", "use": "sig", "kid": kid}


def profile(catalogue: Catalogue) -> dict[str, Any]:
    """Return the issuer as an Open Badges 3.0 Profile (§B.1.21)."""
    issuer = catalogue.issuer
    address = present({"addressCountryCode": issuer.country, "addressRegion": issuer.region})
    logo = issuer.logo or f"{emblem_url(catalogue.base_url, catalogue.programme)}.png"
    identifiers = [
        {"type": "IdentifierEntry", "identifier": known.identifier, "identifierType": known.identifier_type}
        for known in issuer.identifiers
    ]
    return present(
        {
            "id": issuer_did(catalogue.base_url, catalogue.programme),
            "type": ["Profile"],
            "name": issuer.name,
            "description": issuer.description,
            "url": issuer.url,
            "email": issuer.email,
            "image": image(logo),
            "address": {"type": ["Address"], **address} if address else None,
            "otherIdentifier": identifiers or None,
        }
    )


def provider_profile(catalogue: Catalogue, provider: Provider) -> dict[str, Any]:
    """Return who assesses on behalf of the issuer as a Profile."""
    url = provider_url(catalogue.base_url, catalogue.programme, provider.id)
    return present({"id": url, "type": ["Profile"], "name": provider.name, "url": provider.url})


def image(url: str, caption: str | None = None) -> dict[str, Any]:
    """Return an Image (§B.1.15)."""
    return present({"id": url, "type": "Image", "caption": caption})


def present(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members that have a value: the standard forbids null and empty ones (OB 3.0 §A.1)."""
    return {name: value for name, value in members.items() if value is not None}
