"""The Open Badges 3.0 credential that a claim pins, as a document with slots: one for each shape of claim.

What a claim does not vary (issuer, achievement, criteria) is fixed text of the shape, so a credential costs its slots alone.
`credentialSchema` is left out: its type is defined only in 1EdTech's extension context, which many verifiers do not carry, and a
badge without it conforms (OB 3.0 §B.1.2: 0..*).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

from schemas.catalogue import Achievement, Catalogue
from schemas.errors import IntegrityError
from schemas.events import POINT, ClaimBody, ClaimedResult, CredentialClaimed, Micropoints, Micros
from schemas.ids import achievement_url, credential_url
from services.issuing.documents import CREDENTIALS_V2, OPEN_BADGES_V3, achievement_document, present, profile

FORM: Final = "ob3-rdfc-1"
"""Names how a claim becomes a document. Claims pin it; a change of wording here is a new form."""
_EVIDENCE: Final = re.compile(r"https?:[^\s\x00-\x20<>\"{}|^`\\\x7f\[\]]+")
_URN: Final = "urn:uuid:"


class Markup(Protocol):
    """How a document with slots is written; `services.signing.shape` provides it, and rooms of `services` do not meet."""

    def slot(self, name: str) -> Any:
        """Return a place for a string."""

    def text(self, *parts: Any) -> Any:
        """Return a string of fixed parts and slots."""


S = TypeVar("S")


def shape_key(claim: CredentialClaimed) -> tuple[Any, ...]:
    """Return what decides a claim's shape: two claims with equal keys differ in slot values alone."""
    return (
        claim.form,
        claim.catalogue_digest,
        claim.achievement,
        claim.valid_until is not None,
        tuple(
            (result.assessment, result.score is not None, _evidence_scheme(result)) for result in body_of(claim).results
        ),
    )


def body_of(claim: CredentialClaimed) -> ClaimBody:
    """Return what the credential says of the learner.

    Raises:
        IntegrityError: The claim is sealed, and no key is at hand here.
    """
    if isinstance(claim.body, bytes):
        raise IntegrityError(f"claim {claim.claim_no} of {claim.programme} is sealed with {claim.sealed_with}")
    return claim.body


def document(claim: CredentialClaimed, catalogue: Catalogue, markup: Markup) -> dict[str, Any]:
    """Return the claim's credential with slots for what `slot_values` gives (OB 3.0 §B.1.2, VCDM 2.0 §4).

    Raises:
        IntegrityError: The catalogue has no such achievement, or the form is not known.
    """
    achievement = next((a for a in catalogue.achievements if a.id == claim.achievement), None)
    if achievement is None or claim.form != FORM:
        raise IntegrityError(
            f"claim {claim.claim_no} of {claim.programme}: no {claim.achievement} in form {claim.form}"
        )
    lists = f"{catalogue.base_url}/status/"
    status_list = markup.text(lists, markup.slot("list"))
    return present(
        {
            "@context": [CREDENTIALS_V2, OPEN_BADGES_V3],
            "id": markup.text(credential_url(catalogue.base_url, ""), markup.slot("credential")),
            "type": ["VerifiableCredential", "OpenBadgeCredential"],
            "name": achievement.name,
            "description": achievement.description,
            "issuer": profile(catalogue),
            "validFrom": markup.slot("valid_from"),
            "validUntil": markup.slot("valid_until") if claim.valid_until is not None else None,
            "awardedDate": markup.slot("awarded"),
            "credentialSubject": _subject(claim, catalogue, achievement, markup),
            "evidence": _evidence(claim, catalogue, markup),
            "credentialStatus": {
                "id": markup.text(lists, markup.slot("list"), "#", markup.slot("index")),
                "type": "BitstringStatusListEntry",
                "statusPurpose": "revocation",
                "statusListIndex": markup.slot("index"),
                "statusListCredential": status_list,
            },
        }
    )


def _subject(
    claim: CredentialClaimed, catalogue: Catalogue, achievement: Achievement, markup: Markup
) -> dict[str, Any]:
    names = {assessment.id: assessment.name for assessment in catalogue.assessments}
    url = achievement_url(catalogue.base_url, catalogue.programme, achievement.id)
    descriptions, results = [], []
    for i, result in enumerate(body_of(claim).results, 1):
        scored = result.score is not None
        about = {"id": f"{url}#result-{i}", "type": ["ResultDescription"], "name": names[result.assessment]}
        scale = {"resultType": "RawScore", "valueMin": "0", "valueMax": markup.slot(f"max{i}")}
        descriptions.append({**about, **(scale if scored else {"resultType": "Status"})})
        shown = {"value": markup.slot(f"score{i}")} if scored else {"status": "Completed"}
        results.append({"type": ["Result"], "resultDescription": about["id"], **shown})
    described = {"resultDescription": descriptions} if descriptions else {}
    return present(
        {
            "id": markup.text(_URN, markup.slot("subject")),
            "type": ["AchievementSubject"],
            "achievement": {**achievement_document(catalogue, achievement), **described},
            "result": results or None,
        }
    )


def _evidence(claim: CredentialClaimed, catalogue: Catalogue, markup: Markup) -> list[dict[str, Any]] | None:
    names = {assessment.id: assessment.name for assessment in catalogue.assessments}
    shown = [
        {
            "id": markup.text(scheme, markup.slot(f"evidence{i}")),
            "type": ["Evidence"],
            "name": names[result.assessment],
        }
        for i, result in enumerate(body_of(claim).results, 1)
        if (scheme := _evidence_scheme(result))
    ]
    return shown or None


def _evidence_scheme(result: ClaimedResult) -> str | None:
    """Return `https:` or `http:` when the evidence's address may stand as an IRI; what may not is left out."""
    url = result.evidence_url
    return f"{url.partition(':')[0]}:" if url and _EVIDENCE.fullmatch(url) else None


def slot_values(claim: CredentialClaimed, catalogue: Catalogue) -> Mapping[str, str]:
    """Return the values of a claim's slots."""
    body = body_of(claim)
    values = {
        "credential": claim.credential_id,
        "valid_from": date_time(claim.claimed_at),
        "awarded": date_time(claim.awarded_at),
        "subject": body.subject_id.removeprefix(_URN),
        "list": claim.status_list.removeprefix(f"{catalogue.base_url}/status/"),
        "index": str(claim.status_index),
    }
    if claim.valid_until is not None:
        values["valid_until"] = date_time(claim.valid_until)
    for i, result in enumerate(body.results, 1):
        if result.score is not None and result.score_max is not None:
            values[f"score{i}"] = decimal(result.score)
            values[f"max{i}"] = decimal(result.score_max)
        if _evidence_scheme(result):
            values[f"evidence{i}"] = (result.evidence_url or "").partition(":")[2]
    return values


@lru_cache(maxsize=4096)
def _seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def date_time(instant: Micros) -> str:
    """Return an instant as a dateTimeStamp of whole seconds in UTC, as `nbf` and strict verifiers want it."""
    return _seconds(instant // 1_000_000)


def decimal(score: Micropoints) -> str:
    """Return a score exactly, without trailing zeros."""
    whole, rest = divmod(score, POINT)
    return f"{whole}.{rest:06d}".rstrip("0") if rest else str(whole)
