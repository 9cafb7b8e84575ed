"""Verifies Open Badges 3.0 credentials and says so step by step (OB 3.0 §8, VCDM 2.0 §7.1).

Nothing that a credential points to is ever fetched: issuers' documents and status lists are given. What is not among them
reads "unknown", never "invalid".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from schemas.bitstring import decode_bits, is_set
from services.signing.contexts import CREDENTIALS_V2, UnknownContextError
from services.signing.data_integrity import CRYPTOSUITE, PURPOSE, proof_fault
from services.signing.did_web import assertion_key, document_url, revoked_at
from services.signing.generic import Canonicaliser
from services.signing.rdf import UnsignableError

_MAX_BYTES: Final = 1_000_000
_CONTEXT_START: Final = (CREDENTIALS_V2, "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json")
StepOutcome = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class VerifyStep:
    """One question about a credential, its answer, and why in plain words."""

    name: str
    outcome: StepOutcome
    reason: str


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
        document = _parsed(credential)
        if isinstance(document, str):
            return Verdict((VerifyStep("parse", "fail", document),))
        steps.append(VerifyStep("parse", "pass", f"{len(credential):,} bytes of JSON"))
        steps += self._steps(document)
        return Verdict(tuple(steps))

    def _steps(self, document: Mapping[str, Any]) -> Iterator[VerifyStep]:
        contexts = document.get("@context")
        if not isinstance(contexts, list) or tuple(contexts[:2]) != _CONTEXT_START:
            yield VerifyStep("context", "fail", "does not begin with the contexts of VCDM 2.0 and Open Badges 3.0.3")
            return
        yield VerifyStep("context", "pass", "VCDM 2.0 and Open Badges 3.0.3")
        if fault := _shape_fault(document):
            yield VerifyStep("shape", "fail", fault)
            return
        yield VerifyStep("shape", "pass", "has what an Open Badge must have")
        yield from self._secured(document, _id_of(document["issuer"]))
        yield self._dates(document)
        yield self._status(document)

    def _secured(self, document: Mapping[str, Any], issuer: str) -> Iterator[VerifyStep]:
        """Say whether issuer, key and proof hold; the proof is not judged without a key."""
        about = self._issuer(issuer)
        if about is None:
            yield VerifyStep("issuer", "unknown", f"{issuer} is not known here")
            return
        yield VerifyStep("issuer", "pass", issuer)
        proof = document["proof"][0] if isinstance(document["proof"], list) else document["proof"]
        key = self._key(about, proof)
        yield key[1]
        if key[0] is not None:
            yield self._proof(document, proof, key[0])

    def _issuer(self, did: str) -> Mapping[str, Any] | None:
        if did not in self._issuers:
            url = document_url(did)
            found = _parsed(self._documents[url]) if url is not None and url in self._documents else None
            self._issuers[did] = found if isinstance(found, dict) and found.get("id") == did else None
        return self._issuers[did]

    def _key(self, issuer: Mapping[str, Any], proof: Mapping[str, Any]) -> tuple[str | None, VerifyStep]:
        method = proof.get("verificationMethod")
        if not isinstance(method, str) or (key := assertion_key(issuer, method)) is None:
            return None, VerifyStep("key", "fail", f"the issuer publishes no key {method} for assertions")
        if (since := revoked_at(issuer, method)) is not None:
            return None, VerifyStep("key", "fail", f"the issuer withdrew this key ({since}); its proofs prove nothing")
        return key, VerifyStep("key", "pass", f"{method} is published by the issuer")

    def _proof(self, document: Mapping[str, Any], proof: Mapping[str, Any], key: str) -> VerifyStep:
        kind = (proof.get("type"), proof.get("cryptosuite"), proof.get("proofPurpose"))
        if kind != ("DataIntegrityProof", CRYPTOSUITE, PURPOSE):
            return VerifyStep("proof", "fail", f"only {CRYPTOSUITE} proofs for {PURPOSE} are verified here")
        unsecured = {name: member for name, member in document.items() if name != "proof"}
        try:
            fault = proof_fault(document, proof, key, self._canonicaliser.canonical(unsecured))
        except (UnsignableError, UnknownContextError, ValueError) as error:
            return VerifyStep("proof", "fail", str(error))
        return VerifyStep("proof", "fail", fault) if fault else VerifyStep("proof", "pass", f"{CRYPTOSUITE}, intact")

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
        if fault := _entry_fault(entry):
            return VerifyStep("status", "fail", fault)
        found = self._list(entry["statusListCredential"], _id_of(document["issuer"]))
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
        document = _parsed(self._documents[url])
        if isinstance(document, str):
            return VerifyStep("status", "unknown", f"the status list: {document}")
        if fault := _list_fault(document, url, issuer):
            return VerifyStep("status", "unknown", fault)
        for step in (*self._secured(document, issuer), self._dates({"validFrom": "", **document})):
            if step.outcome != "pass":
                return VerifyStep("status", "unknown", f"the status list: {step.reason}")
        try:
            return decode_bits(document["credentialSubject"]["encodedList"])
        except (ValueError, AttributeError) as error:
            return VerifyStep("status", "unknown", f"the status list: {error}")


def _parsed(data: bytes) -> dict[str, Any] | str:
    """Return a JSON object, or what is wrong with it."""
    if len(data) > _MAX_BYTES:
        return f"{len(data):,} bytes; at most {_MAX_BYTES:,} are read"
    try:
        document = json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return document if isinstance(document, dict) else "not a JSON object"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _shape_fault(document: Mapping[str, Any]) -> str | None:
    """Say which member that Open Badges 3.0 requires is missing or of another form (§B.1)."""
    kinds = _as_list(document.get("type"))
    if "VerifiableCredential" not in kinds or not {"OpenBadgeCredential", "AchievementCredential"} & set(
        map(str, kinds)
    ):
        return "type is not VerifiableCredential and OpenBadgeCredential"
    if missing := [
        name for name in ("id", "issuer", "validFrom", "credentialSubject", "proof") if not document.get(name)
    ]:
        return f"lacks {', '.join(missing)}"
    if not _id_of(document["issuer"]):
        return "issuer has no id"
    proof = document["proof"]
    if not isinstance(proof[0] if isinstance(proof, list) else proof, dict) or (
        isinstance(proof, list) and len(proof) != 1
    ):
        return "proof is not one proof"
    return _subject_fault(document["credentialSubject"])


def _subject_fault(subject: Any) -> str | None:
    if not isinstance(subject, dict) or "AchievementSubject" not in _as_list(subject.get("type")):
        return "credentialSubject is not an AchievementSubject"
    if not subject.get("id") and not subject.get("identifier"):
        return "credentialSubject names nobody"
    achievement = subject.get("achievement")
    if not isinstance(achievement, dict) or "Achievement" not in _as_list(achievement.get("type")):
        return "credentialSubject has no achievement"
    if missing := [name for name in ("id", "name", "description", "criteria") if not achievement.get(name)]:
        return f"the achievement lacks {', '.join(missing)}"
    return None


def _entry_fault(entry: Any) -> str | None:
    if not isinstance(entry, dict) or entry.get("type") != "BitstringStatusListEntry":
        return "credentialStatus is not one BitstringStatusListEntry"
    index, url = entry.get("statusListIndex"), entry.get("statusListCredential")
    if entry.get("statusPurpose") != "revocation":
        return "its status is not about revocation"
    if not isinstance(index, str) or not index.isascii() or not index.isdigit() or not isinstance(url, str):
        return "its place in the status list is malformed"
    return None


def _list_fault(document: Mapping[str, Any], url: str, issuer: str) -> str | None:
    """Say why a document is not this issuer's revocation list at this URL (Bitstring Status List §2.2)."""
    if document.get("id") != url or _id_of(document.get("issuer")) != issuer:
        return "the status list is not this issuer's"
    subject = document.get("credentialSubject")
    if not isinstance(subject, dict) or not {"type", "statusPurpose", "encodedList"} <= subject.keys():
        return "the status list lacks its bits"
    if "BitstringStatusListCredential" not in _as_list(document.get("type")):
        return "the status list is of another type"
    if "revocation" not in _as_list(subject["statusPurpose"]) or not isinstance(document.get("proof"), dict | list):
        return "the list's purpose is not revocation, or it is not signed"
    return None


def _id_of(node: Any) -> str:
    found = node.get("id") if isinstance(node, dict) else node
    return found if isinstance(found, str) else ""


def _as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def instant(text: Any) -> datetime | None:
    """Return an aware datetime, or None when the text is no dateTimeStamp."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
