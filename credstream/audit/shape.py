"""What an Open Badge must have (OB 3.0 §B.1.2, VCDM 2.0 §4)."""

from __future__ import annotations

from typing import Any, Final

_CONTEXTS: Final = [
    "https://www.w3.org/ns/credentials/v2",
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
]
_REQUIRED: Final = {
    "": ("id", "issuer", "validFrom", "credentialSubject", "credentialStatus", "proof", "name"),
    "issuer": ("id", "type"),
    "credentialSubject": ("id", "type", "achievement"),
    "credentialSubject.achievement": ("id", "type", "name", "description", "criteria"),
    "credentialStatus": ("type", "statusPurpose", "statusListIndex", "statusListCredential"),
}


def badge_fault(document: Any) -> str | None:
    """Say what a document lacks to be an Open Badge, or None."""
    if not isinstance(document, dict) or document.get("@context", [])[:2] != _CONTEXTS:
        return "not a document in the contexts of VCDM 2.0 and Open Badges 3.0"
    kinds = document.get("type")
    if not isinstance(kinds, list) or not {"VerifiableCredential", "OpenBadgeCredential"} <= set(map(str, kinds)):
        return "its type is not VerifiableCredential and OpenBadgeCredential"
    for path, names in _REQUIRED.items():
        node: Any = document
        for name in filter(None, path.split(".")):
            node = node.get(name) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            return f"{path} is no object"
        if missing := [name for name in names if not node.get(name)]:
            return f"{path or 'it'} lacks {', '.join(missing)}"
    return None
