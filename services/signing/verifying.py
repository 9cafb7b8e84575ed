"""Verifies Open Badges 3.0 credentials and says so step by step (OB 3.0 §8, VCDM 2.0 §7.1).

Nothing that a credential points to is ever fetched: issuers' documents and status lists are given. What is not among them
reads "unknown", never "invalid".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from schemas.bitstring import decode_bits, is_set
from services.signing.badge import as_list, badge_fault, entry_fault, id_of, instant, list_fault, parsed
from services.signing.contexts import CREDENTIALS_V2, OPEN_BADGES_V3, UnknownContextError
from services.signing.data_integrity import CRYPTOSUITE, PURPOSE, proof_fault
from services.signing.did_web import assertion_method, document_url
from services.signing.generic import Canonicaliser
from services.signing.plain import UnsignableError

_CONTEXT_START: Final = [CREDENTIALS_V2, OPEN_BADGES_V3]
_DATA_MODELS: Final = (CREDENTIALS_V2, "https://www.w3.org/2018/credentials/v1")
_OTHER_VERSION: Final = re.compile(r"https://purl\.imsglobal\.org/spec/ob/v3p0/context(-3\.\d\.\d)*\.json")
_MAX_REASON: Final = 300
StepOutcome = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class VerifyStep:
    """One question about a credential, its answer, and why in plain words that any terminal can show."""

    name: str
    outcome: StepOutcome
    reason: str

    def __post_init__(self) -> None:
        """Make the reason fit to show: it may quote the credential, which anyone may have written."""
        if len(self.reason) > _MAX_REASON or not self.reason.isprintable():
            shown = (c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in self.reason[:_MAX_REASON])
            object.__setattr__(self, "reason", "".join(shown))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all steps say together: invalid if one fails, unknown if one could not be told, else valid."""

    steps: tuple[VerifyStep, ...]

    @property
    def overall(self) -> Literal["valid", "invalid", "unknown"]:
        """Return the verdict in one word."""
        outcomes = {step.outcome for step in self.steps}
        return "invalid" if "fail" in outcomes else "unknown" if "unknown" in outcomes else "valid"


