"""The public documents that credentials point to, made from a catalogue: issuer profile, DID document, achievements.

The credential embeds the same profile and achievement, so what was signed and what is served cannot differ by a word.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.catalogue import Achievement, Alignment, Catalogue
from schemas.ids import achievement_url, issuer_did

CREDENTIALS_V2: Final = "https://www.w3.org/ns/credentials/v2"
OPEN_BADGES_V3: Final = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
_DID_CONTEXTS: Final = ("https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1")


def verification_method(catalogue: Catalogue, key_id: str) -> str:
    """Return the DID URL of a key, as `proof.verificationMethod` names it."""
    return f"{issuer_did(catalogue.base_url, catalogue.programme)}#{key_id}"


def did_document(catalogue: Catalogue) -> dict[str, Any]:
    """Return the did:web document of a programme: every key that ever signed stays under `assertionMethod` (CID §2.3.1)."""
    did = issuer_did(catalogue.base_url, catalogue.programme)
    methods = [
        {
            "id": verification_method(catalogue, key.id),
            "type": "Multikey",
            "controller": did,
            "publicKeyMultibase": key.public_key_multibase,
        }
        for key in catalogue.keys
    ]
    return {
        "@context": list(_DID_CONTEXTS),
        "id": did,
        "verificationMethod": methods,
        "assertionMethod": [method["id"] for method in methods],
    }


def profile(catalogue: Catalogue) -> dict[str, Any]:
    """Return the issuer as an Open Badges 3.0 Profile (§B.1.21)."""
    issuer = catalogue.issuer
    address = present({"addressCountryCode": issuer.country, "addressRegion": issuer.region})
    return present(
        {
            "id": issuer_did(catalogue.base_url, catalogue.programme),
            "type": ["Profile"],
            "name": issuer.name,
            "description": issuer.description,
            "url": issuer.url,
            "email": issuer.email,
            "address": {"type": ["Address"], **address} if address else None,
        }
    )


def achievement_document(catalogue: Catalogue, achievement: Achievement) -> dict[str, Any]:
    """Return an Open Badges 3.0 Achievement (§B.1.1), without a context: embedded as it is, served with one."""
    url = achievement_url(catalogue.base_url, catalogue.programme, achievement.id)
    return present(
        {
            "id": url,
            "type": ["Achievement"],
            "achievementType": achievement.achievement_type,
            "name": achievement.name,
            "description": achievement.description,
            "criteria": {"id": url, "narrative": achievement.criteria},
            "inLanguage": achievement.language,
            "fieldOfStudy": achievement.field_of_study,
            "tag": list(achievement.tags) or None,
            "alignment": [_alignment(a) for a in achievement.alignments] or None,
        }
    )


def _alignment(alignment: Alignment) -> dict[str, Any]:
    return present(
        {
            "type": ["Alignment"],
            "targetName": alignment.target_name,
            "targetUrl": alignment.target_url,
            "targetFramework": alignment.target_framework,
            "targetCode": alignment.target_code,
            "targetType": alignment.target_type,
        }
    )


def present(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members that have a value: the standard forbids null and empty ones (OB 3.0 §A.1)."""
    return {name: value for name, value in members.items() if value is not None}
