"""What every command shares: the data folder's option, tables for people, `--json` for programs, exit codes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from schemas.errors import RefusedError
from schemas.events import Micros
from services.competency.calendars import zone
from streams import settings
from streams.settings import Installation


class Exit(IntEnum):
    """What a command's exit code says (sysexits.h where it has a word for it)."""

    DONE = 0
    NO = 1  # the answer is no
    USAGE = 2
    UNAVAILABLE = 69  # something needed is away
    RESTART = 75
    CONFIG = 78


out: Final = Console()
err: Final = Console(stderr=True)

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
DEFAULT_FOLDER: Final = Path("credstream-data")
Data = Annotated[Path, Parameter(name="--data", help="The installation's folder.", env_var="CREDSTREAM_DATA")]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Write JSON, for programs.")]
Programme = Annotated[str | None, Parameter(name="--programme", help="Needed when the installation has several.")]
Member = Annotated[
    str | None, Parameter(name="--as", help="The member of staff who signs; needed when there are several.")
]
Yes = Annotated[bool, Parameter(name="--yes", negative=(), help="Do not ask.")]


def installation(folder: Path) -> Installation:
    """Load the installation that a command works on."""
    return settings.load(folder)


def write_json(value: Any) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value)) + b"\n")
    sys.stdout.flush()


def is_terminal() -> bool:
    """Say whether a person is watching: progress bars are for people."""
    return out.is_terminal and os.environ.get("CI") is None


def chosen_programme(place: Installation, wanted: str | None) -> str:
    """Return the programme that was named, or the only one.

    Raises:
        RefusedError: There is no such programme, or several and none was named.
    """
    if wanted in place.programmes:
        return str(wanted)
    if wanted is None and len(place.programmes) == 1:
        return next(iter(place.programmes))
    known = ", ".join(sorted(place.programmes)) or "none"
    raise RefusedError(f"say which programme, with --programme; known here: {known}")


def confirmed(question: str, *, yes: bool) -> bool:
    """Say whether a person lets it be done; `--yes` says so for a program.

    Raises:
        RefusedError: Nobody is there to be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise RefusedError("nothing was done, since nobody is there to confirm it; do it with --yes")
    return out.input(f"{question} \\[y/N] ").strip().lower() in {"y", "yes"}


def instant_of(text: str, zone_name: str = "UTC") -> Micros:
    """Return the instant that a person names: the beginning of a day in a time zone, or a time with its offset.

    Raises:
        RefusedError: It is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=zone(zone_name)) if _DAY.fullmatch(text) else moment
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    except (ValueError, TypeError):
        raise RefusedError(
            f"{text}: a day (2026-01-05) or an instant with its offset (2026-01-05T14:00:00-05:00) is wanted"
        ) from None


@contextmanager
def reading(what: str, size: Callable[[], int]) -> Iterator[Callable[[int], None]]:
    """Show, to people, how far a long reading of about ``size`` records is; the block says how many more were read."""
    if not err.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what, total=size())
        yield lambda more: bar.advance(task, more)
