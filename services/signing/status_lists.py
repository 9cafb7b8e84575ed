"""What a credential's entry in a status list says (W3C Bitstring Status List 1.0 §3.2), from the lists that are at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from schemas.bitstring import decode_bits, is_set
from services.signing.badge import entry_fault, list_fault, parsed
from services.signing.verdict import VerifyStep

ListPurpose = Literal["revocation", "suspension"]
ListSteps = Callable[[Mapping[str, Any], str], Iterable[VerifyStep]]
"""Judges a list's own issuer, key, proof and dates."""


class StatusLists:
    """Signed status lists, each checked once and then remembered as bits."""

    def __init__(self, documents: Mapping[str, bytes], judge: ListSteps) -> None:
        """Know these lists by URL."""
        self._documents, self._judge = documents, judge
        self._found: dict[tuple[str, str, ListPurpose], bytes | str] = {}

    def step(self, document: Mapping[str, Any], issuer: str, purpose: ListPurpose) -> VerifyStep:  # noqa: PLR0911  one answer a line
        """Say whether the credential's one status entry is set, if it is of this purpose."""
        entry = document.get("credentialStatus")
        if entry is None:
            return VerifyStep(purpose, "pass", "its issuer keeps no status of it")
        if not isinstance(entry, dict):
            return VerifyStep(purpose, "fail", "credentialStatus is not one object")
        kind = entry.get("type"), entry.get("statusPurpose")
        if kind == ("BitstringStatusListEntry", "suspension") and purpose == "revocation":
            return VerifyStep(purpose, "pass", "its issuer keeps a list of suspensions and none of revocations")
        if kind != ("BitstringStatusListEntry", purpose):
            return VerifyStep(purpose, "unknown", "its status is of a kind that is not read here")
        if fault := entry_fault(entry):
            return VerifyStep(purpose, "fail", fault)
        bits = self._bits(entry["statusListCredential"], issuer, purpose)
        if isinstance(bits, str):
            return VerifyStep(purpose, "unknown", bits)
        index = int(entry["statusListIndex"])
        if index >= 8 * len(bits):
            return VerifyStep(purpose, "fail", "its place lies outside the status list")
        done = {"revocation": "revoked", "suspension": "suspended"}[purpose]
        return VerifyStep(purpose, "fail", done) if is_set(bits, index) else VerifyStep(purpose, "pass", f"not {done}")

    def _bits(self, url: str, issuer: str, purpose: ListPurpose) -> bytes | str:
        """Return a list's bits once its own proof, dates, type and purpose hold, or why it cannot be told."""
        place = url, issuer, purpose
        if place not in self._found:
            self._found[place] = self._checked(url, issuer, purpose)
        return self._found[place]

    def _checked(self, url: str, issuer: str, purpose: ListPurpose) -> bytes | str:
        if url not in self._documents:
            return f"the status list {url} is not at hand"
        document = parsed(self._documents[url])
        if isinstance(document, str):
            return f"the status list: {document}"
        if fault := list_fault(document, url, issuer, purpose):
            return fault
        for step in self._judge(document, issuer):
            if step.outcome != "pass":
                return f"the status list: {step.reason}"
        try:
            return decode_bits(document["credentialSubject"]["encodedList"])
        except (ValueError, AttributeError) as error:
            return f"the status list: {error}"
