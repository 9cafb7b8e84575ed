"""Verifies Open Badges 3.0 and learner records of them, and says so step by step (OB 3.0 §8, VCDM 2.0 §7.1).

Nothing that a credential points to is ever fetched: issuers' documents and status lists are given. What is not among them
reads "unknown", never "invalid".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from services.signing.badge import as_list, badge_fault, id_of, instant
from services.signing.contexts import CLR_V2, CREDENTIALS_V2, OPEN_BADGES_V3, UnknownContextError
from services.signing.data_integrity import CRYPTOSUITE, PURPOSE, proof_fault
from services.signing.endorsed import Endorsements
from services.signing.generic import Canonicaliser
from services.signing.issuers import COMPROMISED, Issuers, KeyTerm, Purpose, did_key_document
from services.signing.jwt_proof import CompactJws, claims_fault, header_fault, is_read, is_signed_with
from services.signing.opening import UnopenableError, opened
from services.signing.plain import UnsignableError, check_plain
from services.signing.recipient import recipient_step
from services.signing.records import credentials_step, is_record, record_fault, without_credentials
from services.signing.status_lists import StatusLists
from services.signing.verdict import Verdict, VerifyStep, worst

_CONTEXT_START: Final = [CREDENTIALS_V2, OPEN_BADGES_V3]
_RECORD_START: Final = [CREDENTIALS_V2, CLR_V2, OPEN_BADGES_V3]
_DATA_MODELS: Final = (CREDENTIALS_V2, "https://www.w3.org/2018/credentials/v1")
_OTHER_VERSION: Final = re.compile(r"https://purl\.imsglobal\.org/spec/ob/v3p0/context(-3\.\d\.\d)*\.json")
_MAX_PROOFS: Final = 8
_NO_TERMS: Final[Mapping[str, KeyTerm]] = MappingProxyType({})

Suspended = Callable[[str], bool | None]
"""Says of a credential's id whether its issuer has suspended it; None when that cannot be told."""
Reissued = Callable[[str], str | None]
"""Says of a credential's id as what it was issued anew; None when it was not, or that cannot be told."""