class Verifier:
    """Verifies credentials against known documents, at one instant. Reuse it: it remembers shapes, issuers and lists."""

    def __init__(self, documents: Mapping[str, bytes], *, now: datetime) -> None:
        """Know these documents by URL: issuers' DID documents and signed status lists; `now` is aware."""
        self._documents, self._now = documents, now
        self._canonicaliser = Canonicaliser()
        self._issuers: dict[str, Mapping[str, Any] | None] = {}
        self._lists: dict[str, bytes | VerifyStep] = {}

    def verify(self, credential: bytes) -> Verdict:
        """Return the verdict on one credential's bytes; whatever they are, it is an answer and no error."""
        steps: list[VerifyStep] = []
        document = parsed(credential)
        if isinstance(document, str):
            return Verdict((VerifyStep("parse", "fail", document),))
        steps.append(VerifyStep("parse", "pass", f"{len(credential):,} bytes of JSON"))
        steps += self._steps(document)
        return Verdict(tuple(steps))

    def _steps(self, document: Mapping[str, Any]) -> Iterator[VerifyStep]:
        contexts = document.get("@context")
        if not isinstance(contexts, list) or contexts[:2] != _CONTEXT_START:
            reason = "does not begin with the contexts of VCDM 2.0 and Open Badges 3.0.3"
            yield VerifyStep("context", "unknown" if _is_another_version(contexts) else "fail", reason)
            return
        yield VerifyStep("context", "pass", "VCDM 2.0 and Open Badges 3.0.3")
        if fault := badge_fault(document):
            yield VerifyStep("shape", "fail", fault)
            return
        yield VerifyStep("shape", "pass", "has what an Open Badge must have")
        yield from self._secured(document, id_of(document["issuer"]))
        yield self._dates(document)
        yield self._status(document)

    def _secured(self, document: Mapping[str, Any], issuer: str) -> Iterator[VerifyStep]:
        """Say whether issuer, key and proof hold; the proof is not judged without a key."""
        about = self._issuer(issuer)
        if about is None:
            yield VerifyStep("issuer", "unknown", f"{issuer} is not known here")
            return
        yield VerifyStep("issuer", "pass", issuer)
        proofs = as_list(document["proof"])
        if len(proofs) != 1 or "previousProof" in proofs[0]:
            yield VerifyStep("proof", "unknown", f"{len(proofs)} proofs or a chain of them; one alone is read here")
            return
        [proof] = proofs
        key = self._key(about, proof)
        yield key[1]
        if key[0] is not None:
            yield self._proof(document, proof, key[0])

    def _issuer(self, did: str) -> Mapping[str, Any] | None:
        if did not in self._issuers:
            url = document_url(did)
            if url is None or url not in self._documents:
                return None
            read = parsed(self._documents[url])
            self._issuers[did] = read if isinstance(read, dict) and read.get("id") == did else None
        return self._issuers[did]

    def _key(self, issuer: Mapping[str, Any], proof: Mapping[str, Any]) -> tuple[str | None, VerifyStep]:
        method = proof.get("verificationMethod")
        if not isinstance(method, str) or (entry := assertion_method(issuer, method)) is None:
            return None, VerifyStep("key", "fail", f"the issuer publishes no key {method} for assertions")
        if fault := self._withdrawn(entry, proof):
            return None, VerifyStep("key", "fail", fault)
        return entry["publicKeyMultibase"], VerifyStep("key", "pass", f"{method} is published by the issuer")

    def _withdrawn(self, entry: Mapping[str, Any], proof: Mapping[str, Any]) -> str | None:
        """Say why a key may not be used (CID 1.0 §2.2), or None.

        A revoked key never may, since a thief can date a proof back; an expired one proves what it signed before.
        """
        if "revoked" in entry and ((since := instant(entry["revoked"])) is None or since <= self._now):
            return f"the issuer withdrew this key ({entry['revoked']}); its proofs prove nothing"
        if "expires" in entry:
            end, made = instant(entry["expires"]), instant(proof.get("created")) or self._now
            if end is None or made >= end:
                return f"the key had expired ({entry['expires']}) when the proof was made"
        return None

    def _proof(self, document: Mapping[str, Any], proof: Mapping[str, Any], key: str) -> VerifyStep:
        if (proof.get("type"), proof.get("cryptosuite")) != ("DataIntegrityProof", CRYPTOSUITE):
            return VerifyStep("proof", "unknown", f"only {CRYPTOSUITE} proofs are read here")
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
        start, end = instant(document["validFrom"]), instant(document.get("validUntil"))
        if start is None or ("validUntil" in document and end is None):
            return VerifyStep("dates", "fail", "validFrom or validUntil is no date with a time zone")
        if self._now < start:
            return VerifyStep("dates", "fail", f"not valid before {document['validFrom']}")
        if end is not None and self._now > end:
            return VerifyStep("dates", "fail", f"expired on {document['validUntil']}")
        return VerifyStep("dates", "pass", f"valid since {document['validFrom']}")

    def _status(self, document: Mapping[str, Any]) -> VerifyStep:
        entry = document.get("credentialStatus")
        if entry is None:
            return VerifyStep("status", "pass", "the issuer keeps no status of it")
        if not isinstance(entry, dict):
            return VerifyStep("status", "fail", "credentialStatus is not one object")
        if (entry.get("type"), entry.get("statusPurpose")) != ("BitstringStatusListEntry", "revocation"):
            return VerifyStep("status", "unknown", "its status is of a kind that is not read here")
        return self._revocation(entry, id_of(document["issuer"]))

    def _revocation(self, entry: Mapping[str, Any], issuer: str) -> VerifyStep:
        if fault := entry_fault(entry):
            return VerifyStep("status", "fail", fault)
        found = self._list(entry["statusListCredential"], issuer)
        if isinstance(found, VerifyStep):
            return found
        index = int(entry["statusListIndex"])
        if index >= 8 * len(found):
            return VerifyStep("status", "fail", "its place lies outside the status list")
        revoked = is_set(found, index)
        return VerifyStep("status", "fail", "revoked") if revoked else VerifyStep("status", "pass", "not revoked")

    def _list(self, url: str, issuer: str) -> bytes | VerifyStep:
        """Return a status list's bits once its own proof, dates, type and purpose hold (Bitstring Status List §3.2)."""
        if url not in self._lists:
            self._lists[url] = self._checked_list(url, issuer)
        return self._lists[url]

    def _checked_list(self, url: str, issuer: str) -> bytes | VerifyStep:
        if url not in self._documents:
            return VerifyStep("status", "unknown", f"the status list {url} is not at hand")
        document = parsed(self._documents[url])
        if isinstance(document, str):
            return VerifyStep("status", "unknown", f"the status list: {document}")
        if fault := list_fault(document, url, issuer):
            return VerifyStep("status", "unknown", fault)
        for step in (*self._secured(document, issuer), self._dates({"validFrom": "", **document})):
            if step.outcome != "pass":
                return VerifyStep("status", "unknown", f"the status list: {step.reason}")
        try:
            return decode_bits(document["credentialSubject"]["encodedList"])
        except (ValueError, AttributeError) as error:
            return VerifyStep("status", "unknown", f"the status list: {error}")


def _is_another_version(contexts: Any) -> bool:
    """Say whether these are the contexts of an Open Badge 3.0 that is not of the version read here."""
    if not isinstance(contexts, list) or len(contexts) < len(_CONTEXT_START) or contexts[0] not in _DATA_MODELS:
        return False
    return isinstance(contexts[1], str) and _OTHER_VERSION.fullmatch(contexts[1]) is not None
