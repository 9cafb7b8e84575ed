"""`credstream verify`: does a credential hold, step by step; or do all of these."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.tree import Tree

from credstream import trust as trusting
from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, Json, err, installation, is_terminal, out, write_json
from credstream.staff.credentials import find
from credstream.trust import Trust
from credstream.verifying import Named, Tally, found_in, verify_all
from schemas.errors import RefusedError
from services.signing.opening import MAX_IMAGE_BYTES
from services.signing.verdict import Verdict
from streams.settings import Installation

_ID: Final = re.compile(r"(?:https://\S+/credentials/)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_SHOWN: Final = 20
_COLOURS: Final = {"valid": "green", "invalid": "red", "unknown": "yellow"}
_MARKS: Final = {"pass": "[green]✓[/]", "fail": "[red]✗[/]", "unknown": "[yellow]?[/]"}


def verify(
    *credentials: Annotated[
        str, Parameter(help="Files, folders, .ndjson files, ids of credentials issued here. By default standard input.")
    ],
    recipient: Annotated[
        str | None, Parameter(help="Ask also whether it is this person's: email:dana@example.ca")
    ] = None,
    export: Annotated[Path | None, Parameter(help="Trust what this export holds, offline, instead of --data.")] = None,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Verify credentials against the issuers known here. Nothing that a credential points to is fetched.

    JSON with a proof, VC-JWT (.jwt), and PNG or SVG images with either baked in. Each step passes, fails, or could not be told.
    Folders and .ndjson files (one credential a line, or an export's credentials.ndjson) are counted in a table.
    Exit code 0 when all are valid, 1 when any is invalid or cannot be told.

    Example: credstream verify badge.png --recipient email:dana@example.ca
    """
    piped = b"" if credentials or sys.stdin.isatty() else sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1)
    if not credentials and not piped.strip():
        err.print("credstream verify: name at least one file, folder or id, or pipe a credential in")
        return Exit.USAGE
    if missing := [n for n in credentials if not Path(n).exists() and not _ID.fullmatch(n)]:
        err.print(f"credstream verify: no such file, folder or id: {', '.join(missing)}", highlight=False)
        return Exit.USAGE
    place = None if export is not None else installation(data)
    trust = trusting.of_export(export) if export is not None else trusting.of_installation(_given(place))
    many = [name for name in credentials if Path(name).is_dir() or name.lower().endswith(".ndjson")]
    found = chain([("standard input", piped)] if piped else [], *(_found(name, place) for name in credentials))
    if many:
        return _verify_many(found, trust, recipient, as_json=as_json)
    verifier = trust.verifier(datetime.now(UTC))
    verdicts = {name: verifier.verify(credential, recipient=recipient) for name, credential in found}
    if as_json:
        write_json({name: verdict.told() for name, verdict in verdicts.items()})
    else:
        for name, verdict in verdicts.items():
            out.print(verdict_tree(name, verdict))
    return _answer(all(verdict.overall == "valid" for verdict in verdicts.values()))


def _answer(all_valid: bool) -> Exit:  # noqa: FBT001  it is the answer
    return Exit.DONE if all_valid else Exit.NO


def _given(place: Installation | None) -> Installation:
    if place is None:
        raise RefusedError("a credential's id needs the installation that issued it; leave out --export")
    return place


def _found(name: str, place: Installation | None) -> Iterator[Named]:
    if (known := _ID.fullmatch(name)) and not Path(name).exists():
        yield name, find(_given(place), known[1]).credential
    else:
        yield from found_in(Path(name))


def _verify_many(found: Iterator[Named], trust: Trust, recipient: str | None, *, as_json: bool) -> Exit:
    columns = SpinnerColumn(), TextColumn("{task.completed:,} verified, {task.speed:,.0f}/s"), TimeElapsedColumn()
    with Progress(*columns, console=err, disable=not is_terminal(), transient=True) as progress:
        task = progress.add_task("", total=None)
        tally = verify_all(
            found, trust, datetime.now(UTC), recipient=recipient, advance=lambda n: progress.advance(task, n)
        )
    if not tally.counts:
        raise RefusedError("no credential was found: .json, .jwt, .png, .svg and .ndjson files are read")
    if as_json:
        write_json(told(tally))
    else:
        for table in tables(tally):
            out.print(table)
    return _answer(set(tally.counts) == {"valid"})


def told(tally: Tally) -> dict[str, Any]:
    """Return a tally as JSON has it: counts, the deciding steps, and each noted verdict by name."""
    counts = {overall: tally.counts[overall] for overall in _COLOURS}
    steps = [
        {"overall": overall, "step": step, "reason": reason, "count": count}
        for (overall, step, reason), count in tally.steps.most_common()
    ]
    return {**counts, "steps": steps, "not_valid": {name: verdict.told() for name, verdict in tally.noted}}


def tables(tally: Tally) -> Sequence[Table]:
    """Return how many are what and why, and the first of those that are not valid."""
    summary = Table(title=f"{tally.counts.total():,} credentials", title_justify="left")
    summary.add_column("verdict")
    summary.add_column("count", justify="right")
    summary.add_column("step")
    summary.add_column("reason", overflow="fold")
    if tally.counts["valid"]:
        summary.add_row("[green]valid[/]", f"{tally.counts['valid']:,}", "", "")
    for (overall, step, reason), count in tally.steps.most_common(_SHOWN):
        summary.add_row(f"[{_COLOURS[overall]}]{overall}[/]", f"{count:,}", step, escape(reason))
    if not tally.noted:
        return [summary]
    rest = tally.counts.total() - tally.counts["valid"] - min(len(tally.noted), _SHOWN)
    names = Table(caption=f"and {rest:,} more; --json names the first 1,000" if rest else None, caption_justify="left")
    names.add_column("not valid", overflow="fold")
    names.add_column("step")
    for name, verdict in tally.noted[:_SHOWN]:
        names.add_row(escape(name), verdict.deciding.name if verdict.deciding else "")
    return [summary, names]


def verdict_tree(name: str, verdict: Verdict) -> Tree:
    """Return one verdict, step by step."""
    tree = Tree(f"[bold {_COLOURS[verdict.overall]}]{verdict.overall}[/]  {escape(name)}")
    for step in verdict.steps:
        tree.add(f"{_MARKS[step.outcome]} {step.name}: {escape(step.reason)}")
    return tree
