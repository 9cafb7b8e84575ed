"""did:web (method specification, W3C CCG): where an identifier's document is, and which of its keys may assert."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

_SHOWN: Final = {
    "Multikey": ("publicKeyMultibase", str),
    "Ed25519VerificationKey2020": ("publicKeyMultibase", str),
    "JsonWebKey": ("publicKeyJwk", dict),
    "JsonWebKey2020": ("publicKeyJwk", dict),
}
"""Where a verification method of each type shows its key."""
_DID: Final = re.compile(r"did:web:[A-Za-z0-9.-]+(%3A\d+)?(:[A-Za-z0-9._~%-]+)*")


def document_url(did: str) -> str | None:
    """Return the URL of a did:web identifier's document, or None when it is no such identifier."""
    if not _DID.fullmatch(did):
        return None
    host, *path = did.removeprefix("did:web:").split(":")
    folder = "/".join(unquote(part) for part in path) or ".well-known"
    return f"https://{unquote(host)}/{folder}/did.json"


def assertion_method(document: Mapping[str, Any], method: str, member: str) -> Mapping[str, Any] | None:
    """Return a verification method that the document allows for assertions, or None (CID 1.0 §3.3).

    The method stands in the document, is controlled by it, listed or embedded under `assertionMethod`, and shows its key in the
    member that is asked for: `publicKeyMultibase` or `publicKeyJwk`.
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
    where, kind = _SHOWN.get(str(entry.get("type")), ("", object))
    shows_key = where == member and isinstance(entry.get(member), kind)
    return entry if shows_key and entry.get("controller") == did else None


def assertion_methods(document: Mapping[str, Any], member: str) -> Iterator[Mapping[str, Any]]:
    """Yield every verification method that `assertion_method` would return."""
    entries = [*_list(document.get("verificationMethod")), *_list(document.get("assertionMethod"))]
    for name in {entry.get("id") for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)}:
        if entry := assertion_method(document, str(name), member):
            yield entry


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
