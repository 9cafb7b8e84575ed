"""did:web (method specification, W3C CCG): where an identifier's document is, and which of its keys may assert."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

_DID: Final = re.compile(r"did:web:[A-Za-z0-9.-]+(%3A\d+)?(:[A-Za-z0-9._~%-]+)*")


def document_url(did: str) -> str | None:
    """Return the URL of a did:web identifier's document, or None when it is no such identifier."""
    if not _DID.fullmatch(did):
        return None
    host, *path = did.removeprefix("did:web:").split(":")
    folder = "/".join(unquote(part) for part in path) or ".well-known"
    return f"https://{unquote(host)}/{folder}/did.json"


def assertion_key(document: Mapping[str, Any], method: str) -> str | None:
    """Return the multikey of a verification method that the document allows for assertions, or None (CID 1.0 §3.3).

    The method stands in the document, is controlled by it, and is listed under `assertionMethod`.
    """
    did = document.get("id")
    if not isinstance(did, str) or method.partition("#")[0] != did:
        return None
    embedded = [entry for entry in _list(document.get("assertionMethod")) if isinstance(entry, dict)]
    for entry in [*_list(document.get("verificationMethod")), *embedded]:
        if isinstance(entry, dict) and entry.get("id") == method:
            listed = method in _list(document.get("assertionMethod")) or entry in embedded
            key = entry.get("publicKeyMultibase")
            return key if listed and entry.get("controller") == did and isinstance(key, str) else None
    return None


def revoked_at(document: Mapping[str, Any], method: str) -> str | None:
    """Return since when a verification method is revoked or expired, or None."""
    for entry in _list(document.get("verificationMethod")):
        if isinstance(entry, dict) and entry.get("id") == method:
            when = entry.get("revoked") or entry.get("expires")
            return when if isinstance(when, str) else None
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
