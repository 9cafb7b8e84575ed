"""The Open Badges 3.0 credential that a claim pins, as a document with slots: one for each shape of claim.

What a claim does not vary (issuer, achievement, criteria, endorsements) is fixed text of the shape, so a credential costs its slots
alone. `credentialSchema` names 1EdTech's schema, whose type is defined in the third context alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.catalogue import Achievement
from schemas.errors import IntegrityError
from schemas.events import ClaimBody, CredentialClaimed
from schemas.ids import credential_url
from services.issuing import results as showing
from services.issuing.achievement import achievement_document, credit_number
from services.issuing.documents import (
    CREDENTIALS_V2,
    OPEN_BADGES_EXTENSIONS,
    OPEN_BADGES_V3,
    present,
    profile,
    provider_profile,
)
from services.issuing.formats import date_time
from services.issuing.results import Markup
from services.issuing.wording import Wording

FORM: Final = "ob3-rdfc-2"
"""Names how a claim becomes a document. Claims pin it; a change of wording here is a new form."""
SCHEMA: Final = "https://purl.imsglobal.org/spec/ob/v3p0/schema/json/ob_v3p0_achievementcredential_schema.json"
_RECOGNISED: Final = {"en": "Recognition of prior learning", "fr": "Reconnaissance des acquis"}
_URN: Final = "urn:uuid:"


def shape_key(claim: CredentialClaimed, wording: Wording) -> tuple[Any, ...]:
    """Return what decides a claim's shape: two claims with equal keys differ in slot values alone."""
    body = body_of(claim)
    return (
        claim.form,
        claim.catalogue_digest,
        claim.achievement,
        claim.valid_until is not None,
        tuple(endorsement["id"] for endorsement in wording.endorsements(claim.achievement, claim.claimed_at)),
        showing.results_key(body.results, wording),
        claim.level,
        tuple(known.identity_type for known in body.identities),
        None if body.recognition is None else showing.evidence_scheme(body.recognition.evidence_url) or "",
    )


def body_of(claim: CredentialClaimed) -> ClaimBody:
    """Return what the credential says of the learner.

    Raises:
        IntegrityError: The claim is sealed, and no key is at hand here.
    """
    if isinstance(claim.body, bytes):
        raise IntegrityError(f"claim {claim.claim_no} of {claim.programme} is sealed with {claim.sealed_with}")
    return claim.body


def achievement_of(claim: CredentialClaimed, wording: Wording) -> Achievement:
    """Return what was attained.

    Raises:
        IntegrityError: The catalogue has no such achievement, or the claim's form is not known.
    """
    achievement = wording.achievements.get(claim.achievement)
    if achievement is None or claim.form != FORM:
        raise IntegrityError(
            f"claim {claim.claim_no} of {claim.programme}: no {claim.achievement} in form {claim.form}"
        )
    return achievement


def document(claim: CredentialClaimed, wording: Wording, markup: Markup) -> dict[str, Any]:
    """Return the claim's credential with slots for what `slot_values` gives (OB 3.0 §B.1.2, VCDM 2.0 §4).

    Raises:
        IntegrityError: The catalogue has no such achievement, or the form is not known.
    """
    achievement, catalogue = achievement_of(claim, wording), wording.catalogue
    lists = f"{catalogue.base_url}/status/"
    status_list = markup.text(lists, markup.slot("list"))
    return present(
        {
            "@context": [CREDENTIALS_V2, OPEN_BADGES_V3, OPEN_BADGES_EXTENSIONS],
            "id": markup.text(credential_url(catalogue.base_url, ""), markup.slot("credential")),
            "type": ["VerifiableCredential", "OpenBadgeCredential"],
            "name": achievement.name,
            "description": achievement.description,
            "issuer": profile(catalogue),
            "validFrom": markup.slot("valid_from"),
            "validUntil": markup.slot("valid_until") if claim.valid_until is not None else None,
            "awardedDate": markup.slot("awarded"),
            "credentialSubject": _subject(claim, wording, achievement, markup),
            "evidence": _evidence(claim, wording, achievement, markup) or None,
            "credentialStatus": {
                "id": markup.text(lists, markup.slot("list"), "#", markup.slot("index")),
                "type": "BitstringStatusListEntry",
                "statusPurpose": "revocation",
                "statusListIndex": markup.slot("index"),
                "statusListCredential": status_list,
            },
            "credentialSchema": [{"id": SCHEMA, "type": "1EdTechJsonSchemaValidator2019"}],
        }
    )


