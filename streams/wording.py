"""Takes in a catalogue for those who sign by it: partners' endorsements are verified before they are embedded in anything."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from schemas.catalogue import Achievement, Catalogue
from schemas.ids import achievement_url
from services.issuing.wording import Endorsement, Wording
from services.signing.badge import instant
from services.signing.endorsing import did_key, endorsement_fault
from services.signing.shape import Slot, Text

log = logging.getLogger(__name__)


class _Markup:
    @staticmethod
    def slot(name: str) -> Slot:
        return Slot(name)

    @staticmethod
    def text(*parts: Any) -> Text:
        return Text(parts)


MARKUP: Final = _Markup()
"""Slots as `services.signing.shape` knows them."""


def wording(catalogue: Catalogue) -> Wording:
    """Return what the catalogue says in credentials. An endorsement that does not verify is left out, and the log says so."""
    for fault in endorsement_faults(catalogue):
        log.error("%s", fault)
    return Wording(
        catalogue,
        {
            achievement.id: [
                endorsement
                for endorsement, fault in _endorsements(catalogue, achievement)
                if fault is None and endorsement is not None
            ]
            for achievement in catalogue.achievements
        },
    )


def endorsement_faults(catalogue: Catalogue) -> Iterator[str]:
    """Yield what is wrong with each endorsement that does not hold."""
    for achievement in catalogue.achievements:
        for number, (_, fault) in enumerate(_endorsements(catalogue, achievement), 1):
            if fault is not None:
                yield f"{achievement.id}: endorsement {number} {fault}"


def _endorsements(catalogue: Catalogue, achievement: Achievement) -> Iterator[tuple[Endorsement | None, str | None]]:
    partners = {did_key(partner.key): partner for partner in catalogue.partners}
    url = achievement_url(catalogue.base_url, catalogue.programme, achievement.id)
    for text in achievement.endorsements:
        try:
            document: Any = msgspec.json.decode(text)
            partner = partners.get(document["issuer"]["id"])
        except (msgspec.DecodeError, LookupError, TypeError):
            yield None, "is no signed JSON"
            continue
        fault = "is by no partner of the programme" if partner is None else endorsement_fault(document, partner.key)
        if fault is None and document["credentialSubject"]["id"] != url:
            fault = f"is of {document['credentialSubject']['id']} and not of {url}"
        yield (None, fault) if fault else (_held(document), None)


def _held(document: Any) -> Endorsement:
    begins, ends = instant(document["validFrom"]), instant(document.get("validUntil"))
    return Endorsement(
        document=document,
        begins=int(begins.timestamp() * 1_000_000) if begins else 0,
        ends=int(ends.timestamp() * 1_000_000) if ends else None,
    )
