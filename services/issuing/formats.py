"""How instants and scores are written in credentials."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from schemas.events import POINT, Micropoints, Micros


@lru_cache(maxsize=4096)
def _seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def date_time(instant: Micros) -> str:
    """Return an instant as a dateTimeStamp of whole seconds in UTC, as `nbf` and strict verifiers want it."""
    return _seconds(instant // 1_000_000)


def day(instant: Micros) -> str:
    """Return an instant's day in UTC."""
    return date_time(instant)[:10]


def decimal(score: Micropoints) -> str:
    """Return a score exactly, without trailing zeros."""
    whole, rest = divmod(score, POINT)
    return f"{whole}.{rest:06d}".rstrip("0") if rest else str(whole)
