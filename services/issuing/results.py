"""A claim's results as the credential shows them: descriptions with their scales and rubrics, results, evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from schemas.catalogue import Achievement, Assessment, RubricLevel
from schemas.events import ClaimedResult, Micropoints
from schemas.ids import achievement_url
from schemas.rules import Bar
from services.issuing.documents import present
from services.issuing.formats import day, decimal
from services.issuing.wording import Wording

_EVIDENCE: Final = re.compile(r"https?:[^\s\x00-\x20<>\"{}|^`\\\x7f\[\]]+")
_AWARD: Final = {"en": "Level of the award", "fr": "Niveau de la reconnaissance"}
_ASSESSED: Final = {"en": ("Assessed by {} on ", "."), "fr": ("Évalué par {} le ", ".")}


class Markup(Protocol):
    """How a document with slots is written; `services.signing.shape` provides it, and rooms of `services` do not meet."""

    def slot(self, name: str) -> Any:
        """Return a place for a string."""

    def text(self, *parts: Any) -> Any:
        """Return a string of fixed parts and slots."""


@dataclass(frozen=True, slots=True)
class _Described:
    """Results of one assessment on one scale share a description (§B.1.24)."""

    number: int
    id: str
    assessment: Assessment
    bar: Bar | None
    at: int  # of the first such result


def results_key(results: Sequence[ClaimedResult], wording: Wording) -> tuple[Any, ...]:
    """Return what of the results decides a claim's shape; the rest goes into slots."""
    return tuple(
        (
            r.assessment,
            r.provider,
            number,
            r.score is not None,
            evidence_scheme(r.evidence_url),
            _level(r, wording) is not None,
        )
        for r, number in zip(results, _numbers(results), strict=True)
    )


def descriptions(
    results: Sequence[ClaimedResult], wording: Wording, achievement: Achievement, markup: Markup
) -> list[dict[str, Any]]:
    """Return what each of the results means: its scale, its rubric, what was required."""
    return [
        _description(found, results[found.at], achievement, markup)
        for found in _described(results, wording, achievement)
    ]


def _description(found: _Described, first: ClaimedResult, achievement: Achievement, markup: Markup) -> dict[str, Any]:
    scored, bar, levels = first.score is not None, found.bar, found.assessment.levels
    kind = "RawScore" if scored else "RubricCriterionLevel" if levels else "Status"
    needs = bar is not None and bar.at_least is not None and scored
    lowest = bar.levels[0] if bar is not None and bar.levels and bar.levels[0] in levels else None
    return present(
        {
            "id": found.id,
            "type": ["ResultDescription"],
            "name": name_in(found.assessment, achievement.language),
            "resultType": kind,
            "valueMin": "0" if scored else None,
            "valueMax": markup.slot(f"max{found.number}") if scored else None,
            "requiredValue": markup.slot(f"required{found.number}") if needs else None,
            "requiredLevel": _level_id(found.id, levels.index(lowest)) if lowest is not None else None,
            "rubricCriterionLevel": _rubric(found.id, levels, found.assessment.rubric) or None,
        }
    )


def award_description(wording: Wording, achievement: Achievement) -> dict[str, Any]:
    """Return what the level of an award means, where the rule has levels."""
    catalogue = wording.catalogue
    url = f"{achievement_url(catalogue.base_url, catalogue.programme, achievement.id)}#award"
    return {
        "id": url,
        "type": ["ResultDescription"],
        "name": _AWARD.get(achievement.language, _AWARD["en"]),
        "resultType": "PerformanceLevel",
        "rubricCriterionLevel": _rubric(url, [level.name for level in achievement.rule.levels]),
    }


