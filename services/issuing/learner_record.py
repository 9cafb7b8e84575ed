"""A learner's record: a Comprehensive Learner Record 2.0 that holds issued credentials, each with its own proof, and nothing else.

It derives from the credentials alone: the same ones give the same record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from schemas.catalogue import Catalogue
from schemas.ids import achievement_url
from schemas.rules import achievements_in, criteria_of
from services.issuing.documents import CREDENTIALS_V2, OPEN_BADGES_EXTENSIONS, OPEN_BADGES_V3, present, profile

CLR_V2: Final = "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json"
_NAME: Final = "Learner record: {}"


def record_id(credentials: Sequence[bytes]) -> str:
    """Return the id of the record of these credentials, whatever their order: a UUID of their digests (RFC 9562 §5.8)."""
    return str(_uuid("record", credentials))


def learner_record(
    credentials: Sequence[bytes], documents: Sequence[Mapping[str, Any]], catalogue: Catalogue
) -> dict[str, Any]:
    """Return the record, to be signed as a JWT.

    Args:
        credentials: The signed credentials' bytes, in order of award.
        documents: The same, decoded.
        catalogue: The programme's newest version: who issues, and what builds on what.
    """
    newest = max(documents, key=lambda d: datetime.fromisoformat(d["validFrom"]))
    identities = newest["credentialSubject"].get("identifier")
    return {
        "@context": [CREDENTIALS_V2, CLR_V2, OPEN_BADGES_V3, OPEN_BADGES_EXTENSIONS],
        "id": f"urn:uuid:{record_id(credentials)}",
        "type": ["VerifiableCredential", "ClrCredential"],
        "name": _NAME.format(catalogue.issuer.name),
        "issuer": profile(catalogue),
        "validFrom": newest["validFrom"],
        "credentialSubject": present(
            {
                "id": f"urn:uuid:{_uuid('learner', credentials)}",
                "type": ["ClrSubject"],
                "identifier": identities,
                "verifiableCredential": list(documents),
                "association": _associations(documents, catalogue) or None,
            }
        ),
    }


def _associations(documents: Sequence[Mapping[str, Any]], catalogue: Catalogue) -> list[dict[str, str]]:
    """Return which of the achievements are building blocks of others."""
    held = {document["credentialSubject"]["achievement"]["id"] for document in documents}

    def url(name: str) -> str:
        return achievement_url(catalogue.base_url, catalogue.programme, name)

    return [
        {"type": "Association", "associationType": "isPartOf", "sourceId": url(block), "targetId": url(stack.id)}
        for stack in catalogue.achievements
        if url(stack.id) in held
        for block in sorted({name for criterion in criteria_of(stack.rule) for name in achievements_in(criterion)})
        if url(block) in held
    ]


def _uuid(kind: str, credentials: Sequence[bytes]) -> UUID:
    digests = sorted(hashlib.sha256(credential).digest() for credential in credentials)
    bits = int.from_bytes(hashlib.sha256(kind.encode() + b"".join(digests)).digest()[:16], "big")
    return UUID(int=(bits & ~(0xF << 76) & ~(0x3 << 62)) | (8 << 76) | (2 << 62))