class Verifier:
    """Verifies credentials against known documents, at one instant. Reuse it: it remembers shapes, issuers and lists."""

    def __init__(
        self,
        documents: Mapping[str, bytes],
        *,
        now: datetime,
        terms: Mapping[str, KeyTerm] = _NO_TERMS,
        is_suspended: Suspended | None = None,
        reissued_as: Reissued | None = None,
        canonicaliser: Canonicaliser | None = None,
    ) -> None:
        """Know what is trusted here.

        Args:
            documents: Issuers' DID documents, signed status lists and key documents, by URL.
            now: An aware instant.
            terms: For what and when issuers use their keys, by verification method, where that is known.
            is_suspended: Tells suspensions, which are in no status list.
            reissued_as: Tells what was issued in place of a credential whose key was compromised.
            canonicaliser: One to share, with the shapes that it has met.
        """
        self._now = now
        self._canonicaliser = canonicaliser or Canonicaliser()
        self._issuers = Issuers(documents, terms, now)
        self._lists = StatusLists(documents, self._list_steps)
        self._endorsements = Endorsements(self._endorsement_steps)
        self._is_suspended, self._reissued_as = is_suspended, reissued_as

    def verify(self, credential: bytes, *, recipient: str | None = None) -> Verdict:
        """Return the verdict on one credential's bytes; whatever they are, it is an answer and no error.

        Args:
            credential: JSON with a proof, a VC-JWT, or a PNG or SVG into which either is baked.
            recipient: Who it is said to be of, `scheme:identifier`; by default nobody asks.
        """
        try:
            found = opened(credential)
        except UnopenableError as error:
            return Verdict((VerifyStep("parse", "unknown" if error.known_form else "fail", str(error)),))
        parse = VerifyStep("parse", "pass", found.form)
        return Verdict((parse, *self._steps(found.document, found.token, recipient)))

    def _steps(
        self, document: Mapping[str, Any], token: CompactJws | None, recipient: str | None
    ) -> Iterator[VerifyStep]:
        context = _context_step(document)
        yield context
        if context.outcome != "pass":
            return
        record = is_record(document)
        if fault := record_fault(document) if record else badge_fault(document):
            yield VerifyStep("schema", "fail", fault)
            return
        yield VerifyStep("schema", "pass", f"has what {'a learner record' if record else 'an Open Badge'} must have")
        issuer = id_of(document["issuer"])
        secured = tuple(
            self._with_successor(s, document) for s in self._secured(document, token, issuer, "credentials")
        )
        yield from secured
        yield self._dates(document)
        yield self._lists.step(document, issuer, "revocation")
        if not record:
            yield self._suspension(document, issuer)
        # Endorsements can cost much, so those that nobody signed for are not judged.
        is_signed = any((step.name, step.outcome) == ("proof", "pass") for step in secured)
        if record:
            yield credentials_step(document, self._held, is_signed=is_signed)
        elif endorsements := self._endorsements.step(document, is_signed=is_signed):
            yield endorsements
        if recipient is not None:
            yield recipient_step(document["credentialSubject"], recipient)

    def _with_successor(self, step: VerifyStep, document: Mapping[str, Any]) -> VerifyStep:
        """Say of a credential whose key was compromised what was issued in its place, where that is known."""
        if step.reason != COMPROMISED or self._reissued_as is None:
            return step
        anew = self._reissued_as(str(document.get("id")))
        return (
            step if anew is None else replace(step, reason=f"{COMPROMISED}; the credential was issued anew as {anew}")
        )

    def _held(self, document: Mapping[str, Any]) -> Verdict:
        """Judge a credential that a learner record holds."""
        return Verdict(tuple(self._steps(document, None, None)))

    def _secured(
        self, document: Mapping[str, Any], token: CompactJws | None, issuer: str, purpose: Purpose
    ) -> Iterator[VerifyStep]:
        """Say whether issuer, key and proof hold; the proof is not judged without a key."""
        about = self._issuers.document(issuer)
        if about is not None:
            yield VerifyStep("issuer", "pass", issuer)
        else:
            about = did_key_document(issuer)
            names = "names a key and nobody; " if about else ""
            yield VerifyStep("issuer", "unknown", f"{issuer} {names}is not known here")
            if about is None:
                return
        yield from self._token(document, token, about) if token else self._proofs(document, about, purpose)

    def _token(self, document: Mapping[str, Any], token: CompactJws, about: Mapping[str, Any]) -> Iterator[VerifyStep]:
        if not is_read(token):
            yield VerifyStep("proof", "unknown", f"a token with {token.header['alg']}; only RS256 is read here")
            return
        if fault := header_fault(token.header) or claims_fault(document):
            yield VerifyStep("proof", "fail", fault)
            return
        key, step = self._issuers.jwk(about, token.header, instant(document.get("validFrom")))
        yield step
        if key is None:
            return
        try:
            check_plain(without_credentials(document) if is_record(document) else document)
            holds = is_signed_with(token, key)
        except UnknownContextError as error:
            yield VerifyStep("proof", "unknown", str(error))
        except ValueError as error:
            yield VerifyStep("proof", "fail", str(error))
        else:
            reason = "RS256, intact" if holds else "the signature does not match the token"
            yield VerifyStep("proof", "pass" if holds else "fail", reason)

    def _proofs(self, document: Mapping[str, Any], about: Mapping[str, Any], purpose: Purpose) -> Iterator[VerifyStep]:
        """Judge each proof of a set alone (Data Integrity 1.0 §4.5): those that are read must all hold, and one must."""
        proofs = as_list(document.get("proof", []))
        if not proofs or not all(isinstance(proof, dict) and proof.get("type") for proof in proofs):
            yield VerifyStep("proof", "fail", "it is not signed, or what stands as a proof has no type")
            return
        if len(proofs) > _MAX_PROOFS or any("previousProof" in proof for proof in proofs):
            yield VerifyStep("proof", "unknown", f"more than {_MAX_PROOFS} proofs, or a chain of them")
            return
        judged = [self._proof_steps(document, proof, about, purpose) for proof in proofs if _is_read(proof)]
        if not judged:
            yield VerifyStep("proof", "unknown", f"only {CRYPTOSUITE} proofs are read here")
            return
        keys, found = zip(*judged, strict=True)
        yield worst(keys)
        made = [step for step in found if step is not None]
        if len(made) == len(found):
            yield worst(made)

    def _proof_steps(
        self, document: Mapping[str, Any], proof: Mapping[str, Any], about: Mapping[str, Any], purpose: Purpose
    ) -> tuple[VerifyStep, VerifyStep | None]:
        made = instant(proof.get("created")) or instant(document.get("validFrom"))
        key, step = self._issuers.multikey(about, proof, made, purpose)
        return step, None if key is None else self._proof(document, proof, key)

    def _proof(self, document: Mapping[str, Any], proof: Mapping[str, Any], key: str) -> VerifyStep:
        unsecured = {name: member for name, member in document.items() if name != "proof"}
        try:
            form = self._canonicaliser.canonical(unsecured)
            fault = self._options_fault(proof) or proof_fault(document, proof, key, form)
        except UnknownContextError as error:
            return VerifyStep("proof", "unknown", str(error))
        except (UnsignableError, ValueError) as error:
            return VerifyStep("proof", "fail", str(error))
        return VerifyStep("proof", "fail", fault) if fault else VerifyStep("proof", "pass", f"{CRYPTOSUITE}, intact")

    def _options_fault(self, proof: Mapping[str, Any]) -> str | None:
        """Say which of the proof's own statements does not hold (Data Integrity 1.0 §2.1), or None."""
        if proof.get("proofPurpose") != PURPOSE:
            return f"its purpose is not {PURPOSE}"
        if any(name in proof and instant(proof[name]) is None for name in ("created", "expires")):
            return "created or expires is no date with a time zone"
        end = instant(proof.get("expires"))
        return None if end is None or self._now < end else f"the proof expired on {proof['expires']}"

    def _dates(self, document: Mapping[str, Any]) -> VerifyStep:
        start, end = instant(document.get("validFrom")), instant(document.get("validUntil"))
        if start is None or ("validUntil" in document and end is None):
            return VerifyStep("dates", "fail", "validFrom or validUntil is no date with a time zone")
        if self._now < start:
            return VerifyStep("dates", "fail", f"not valid before {document['validFrom']}")
        if end is not None and self._now > end:
            return VerifyStep("dates", "fail", f"expired on {document['validUntil']}")
        return VerifyStep("dates", "pass", f"valid since {document['validFrom']}")

    def _suspension(self, document: Mapping[str, Any], issuer: str) -> VerifyStep:
        """Say whether it is suspended: by a list of that purpose, or as its issuer's own events tell."""
        entry = document.get("credentialStatus")
        if isinstance(entry, dict) and entry.get("statusPurpose") == "suspension":
            return self._lists.step(document, issuer, "suspension")
        told = None if self._is_suspended is None else self._is_suspended(document["id"])
        if told is None:
            return VerifyStep("suspension", "unknown", "only its issuer's own service can tell, and it was not asked")
        return VerifyStep(
            "suspension", "fail" if told else "pass", "suspended by its issuer" if told else "not suspended"
        )

    def _list_steps(self, document: Mapping[str, Any], issuer: str) -> Iterator[VerifyStep]:
        yield from self._secured(document, None, issuer, "status")
        yield self._dates(document)

    def _endorsement_steps(self, document: Mapping[str, Any], token: CompactJws | None) -> Iterator[VerifyStep]:
        issuer = id_of(document["issuer"])
        yield _context_step(document)
        yield from self._secured(document, token, issuer, "credentials")
        yield self._dates(document)
        yield self._lists.step(document, issuer, "revocation")


