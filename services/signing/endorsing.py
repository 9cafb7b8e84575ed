"""Endorsements that partners sign with keys of their own: did:key, so that whoever holds one can verify it offline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.signing.badge import as_list, id_of, instant
from services.signing.contexts import CREDENTIALS_V2, OPEN_BADGES_V3, UnknownContextError
from services.signing.data_integrity import CRYPTOSUITE, PURPOSE, proof_fault
from services.signing.plain import UnsignableError
from services.signing.rdf import canonical

_CONTEXT_START: Final = [CREDENTIALS_V2, OPEN_BADGES_V3]


def did_key(multikey: str) -> str:
    """Return the did:key identifier of a public multikey (did:key method specification)."""
    return f"did:key:{multikey}"


def did_key_method(multikey: str) -> str:
    """Return the DID URL of its one verification method."""
    return f"{did_key(multikey)}#{multikey}"


def endorsement_fault(document: Any, key: str) -> str | None:
    """Say why a document is no endorsement that the holder of this key signed, or None. Its dates are for the caller to judge."""
    if not isinstance(document, dict) or document.get("@context", [])[:2] != _CONTEXT_START:
        return "does not begin with the contexts of VCDM 2.0 and Open Badges 3.0.3"
    subject, issuer = document.get("credentialSubject"), document.get("issuer")
    if not {"VerifiableCredential", "EndorsementCredential"} <= set(map(str, as_list(document.get("type")))):
        return "is no EndorsementCredential"
    if not id_of(document) or not document.get("name") or not isinstance(issuer, dict):
        return "lacks id, name or issuer"
    if not isinstance(subject, dict) or "EndorsementSubject" not in as_list(subject.get("type")) or not id_of(subject):
        return "does not say what it endorses"
    if instant(document.get("validFrom")) is None or ("validUntil" in document and not instant(document["validUntil"])):
        return "validFrom or validUntil is no date with a time zone"
    return _proof_fault(document, id_of(issuer), key)


def _proof_fault(document: Mapping[str, Any], issuer: str, key: str) -> str | None:
    proofs = as_list(document.get("proof"))
    if len(proofs) != 1 or not isinstance(proofs[0], dict):
        return "is not signed"
    [proof] = proofs
    if issuer != did_key(key) or proof.get("verificationMethod") != did_key_method(key):
        return "is not signed with the partner's key"
    stated = (proof.get("type"), proof.get("cryptosuite"), proof.get("proofPurpose"))
    if stated != ("DataIntegrityProof", CRYPTOSUITE, PURPOSE):
        return f"its proof is not {CRYPTOSUITE} for {PURPOSE}"
    unsecured = {name: member for name, member in document.items() if name != "proof"}
    try:
        return proof_fault(document, proof, key, canonical(unsecured))
    except (UnsignableError, UnknownContextError, ValueError) as error:
        return str(error)
