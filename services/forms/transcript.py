"""A learner's transcript for printing: the credentials of a learner record, which is attached to the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from schemas.catalogue import Achievement, Catalogue
from services.forms.badge_image import emblem_svg
from services.forms.certificate import facts, results
from services.forms.colours import palette
from services.forms.printing import pdf
from services.forms.words import WORDS, Language, date, number
from services.issuing.achievement import translation
from services.issuing.results import name_in


def transcript_pdf(
    record: bytes, documents: Sequence[Mapping[str, Any]], catalogue: Catalogue, identifier: str, language: Language
) -> bytes:
    """Return the transcript.

    Args:
        record: The signed learner record (a JWT), to be attached.
        documents: Its credentials, in order of award.
        catalogue: The programme's newest version.
        identifier: The record's id.
        language: In which it is printed.
    """
    said = WORDS[language]
    newest = max((document["validFrom"] for document in documents), key=datetime.fromisoformat)
    issued = datetime.fromisoformat(newest)
    achievements = {achievement.id: achievement for achievement in catalogue.achievements}
    names = {assessment.name: name_in(assessment, language) for assessment in catalogue.assessments}
    earned = sum(document["credentialSubject"].get("creditsEarned", 0) for document in documents)
    data = {
        "language": language,
        "words": said,
        "colours": asdict(palette(catalogue.issuer.colour)),
        "title": said["transcript"],
        "issuer": catalogue.issuer.name,
        "place": catalogue.issuer.region or "",
        "about": f"{said['transcript']}: {catalogue.issuer.name}",
        "as_of": said["as_of"].format(date(newest, language)),
        "date": {"year": issued.year, "month": issued.month, "day": issued.day},
        "credentials": [_entry(document, achievements, names, language) for document in documents],
        "total": number(f"{earned:g}", language) if earned else "",
        "id": identifier,
        "page": said["page"],
        "emblem": emblem_svg(catalogue),
        "emblem_alt": said["badge_alt"].format(catalogue.issuer.name),
        "record": record.decode(),
    }
    return pdf("transcript", data, issued)


def _entry(
    document: Mapping[str, Any], achievements: Mapping[str, Achievement], names: Mapping[str, str], language: Language
) -> dict[str, Any]:
    subject = document["credentialSubject"]
    known = achievements.get(subject["achievement"]["id"].rpartition("/")[2])
    words = translation(known, language) if known is not None else None
    return {
        "name": words.name if words else subject["achievement"]["name"],
        "description": words.description if words else subject["achievement"]["description"],
        "facts": list(facts(document, language)),
        "results": list(results(document, names, language)),
        "url": document["id"],
    }
