"""Data Integrity proofs with `eddsa-rdfc-2022` (VC Data Integrity EdDSA Cryptosuites 1.0 §3.2)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from services.signing.keys import Signer, is_signed_by
from services.signing.multikey import base58, from_base58
from services.signing.plain import UnsignableError
from services.signing.rdf import canonical
from services.signing.shape import Shape

CRYPTOSUITE: Final = "eddsa-rdfc-2022"
PURPOSE: Final = "assertionMethod"
_SIGNATURE_BYTES: Final = 64
DATE_TIME: Final = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_METHOD: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x20<>\"{}|^`\\\x7f]+")


def sign(
    shape: Shape, values: Sequence[str], signer: Signer, *, verification_method: str, created: str, check: bool = True
) -> bytes:
    """Return the secured document's JSON: the shape filled with the values, and its proof in a list, as OB 3.0 has it.

    The same arguments give the same bytes, since Ed25519 is deterministic.

    Args:
        shape: The document's shape.
        values: One for each of the shape's slots.
        signer: The key.
        verification_method: The key's DID URL.
        created: When the proof is made, an XML Schema dateTimeStamp.
        check: Whether the signature is verified before it leaves.

    Raises:
        SlotError: A value does not fit.
        WrongSignatureError: The signature does not verify.
        UnavailableError: The key cannot be used now.
    """
    in_json, in_nquads = shape.escaped(values)
    proof_hash, tail = _proof_options(verification_method, created)
    value = base58(signer.sign(proof_hash + shape.digest(values, in_nquads), check=check))
    return b'%b%b%b"}]}' % (shape.json(in_json), tail, value.encode())


@lru_cache(maxsize=4096)
def _proof_options(verification_method: str, created: str) -> tuple[bytes, bytes]:
    """Return the hash of the canonical proof configuration, and the proof's JSON up to its value."""
    options = {
        "type": "DataIntegrityProof",
        "created": created,
        "verificationMethod": verification_method,
        "cryptosuite": CRYPTOSUITE,
        "proofPurpose": PURPOSE,
    }
    return _proof_hash(options), b',"proof":[%b,"proofValue":"z' % msgspec.json.encode(options)[:-1]


def _proof_hash(options: Mapping[str, Any]) -> bytes:
    """Hash the proof configuration (§3.2.5), whose one blank node is always the first.

    Raises:
        UnsignableError: A member has a form that the five quads below do not cover.
    """
    created, method = options.get("created"), options["verificationMethod"]
    plain = options.keys() <= {"type", "created", "verificationMethod", "cryptosuite", "proofPurpose", "@context"}
    dated = created is None or (isinstance(created, str) and DATE_TIME.fullmatch(created))
    if not plain or not _METHOD.fullmatch(method) or not dated:
        raise UnsignableError("the proof has members or values of another form")
    when = f'_:c14n0 <http://purl.org/dc/terms/created> "{created}"^^<http://www.w3.org/2001/XMLSchema#dateTime> .\n'
    text = (
        (when if created is not None else "")
        + "_:c14n0 <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <https://w3id.org/security#DataIntegrityProof> .\n"
        + f'_:c14n0 <https://w3id.org/security#cryptosuite> "{CRYPTOSUITE}"^^<https://w3id.org/security#cryptosuiteString> .\n'
        + f"_:c14n0 <https://w3id.org/security#proofPurpose> <https://w3id.org/security#{PURPOSE}> .\n"
        + f"_:c14n0 <https://w3id.org/security#verificationMethod> <{method}> .\n"
    )
    return hashlib.sha256(text.encode()).digest()


def proof_fault(
    document: Mapping[str, Any], proof: Mapping[str, Any], public_multikey: str, canonical_form: bytes
) -> str | None:
    """Say why a proof over a document's canonical form does not hold, or None when it does (§3.2.2).

    Raises:
        UnsignableError: The proof's options are of a form that cannot be hashed here.
        ValueError: The key is not an Ed25519 multikey.
    """
    value = proof.get("proofValue")
    if not isinstance(value, str) or not value.startswith("z"):
        return "proofValue is not base58btc multibase"
    try:
        signature = from_base58(value[1:])
    except ValueError as error:
        return f"proofValue: {error}"
    if len(signature) != _SIGNATURE_BYTES:
        return "proofValue is not 64 bytes long"
    options = {name: member for name, member in proof.items() if name != "proofValue"}
    if options.get("@context", document["@context"]) != document["@context"]:
        return "the proof names other contexts than the document"
    try:
        proof_hash = _proof_hash(options)
    except UnsignableError:
        proof_hash = hashlib.sha256(canonical({**options, "@context": document["@context"]})).digest()
    signed = proof_hash + hashlib.sha256(canonical_form).digest()
    return None if is_signed_by(public_multikey, signature, signed) else "the signature does not match the document"


__all__ = ["CRYPTOSUITE", "PURPOSE", "canonical", "proof_fault", "sign"]
