"""What takes a credential's place where its claim names a compromised key: word that there is none."""

from __future__ import annotations

from typing import Final

from schemas.codec import encode, headers
from schemas.events import ClaimVoided, CredentialClaimed, VoidReason
from schemas.topology import ISSUED
from streams.stage import Output

_VOIDED: Final = tuple(
    name
    for name in CredentialClaimed.__struct_fields__
    if name in ClaimVoided.__struct_fields__ and name != "catalogue_digest"
)


def voided(claim: CredentialClaimed, schedule: str, key: bytes | None, trace: bytes | None) -> Output:
    """Return the record that voids a claim; ``schedule`` names the catalogue that marks its key."""
    shared = {name: getattr(claim, name) for name in _VOIDED}
    event = ClaimVoided(**shared, reason=VoidReason.KEY_COMPROMISED, catalogue_digest=schedule)
    event_id = f"{claim.credential_id}:voided"
    sent = headers(event, source=f"/programmes/{claim.programme}", event_id=event_id, traceparent=trace)
    return Output(topic=ISSUED, key=key, value=encode(event), headers=sent)
