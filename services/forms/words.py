"""The words of certificates and transcripts in English and French."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

Language = Literal["en", "fr"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "fr")
_MONTHS_FR: Final = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "certificate": "Certificate",
        "awarded_to": "Awarded to the holder of this credential",
        "awarded": "Awarded",
        "issued": "Issued",
        "valid_until": "Valid until",
        "no_end": "No end date",
        "level": "Level",
        "credits": "Credits",
        "code": "Code",
        "assessed_by": "Assessed by",
        "issued_by": "Issued by",
        "how": "How it was earned",
        "results": "Results",
        "assessment": "Assessment",
        "result": "Result",
        "required": "Required",
        "evidence": "Evidence",
        "competencies": "Occupations and competencies",
        "endorsed": "Endorsed by",
        "recognition": "Recognition of prior learning",
        "check": "Check this certificate",
        "check_how": (
            "The code leads to the page that says whether this credential still holds. The signed credential itself is attached to "
            "this file: any Open Badges 3.0 verifier can check it."
        ),
        "details": "What stands behind this certificate",
        "signed": "Signed electronically",
        "of": "{} of {}",
        "Completed": "Completed",
        "Failed": "Not passed",
        "badge_alt": "Badge: {}",
        "qr_alt": "QR code that leads to {}",
        "attached": "The signed credential (Open Badges 3.0)",
        "page": "Page {} of {}",
        "transcript": "Transcript of micro-credentials",
        "transcript_how": (
            "This transcript lists credentials as they were issued. The signed learner record is attached to this file; "
            "each credential in it can be checked on its own."
        ),
        "learner": "Learner",
        "credential": "Credential",
        "total": "Credits in all",
        "as_of": "As of {}",
        "record_attached": "The signed Comprehensive Learner Record 2.0",
        "none": "No credential stands at present.",
        "MicroCredential": "Micro-credential",
        "Certificate": "Certificate",
        "other_type": "Achievement",
    },
    "fr": {
        "certificate": "Certificat",
        "awarded_to": "Décerné à la personne titulaire de ce titre",
        "awarded": "Décerné le",
        "issued": "Délivré le",
        "valid_until": "Valable jusqu’au",
        "no_end": "Sans échéance",
        "level": "Niveau",
        "credits": "Crédits",
        "code": "Code",
        "assessed_by": "Évalué par",
        "issued_by": "Délivré par",
        "how": "Comment il a été obtenu",
        "results": "Résultats",
        "assessment": "Évaluation",
        "result": "Résultat",
        "required": "Exigé",
        "evidence": "Preuves",
        "competencies": "Professions et compétences",
        "endorsed": "Avec l’appui de",
        "recognition": "Reconnaissance des acquis",
        "check": "Vérifier ce certificat",
        "check_how": (
            "Le code mène à la page qui dit si ce titre est toujours valable. Le titre signé est joint à ce fichier : tout "
            "vérificateur Open Badges 3.0 peut le contrôler."
        ),
        "details": "Ce sur quoi repose ce certificat",
        "signed": "Signé électroniquement",
        "of": "{} sur {}",
        "Completed": "Réussi",
        "Failed": "Non réussi",
        "badge_alt": "Badge : {}",
        "qr_alt": "Code QR qui mène à {}",
        "attached": "Le titre signé (Open Badges 3.0)",
        "page": "Page {} de {}",
        "transcript": "Relevé de microcertifications",
        "transcript_how": (
            "Ce relevé énumère les titres tels qu’ils ont été délivrés. Le dossier signé est joint à ce fichier ; "
            "chaque titre peut y être vérifié séparément."
        ),
        "learner": "Personne apprenante",
        "credential": "Titre",
        "total": "Total des crédits",
        "as_of": "En date du {}",
        "record_attached": "Le dossier signé (Comprehensive Learner Record 2.0)",
        "none": "Aucun titre n’est valable en ce moment.",
        "MicroCredential": "Microcertification",
        "Certificate": "Certificat",
        "other_type": "Réussite",
    },
}


def date(stamp: str, language: Language) -> str:
    """Return a dateTimeStamp's day in UTC, as people write it."""
    when = datetime.fromisoformat(stamp)
    if language == "fr":
        return f"{'1er' if when.day == 1 else when.day} {_MONTHS_FR[when.month - 1]} {when.year}"
    return f"{when:%B} {when.day}, {when.year}"


def number(value: str, language: Language) -> str:
    """Return a decimal number as people write it."""
    return value.replace(".", ",") if language == "fr" else value
