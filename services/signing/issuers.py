"""Who is known to issue, which keys they publish, and whether a key was theirs to use when something was signed.

Documents are given, never fetched. A did:key names its own key, so its document is made here: what it proves is that whoever
holds the key signed, and nothing about who that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from services.signing.badge import instant, parsed
from services.signing.did_web import assertion_method, assertion_methods, document_url
from services.signing.jwt_proof import is_same_key
from services.signing.multikey import public_bytes
from services.signing.verdict import VerifyStep

Purpose = Literal["credentials", "status"]
_DID_KEY: Final = "did:key:"
COMPROMISED: Final = "this key was compromised, so whatever it signed proves nothing, of any date"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTerm:
    """For what and from when until when an issuer uses a key, as its catalogue says. Instants are aware."""

    purpose: Purpose
    active_from: datetime
    active_until: datetime | None = None
    is_compromised: bool = False


class Issuers:
    """The issuers whose documents are at hand."""

    def __init__(self, documents: Mapping[str, bytes], terms: Mapping[str, KeyTerm], now: datetime) -> None:
        """Know these documents by URL, and these terms by verification method, where an issuer states them."""
        self._documents, self._terms, self._now = documents, terms, now
        self._found: dict[str, Mapping[str, Any] | None] = {}

    def document(self, issuer: str) -> Mapping[str, Any] | None:
        """Return an issuer's DID or controlled identifier document, or None when it is not known here."""
        if issuer not in self._found:
            url = document_url(issuer) or (issuer if issuer.startswith("https://") else None)
            if url is None or url not in self._documents:
                return None
            read = parsed(self._documents[url])
            self._found[issuer] = read if isinstance(read, dict) and read.get("id") == issuer else None
        return self._found[issuer]

    def multikey(
        self, issuer: Mapping[str, Any], proof: Mapping[str, Any], made: datetime | None, purpose: Purpose
    ) -> tuple[str | None, VerifyStep]:
        """Return the key of an embedded proof, if the issuer published it and might use it then, and the step that says so."""
        method = proof.get("verificationMethod")
        entry = assertion_method(issuer, method, "publicKeyMultibase") if isinstance(method, str) else None
        if self._is_compromised(method):
            return None, VerifyStep("key", "fail", COMPROMISED)
        if entry is None:
            return None, VerifyStep("key", "fail", f"the issuer publishes no key {method} for assertions")
        if fault := self._term_fault(entry, made, purpose):
            return None, VerifyStep("key", "fail", fault)
        return entry["publicKeyMultibase"], VerifyStep("key", "pass", f"{method} is published by the issuer")

    def jwk(
        self, issuer: Mapping[str, Any], header: Mapping[str, Any], made: datetime | None
    ) -> tuple[Mapping[str, Any] | None, VerifyStep]:
        """Return the key of a token, if the issuer published it and might use it then, and the step that says so.

        A `kid` is looked up in the issuer's document, as the method's id or as what its JWK calls itself, or is the address of a
        key document at hand. A key in the token proves nothing by itself: it must be one that the issuer published.
        """
        named = self._named(issuer, header)
        if isinstance(named, VerifyStep):
            return None, named
        if "jwk" in header and not is_same_key(header["jwk"], named["publicKeyJwk"]):
            return None, VerifyStep("key", "fail", "the key in the token is not the one that its kid names")
        if fault := self._term_fault(named, made, "credentials"):
            return None, VerifyStep("key", "fail", fault)
        return named["publicKeyJwk"], VerifyStep("key", "pass", f"{named['id']} is published by the issuer")

    def _named(self, issuer: Mapping[str, Any], header: Mapping[str, Any]) -> Mapping[str, Any] | VerifyStep:
        shown, kid = header.get("jwk"), header.get("kid")
        published = list(assertion_methods(issuer, "publicKeyJwk"))
        if kid is not None:
            called = [entry for entry in published if kid in {entry["id"], entry["publicKeyJwk"].get("kid")}]
            if called:
                return called[0]
            if self._is_compromised(f"{issuer['id']}#{str(kid).rpartition('/')[2]}"):
                return VerifyStep("key", "fail", COMPROMISED)
            if kid not in self._documents:
                if kid.partition("#")[0] == issuer["id"] or not kid.startswith("https://"):
                    return VerifyStep("key", "fail", f"the issuer publishes no key {kid} for assertions")
                return VerifyStep("key", "unknown", f"the key document {kid} is not at hand, and none is fetched")
            read = parsed(self._documents[kid])
            shown = read if isinstance(read, dict) else {}
        for entry in published:
            if is_same_key(shown or {}, entry["publicKeyJwk"]):
                return entry
        return VerifyStep("key", "fail", "the token's key is none that the issuer publishes for assertions")

    def _is_compromised(self, method: object) -> bool:
        """Say whether a key is marked as compromised. One that stands in no document any more still is."""
        term = self._terms.get(method) if isinstance(method, str) else None
        return term is not None and term.is_compromised

    def _term_fault(self, entry: Mapping[str, Any], made: datetime | None, purpose: Purpose) -> str | None:  # noqa: PLR0911  one answer a line
        """Say why a key may not be used (CID 1.0 §2.2, and the catalogue's own terms), or None.

        A revoked key never may, since a thief can date a proof back; an expired one proves what it signed before.
        """
        made = made or self._now
        if self._is_compromised(entry["id"]):
            return COMPROMISED
        if "revoked" in entry and ((since := instant(entry["revoked"])) is None or since <= self._now):
            return f"the issuer withdrew this key ({entry['revoked']}); its proofs prove nothing"
        if "expires" in entry and ((end := instant(entry["expires"])) is None or made >= end):
            return f"the key had expired ({entry['expires']}) when the proof was made"
        term = self._terms.get(entry["id"])
        if term is None:
            return None
        if term.purpose != purpose:
            return f"the key is for {term.purpose} and not for {purpose}"
        if made < term.active_from:
            return f"the key was not in use before {term.active_from:%Y-%m-%d %H:%M}Z, and the proof is older"
        if term.active_until is not None and made >= term.active_until:
            return f"the key was retired on {term.active_until:%Y-%m-%d %H:%M}Z, and the proof is newer"
        return None


def did_key_document(did: str) -> Mapping[str, Any] | None:
    """Return the document of a did:key with an Ed25519 key, or None (did:key method §3.1.2)."""
    key = did.removeprefix(_DID_KEY)
    try:
        if key == did or not public_bytes(key):
            return None
    except ValueError:
        return None
    method = {"id": f"{did}#{key}", "type": "Multikey", "controller": did, "publicKeyMultibase": key}
    return {"id": did, "verificationMethod": [method], "assertionMethod": [method["id"]]}
