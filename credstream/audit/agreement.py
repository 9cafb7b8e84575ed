"""What a claim and its credential say, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from credstream.audit.decoding import Fields
from credstream.audit.keys import did

_POINT: Final = 1_000_000
_OTHERS: Final = frozenset({"digest", "credential", "sealed_with", "body"})
_AWARD: Final = "#award"


def disagreements(
    claim: Fields, envelope: Fields, document: Any, catalogue: Mapping[str, Any], base_url: str
) -> Iterator[str]:
    """Yield each field in which the credential's envelope or document differs from its claim."""
    for name in sorted((claim.keys() & envelope.keys()) - _OTHERS):
        if claim[name] != envelope[name]:
            yield f"envelope: {name} is not the claim's"
    if not isinstance(document, dict) or not isinstance(claim["body"], dict):
        return
    for name, expected in _expected(claim, catalogue, base_url).items():
        if _at(document, name) != expected:
            yield f"{name} is not the claim's"
    yield from _results(claim, document)


def _expected(claim: Fields, catalogue: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    programme = claim["programme"]
    issuer = did(base_url, programme)
    stated = {
        "id": f"{base_url}/credentials/{claim['credential_id']}",
        "issuer.id": issuer,
        "validFrom": _instant(claim["claimed_at"]),
        "validUntil": None if claim["valid_until"] is None else _instant(claim["valid_until"]),
        "awardedDate": _instant(claim["awarded_at"]),
        "credentialSubject.id": claim["body"]["subject_id"],
        "credentialSubject.achievement.id": f"{base_url}/achievements/{programme}/{claim['achievement']}",
        "credentialStatus.id": f"{claim['status_list']}#{claim['status_index']}",
        "credentialStatus.statusListIndex": str(claim["status_index"]),
        "credentialStatus.statusListCredential": claim["status_list"],
        "credentialStatus.statusPurpose": "revocation",
        "proof.verificationMethod": f"{issuer}#{claim['key_id']}",
        "proof.created": _instant(claim["claimed_at"]),
    }
    about = catalogue.get(claim["achievement"])
    if about is not None:
        stated |= {
            "name": about["name"],
            "description": about["description"],
            "credentialSubject.achievement.name": about["name"],
            "credentialSubject.achievement.criteria.narrative": about["criteria"],
        }
    return stated


def _results(claim: Fields, document: Mapping[str, Any]) -> Iterator[str]:
    body, subject = claim["body"], document.get("credentialSubject", {})
    shown = [r for r in subject.get("result") or () if not str(r.get("resultDescription")).endswith(_AWARD)]
    levels = [r for r in subject.get("result") or () if r not in shown]
    if len(shown) != len(body["results"]):
        yield "result: not as many as the claim has"
    scores = [_decimal(result["score"]) for result in body["results"] if result["score"] is not None]
    if [result["value"] for result in shown if "value" in result] != scores:
        yield "result: other scores than the claim's"
    if any(result.get("value") != claim.get("level") for result in levels):
        yield "result: another level than the claim's"
    known = {result["evidence_url"] for result in body["results"]}
    recognition = body.get("recognition")
    if recognition is not None:
        known.add(recognition["evidence_url"])
        if subject.get("narrative", recognition["narrative"]) != recognition["narrative"]:
            yield "narrative is not the claim's"
    if any(one.get("id") not in known for one in document.get("evidence") or ()):
        yield "evidence: one that the claim does not have"
    identities = {known["identity_hash"] for known in body.get("identities", ())}
    if not {one.get("identityHash") for one in subject.get("identifier") or ()} <= identities:
        yield "identifier: one that the claim does not have"


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(document, list):
            document = document[0] if document else None
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _instant(micros: int) -> str:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _decimal(score: int) -> str:
    text = f"{score // _POINT}.{score % _POINT:06d}"
    return text.rstrip("0").rstrip(".")
