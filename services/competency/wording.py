"""Criteria in plain English and French: what is asked. `services.competency.reasons` adds what there was and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, TypeAlias

from schemas.events import POINT, Micros
from schemas.rules import WHOLE, Bar, Count, Criterion, Dimension, Holds, Selection, Span, Weighted
from services.competency.calendars import day_of, zone

Language: TypeAlias = Literal["en", "fr"]
Condition: TypeAlias = tuple[str, str]
"""A condition's name and its value: a number, names, an ISO 8601 duration or date, or nothing."""
_HUNDREDTHS: Final = WHOLE // 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "at_least": "at least {}",
        "passed.true": "passed",
        "passed.false": "not passed",
        "levels": "at the level {}",
        "roles": "assessed by: {}",
        "sites": "at the site {}",
        "evidence": "with evidence",
        "critical.true": "critical",
        "critical.false": "not critical",
        "not_before": "not before {}",
        "by": "by {}",
        "attempts": "among the first {} attempts",
        "attempts.one": "the first attempt",
        "gap": "at least {} after the attempt before",
        "recent": "not more than {} old",
        "within": "within {}",
        "period.day": "on one day",
        "period.week": "in one calendar week",
        "period.month": "in one calendar month",
        "period.quarter": "in one calendar quarter",
        "period.year": "in one calendar year",
        "missing.excluded": "what is missing is left out",
        "missing.blocks": "each is needed",
        "failed": "it failed: {}",
        "assessment": "different assessments",
        "assessor": "different assessors",
        "site": "different sites",
        "day": "different days",
        "assessment.one": "assessment",
        "assessor.one": "assessor",
        "site.one": "site",
        "day.one": "day",
        "months": "{} months",
        "month": "1 month",
        "days": "{} days",
        "one_day": "1 day",
        "hours": "{} hours",
        "one_hour": "1 hour",
        "or": "or",
        "and": "and",
        "colon": ":",
        "result": "a result of {}",
        "result.best": "the best result of {}",
        "result.latest": "the latest result of {}",
        "result.first": "the first result of {}",
        "result.mean": "the mean of all results of {}",
        "one": "1 result of {}",
        "count": "{} results of {}",
        "counted": "{} of {} results of {}",
        "counted.few": "{} of {} results of {}",
        "weighted": "a weighted mean of {}",
        "weight": "{}, with a weight of {}",
        "take.latest": "of each the latest result",
        "take.first": "of each the first result",
        "take.mean": "of each the mean of all results",
        "holds": "the achievement {}",
        "holds.true": " is held",
        "holds.false": " is still needed",
        "all": "all of {}",
        "any": "at least one of {}",
        "at_least_of": "at least {} of {}",
        "none": "none of {}",
        "all.one": "all of {}",
        "any.one": "at least one of {}",
        "none.one": "none of {}",
        "asked.all": "all of these:",
        "asked.any": "at least one of these:",
        "asked.at_least": "at least {} of these:",
        "asked.none": "none of these:",
        "met": ": {} met",
        "met.few": ": {} met",
        "needed": ", {} still needed",
        "needed_by": ", {} more by {} would do",
        "different": ", {} of {}",
        "excess": ", and none may be",
        "best": "best so far {}",
        "taken": "it is {}",
        "nothing": "no result that counts yet",
        "reached": ": reached {}",
        "no_part": "nothing that counts yet",
        "expression": "the expression {}",
        "expression.true": " is true",
        "expression.false": " is not true",
        "recognised": "staff recognised prior learning",
        "more": "and {} more",
    },
    "fr": {
        "at_least": "au moins {}",
        "passed.true": "réussi",
        "passed.false": "non réussi",
        "levels": "au niveau {}",
        "roles": "évalué par : {}",
        "sites": "sur le site {}",
        "evidence": "avec preuve",
        "critical.true": "critique",
        "critical.false": "non critique",
        "not_before": "pas avant le {}",
        "by": "au plus tard le {}",
        "attempts": "parmi les {} premiers essais",
        "attempts.one": "le premier essai",
        "gap": "au moins {} après l'essai précédent",
        "recent": "datant de {} au plus",
        "within": "en {}",
        "period.day": "en un même jour",
        "period.week": "en une même semaine civile",
        "period.month": "en un même mois civil",
        "period.quarter": "en un même trimestre civil",
        "period.year": "en une même année civile",
        "missing.excluded": "ce qui manque n'est pas compté",
        "missing.blocks": "chacune est exigée",
        "failed": "échec : {}",
        "assessment": "évaluations différentes",
        "assessor": "évaluateurs différents",
        "site": "lieux différents",
        "day": "jours différents",
        "assessment.one": "évaluation",
        "assessor.one": "évaluateur",
        "site.one": "lieu",
        "day.one": "jour",
        "months": "{} mois",
        "month": "1 mois",
        "days": "{} jours",
        "one_day": "1 jour",
        "hours": "{} heures",
        "one_hour": "1 heure",
        "or": "ou",
        "and": "et",
        "colon": " :",
        "result": "un résultat de {}",
        "result.best": "le meilleur résultat de {}",
        "result.latest": "le dernier résultat de {}",
        "result.first": "le premier résultat de {}",
        "result.mean": "la moyenne de tous les résultats de {}",
        "one": "1 résultat de {}",
        "count": "{} résultats de {}",
        "counted": "{} résultats sur {} de {}",
        "counted.few": "{} résultat sur {} de {}",
        "weighted": "une moyenne pondérée de {}",
        "weight": "{}, avec un poids de {}",
        "take.latest": "de chacune le dernier résultat",
        "take.first": "de chacune le premier résultat",
        "take.mean": "de chacune la moyenne de tous les résultats",
        "holds": "l'attestation {}",
        "holds.true": " est acquise",
        "holds.false": " manque encore",
        "all": "les {} conditions",
        "any": "au moins une de {} conditions",
        "at_least_of": "au moins {} de {} conditions",
        "none": "aucune de {} conditions",
        "all.one": "{} condition",
        "any.one": "au moins une de {} condition",
        "none.one": "aucune de {} condition",
        "asked.all": "toutes ces conditions :",
        "asked.any": "au moins une de ces conditions :",
        "asked.at_least": "au moins {} de ces conditions :",
        "asked.none": "aucune de ces conditions :",
        "met": " : {} remplies",
        "met.few": " : {} remplie",
        "needed": ", il en manque {}",
        "needed_by": ", il en manque {} d'ici le {}",
        "different": ", {} sur {}",
        "excess": ", et aucune ne doit l'être",
        "best": "au mieux {} jusqu'ici",
        "taken": "c'est {}",
        "nothing": "aucun résultat valable jusqu'ici",
        "reached": " : {} atteints",
        "no_part": "rien de valable jusqu'ici",
        "expression": "l'expression {}",
        "expression.true": " est vraie",
        "expression.false": " n'est pas vraie",
        "recognised": "le personnel a reconnu un acquis antérieur",
        "more": "et {} de plus",
    },
}
_SPANS: Final = {"gap", "recent", "within"}
_WHOLE_DAYS: Final = {"not_before": "00:00:00", "by": "23:59:59"}  # the time of a day that is told as the day alone
_NAMED: Final = {"passed", "critical", "period", "missing", "take"}


