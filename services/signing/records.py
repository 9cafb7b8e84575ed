"""A Comprehensive Learner Record 2.0: what it must hold, and whether the credentials in it hold, each by its own proof (§B.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from services.signing.badge import as_list, id_of
from services.signing.verdict import Verdict, VerifyStep, worst

_MAX_CREDENTIALS: Final = 500


def is_record(document: Mapping[str, Any]) -> bool:
    """Say whether a document says of itself that it is a learner record."""
    return "ClrCredential" in as_list(document.get("type"))


def record_fault(document: Mapping[str, Any]) -> str | None:
    """Say which member that a learner record requires is missing or of another form, or None. No proof is looked at."""
    if "VerifiableCredential" not in as_list(document.get("type")):
        return "type is not VerifiableCredential and ClrCredential"
    required = ("id", "name", "issuer", "validFrom", "credentialSubject")
    if missing := [name for name in required if not document.get(name)]:
        return f"lacks {', '.join(missing)}"
    if not isinstance(document["id"], str) or not id_of(document["issuer"]):
        return "it or its issuer has no id"
    subject = document["credentialSubject"]
    if not isinstance(subject, dict) or "ClrSubject" not in as_list(subject.get("type")):
        return "credentialSubject is not a ClrSubject"
    if not subject.get("id") and not subject.get("identifier"):
        return "credentialSubject names nobody"
    held = subject.get("verifiableCredential")
    return None if isinstance(held, list) and held else "it holds no list of credentials"


def without_credentials(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says itself; the credentials in it are documents of their own."""
    subject = {name: value for name, value in record["credentialSubject"].items() if name != "verifiableCredential"}
    return {**record, "credentialSubject": subject}


def credentials_step(
    record: Mapping[str, Any], judge: Callable[[Mapping[str, Any]], Verdict], *, is_signed: bool
) -> VerifyStep:
    """Say whether every credential in a record holds; one that no longer does is named."""
    held: Sequence[Any] = record["credentialSubject"]["verifiableCredential"]
    if not is_signed or len(held) > _MAX_CREDENTIALS:
        why = (
            f"more than {_MAX_CREDENTIALS}"
            if is_signed
            else "not looked at, since the record's own proof does not hold"
        )
        return VerifyStep("credentials", "unknown", why)
    all_hold = VerifyStep("credentials", "pass", f"{len(held)}, each of them valid")
    return worst([all_hold, *(_judged(one, judge) for one in held)])


def _judged(one: Any, judge: Callable[[Mapping[str, Any]], Verdict]) -> VerifyStep:
    if not isinstance(one, dict) or is_record(one):
        return VerifyStep("credentials", "unknown", "one is of a form that is not read here")
    verdict = judge(one)
    deciding = verdict.deciding
    if deciding is None:
        return VerifyStep("credentials", "pass", "valid")
    return VerifyStep("credentials", deciding.outcome, f"{one.get('name') or id_of(one)}: {deciding.reason}")
