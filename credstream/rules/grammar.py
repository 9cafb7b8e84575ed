"""The words of a catalogue's files: every field of every object, what it takes and what it is for.

The reader knows no other words, and editors get the same ones as a JSON Schema (`credstream rules schema`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from credstream.rules.forms import FORMS
from services.competency.faults import MAX_RESULTS_ASKED

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fields:
    """An object's fields, and which of them it must have."""

    known: Mapping[str, Schema]
    needed: frozenset[str] = frozenset()
    either: tuple[str, ...] = ()  # one of these is needed


def _text(about: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": about}


def _formed(form: str, about: str) -> Schema:
    return {"type": "string", "pattern": FORMS[form].pattern, "description": about}


def _one_of(about: str, *values: str) -> Schema:
    return {"enum": list(values), "description": about}


def _several(what: Schema, about: str) -> Schema:
    return {"type": "array", "items": what, "minItems": 1, "description": about}


def _or_several(about: str) -> Schema:
    one = {"type": "string", "minLength": 1}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}], "description": about}


_ID: Final[Schema] = {
    "type": "string",
    "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$",
    "description": "Lower-case letters, digits and single hyphens. It never changes.",
}
_SHARE: Final[Schema] = {
    "type": "string",
    "pattern": r"^(\d{1,3}(\.\d{1,4})?\s*%|\d{1,4}\s*‰|\d{1,9}(\.\d{1,6})?\s+of\s+\d{1,9}(\.\d{1,6})?)$",
    "description": "A share of the maximum score: 80 %, 800 ‰ or 18 of 25.",
}
_SPAN: Final[Schema] = {
    "type": "string",
    "pattern": r"^\d{1,5} (hour|day|week|month|year)s?( \d{1,5} (hour|day|week|month|year)s?)*$",
    "description": "A length of time: 90 days, 24 months, 1 year 6 months. A day is 24 hours; months follow the calendar.",
}
_WHOLE: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 99_999}
_NUMBER_ASKED: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": MAX_RESULTS_ASKED}
_NUMBER: Final[Schema] = {"type": "number", "minimum": 0}
_TRUTH: Final[Schema] = {"type": "boolean"}
_DATE: Final[Schema] = {
    "type": "string",
    "description": "A day (2027-01-05), all of it, in the programme's time zone; or an instant with an offset.",
}
_ASSESSMENTS: Final[Schema] = _or_several("Assessments: their ids, patterns (transfer-*), or tags (tag:practical).")
_CRITERION: Final[Schema] = {"$ref": "#/$defs/criterion"}
_CRITERIA: Final[Schema] = _several(_CRITERION, "Criteria.")
_BOUND: Final = "within a span that slides, or in one calendar day, week, month, quarter or year"

SELECTION: Final[Mapping[str, Schema]] = {
    "role": _or_several("Only results whose assessor had this role."),
    "site": _or_several("Only results from this site."),
    "evidence": {"const": True, "description": "Only results with evidence."},
    "critical": {**_TRUTH, "description": "Only results with a critical incident (true), or without one (false)."},
    "not_before": {**_DATE, "description": f"Only results from this day on. {_DATE['description']}"},
    "by": {**_DATE, "description": f"Only results until this day. {_DATE['description']}"},
    "attempts": {**_NUMBER_ASKED, "description": "Only so many attempts at each assessment, the earliest."},
    "gap": {**_SPAN, "description": "Only attempts that came so long after the one before."},
    "recent": {**_SPAN, "description": "Only results not older than this at the moment that is judged."},
}
BAR: Final[Mapping[str, Schema]] = {
    "at_least": _SHARE,
    "passed": {**_TRUTH, "description": "The provider's verdict."},
    "level": _text("A level of the assessment's rubric, or a higher one."),
}
_TAKEN: Final = ("best", "latest", "first", "mean")
_MEAN: Final[Mapping[str, Schema]] = {
    "at_least": _SHARE,
    "take": _one_of("Which attempt at each assessment counts; the best, unless said otherwise.", *_TAKEN),
    "missing": _one_of("What a missing assessment does: counts zero (the default).", "zero", "excluded", "blocks"),
    **SELECTION,
}

