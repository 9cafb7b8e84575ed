"""What may be earned, as Open Badges 3.0 describes it (§B.1.1): embedded in credentials as it is, served with a context.

The standard's texts are plain strings, so an achievement in two languages is two achievements that name each other in `related`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.catalogue import Achievement, Alignment, Catalogue, Translation
from schemas.ids import achievement_url, badge_url, translated_url
from schemas.rules import achievements_in, criteria_of
from services.issuing.documents import image, present


def achievement_document(
    catalogue: Catalogue,
    achievement: Achievement,
    *,
    descriptions: Sequence[Mapping[str, Any]] = (),
    endorsements: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return an achievement in its own language, without a context.

    Args:
        catalogue: Where it stands.
        achievement: What may be earned.
        descriptions: What results of it look like (§B.1.24).
        endorsements: Partners' signed endorsements that have been verified.
    """
    url = achievement_url(catalogue.base_url, catalogue.programme, achievement.id)
    shared = _in_any_language(catalogue, achievement)
    twins = [_related(translated_url(url, t.language), t.language, catalogue) for t in achievement.translations]
    related = [*twins, *_blocks(catalogue, achievement)]
    words = {"name": achievement.name, "description": achievement.description}
    return present(
        {
            "id": url,
            "type": ["Achievement"],
            **words,
            "criteria": {"id": url, "narrative": achievement.criteria},
            "inLanguage": achievement.language,
            **shared,
            "related": related or None,
            "resultDescription": list(descriptions) or None,
            "endorsement": list(endorsements) or None,
        }
    )


def translated_document(catalogue: Catalogue, achievement: Achievement, language: str) -> dict[str, Any] | None:
    """Return an achievement's twin in another language, or None where the catalogue has no such words."""
    words = translation(achievement, language)
    if words is None or language == achievement.language:
        return None
    url = achievement_url(catalogue.base_url, catalogue.programme, achievement.id)
    return present(
        {
            "id": translated_url(url, language),
            "type": ["Achievement"],
            "name": words.name,
            "description": words.description,
            "criteria": {"id": translated_url(url, language), "narrative": words.criteria},
            "inLanguage": language,
            **_in_any_language(catalogue, achievement),
            "related": [_related(url, achievement.language, catalogue)],
        }
    )


def translation(achievement: Achievement, language: str) -> Translation | None:
    """Return an achievement's words in a language, its own among them."""
    if language == achievement.language:
        return Translation(
            language=language,
            name=achievement.name,
            description=achievement.description,
            criteria=achievement.criteria,
        )
    return next((words for words in achievement.translations if words.language == language), None)


def credit_number(achievement: Achievement) -> int | float | None:
    """Return the credits as a JSON number."""
    if achievement.credits is None:
        return None
    whole, rest = divmod(achievement.credits, 1000)
    return achievement.credits / 1000 if rest else whole


def _in_any_language(catalogue: Catalogue, achievement: Achievement) -> dict[str, Any]:
    drawn = f"{badge_url(catalogue.base_url, catalogue.programme, achievement.id)}.png"
    return {
        "achievementType": achievement.achievement_type,
        "image": image(achievement.image or drawn, achievement.name),
        "version": catalogue.version,
        "humanCode": achievement.code,
        "fieldOfStudy": achievement.field_of_study,
        "creditsAvailable": credit_number(achievement),
        "tag": list(achievement.tags) or None,
        "alignment": [_alignment(a) for a in achievement.alignments] or None,
    }


def _blocks(catalogue: Catalogue, achievement: Achievement) -> list[dict[str, Any]]:
    """Return the building blocks that the rule names, and what the catalogue relates besides."""
    named = {name for criterion in criteria_of(achievement.rule) for name in achievements_in(criterion)}
    found = [(a.id, a.language) for a in catalogue.achievements if a.id in named or a.id in achievement.related]
    return [
        _related(achievement_url(catalogue.base_url, catalogue.programme, name), language, catalogue)
        for name, language in found
        if name != achievement.id
    ]


def _related(url: str, language: str, catalogue: Catalogue) -> dict[str, Any]:
    return {"id": url, "type": ["Related"], "inLanguage": language, "version": catalogue.version}


def _alignment(alignment: Alignment) -> dict[str, Any]:
    return present(
        {
            "type": ["Alignment"],
            "targetName": alignment.target_name,
            "targetUrl": alignment.target_url,
            "targetDescription": alignment.target_description,
            "targetFramework": alignment.target_framework,
            "targetCode": alignment.target_code,
            "targetType": alignment.target_type,
        }
    )
