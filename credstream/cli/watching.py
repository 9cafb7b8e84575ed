"""Progress of long work, on standard error, for people alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from credstream.cli.console import err


@contextmanager
def progress_bar(doing: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show how much of a known number is done; call what is yielded with how many more are."""
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as shown:
        task = shown.add_task(doing, total=total, completed=done)
        yield lambda more: shown.advance(task, more)


@contextmanager
def counted(doing: str) -> Iterator[Callable[[int], None]]:
    """Show how many records were read; call what is yielded with how many more were."""
    columns = (SpinnerColumn(), TextColumn(doing), TextColumn("{task.completed:,} records"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as shown:
        task = shown.add_task(doing, total=None)
        yield lambda more: shown.advance(task, more)
