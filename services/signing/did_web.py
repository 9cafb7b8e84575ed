"""did:web (method specification, W3C CCG): where an identifier's document is, and which of its keys may assert."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

_KEY_TYPES: Final = ("Multikey", "Ed25519VerificationKey2020")
_DID: Final = re.compile(r"did:web:[A-Za-z0-9.-]+(%3A\d+)?(:[A-Za-z0-9._~%-]+)*")


def document_url(did: str) -> str | None:
    """Return the URL of a did:web identifier's document, or None when it is no such identifier."""
    if not _DID.fullmatch(did):
        return None
    host, *path = did.removeprefix("did:web:").split(":")
    folder = "/".join(unquote(part) for part in path) or ".well-known"
    return f"https://{unquote(host)}/{folder}/did.json"


def assertion_method(document: Mapping[str, Any], method: str) -> Mapping[str, Any] | None:
    """Return a verification method that the document allows for assertions, or None (CID 1.0 §3.3).

    The method stands in the document, is controlled by it, listed or embedded under `assertionMethod`, and shows an Ed25519 key.
    """
    did = document.get("id")
    if not isinstance(did, str) or method.partition("#")[0] != did:
        return None
    listed = _list(document.get("assertionMethod"))
    entries = [*_list(document.get("verificationMethod")), *listed]
    found = [entry for entry in entries if isinstance(entry, dict) and entry.get("id") == method]
    if len(found) != 1 or not (method in listed or found[0] in listed):
        return None
    [entry] = found
    shows_key = entry.get("type") in _KEY_TYPES and isinstance(entry.get("publicKeyMultibase"), str)
    return entry if shows_key and entry.get("controller") == did else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
