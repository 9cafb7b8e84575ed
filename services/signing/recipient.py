"""Whether a credential is of the person who is said to hold it (OB 3.0 §8.4): by subject id, or by a salted hash."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.signing.badge import as_list
from services.signing.verdict import StepOutcome, VerifyStep

_SCHEMES: Final = {"email": "emailAddress"}
_URIS: Final = ("did:", "urn:", "http:", "https:")
_HASH: Final = "sha256$"
_MAX_IDENTITIES: Final = 50
_MAX_CHARS: Final = 1_000


def recipient_step(subject: Mapping[str, Any], claimed: str) -> VerifyStep:  # noqa: PLR0911  one answer a line
    """Say whether the subject is this person: `email:a@example.ca`, another identity type and its value, or a subject id."""
    if claimed.startswith(_URIS):
        if claimed == subject.get("id"):
            return _step("pass", "its subject has this id")
        return _step("fail", "its subject has another id")
    scheme, separator, identifier = claimed.partition(":")
    if not separator or not identifier.strip() or len(claimed) > _MAX_CHARS:
        return _step("unknown", "say who it is as scheme:identifier, as in email:a@example.ca")
    kind = _SCHEMES.get(scheme, scheme)
    known = [i for i in as_list(subject.get("identifier")) if isinstance(i, dict) and i.get("identityType") == kind]
    if not known:
        return _step("unknown", f"it names its holder by no {kind}; its issuer can say whose it is")
    told = [_is(entry, identifier) for entry in known[:_MAX_IDENTITIES]]
    if True in told:
        return _step("pass", f"its holder has this {kind}")
    if None in told:
        return _step("unknown", f"its {kind} is hashed in a way that is not read here")
    return _step("fail", f"its holder has another {kind}")


def _step(outcome: StepOutcome, reason: str) -> VerifyStep:
    return VerifyStep("recipient", outcome, reason)


def _is(entry: Mapping[str, Any], identifier: str) -> bool | None:
    """Say whether an IdentityObject is of this identifier (OB 3.0 §B.1.14), or None when its hash is not read here."""
    shown, salt = entry.get("identityHash"), entry.get("salt", "")
    if not isinstance(shown, str) or not isinstance(salt, str) or not isinstance(entry.get("hashed"), bool):
        return None
    if not entry["hashed"]:
        return any(hmac.compare_digest(shown.encode(), spelling.encode()) for spelling in _spellings(identifier))
    if not shown.lower().startswith(_HASH):
        return None  # MD5 is the other one, which proves nothing
    wanted = shown.lower().removeprefix(_HASH)
    return any(
        hmac.compare_digest(hashlib.sha256((spelling + salt).encode()).hexdigest().encode(), wanted.encode())
        for spelling in _spellings(identifier)
    )


def _spellings(identifier: str) -> Iterator[str]:
    """Yield the identifier as given and as issuers write it before they hash it: the standard fixes no spelling."""
    seen = dict.fromkeys((identifier, identifier.strip(), identifier.strip().lower()))
    yield from (spelling for spelling in seen if _is_text(spelling))


def _is_text(spelling: str) -> bool:
    try:
        spelling.encode()
    except UnicodeEncodeError:
        return False
    return True