def conditions(criterion: Criterion) -> tuple[Condition, ...]:
    """Return what a criterion asks beyond its kind and what it looks at."""
    return tuple(_conditions(criterion))


def _conditions(criterion: Criterion) -> Iterator[Condition]:  # noqa: C901  one for each kind
    if isinstance(criterion, Bar):
        yield from _bar(criterion)
    if isinstance(criterion, Selection):
        yield from _selected(criterion)
    match criterion:
        case Weighted(take=take, missing=missing):
            if take != "best":
                yield "take", take
            if missing != "zero":
                yield "missing", missing
        case Count(within=within, period=period):
            if within is not None:
                yield "within", duration(within)
            if period is not None:
                yield "period", period
        case Holds(levels=levels, recent=recent):
            if levels:
                yield "levels", "|".join(levels)
            if recent is not None:
                yield "recent", duration(recent)


def _bar(bar: Bar) -> Iterator[Condition]:
    if bar.at_least is not None:
        yield "at_least", _asked_share(bar)
    if bar.passed is not None:
        yield "passed", str(bar.passed).lower()
    if bar.levels:
        yield "levels", "|".join(bar.levels)


def _selected(asked: Selection) -> Iterator[Condition]:
    if asked.roles:
        yield "roles", "|".join(asked.roles)
    if asked.sites:
        yield "sites", "|".join(asked.sites)
    if asked.evidence:
        yield "evidence", ""
    if asked.critical is not None:
        yield "critical", str(asked.critical).lower()
    for name, instant in (("not_before", asked.not_before), ("by", asked.by)):
        if instant is not None:
            yield name, moment(instant)
    if asked.attempts is not None:
        yield "attempts", str(asked.attempts)
    for name, span in (("gap", asked.gap), ("recent", asked.recent)):
        if span is not None:
            yield name, duration(span)