CRITERIA: Final[Mapping[str, Fields]] = {
    "result": Fields(
        {
            "assessment": _text("The assessment's id."),
            "assessments": {**_ASSESSMENTS, "description": "Several, whose attempts are taken together."},
            "take": _one_of("Which attempt is judged; any, unless said otherwise.", "any", *_TAKEN),
            **BAR,
            **SELECTION,
        },
        either=("assessment", "assessments"),
    ),
    "count": Fields(
        {
            "number": {
                "anyOf": [_NUMBER_ASKED, {"const": "all"}],
                "description": "How many results; all: one of each assessment.",
            },
            "assessments": _ASSESSMENTS,
            "distinct": {
                "description": "In what the results must differ: assessment, assessor, site or day; or how many of each.",
                "anyOf": [
                    {"enum": ["assessment", "assessor", "site", "day"]},
                    {
                        "type": "object",
                        "properties": dict.fromkeys(("assessment", "assessor", "site", "day"), _NUMBER_ASKED),
                        "additionalProperties": False,
                        "minProperties": 1,
                    },
                ],
            },
            "within": {
                "description": f"All of them {_BOUND}.",
                "anyOf": [_SPAN, {"enum": [f"calendar {of}" for of in ("day", "week", "month", "quarter", "year")]}],
            },
            **BAR,
            **SELECTION,
        },
        frozenset({"number", "assessments"}),
    ),
    "weighted": Fields(
        {
            "parts": {
                "type": "object",
                "additionalProperties": _NUMBER,
                "minProperties": 1,
                "description": "Assessments (ids, patterns, tags) and the weight of each.",
            },
            **_MEAN,
        },
        frozenset({"parts", "at_least"}),
    ),
    "mean": Fields({"assessments": _ASSESSMENTS, **_MEAN}, frozenset({"assessments", "at_least"})),
    "holds": Fields(
        {
            "achievement": _text("The building block's id."),
            "level": _text("A level of it, or a higher one."),
            "recent": {**_SPAN, "description": "Attained not longer ago than this."},
        },
        frozenset({"achievement"}),
    ),
    "at_least": Fields({"number": _WHOLE, "of": _CRITERIA}, frozenset({"number", "of"})),
    "expression": Fields(
        {
            "cel": _text("A CEL expression that says true or false: docs/rules.md lists what it sees."),
            "assessments": _ASSESSMENTS,
            "achievements": _or_several("Achievements that it may find in held."),
        },
        frozenset({"cel"}),
    ),
}
LISTS: Final = ("all", "any", "none")
"""Criteria that are lists of criteria."""

