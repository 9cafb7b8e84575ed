"""Turns the texts of a YAML file into what they mean, noting what they cannot mean and going on."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar

from credstream.rules.forms import FORMS
from credstream.rules.grammar import Fields
from credstream.rules.yaml_source import Mistakes, Place, Value
from schemas.events import POINT, Micros
from schemas.rules import WHOLE, Span
from services.competency.calendars import zone
from services.competency.faults import MAX_HOURS, MAX_MONTHS

T = TypeVar("T")
_ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MAX_ID_CHARS: Final = 100
_NUMBER: Final = re.compile(r"\d{1,9}(\.\d{1,6})?", re.ASCII)
_PERCENT: Final = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)\s*%", re.ASCII)
_PERMILLE: Final = re.compile(r"(\d{1,4})\s*‰", re.ASCII)
_POINTS: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s+of\s+(\d{1,9}(?:\.\d{1,6})?)", re.ASCII)
_LENGTHS: Final = re.compile(r"(\d{1,5}) (hour|day|week|month|year)s?", re.ASCII)
_SPAN: Final = re.compile(rf"{_LENGTHS.pattern}( {_LENGTHS.pattern})*", re.ASCII)
_HOURS: Final = {"hour": 1, "day": 24, "week": 168}
_MONTHS: Final = {"month": 1, "year": 12}
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_WHOLE: Final = re.compile(r"0*[1-9][0-9]{0,4}")


class Values:
    """Reads values. Each method takes a value and returns what it means; of a mistake, something harmless of that kind."""

    def __init__(self, mistakes: Mistakes) -> None:
        """Note what is wrong in ``mistakes``."""
        self.mistakes = mistakes
        self.zone = "UTC"

    def each(self, value: Value | None, meaning: Callable[[Value], T]) -> list[tuple[Place, T]]:
        """Return what each of a list's values means, with its place."""
        return [(inner.place, meaning(inner)) for inner in self.items(value)]

    def members(self, value: Value | None, fields: Fields) -> Mapping[str, Value]:
        """Return an object's fields that are known; those that are not, or that are missing, are noted."""
        return self.named(value, fields.known.keys(), fields.needed)

    def named(
        self, value: Value | None, known: Collection[str], needed: Collection[str] = (), kind: str = "field"
    ) -> Mapping[str, Value]:
        """Return a mapping's entries whose names are known."""
        if value is None or not value.place.line:
            return {}
        if not isinstance(value.content, Mapping):
            self.mistakes.add(value.place, "fields with values are wanted here")
            return {}
        for name, inner in value.content.items():
            if name not in known:
                self.mistakes.unknown(inner.place, name, known, kind)
        for name in sorted(set(needed) - value.content.keys()):
            self.mistakes.add(value.place, f"{name} is missing")
        return {name: inner for name, inner in value.content.items() if name in known}

    def entries(self, value: Value | None, wanted: str) -> Mapping[str, Value]:
        """Return a mapping's entries, whose names are free."""
        if value is None or not value.place.line:
            return {}
        if not isinstance(value.content, Mapping) or not value.content:
            self.mistakes.add(value.place, f"{wanted} are wanted here")
            return {}
        return value.content

    def items(self, value: Value | None) -> Sequence[Value]:
        """Return a list's values."""
        if value is None or not value.place.line:
            return []
        if isinstance(value.content, str | Mapping):
            self.mistakes.add(value.place, "a list is wanted here")
            return []
        return value.content

    def one_or_more(self, value: Value | None) -> Sequence[Value]:
        """Return a list's values, or the one text that stands alone."""
        if value is None or not value.place.line:
            return []
        found = [value] if isinstance(value.content, str) else self.items(value)
        if not found and not isinstance(value.content, Mapping):
            self.mistakes.add(value.place, "at least one is wanted here")
        return found

    def text(self, value: Value | None) -> str:
        """Return a text."""
        if value is None or not value.place.line:
            return ""
        if not isinstance(value.content, str) or not value.content:
            self.mistakes.add(value.place, "a text is wanted here")
            return ""
        return value.content

    def optional(self, value: Value | None) -> str | None:
        """Return a text, or None where there is none."""
        return None if value is None else self.text(value)

    def formed(self, value: Value | None, form: str) -> str:
        """Return a text of one of the `forms`."""
        text = self.text(value)
        if value is not None and text and form in FORMS and not re.fullmatch(FORMS[form].pattern, text):
            self.mistakes.add(value.place, f"{text}: {FORMS[form].wanted} is wanted here")
        return text

    def optionally_formed(self, members: Mapping[str, Value], name: str) -> str | None:
        """Return the text of a field in the form of its name, or None where there is none."""
        return self.formed(members[name], name) if name in members else None

    def names(self, value: Value | None, meaning: Callable[[Value], str] | None = None) -> list[tuple[Place, str]]:
        """Return a list's texts with their places; one that stands twice is noted."""
        seen: set[str] = set()
        found = self.each(value, meaning or self.text)
        for place, name in found:
            if name and name in seen:
                self.mistakes.add(place, f"{name} stands twice")
            seen.add(name)
        if value is not None and not found and value.place.line and isinstance(value.content, list):
            self.mistakes.add(value.place, "at least one is wanted here")
        return found

    def id(self, value: Value | None) -> str:
        """Return an id."""
        text = self.text(value)
        if value is not None and text and not (len(text) <= _MAX_ID_CHARS and _ID.fullmatch(text)):
            self.mistakes.add(
                value.place,
                f"{text}: an id has lower-case letters, digits and single hyphens, at most {_MAX_ID_CHARS} characters",
            )
        return text

    def choice(self, value: Value | None, known: Collection[str], kind: str, default: str) -> str:
        """Return one of a few words."""
        if value is None:
            return default
        text = self.text(value)
        if text not in known:
            self.mistakes.unknown(value.place, text, known, kind)
            return default
        return text

    def number(self, value: Value) -> int:
        """Return a number in millionths, exactly."""
        text = self.text(value) or "0"
        if not _NUMBER.fullmatch(text):
            self.mistakes.add(value.place, f"{text}: a number with at most six decimals is wanted here")
            return 0
        return int(Decimal(text) * WHOLE)

    def share(self, value: Value | None) -> tuple[int, int]:
        """Return a share as numerator and denominator, exactly."""
        if value is None or not value.place.line:
            return 1, WHOLE
        text = self.text(value)
        share = (-1, 1)
        if found := _PERCENT.fullmatch(text):
            share = int(Decimal(found[1]) * WHOLE / 100), WHOLE
        elif found := _PERMILLE.fullmatch(text):
            share = int(found[1]) * WHOLE // 1000, WHOLE
        elif found := _POINTS.fullmatch(text):
            share = int(Decimal(found[1]) * POINT), int(Decimal(found[2]) * POINT)
        if not 0 <= share[0] <= share[1] or not share[1]:
            self.mistakes.add(
                value.place, f"{text}: a share is wanted here: a percentage from 0 % to 100 %, or 18 of 25"
            )
            return 1, WHOLE
        return share

    def whole(self, value: Value | None, most: int | None = None) -> int:
        """Return a whole number from 1."""
        if value is None or not value.place.line:
            return 1
        text = self.text(value)
        if not _WHOLE.fullmatch(text):
            self.mistakes.add(value.place, f"{text}: a whole number from 1 is wanted here")
            return 1
        if most is not None and int(text) > most:
            self.mistakes.add(value.place, f"{text}: at most {most:,} can be asked for")
            return 1
        return int(text)

    def truth(self, value: Value) -> bool:
        """Return true or false."""
        text = self.text(value)
        if text not in {"true", "false"}:
            self.mistakes.add(value.place, f"{text}: true or false is wanted here")
        return text == "true"

    def span(self, value: Value) -> Span:
        """Return a length of time."""
        text = self.text(value)
        months = hours = 0
        for number, unit in _LENGTHS.findall(text):
            months += int(number) * _MONTHS.get(unit, 0)
            hours += int(number) * _HOURS.get(unit, 0)
        if not (months or hours) or not _SPAN.fullmatch(text):
            self.mistakes.add(
                value.place, f"{text}: a length of time is wanted here: 90 days, 24 months, 1 year 6 months"
            )
            return Span(hours=24)
        if months > MAX_MONTHS or hours > MAX_HOURS:
            self.mistakes.add(value.place, f"{text}: lengths of time end at a hundred years")
            return Span(hours=24)
        return Span(months=months, hours=hours)

    def instant(self, value: Value, *, hour: int = 0, end: bool = False) -> Micros:
        """Return an instant; of a day the hour in the programme's time zone, or with ``end`` its last microsecond."""
        text = self.text(value)
        try:
            return self._instant(text, hour, end=end)
        except (ValueError, OverflowError, TypeError):
            self.mistakes.add(value.place, f"{text}: a day is wanted here: 2027-01-05, or an instant with its offset")
            return 0

    def day(self, value: Value) -> tuple[Micros, Micros]:
        """Return the first and the last microsecond of a day; of an instant, itself."""
        first = self.instant(value)
        text = str(value.content)
        return first, self._instant(text, 0, end=True) if first and _DAY.fullmatch(text) else first

    def _instant(self, text: str, hour: int, *, end: bool) -> Micros:
        moment = datetime.fromisoformat(text)
        if _DAY.fullmatch(text):
            moment = moment.replace(hour=hour, tzinfo=zone(self.zone))
            moment = moment + timedelta(days=1, microseconds=-1) if end else moment
        return (moment - datetime.fromisoformat("1970-01-01T00:00:00+00:00")) // timedelta(microseconds=1)
