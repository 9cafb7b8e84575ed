"""Says a rule in plain English or French, and in what two versions of a catalogue differ."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from credstream.rules.loader import Draft
from credstream.zones import zone_in
from schemas.catalogue import Achievement, Catalogue
from schemas.rules import Criterion, Renewal, Rule
from services.competency.criteria import judge_of
from services.competency.reasons import Line, asked
from services.competency.selection import Evidence
from services.competency.wording import Language, span_in_words

_SAID = {
    "en": {
        "first": "Attained for good from the first moment at which this holds:",
        "standing": "Attained while this holds at the end of the evidence:",
        "level": "At the level {} when also:",
        "revoke": "Who loses the evidence loses the credential.",
        "keep": "Who loses the evidence keeps the credential.",
        "ask": "When the evidence is lost, a person decides what becomes of the credential.",
        "suspend": "When the evidence is lost, the credential is suspended until the evidence is there again.",
        "valid": "Valid for {}.",
        "renewed": "Renewed by results shown since it was attained",
        "renewed_from": "Renewed by results shown in the last {} before it ends",
        "grace": " or up to {} after",
        "same": "the same as for the first award",
        "repeatable": "It may be earned again, each time with results shown since the time before.",
    },
    "fr": {
        "first": "Acquise définitivement dès le premier moment où ceci est rempli :",
        "standing": "Acquise tant que ceci est rempli à la fin des preuves :",
        "level": "Au niveau {} si en plus :",
        "revoke": "Qui perd les preuves perd l'attestation.",
        "keep": "Qui perd les preuves garde l'attestation.",
        "ask": "Quand les preuves manquent, une personne décide du sort de l'attestation.",
        "suspend": "Quand les preuves manquent, l'attestation est suspendue jusqu'à leur retour.",
        "valid": "Valable {}.",
        "renewed": "Renouvelée par des résultats obtenus depuis l'acquisition",
        "renewed_from": "Renouvelée par des résultats obtenus dans les {} avant son échéance",
        "grace": " ou jusqu'à {} après",
        "same": "les mêmes conditions que la première fois",
        "repeatable": "Elle peut être acquise à nouveau, chaque fois par des résultats obtenus depuis la fois précédente.",
    },
}
_NOTHING = Evidence({}, {})


def explained_rule(achievement: Achievement, names: Mapping[str, str], language: Language = "en") -> list[Line]:
    """Return what an achievement's rule asks, in words."""
    words, rule = _SAID[language], achievement.rule
    zone = zone_in(rule)
    said = [Line(0, None, words[rule.attained]), *_criterion(rule.requires, names, language, zone)]
    for level in rule.levels:
        said += [Line(0, None, words["level"].format(level.name)), *_criterion(level.requires, names, language, zone)]
    said.append(Line(0, None, words[rule.on_loss]))
    if rule.validity is not None:
        said.append(Line(0, None, words["valid"].format(span_in_words(rule.validity, language))))
    if rule.renewal is not None:
        said += _renewal(rule, rule.renewal, names, language)
    if rule.repeatable:
        said.append(Line(0, None, words["repeatable"]))
    return said


def renewal_in_words(rule: Rule, language: Language = "en") -> str | None:
    """Return when an award can be renewed, None when it cannot."""
    renewal, words = rule.renewal, _SAID[language]
    if renewal is None:
        return None
    opens, grace = (None if s is None else span_in_words(s, language) for s in (renewal.opens, renewal.grace))
    when = words["renewed_from"].format(opens) if opens else words["renewed"]
    return when + (words["grace"].format(grace) if grace else "")


def _renewal(rule: Rule, renewal: Renewal, names: Mapping[str, str], language: Language) -> Iterator[Line]:
    words = _SAID[language]
    yield Line(0, None, f"{renewal_in_words(rule, language)}{' :' if language == 'fr' else ':'}")
    if renewal.requires is None:
        yield Line(1, None, words["same"])
    else:
        yield from _criterion(renewal.requires, names, language, zone_in(rule))


def _criterion(criterion: Criterion, names: Mapping[str, str], language: Language, zone: str) -> Iterator[Line]:
    node = judge_of(criterion).explain(_NOTHING, 0, {})
    return (Line(line.depth + 1, None, line.text) for line in asked(node, language, names, zone))


def names_of(catalogue: Draft | Catalogue, language: Language = "en") -> dict[str, str]:
    """Return what people call the assessments and achievements of a catalogue, by their ids."""
    names = {a.id: a.names.get(language, a.name) for a in catalogue.assessments}
    names |= {a.id: a.name for a in catalogue.achievements}
    return names | {a.id: t.name for a in catalogue.achievements for t in a.translations if t.language == language}


@dataclass(frozen=True, slots=True)
class Change:
    """How one part of a catalogue differs: its kind and id, and lines that begin with "- " or "+ "."""

    what: Literal["added", "removed", "changed"]
    kind: str
    name: str
    lines: Sequence[str] = ()


def differences(before: Catalogue | Draft | None, after: Catalogue | Draft) -> Iterator[Change]:
    """Yield in what a catalogue differs from an earlier one: achievements first, then assessments, providers and partners.

    Of what was written for no installation yet there are no keys.
    """
    with_keys = not isinstance(before, Draft) and not isinstance(after, Draft)
    if before is not None and before.issuer != after.issuer:
        yield Change("changed", "issuer", before.programme, list(_changed(before.issuer, after.issuer)))
    for kind in ("achievements", "assessments", "providers", "partners", *(("keys",) if with_keys else ())):
        old = {} if before is None else {entry.id: entry for entry in getattr(before, kind)}
        new = {entry.id: entry for entry in getattr(after, kind)}
        for name in sorted(old.keys() | new.keys()):
            if name not in old:
                yield Change("added", kind[:-1], name)
            elif name not in new:
                yield Change("removed", kind[:-1], name)
            elif old[name] != new[name]:
                yield Change("changed", kind[:-1], name, list(_changed(old[name], new[name])))


def _changed(old: msgspec.Struct, new: msgspec.Struct) -> Iterator[str]:
    for field in new.__struct_fields__:
        before, after = getattr(old, field), getattr(new, field)
        if before == after:
            continue
        if isinstance(before, Rule) and isinstance(new, Achievement) and isinstance(old, Achievement):
            yield from list(_compared(_text_of(old), _text_of(new))) or _compared(_zone_of(old), _zone_of(new))
        else:
            yield from _compared([f"{field}: {_plain(before)}"], [f"{field}: {_plain(after)}"])


def _text_of(achievement: Achievement) -> list[str]:
    return ["  " * line.depth + line.text for line in explained_rule(achievement, {})]


def _zone_of(achievement: Achievement) -> list[str]:
    return [f"days and months are counted in {zone_in(achievement.rule)}"]


def _compared(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    return (line for line in difflib.ndiff(before, after) if line.startswith(("- ", "+ ")))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