def award_result(level: str, description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the level at which an achievement was awarded."""
    reached = next(known for known in description["rubricCriterionLevel"] if known["name"] == level)
    return {"type": ["Result"], "resultDescription": description["id"], "value": level, "achievedLevel": reached["id"]}


def _rubric(description: str, names: Sequence[str], said: Sequence[RubricLevel] = ()) -> list[dict[str, Any]]:
    words = {level.name: level for level in said}
    return [
        present(
            {
                "id": _level_id(description, at),
                "type": ["RubricCriterionLevel"],
                "name": name,
                "description": words[name].description if name in words else None,
                "level": str(at + 1),
                "points": words[name].points if name in words else None,
            }
        )
        for at, name in enumerate(names)
    ]


def _level_id(description: str, at: int) -> str:
    return f"{description}-level-{at + 1}"


def shown(
    results: Sequence[ClaimedResult], wording: Wording, achievement: Achievement, markup: Markup
) -> list[dict[str, Any]]:
    """Return the results themselves (§B.1.23)."""
    ids = {found.number: found.id for found in _described(results, wording, achievement)}
    return [
        present(
            {
                "type": ["Result"],
                "resultDescription": ids[number],
                "value": markup.slot(f"score{i}") if result.score is not None else None,
                "achievedLevel": (
                    markup.text(f"{ids[number]}-level-", markup.slot(f"level{i}"))
                    if _level(result, wording) is not None
                    else None
                ),
                "status": markup.slot(f"status{i}"),
            }
        )
        for i, (result, number) in enumerate(zip(results, _numbers(results), strict=True), 1)
    ]


def evidence(
    results: Sequence[ClaimedResult], wording: Wording, achievement: Achievement, markup: Markup
) -> list[dict[str, Any]]:
    """Return where the results can be seen: those with an address that may stand in a credential."""
    before, after = _ASSESSED.get(achievement.language, _ASSESSED["en"])
    return [
        {
            "id": markup.text(scheme, markup.slot(f"evidence{i}")),
            "type": ["Evidence"],
            "name": name_in(wording.assessment(result.assessment), achievement.language),
            "narrative": markup.text(
                before.format(wording.provider_name(result.provider)), markup.slot(f"day{i}"), after
            ),
        }
        for i, result in enumerate(results, 1)
        if (scheme := evidence_scheme(result.evidence_url))
    ]


def values(results: Sequence[ClaimedResult], wording: Wording, achievement: Achievement) -> dict[str, str]:
    """Return the values of the results' slots."""
    out: dict[str, str] = {}
    for i, result in enumerate(results, 1):
        out[f"status{i}"] = "Failed" if result.passed is False else "Completed"
        if result.score is not None:
            out[f"score{i}"] = decimal(result.score)
        if (level := _level(result, wording)) is not None:
            out[f"level{i}"] = str(level + 1)
        if evidence_scheme(result.evidence_url):
            out[f"evidence{i}"] = (result.evidence_url or "").partition(":")[2]
            out[f"day{i}"] = day(result.completed_at)
    for found in _described(results, wording, achievement):
        maximum = results[found.at].score_max
        if maximum is not None:
            out[f"max{found.number}"] = decimal(maximum)
            if found.bar is not None and found.bar.at_least is not None:
                out[f"required{found.number}"] = decimal(_required(found.bar, maximum))
    return out


def name_in(assessment: Assessment, language: str) -> str:
    """Return an assessment's name, in this language if it has one."""
    return assessment.names.get(language, assessment.name)


def _required(bar: Bar, maximum: Micropoints) -> Micropoints:
    """Return the least score that reaches the bar."""
    return -(-maximum * (bar.at_least or 0) // bar.out_of)


def evidence_scheme(url: str | None) -> str | None:
    """Return `https:` or `http:` when the evidence's address may stand as an IRI; what may not is left out."""
    return f"{url.partition(':')[0]}:" if url and _EVIDENCE.fullmatch(url) else None


def _level(result: ClaimedResult, wording: Wording) -> int | None:
    """Return the place of a result's level in its assessment's rubric."""
    levels = wording.assessment(result.assessment).levels
    return levels.index(result.level) if result.level in levels else None


def _numbers(results: Sequence[ClaimedResult]) -> tuple[int, ...]:
    """Return the number of each result's description: results of one assessment and one maximum share it."""
    known: dict[tuple[str, Micropoints | None], int] = {}
    return tuple(known.setdefault((r.assessment, r.score_max), len(known) + 1) for r in results)


def _described(results: Sequence[ClaimedResult], wording: Wording, achievement: Achievement) -> Sequence[_Described]:
    numbers = _numbers(results)
    key = (achievement.id, numbers, tuple(result.assessment for result in results))
    found: Sequence[_Described] | None = wording.described.get(key)
    if found is None:
        found = wording.described[key] = tuple(_plan(key, wording))
    return found


def _plan(key: tuple[str, Sequence[int], Sequence[str]], wording: Wording) -> Iterator[_Described]:
    achievement, numbers, assessments = key
    url = achievement_url(wording.catalogue.base_url, wording.catalogue.programme, achievement)
    scales = dict[str, int]()
    for at, (assessment, number) in enumerate(zip(assessments, numbers, strict=True)):
        if number in numbers[:at]:
            continue
        scale = scales[assessment] = scales.get(assessment, 0) + 1
        name = f"{url}#{assessment}" + (f"-{scale}" if scale > 1 else "")
        yield _Described(number, name, wording.assessment(assessment), wording.bar(achievement, assessment), at)