def _asked_share(bar: Bar) -> str:
    at_least = bar.at_least or 0
    return percent(at_least) if bar.out_of == WHOLE else f"{_points(at_least)} / {_points(bar.out_of)}"


def _points(micropoints: int) -> str:
    whole, rest = divmod(micropoints, POINT)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")


def duration(span: Span) -> str:
    """Return a span as an ISO 8601 duration."""
    days, hours = divmod(span.hours, 24)
    months = f"{span.months}M" if span.months else ""
    return f"P{months}{f'{days}D' if days else ''}{f'T{hours}H' if hours else ''}"


def moment(instant: Micros) -> str:
    """Return an instant as an ISO 8601 date, with the time of day in UTC unless it is midnight."""
    return (_EPOCH + timedelta(microseconds=instant)).strftime("%Y-%m-%dT%H:%M:%SZ").replace("T00:00:00Z", "")


def percent(millionths: int) -> str:
    """Return a share in per cent, exactly: 400,000 is "40 %", 399,999 is "39.9999 %"."""
    whole, rest = divmod(millionths, _HUNDREDTHS)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".") + " %"


def number_in_words(text: str, language: Language) -> str:
    """Return numbers as the language writes them: "39,5 %" in French."""
    return text.replace(".", ",") if language == "fr" else text


def different(of: Dimension, number: int, words: Mapping[str, str]) -> str:
    """Return how many different ones: "2 different assessors", "1 assessor"."""
    return f"{number} {words[f'{of}.one' if number == 1 else of]}"


def local_day(instant: Micros, zone_name: str) -> str:
    """Return the day (ISO 8601) of an instant in a time zone."""
    return date.fromordinal(day_of(instant, zone_name)).isoformat()


def phrases(asks: Sequence[Condition], language: Language, zone_name: str = "UTC") -> list[str]:
    """Return each condition in words, with instants in a time zone."""
    words = WORDS[language]
    out = []
    for name, value in asks:
        if name in _NAMED:
            out.append(words[f"{name}.{value}"])
        elif name in _SPANS:
            out.append(words[name].format(_span_in_words(value, words)))
        elif value == "1" and f"{name}.one" in words:
            out.append(words[f"{name}.one"])
        elif name == "at_least":
            out.append(words[name].format(number_in_words(value, language)))
        elif name in _WHOLE_DAYS and zone_name != "UTC":
            out.append(words[name].format(_local_moment(name, value, zone_name)))
        else:
            out.append(words[name].format(f" {words['or']} ".join(value.split("|"))))
    return out


def _local_moment(name: str, iso: str, zone_name: str) -> str:
    moment = datetime.fromisoformat(iso)
    local = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(zone(zone_name))
    return f"{local:%Y-%m-%d}" if f"{local:%H:%M:%S}" == _WHOLE_DAYS[name] else f"{local:%Y-%m-%d %H:%M %Z}"


def span_in_words(span: Span, language: Language) -> str:
    """Return a length of time in words: "24 months"."""
    return _span_in_words(duration(span), WORDS[language])


def _span_in_words(iso: str, words: Mapping[str, str]) -> str:
    date, _, time = iso[1:].partition("T")
    months, m, days = date.rpartition("M")
    parts = []
    if m:
        parts.append(words["month"] if months == "1" else words["months"].format(months))
    if days:
        number = days.removesuffix("D")
        parts.append(words["one_day"] if number == "1" else words["days"].format(number))
    if time:
        number = time.removesuffix("H")
        parts.append(words["one_hour"] if number == "1" else words["hours"].format(number))
    return f" {words['and']} ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
