"""A partner's endorsement of an achievement, as a document to be signed with the partner's own key (OB 3.0 §B.1.10)."""

from __future__ import annotations

from typing import Any

from services.issuing.documents import CREDENTIALS_V2, OPEN_BADGES_V3, present


def endorsement_document(
    *,
    identifier: str,
    partner: dict[str, Any],
    endorsed: str,
    comment: str,
    valid_from: str,
    valid_until: str | None = None,
) -> dict[str, Any]:
    """Return an EndorsementCredential without its proof.

    Args:
        identifier: Its own id, a URI.
        partner: Who endorses: `id` (the DID that signs), `name`, perhaps `url`.
        endorsed: The achievement's id.
        comment: What the partner says of it.
        valid_from: A dateTimeStamp.
        valid_until: A dateTimeStamp, if it ends.
    """
    return present(
        {
            "@context": [CREDENTIALS_V2, OPEN_BADGES_V3],
            "id": identifier,
            "type": ["VerifiableCredential", "EndorsementCredential"],
            "name": f"Endorsement by {partner['name']}",
            "issuer": {"type": ["Profile"], **partner},
            "validFrom": valid_from,
            "validUntil": valid_until,
            "credentialSubject": {"id": endorsed, "type": ["EndorsementSubject"], "endorsementComment": comment},
        }
    )
