"""Which catalogues may be adopted, and what adopting one decides. What is wrong with one is told all at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from schemas.catalogue import Catalogue
from schemas.events import CatalogueAdopted, CompetencyDecided, DecisionBody, Disposition, Micros
from schemas.rules import achievements_in, assessments_in, criteria_of
from schemas.text import MAX_ID_CHARS, text_fault
from services.competency.decisions import Decision
from services.competency.faults import repeated, rule_faults
from services.competency.ledger import Draft
from services.competency.rulebook import Adoption, Rulebook, rulebook
from services.competency.sizes import size_faults, text_faults, touching_faults

_MAX_FAULTS_TOLD: Final = 10
_MAX_DETAIL_CHARS: Final = 2_000
_MAX_CREDITS: Final = 1_000_000
_URL_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def catalogue_faults(catalogue: Catalogue) -> list[str]:
    """Return everything for which a catalogue is refused, whatever was adopted before; empty when nothing is."""
    faults = list(size_faults(catalogue)) or [*_faults(catalogue), *text_faults(catalogue)]
    faults = faults or list(touching_faults(catalogue))
    if not faults:
        try:
            rulebook([(Adoption("", 0), catalogue)])
        except ValueError as error:
            faults.append(str(error))
    return faults


def decide_adoption(
    draft: Draft,
    adopted: CatalogueAdopted,
    catalogue: Catalogue,
    before: Sequence[Adoption],
    base_url: str,
    read: Callable[[Sequence[Adoption]], Rulebook],
) -> Decision:
    """Adopt a catalogue, or say why not. The first one opens the lane's first status list.

    Adoptions are numbered from 1 without gaps, so a repeat is known and nothing is skipped. ``read`` returns the rulebook of
    adoptions, the new one included, or raises ValueError.
    """
    disposition, detail, adoption = Disposition.REFUSED, None, None
    if adopted.adoption_no <= len(before):
        done = before[adopted.adoption_no - 1] if adopted.adoption_no >= 1 else None
        if done is not None and (done.digest, done.effective_from) == (adopted.digest, adopted.effective_from):
            disposition = Disposition.KNOWN
        else:
            other = "date" if done is not None and done.digest == adopted.digest else "catalogue"
            detail = f"adoption {adopted.adoption_no} is done, with another {other}; the next is {len(before) + 1}"
    elif adopted.adoption_no != len(before) + 1:
        detail = f"adoption {adopted.adoption_no} leaves a gap; the next is {len(before) + 1}"
    elif faults := _misfits(catalogue, adopted.programme, base_url, draft.clock) or catalogue_faults(catalogue):
        detail = "; ".join(faults[:_MAX_FAULTS_TOLD])[:_MAX_DETAIL_CHARS]
    else:
        candidate = Adoption(adopted.digest, draft.clock, adopted.effective_from)
        try:
            book = read((*before, candidate))
        except ValueError as error:
            detail = str(error)
        else:
            disposition, adoption = Disposition.ADOPTED, candidate
            if not before:
                draft.open_list(book.in_force(draft.clock))
    decided = CompetencyDecided(
        decision_no=draft.decision_no,
        lane=draft.lane,
        inbox_offset=draft.cause.offset,
        programme=adopted.programme,
        event_id=draft.cause.event_id,
        disposition=disposition,
        catalogue_digest=adopted.digest,
        decided_at=draft.clock,
        body=DecisionBody(outcomes=(), detail=detail),
    )
    return Decision(ledger=draft.ledger(adoption), progress=None, decided=decided, statuses=draft.statuses)


def _misfits(catalogue: Catalogue, programme: str, base_url: str, now: Micros) -> list[str]:
    """Return why a catalogue does not belong here and now."""
    faults = []
    if catalogue.programme != programme:
        faults.append(f"programme: it is {catalogue.programme!a}'s, not {programme!a}'s")
    if catalogue.base_url != base_url:
        faults.append(f"base_url: {catalogue.base_url!a} is not this installation's, {base_url!a}")
    active = {key.purpose for key in catalogue.keys if key.active_from <= now and key.compromised_at is None}
    return [
        *faults,
        *(f"keys: none for {purpose} is active" for purpose in ("credentials", "status") if purpose not in active),
    ]


def _faults(catalogue: Catalogue) -> Iterator[str]:
    yield from _names_of_addresses("programme", [catalogue.programme])
    yield from _names_of_addresses("keys", [key.id for key in catalogue.keys])
    yield from _names_of_addresses("achievements", [achievement.id for achievement in catalogue.achievements])
    yield from _names("providers", [provider.id for provider in catalogue.providers])
    yield from _names("assessments", [assessment.id for assessment in catalogue.assessments])
    providers = {provider.id for provider in catalogue.providers}
    assessments = {assessment.id for assessment in catalogue.assessments}
    achievements = {achievement.id for achievement in catalogue.achievements}
    for assessment in catalogue.assessments:
        where = f"assessment {assessment.id!a}"
        yield from (f"{where}: no provider {name!a}" for name in sorted(set(assessment.providers) - providers))
        if assessment.accepted_late_days is not None and assessment.accepted_late_days < 0:
            yield f"{where}: accepted_late_days is at least 0, or none"
    for achievement in catalogue.achievements:
        where, asked = f"achievement {achievement.id!a}", criteria_of(achievement.rule)
        if achievement.credits is not None and not 0 <= achievement.credits <= _MAX_CREDITS:
            yield f"{where}: credits are from 0 to {_MAX_CREDITS // 1_000:,}"
        if wrong := list(rule_faults(achievement.rule)):
            yield from (f"{where}: {fault}" for fault in wrong)
            continue
        looks_at = {name for criterion in asked for name in assessments_in(criterion)}
        builds_on = {name for criterion in asked for name in achievements_in(criterion)}
        yield from (f"{where}: no assessment {name!a}" for name in sorted(looks_at - assessments))
        yield from (f"{where}: no achievement {name!a}" for name in sorted(builds_on - achievements))


def _names_of_addresses(field: str, names: Sequence[str]) -> Iterator[str]:
    yield from repeated(field, names)
    yield from (f"{field}: {name!a} cannot stand in an address" for name in names if not _URL_PART.fullmatch(name))


def _names(field: str, names: Sequence[str]) -> Iterator[str]:
    yield from repeated(field, names)
    for name in names:
        if not 1 <= len(name) <= MAX_ID_CHARS:
            yield f"{field}: an id has from 1 to {MAX_ID_CHARS} characters"
        elif fault := text_fault(name):
            yield f"{field}: {name!a}: {fault}"
