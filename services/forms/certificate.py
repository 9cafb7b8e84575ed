"""A credential as a certificate for printing. It says what stands in the signed credential, which is attached to the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from schemas.catalogue import Achievement, Catalogue
from services.forms.badge_image import badge_svg
from services.forms.colours import palette
from services.forms.markdown import blocks
from services.forms.printing import pdf, qr, size_for
from services.forms.words import WORDS, Language, date, number
from services.issuing.achievement import translation
from services.issuing.results import name_in


def certificate_pdf(
    credential: bytes, document: Mapping[str, Any], catalogue: Catalogue, achievement: Achievement, language: Language
) -> bytes:
    """Return the certificate.

    Args:
        credential: The signed credential's bytes, to be attached.
        document: The same, decoded; its proof has been verified.
        catalogue: The version that its claim names.
        achievement: What was attained.
        language: In which it is printed; words that the catalogue has in one language alone stay in that.
    """
    said, subject = WORDS[language], document["credentialSubject"]
    words = translation(achievement, language)
    issued = datetime.fromisoformat(document["validFrom"])
    name = words.name if words else achievement.name
    names = {assessment.name: name_in(assessment, language) for assessment in catalogue.assessments}
    data = {
        "language": language,
        "words": said,
        "colours": asdict(palette(catalogue.issuer.colour)),
        "title": name,
        "title_size": size_for(name),
        "about": f"{said['certificate']}: {name}",
        "kind": said.get(achievement.achievement_type, said["other_type"]),
        "description": words.description if words else achievement.description,
        "criteria": blocks(words.criteria if words else achievement.criteria),
        "narrative": blocks(subject.get("narrative", "")),
        "issuer": document["issuer"]["name"],
        "place": document["issuer"].get("address", {}).get("addressRegion", ""),
        "date": {"year": issued.year, "month": issued.month, "day": issued.day},
        "facts": list(facts(document, language)),
        "results": list(results(document, names, language)),
        "evidence": [
            [names.get(item["name"], item["name"]), item.get("narrative", ""), item.get("id", "")]
            for item in document.get("evidence", ())
        ],
        "competencies": [
            [a["targetName"], " · ".join(filter(None, (a.get("targetFramework"), a.get("targetCode"))))]
            for a in subject["achievement"].get("alignment", ())
        ],
        "endorsements": [
            [e["issuer"].get("name", ""), e["credentialSubject"].get("endorsementComment", "")]
            for e in subject["achievement"].get("endorsement", ())
        ],
        "id": document["id"],
        "url_start": document["id"].rpartition("/")[0] + "/",
        "url_end": document["id"].rpartition("/")[2],
        "key": document["proof"][0]["verificationMethod"].rpartition("#")[2]
        + " · "
        + date(document["validFrom"], language),
        "page": said["page"],
        "badge": badge_svg(catalogue, achievement, language),
        "badge_alt": said["badge_alt"].format(name),
        "qr": qr(document["id"]),
        "qr_alt": said["qr_alt"].format(document["id"]),
        "credential": credential.decode(),
    }
    return pdf("certificate", data, issued)


def facts(document: Mapping[str, Any], language: Language) -> Iterator[tuple[str, str]]:
    """Yield what a credential says in short: a label, and what stands under it."""
    said, subject = WORDS[language], document["credentialSubject"]
    yield said["awarded"], date(document["awardedDate"], language)
    if "validUntil" in document:
        yield said["valid_until"], date(document["validUntil"], language)
    award = f"{subject['achievement']['id']}#award"
    for result in subject.get("result", ()):
        if result["resultDescription"] == award:
            yield said["level"], result["value"]
    if "creditsEarned" in subject:
        yield said["credits"], number(f"{subject['creditsEarned']:g}", language)
    if "humanCode" in subject["achievement"]:
        yield said["code"], subject["achievement"]["humanCode"]
    if "source" in subject:
        yield said["assessed_by"], subject["source"]["name"]


def results(
    document: Mapping[str, Any], names: Mapping[str, str], language: Language
) -> Iterator[tuple[str, str, str]]:
    """Yield each result: its assessment, what was reached, what was required."""
    said, subject = WORDS[language], document["credentialSubject"]
    described = {d["id"]: d for d in subject["achievement"].get("resultDescription", ())}
    for result in subject.get("result", ()):
        about = described[result["resultDescription"]]
        if about["id"].endswith("#award"):
            continue
        levels = {level["id"]: level["name"] for level in about.get("rubricCriterionLevel", ())}
        scale = number(about.get("valueMax", ""), language)
        reached = [
            said["of"].format(number(result["value"], language), scale) if "value" in result else "",
            levels.get(result.get("achievedLevel", ""), ""),
        ]
        needed = [number(about.get("requiredValue", ""), language), levels.get(about.get("requiredLevel", ""), "")]
        shown = " · ".join(filter(None, reached)) or said[result["status"]]
        yield names.get(about["name"], about["name"]), shown, " · ".join(filter(None, needed)) or "-"