RULE: Final = Fields(
    {
        "attained": _one_of(
            "first: for good, from when it first held. standing: it must hold at the end.", "first", "standing"
        ),
        "requires": _CRITERION,
        "levels": {
            "type": "object",
            "additionalProperties": _CRITERION,
            "description": "Levels of the award, rising: the last whose criterion is met.",
        },
        "on_loss": _one_of(
            "What becomes of the credential when the evidence falls away.", "revoke", "suspend", "keep", "ask"
        ),
        "renewal": {"$ref": "#/$defs/renewal", "description": "How an award that ends is earned again."},
        "repeatable": {"const": True, "description": "It may be earned again and again, each time with new results."},
    },
    frozenset({"requires"}),
)
RENEWAL: Final = Fields(
    {
        "opens": {**_SPAN, "description": "So long before the end results begin to count; at once, unless given."},
        "grace": {
            **_SPAN,
            "description": "So long after the end a renewal is still possible; not at all, unless given.",
        },
        "requires": {**_CRITERION, "description": "What renews it; what the rule requires, unless given."},
    }
)
PROVIDER: Final = Fields(
    {"id": _ID, "name": _text("As people know it."), "url": _formed("url", "Its site.")}, frozenset({"id", "name"})
)
PARTNER: Final = Fields(
    {
        "id": _ID,
        "name": _text("As people know it."),
        "key": _text("Its public key, z6Mk…: credstream endorse prints it."),
        "url": _formed("url", "Its site."),
    },
    frozenset({"id", "name", "key"}),
)
IDENTIFIER: Final = Fields(
    {
        "identifier": _text("The identifier."),
        "type": _formed("identifier_type", "OB 3.0 IdentifierTypeEnum, or ext: and a word."),
    },
    frozenset({"identifier", "type"}),
)
ISSUER: Final = Fields(
    {
        "name": _text("As credentials show it."),
        "description": _text("Who this is."),
        "url": _formed("url", "The site."),
        "email": _formed("email", "Where to ask."),
        "country": _formed("country", "ISO 3166-1 alpha-2."),
        "region": _text("Province or state."),
        "logo": _formed("logo", "The address of a PNG or SVG; by default an emblem is drawn."),
        "colour": _formed("colour", "Of badges and certificates, #rrggbb."),
        "identifiers": _several({"$ref": "#/$defs/identifier"}, "By what else the issuer is known."),
    },
    frozenset({"name"}),
)
PROGRAMME: Final = Fields(
    {
        "programme": _ID,
        "version": {"anyOf": [_text("A name for this version."), {"type": "number"}]},
        "time_zone": _text("IANA name; days, months and years of rules are counted in it. UTC unless given."),
        "issuer": {"$ref": "#/$defs/issuer"},
        "providers": _several({"$ref": "#/$defs/provider"}, "Who may report results."),
        "partners": _several({"$ref": "#/$defs/partner"}, "Who endorses achievements, each with a key of its own."),
    },
    frozenset({"programme", "version", "issuer"}),
)
LEVEL: Final = Fields(
    {
        "name": _text("As rules and results name it."),
        "description": _text("What work at this level looks like."),
        "points": {"anyOf": [_NUMBER, {"type": "string"}], "description": "Points for it."},
    },
    frozenset({"name"}),
)
ASSESSMENT: Final = Fields(
    {
        "id": _ID,
        "name": _text("As people know it."),
        "providers": _several(_ID, "Who may report results of it."),
        "accepted_late": {
            "anyOf": [_WHOLE, {"const": "unlimited"}],
            "description": "Days after which a result waits for a person; 90 unless given.",
        },
        "levels": _several(
            {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/level"}]}, "The levels of its rubric, rising."
        ),
        "fr": _text("The name in French."),
        "tags": _several({"type": "string"}, "For rules to name several at once."),
    },
    frozenset({"id", "name", "providers"}),
)
ALIGNMENT: Final = Fields(
    {
        "target_name": _text("The occupation or competency."),
        "target_url": _formed("target_url", "Its page in the framework."),
        "target_framework": _text("The framework, e.g. NOC 2021."),
        "target_code": _text("The code there."),
        "target_description": _text("What it is."),
        "target_type": _formed("target_type", "OB 3.0 AlignmentTargetType."),
    },
    frozenset({"target_name", "target_url"}),
)
EXAMPLE: Final = Fields(
    {
        "name": _text("What it shows."),
        "results": {"type": "array", "items": {"$ref": "#/$defs/exampleResult"}, "description": "The evidence."},
        "holds": {
            "type": "object",
            "description": "Building blocks held: from which day, or {since: 2026-03-01, level: merit}.",
            "additionalProperties": {"anyOf": [_DATE, {"$ref": "#/$defs/exampleHolding"}]},
        },
        "attained": {"anyOf": [_TRUTH, _DATE], "description": "The expected decision: true, false, or the day."},
        "level": _text("The expected level."),
        "again": {
            "type": "array",
            "items": _DATE,
            "description": "The days on which it is expected to be attained again.",
        },
        "valid_until": {**_DATE, "description": "When the last award is expected to end."},
    },
    frozenset({"name", "attained"}),
)
EXAMPLE_HOLDING: Final = Fields(
    {"since": {**_DATE, "description": "From which day."}, "level": _text("The level of the award.")},
    frozenset({"since"}),
)
EXAMPLE_RESULT: Final = Fields(
    {
        "assessment": _text("Its id."),
        "date": {**_DATE, "description": "The day (at noon) or instant at which it was shown."},
        "provider": _text("Any name; results of one assessor are told apart by it too."),
        "score": {**_NUMBER, "description": "Points."},
        "of": {**_NUMBER, "description": "The maximum; 100 unless given."},
        "passed": _TRUTH,
        "level": _text("A level of the rubric."),
        "role": _text("The assessor's role."),
        "assessor": _text("Who assessed."),
        "site": _text("Where."),
        "critical": _TRUTH,
        "evidence": _text("An address."),
    },
    frozenset({"assessment", "date"}),
)
TRANSLATION: Final = Fields(
    {
        "name": _text("The name."),
        "description": _text("The description."),
        "criteria": _text("The criteria, in Markdown."),
    },
    frozenset({"name", "description", "criteria"}),
)
ACHIEVEMENT: Final = Fields(
    {
        "id": _ID,
        "name": _text("As people know it."),
        "description": _text("What who holds it can do."),
        "criteria": _text("How it is earned, in Markdown."),
        "achievement_type": _formed("achievement_type", "OB 3.0 AchievementType; MicroCredential unless given."),
        "language": _formed("language", "BCP 47; en unless given."),
        "field_of_study": _text("The field."),
        "sector": _text("The sector, for tables."),
        "tags": _several({"type": "string"}, "Search words."),
        "alignments": _several({"$ref": "#/$defs/alignment"}, "Occupations and competencies, each with its source."),
        "fr": {"$ref": "#/$defs/translation", "description": "The same in French."},
        "rationale": _text("Why the labour market asks for it."),
        "endorsed_by": _text("The partner who endorses it."),
        "endorsements": _several(
            {"type": "string"}, "Files of endorsements that partners signed (credstream endorse)."
        ),
        "code": _text("As on a transcript."),
        "role": _text("In which role the learner shows it, e.g. trainee."),
        "image": _formed("image", "The address of a PNG or SVG; by default a badge is drawn."),
        "related": _several(
            _ID, "Other achievements that go with it; building blocks of the rule are related by themselves."
        ),
        "valid": {
            **_SPAN,
            "description": "How long a credential is valid from the attainment; without end unless given.",
        },
        "credits": {**_NUMBER, "description": "Credits for the transcript: 1.5."},
        "transition": _one_of(
            "What a changed rule means for who is under way; keep unless given.", "keep", "grandfather", "reevaluate"
        ),
        "rule": {"$ref": "#/$defs/rule"},
        "examples": _several({"$ref": "#/$defs/example"}, "Evidence and the decision expected: rules test runs them."),
    },
    frozenset({"id", "name", "description", "criteria", "rule"}),
)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of all files of a catalogue: `#/$defs/programmeFile` and its sisters."""
    criteria = [_criterion(kind, {"$ref": f"#/$defs/{kind}"}) for kind in CRITERIA if kind != "holds"]
    criteria += [_criterion("holds", {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/holds"}]})]
    criteria += [_criterion(kind, _CRITERIA) for kind in LISTS]
    objects = {
        "rule": RULE,
        "renewal": RENEWAL,
        "issuer": ISSUER,
        "provider": PROVIDER,
        "partner": PARTNER,
        "identifier": IDENTIFIER,
        "level": LEVEL,
        "assessment": ASSESSMENT,
        "alignment": ALIGNMENT,
        "translation": TRANSLATION,
        "example": EXAMPLE,
        "exampleResult": EXAMPLE_RESULT,
        "exampleHolding": EXAMPLE_HOLDING,
        "achievement": ACHIEVEMENT,
        **CRITERIA,
    }
    files = {
        "programmeFile": _object(PROGRAMME),
        "assessmentsFile": _several({"$ref": "#/$defs/assessment"}, "assessments.yaml"),
        "achievementsFile": _several({"$ref": "#/$defs/achievement"}, "achievements/*.yaml"),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A credstream catalogue's files",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in files],
        "$defs": {
            **files,
            "criterion": {"oneOf": criteria},
            **{name: _object(fields) for name, fields in objects.items()},
        },
    }


def _object(fields: Fields) -> dict[str, Any]:
    either = {"oneOf": [{"required": [name]} for name in fields.either]} if fields.either else {}
    return {
        **either,
        "type": "object",
        "properties": dict(fields.known),
        "required": sorted(fields.needed),
        "additionalProperties": False,
    }


def _criterion(kind: str, of: Schema) -> dict[str, Any]:
    return {"type": "object", "properties": {kind: of}, "required": [kind], "additionalProperties": False}
