"""What a credential or a status list must hold before its proof is looked at (OB 3.0 §B.1, Bitstring Status List §2.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from services.signing.data_integrity import DATE_TIME

MAX_BYTES: Final = 1_000_000
_INDEX: Final = re.compile(r"[0-9]{1,10}")
_TYPES: Final = {
    **dict.fromkeys(("issuer", "creator", "source", "parentOrg"), "Profile"),
    "identifier": "IdentityObject",
    "otherIdentifier": "IdentifierEntry",
    "alignment": "Alignment",
    "result": "Result",
    "resultDescription": "ResultDescription",
    "rubricCriterionLevel": "RubricCriterionLevel",
    "evidence": "Evidence",
}
"""The type that an object must have by the member in which it stands (OB 3.0 §B.1)."""
_DECIDING: Final = frozenset({"credentialStatus", "validFrom", "validUntil"})


def parsed(data: bytes) -> dict[str, Any] | str:
    """Return a JSON object, or what is wrong with it."""
    if len(data) > MAX_BYTES:
        return f"{len(data):,} bytes; at most {MAX_BYTES:,} are read"
    try:
        document = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
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


def badge_fault(document: Mapping[str, Any]) -> str | None:
    """Say which member that Open Badges 3.0 requires is missing or of another form (§B.1), or None. Its proof is not looked at."""
    kinds = as_list(document.get("type"))
    if "VerifiableCredential" not in kinds or not ("OpenBadgeCredential" in kinds or "AchievementCredential" in kinds):
        return "type is not VerifiableCredential and OpenBadgeCredential"
    required = ("id", "issuer", "validFrom", "credentialSubject")
    if missing := [name for name in required if not document.get(name)]:
        return f"lacks {', '.join(missing)}"
    if not isinstance(document["id"], str) or not id_of(document["issuer"]):
        return "it or its issuer has no id"
    return _subject_fault(document["credentialSubject"]) or _part_fault(document, document["id"])


def _part_fault(root: Mapping[str, Any], name: str) -> str | None:
    """Say which part of the credential with this id is of another type than its place asks, or speaks for the whole.

    An object with the credential's own id is the credential to JSON-LD, but readers of JSON would not look there.
    """
    waiting: list[tuple[str, Any]] = list(root.items())
    while waiting:
        place, node = waiting.pop()
        if isinstance(node, dict):
            if node.get("id") == name and not _DECIDING.isdisjoint(node):
                return "a part of it has its own id and says when it is valid or what its status is"
            if place in _TYPES and _TYPES[place] not in as_list(node.get("type")):
                return f"{place} is not of type {_TYPES[place]}"
            waiting += [(name, inner) for name, inner in node.items() if isinstance(inner, dict | list)]
        elif isinstance(node, list):
            waiting += [(place, inner) for inner in node if isinstance(inner, dict | list)]
    return None


def _subject_fault(subject: Any) -> str | None:
    if not isinstance(subject, dict) or "AchievementSubject" not in as_list(subject.get("type")):
        return "credentialSubject is not an AchievementSubject"
    if not subject.get("id") and not subject.get("identifier"):
        return "credentialSubject names nobody"
    achievement = subject.get("achievement")
    if not isinstance(achievement, dict) or "Achievement" not in as_list(achievement.get("type")):
        return "credentialSubject has no achievement"
    if missing := [name for name in ("id", "name", "description", "criteria") if not achievement.get(name)]:
        return f"the achievement lacks {', '.join(missing)}"
    return None


def entry_fault(entry: Mapping[str, Any]) -> str | None:
    """Say why a status entry leads to no place in a list (Bitstring Status List §2.1), or None."""
    index, url = entry.get("statusListIndex"), entry.get("statusListCredential")
    if not isinstance(index, str) or not _INDEX.fullmatch(index) or not isinstance(url, str):
        return "its place in the status list is malformed"
    return None


def list_fault(document: Mapping[str, Any], url: str, issuer: str, purpose: str) -> str | None:
    """Say why a document is not this issuer's list of this purpose at this URL (Bitstring Status List §2.2)."""
    if document.get("id") != url or id_of(document.get("issuer")) != issuer:
        return "the status list is not this issuer's"
    subject = document.get("credentialSubject")
    if not isinstance(subject, dict) or not {"type", "statusPurpose", "encodedList"} <= subject.keys():
        return "the status list lacks its bits"
    if "BitstringStatusListCredential" not in as_list(document.get("type")):
        return "the status list is of another type"
    if purpose not in as_list(subject["statusPurpose"]):
        return f"the list's purpose is not {purpose}"
    return None


def endorsement_form_fault(document: Mapping[str, Any]) -> str | None:
    """Say which member that an EndorsementCredential requires is missing or of another form (§B.1.10), or None."""
    if not {"VerifiableCredential", "EndorsementCredential"} <= {*map(str, as_list(document.get("type")))}:
        return "is no EndorsementCredential"
    if missing := [
        name for name in ("id", "name", "issuer", "validFrom", "credentialSubject") if not document.get(name)
    ]:
        return f"lacks {', '.join(missing)}"
    if not isinstance(document["id"], str) or not id_of(document["issuer"]):
        return "it or its issuer has no id"
    subject = document["credentialSubject"]
    if not isinstance(subject, dict) or "EndorsementSubject" not in as_list(subject.get("type")) or not id_of(subject):
        return "does not say what it endorses"
    return None


def id_of(node: Any) -> str:
    """Return the id of an object or of what a string refers to, or an empty string."""
    found = node.get("id") if isinstance(node, dict) else node
    return found if isinstance(found, str) else ""


def as_list(value: Any) -> Sequence[Any]:
    """Return a property's values, whether written alone or as a list."""
    return value if isinstance(value, list) else [value]


def instant(text: Any) -> datetime | None:
    """Return an aware datetime, or None when the text is no dateTimeStamp."""
    if not isinstance(text, str) or not DATE_TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # 30 February
        return None
