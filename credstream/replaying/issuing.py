"""Issuing, replayed: each signature is the one that was issued, and must fit what would be signed. No key is touched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from credstream.replaying.comparing import Fault, Published
from schemas.catalogue import Key
from schemas.codec import decode
from schemas.errors import UnavailableError
from schemas.events import ClaimVoided, CredentialClaimed, CredentialIssued
from schemas.topology import ISSUED, Topic
from services.signing.keys import Signer, is_signed_by
from services.signing.multikey import from_base58
from streams.issuing import IssuingStage

_AHEAD: Final = 50_000
"""How many credentials are looked through for one claim: those of other programmes may have been signed before it."""


class _Known:
    """A signer that knows one signature, and whether it fits."""

    def __init__(self, public_multikey: str, signature: bytes) -> None:
        self.public_multikey, self._signature, self.fits = public_multikey, signature, True

    def sign(self, data: bytes, *, check: bool = True) -> bytes:  # noqa: ARG002  it is always checked
        """Return the signature that was issued, whatever it is over; `fits` says whether it is over this data."""
        self.fits = is_signed_by(self.public_multikey, self._signature, data)
        return self._signature


class ReplayedIssuing(IssuingStage):
    """The stage that signs, with signatures from what was issued."""

    def __init__(self, published: Published) -> None:
        """Take signatures from this lane's credentials."""
        super().__init__({}, clock=lambda: 0.0)
        self._published, self._ahead = published, dict[tuple[str, int], CredentialIssued | ClaimVoided]()
        self._signed_by: _Known | None = None

    def fault(self, topic: Topic, value: bytes | None) -> Fault | None:
        """Return where and how the credential that was issued differs from this one, None when it does not."""
        wanted = decode(value, CredentialIssued, ClaimVoided)
        self._issued(wanted.programme, wanted.claim_no)
        found = self._ahead.pop((wanted.programme, wanted.claim_no), None)
        where = f"{topic.name}/{wanted.lane}@claim {wanted.claim_no} of {wanted.programme}"
        if isinstance(wanted, CredentialIssued) and self._signed_by is not None and not self._signed_by.fits:
            return where, "its signature is not over what its claim says"
        return None if found == wanted else (where, "it is not what its claim says")

    def left(self) -> Iterator[Fault]:
        """Yield a credential of which no claim is known."""
        for programme, number in self._ahead:
            yield f"{ISSUED.name}@claim {number} of {programme}", "no claim that was taken says so"

    def _signer(self, claim: CredentialClaimed, published: Key | None) -> Signer:
        issued = self._issued(claim.programme, claim.claim_no)
        if published is None or not isinstance(issued, CredentialIssued):
            raise UnavailableError(f"claim {claim.claim_no} of {claim.programme} was not issued")
        proof: Any = msgspec.json.decode(issued.credential)["proof"][0]
        self._signed_by = _Known(published.public_key_multibase, from_base58(proof["proofValue"][1:]))
        return self._signed_by

    def _issued(self, programme: str, claim_no: int) -> CredentialIssued | ClaimVoided | None:
        wanted = (programme, claim_no)
        while wanted not in self._ahead and len(self._ahead) < _AHEAD:
            issued = self._published.next_issued()
            if issued is None:
                break
            self._ahead[issued.programme, issued.claim_no] = issued
        return self._ahead.get(wanted)
