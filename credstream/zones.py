"""Instants as people read them: in the time zone of the programme."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.catalogue import Catalogue
from schemas.events import Micros
from schemas.rules import Criterion, Holds, Rule, Selection, criteria_of, inside
from services.competency.calendars import zone

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UTC: Final = "UTC"


def zone_of(catalogue: Catalogue) -> str:
    """Return the time zone in which a catalogue's rules count days and months; it says none where no rule counts any: UTC."""
    return next((found for a in catalogue.achievements if (found := zone_in(a.rule)) != _UTC), _UTC)


def zone_in(rule: Rule) -> str:
    """Return the time zone in which a rule counts days and months; UTC where it counts none."""
    named = [] if rule.validity is None else [rule.validity.zone]
    named += [found for criterion in criteria_of(rule) for found in _zones(criterion)]
    return next((found for found in named if found != _UTC), _UTC)


def _zones(criterion: Criterion) -> Iterator[str]:
    if isinstance(criterion, Selection | Holds):
        yield criterion.zone
    for inner in inside(criterion):
        yield from _zones(inner)


def local(instant: Micros, zone_name: str) -> datetime:
    """Return an instant by the clocks of a time zone."""
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(zone(zone_name))


def day(instant: Micros, zone_name: str) -> str:
    """Return the local day (ISO 8601)."""
    return f"{local(instant, zone_name):%Y-%m-%d}"


def minute(instant: Micros, zone_name: str) -> str:
    """Return the local day and time, with the zone's name at that time: "2026-11-01 10:00 EST"."""
    return f"{local(instant, zone_name):%Y-%m-%d %H:%M %Z}"
