"""The words of the page on which anyone verifies a credential, in English and in French."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_WORDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "en": {
        "title": "Verify a credential",
        "lead": "Is it genuine, does it still hold, and is it this person's? Give the file that you were sent.",
        "file": "The file: JSON, JWT, or a badge image (PNG, SVG)",
        "text": "or its text",
        "recipient": "Whose is it said to be? (if you want to ask)",
        "hint": "email:dana@example.ca",
        "button": "Verify",
        "other": "Français",
        "other_language": "fr",
        "empty": "Choose a file or paste its text.",
        "privacy": "What you give is looked at, and neither kept nor passed on. Nothing that it points to is fetched.",
        "valid": "Valid",
        "invalid": "Not valid",
        "unknown": "Cannot be told here",
        "valid_lead": "It is as its issuer signed it, and it holds today.",
        "invalid_lead": "Do not rely on it. The steps below say why.",
        "unknown_lead": "Nothing is known against it, but not all of it could be checked here. Unknown is not invalid.",
        "outcomes": {"pass": "yes", "fail": "no", "unknown": "cannot be told"},
        "steps": {
            "parse": "It can be read",
            "context": "It is an Open Badge 3.0, or a learner record 2.0",
            "schema": "It is complete",
            "issuer": "Its issuer is known here",
            "key": "The key was the issuer's to use then",
            "proof": "It is as it was signed",
            "dates": "It is in its time",
            "revocation": "It was not revoked",
            "suspension": "It is not suspended",
            "endorsements": "Its endorsements hold",
            "credentials": "Each credential in it holds",
            "recipient": "It is this person's",
        },
    },
    "fr": {
        "title": "Vérifier une attestation",
        "lead": "Est-elle authentique, est-elle encore valable, est-elle à cette personne ? Donnez le fichier reçu.",
        "file": "Le fichier : JSON, JWT ou image d'insigne (PNG, SVG)",
        "text": "ou son texte",
        "recipient": "À qui serait-elle ? (si vous voulez le savoir)",
        "hint": "email:dana@exemple.ca",
        "button": "Vérifier",
        "other": "English",
        "other_language": "en",
        "empty": "Choisissez un fichier ou collez son texte.",
        "privacy": "Ce que vous donnez est examiné, et n'est ni conservé ni transmis. Aucune adresse citée n'est consultée.",
        "valid": "Valable",
        "invalid": "Non valable",
        "unknown": "Ne peut être établi ici",
        "valid_lead": "Elle est telle que son émetteur l'a signée, et elle est valable aujourd'hui.",
        "invalid_lead": "Ne vous y fiez pas. Les étapes ci-dessous disent pourquoi.",
        "unknown_lead": "Rien ne la contredit, mais tout n'a pu être vérifié ici. Inconnu ne veut pas dire non valable.",
        "outcomes": {"pass": "oui", "fail": "non", "unknown": "ne peut être établi"},
        "steps": {
            "parse": "Elle est lisible",
            "context": "C'est un Open Badge 3.0 ou un dossier d'apprentissage 2.0",
            "schema": "Elle est complète",
            "issuer": "Son émetteur est connu ici",
            "key": "La clé était alors celle de l'émetteur",
            "proof": "Elle est telle qu'elle a été signée",
            "dates": "Elle est dans sa période de validité",
            "revocation": "Elle n'a pas été révoquée",
            "suspension": "Elle n'est pas suspendue",
            "endorsements": "Ses appuis sont authentiques",
            "credentials": "Chaque attestation qu'il contient est valable",
            "recipient": "Elle est à cette personne",
        },
    },
}


def words(language: str) -> Mapping[str, Any]:
    """Return the page's words in `en` or `fr`."""
    return _WORDS[language]