def _subject(claim: CredentialClaimed, wording: Wording, achievement: Achievement, markup: Markup) -> dict[str, Any]:
    body = body_of(claim)
    descriptions = showing.descriptions(body.results, wording, achievement, markup)
    results = showing.shown(body.results, wording, achievement, markup)
    if claim.level is not None and claim.level in {level.name for level in achievement.rule.levels}:
        award = showing.award_description(wording, achievement)
        descriptions, results = [award, *descriptions], [showing.award_result(claim.level, award), *results]
    return present(
        {
            "id": markup.text(_URN, markup.slot("subject")),
            "type": ["AchievementSubject"],
            "identifier": _identities(body, markup) or None,
            "activityStartDate": markup.slot("began") if body.results else None,
            "activityEndDate": markup.slot("ended") if body.results else None,
            "creditsEarned": credit_number(achievement),
            "role": achievement.role,
            "narrative": markup.slot("narrative") if body.recognition is not None else None,
            "source": _source(claim, wording),
            "achievement": achievement_document(
                wording.catalogue,
                achievement,
                descriptions=descriptions,
                endorsements=wording.endorsements(achievement.id, claim.claimed_at),
            ),
            "result": results or None,
        }
    )


def _identities(body: ClaimBody, markup: Markup) -> list[dict[str, Any]]:
    """Return salted hashes of what the learner is known by, for whoever knows it to compare (§B.1.14)."""
    return [
        {
            "type": "IdentityObject",
            "hashed": True,
            "identityHash": markup.slot(f"hash{i}"),
            "identityType": known.identity_type,
            "salt": markup.slot(f"salt{i}"),
        }
        for i, known in enumerate(body.identities, 1)
    ]


def _evidence(
    claim: CredentialClaimed, wording: Wording, achievement: Achievement, markup: Markup
) -> list[dict[str, Any]]:
    body = body_of(claim)
    found = showing.evidence(body.results, wording, achievement, markup)
    scheme = showing.evidence_scheme(body.recognition.evidence_url) if body.recognition is not None else None
    if scheme is not None:
        name = _RECOGNISED.get(achievement.language, _RECOGNISED["en"])
        found.append({"id": markup.text(scheme, markup.slot("recognised")), "type": ["Evidence"], "name": name})
    return found


def _source(claim: CredentialClaimed, wording: Wording) -> dict[str, Any] | None:
    """Return who assessed on behalf of the issuer; there is room for one, so several are named with the evidence alone."""
    names = {result.provider for result in body_of(claim).results}
    found = wording.providers.get(names.pop()) if len(names) == 1 else None
    return provider_profile(wording.catalogue, found) if found is not None else None


def slot_values(claim: CredentialClaimed, wording: Wording) -> Mapping[str, str]:
    """Return the values of a claim's slots."""
    body = body_of(claim)
    values = {
        "credential": claim.credential_id,
        "valid_from": date_time(claim.claimed_at),
        "awarded": date_time(claim.awarded_at),
        "subject": body.subject_id.removeprefix(_URN),
        "list": claim.status_list.removeprefix(f"{wording.catalogue.base_url}/status/"),
        "index": str(claim.status_index),
    }
    if claim.valid_until is not None:
        values["valid_until"] = date_time(claim.valid_until)
    if body.results:
        instants = [result.completed_at for result in body.results]
        values |= {"began": date_time(min(instants)), "ended": date_time(max(instants))}
    for i, known in enumerate(body.identities, 1):
        values |= {f"hash{i}": known.identity_hash, f"salt{i}": known.salt}
    if body.recognition is not None:
        values |= {
            "narrative": body.recognition.narrative,
            "recognised": (body.recognition.evidence_url or "").partition(":")[2],
        }
    return values | showing.values(body.results, wording, achievement_of(claim, wording))
