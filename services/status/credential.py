"""The status list credential (W3C Bitstring Status List 1.0 §2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from schemas.bitstring import encode_bits
from services.status.ledger import Cadence, ListState

_CREDENTIALS_V2: Final = "https://www.w3.org/ns/credentials/v2"
_MILLISECOND: Final = 1_000
SLOTS: Final = ("valid_from", "valid_until", "bits")


def document(url: str, state: ListState, cadence: Cadence, slots: Sequence[Any]) -> dict[str, Any]:
    """Return a list's credential; `slots` stand for `SLOTS`. `ttl` is the cadence: no cache need hold it longer."""
    valid_from, valid_until, bits = slots
    return {
        "@context": [_CREDENTIALS_V2],
        "id": url,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": state.issuer,
        "validFrom": valid_from,
        "validUntil": valid_until,
        "credentialSubject": {
            "id": f"{url}#list",
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "ttl": cadence.every // _MILLISECOND,
            "encodedList": bits,
        },
    }


def encoded(state: ListState) -> str:
    """Return the list's bits as the credential holds them."""
    return encode_bits(state.revoked)
