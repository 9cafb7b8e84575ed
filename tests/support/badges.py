"""A signed badge, its issuer's documents and a status list, without a pipe."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from schemas.bitstring import encode_bits
from services.signing.contexts import CREDENTIALS_V2, OPEN_BADGES_V3
from services.signing.data_integrity import sign
from services.signing.keys import seed_signer
from services.signing.multikey import base58
from services.signing.rdf import canonical
from services.signing.shape import Shape

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MADE = "2026-03-01T10:00:00Z"
SIGNER = seed_signer(bytes(32))
DID = "did:web:issuer.example"
DID_URL = "https://issuer.example/.well-known/did.json"
METHOD = f"{DID}#key-1"
LIST = "https://issuer.example/status/1"
REVOKED = "7"


def badge(index: str = "8", until: str = "2030-01-01T00:00:00Z") -> dict[str, Any]:
    """Return a badge's document, not yet signed."""
    url = "https://issuer.example/achievements/spt"
    return {
        "@context": [CREDENTIALS_V2, OPEN_BADGES_V3],
        "id": "https://issuer.example/credentials/1",
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "name": "Safe patient transfer",
        "issuer": {"id": DID, "type": ["Profile"], "name": "Issuer"},
        "validFrom": MADE,
        "validUntil": until,
        "credentialSubject": {
            "id": "urn:uuid:1",
            "type": ["AchievementSubject"],
            "creditsEarned": 1.5,
            "identifier": [
                {"type": "IdentityObject", "hashed": True, "identityHash": "sha256$0", "identityType": "emailAddress"}
            ],
            "achievement": {
                "id": url,
                "type": ["Achievement"],
                "name": "Safe patient transfer",
                "description": "Moves patients without harm.",
                "criteria": {"narrative": "Pass."},
                "tag": ["health", "safety"],
                "resultDescription": [
                    {
                        "id": f"{url}#1",
                        "type": ["ResultDescription"],
                        "name": "Grade",
                        "resultType": "LetterGrade",
                        "allowedValue": ["C", "B", "A"],
                    }
                ],
            },
            "result": [{"type": ["Result"], "resultDescription": f"{url}#1", "value": "A"}],
        },
        "evidence": [{"id": "https://issuer.example/e/1", "type": ["Evidence"], "name": "Log"}],
        "credentialStatus": {
            "id": f"{LIST}#{index}",
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": index,
            "statusListCredential": LIST,
        },
    }


def signed(document: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return the document with a proof, by the full path; options change the proof's, None leaves one out."""
    proof = {
        "type": "DataIntegrityProof",
        "created": MADE,
        "verificationMethod": METHOD,
        "cryptosuite": "eddsa-rdfc-2022",
        "proofPurpose": "assertionMethod",
        **options,
    }
    proof = {name: value for name, value in proof.items() if value is not None}
    configuration = canonical({"@context": document["@context"], **proof})
    digests = hashlib.sha256(configuration).digest() + hashlib.sha256(canonical(document)).digest()
    return {**document, "proof": [{**proof, "proofValue": "z" + base58(SIGNER.sign(digests))}]}


def did_document(**changes: Any) -> bytes:
    """Return the issuer's DID document; changes are to its one verification method."""
    key = {"id": METHOD, "type": "Multikey", "controller": DID, "publicKeyMultibase": SIGNER.public_multikey}
    return json.dumps({"id": DID, "verificationMethod": [{**key, **changes}], "assertionMethod": [METHOD]}).encode()


def status_list() -> bytes:
    """Return the issuer's signed list, in which REVOKED is revoked."""
    document = {
        "@context": [CREDENTIALS_V2],
        "id": LIST,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": DID,
        "validFrom": "2026-05-31T00:00:00Z",
        "validUntil": "2026-06-02T00:00:00Z",
        "credentialSubject": {
            "id": f"{LIST}#list",
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "encodedList": encode_bits([int(REVOKED)]),
        },
    }
    return sign(Shape(document), [], SIGNER, verification_method=METHOD, created=MADE)


DOCUMENTS = {DID_URL: did_document(), LIST: status_list()}
