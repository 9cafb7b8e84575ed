"""Lengths of time and calendar periods in a named time zone, from the tz database that the lock file pins."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from schemas.events import Micros
from schemas.rules import PeriodOf, Span

HOUR: Final[Micros] = 3_600_000_000
FOREVER: Final[Micros] = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO: Final = timedelta(microseconds=1)
_LAST_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY: Final = 2
_LONGEST_MONTH: Final = 32 * 24 * HOUR  # with what clocks that change may add


@lru_cache
def zone(name: str) -> ZoneInfo:
    """Return a time zone of the IANA database.

    Raises:
        ValueError: There is none of this name.
    """
    *folders, last = name.split("/")
    try:
        if not all(part and part.strip("._") == part for part in (*folders, last)):
            raise FileNotFoundError
        with files("tzdata.zoneinfo").joinpath(*folders, last).open("rb") as file:
            return ZoneInfo.from_file(file, name)
    except OSError:
        raise ValueError(f"no time zone {name!a}") from None


def later(instant: Micros, span: Span, zone_name: str) -> Micros:
    """Return the instant a span after another.

    Months go to the same day and time of the calendar, or to the last day of a month that is too short. A local time that the
    clocks skip or repeat is read with the offset before the change.
    """
    hours = span.hours * HOUR
    if not span.months:
        return min(FOREVER, instant + hours)
    local = _local(instant, zone_name)
    month = local.month - 1 + span.months
    year, month = local.year + month // 12, month % 12 + 1
    try:
        last = 28 if month == _FEBRUARY and not _is_leap(year) else _LAST_DAYS[month - 1]
        moved = local.replace(year=year, month=month, day=min(local.day, last), fold=0)
        return min(FOREVER, (moved.astimezone(UTC) - _EPOCH) // _MICRO + hours)
    except (ValueError, OverflowError):  # after the year 9999
        return FOREVER


def earliest(instant: Micros, span: Span, zone_name: str) -> Micros:
    """Return the first instant from which a span reaches another."""
    start = instant - span.hours * HOUR - span.months * _LONGEST_MONTH
    return start + bisect_left(range(start, instant), instant, key=lambda at: later(at, span, zone_name))


def day_of(instant: Micros, zone_name: str) -> int:
    """Return the local day, counted from some day on."""
    return _local(instant, zone_name).toordinal()


def period_of(instant: Micros, period: PeriodOf, zone_name: str) -> tuple[int, ...]:
    """Return the local calendar period in which an instant lies; weeks are those of ISO 8601."""
    local = _local(instant, zone_name)
    match period:
        case "day":
            return (local.toordinal(),)
        case "week":
            year, week, _ = local.isocalendar()
            return year, week
        case "month":
            return local.year, local.month
        case "quarter":
            return local.year, (local.month - 1) // 3
        case "year":
            return (local.year,)


def _local(instant: Micros, zone_name: str) -> datetime:
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(zone(zone_name))


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