def _context_step(document: Mapping[str, Any]) -> VerifyStep:
    contexts = document.get("@context")
    start = _RECORD_START if is_record(document) else _CONTEXT_START
    if isinstance(contexts, list) and contexts[: len(start)] == start:
        kind = "Comprehensive Learner Record 2.0.1" if is_record(document) else "Open Badges 3.0.3"
        return VerifyStep("context", "pass", f"VCDM 2.0 and {kind}")
    is_known = _is_another_version(contexts) or _is_data_model_1(document)
    reason = "does not begin with the contexts of VCDM 2.0 and Open Badges 3.0.3"
    return VerifyStep("context", "unknown" if is_known else "fail", reason)


def _is_another_version(contexts: Any) -> bool:
    """Say whether these are the contexts of an Open Badge 3.0 that is not of the version read here."""
    if not isinstance(contexts, list) or len(contexts) < len(_CONTEXT_START) or contexts[0] not in _DATA_MODELS:
        return False
    return isinstance(contexts[1], str) and _OTHER_VERSION.fullmatch(contexts[1]) is not None


def _is_data_model_1(document: Mapping[str, Any]) -> bool:
    """Say whether this is a token's payload as VCDM 1.1 has it: the credential in a claim of its own."""
    return "@context" not in document and isinstance(document.get("vc"), dict)


def _is_read(proof: Mapping[str, Any]) -> bool:
    return (proof.get("type"), proof.get("cryptosuite")) == ("DataIntegrityProof", CRYPTOSUITE)
