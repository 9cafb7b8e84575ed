"""What every command shares: the data folder's option, tables for people, `--json` for programs, exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

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

DEFAULT_FOLDER: Final = Path("credstream-data")
Data = Annotated[Path, Parameter(name="--data", help="The installation's folder.", env_var="CREDSTREAM_DATA")]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Write JSON, for programs.")]


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
