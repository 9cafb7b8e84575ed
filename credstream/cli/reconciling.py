"""`credstream reconcile`: a provider's list against the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from credstream import reconciling
from credstream.cli.console import (
    DEFAULT_FOLDER,
    Data,
    Exit,
    Json,
    Programme,
    chosen_programme,
    installation,
    out,
    write_json,
)
from credstream.cli.watching import counted
from credstream.reconciling import Columns, Reconciled
from streams.tables import open_database

_SHOWN: Final = 20


def reconcile(
    file: Annotated[Path, Parameter(help="Their list, CSV; its first line names the columns.")],
    *,
    provider: Annotated[str, Parameter(help="Whose list it is.")],
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Write the list, with what became of each line, as CSV.")
    ] = None,
    event_id: Annotated[str, Parameter(help="Their column with the event id.")] = "event_id",
    result_id: Annotated[
        str, Parameter(help="Their column with the result id, for lines without event id.")
    ] = "result_id",
    programme: Programme = None,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Hold a provider's own list of completions against what became of each: decided, quarantined and why, or missing.

    Exit code 1 when any is missing: it never reached the log, so let them send it again, which is always safe.

    Example: credstream reconcile spring.csv --provider northern-college -o answered.csv

    Example: credstream reconcile export.csv --provider northern-college --result-id "Attempt ID"
    """
    place = installation(data)
    chosen = chosen_programme(place, programme)
    columns = Columns(event_id=event_id, result_id=result_id)
    names, given = reconciling.lines(file, columns)
    engine = open_database(place.database_url)
    reconciling.settle(place, engine)
    found: Iterable[Reconciled] = reconciling.reconcile(engine, chosen, provider, given, columns)
    if output is not None:
        found = reconciling.write(output, names, found)
    counts: Counter[tuple[str, str]] = Counter()
    missing: list[Reconciled] = []
    with counted("reconciling") as say:
        for one in found:
            say(1)
            reason = one.detail.partition(":")[0] if one.state == "quarantined" else one.disposition.replace("_", " ")
            counts[one.state, reason] += 1
            if one.state == "missing" and len(missing) < _SHOWN:
                missing.append(one)
    gone = sum(count for (state, _), count in counts.items() if state == "missing")
    if as_json:
        shown = [
            {"state": state, "reason": reason or None, "count": count} for (state, reason), count in counts.items()
        ]
        write_json({"lines": sum(counts.values()), "counts": shown, "missing": [one.line for one in missing]})
    else:
        _print(counts, missing, gone, columns)
        if output is not None:
            out.print(f"each line is in {output}", markup=False)
    return Exit.NO if gone else Exit.DONE


def _print(counts: Counter[tuple[str, str]], missing: list[Reconciled], gone: int, columns: Columns) -> None:
    table = Table("what became of it", "", "lines")
    for (state, reason), count in sorted(counts.items()):
        colour = {"missing": "red", "quarantined": "yellow"}.get(state, "green")
        table.add_row(f"[{colour}]{state}[/]", escape(reason), f"{count:,}")
    out.print(table)
    for one in missing:
        name = one.given.get(columns.event_id, "").strip() or one.given.get(columns.result_id, "").strip()
        out.print(f"missing, line {one.line}: {escape(name) or 'it names no completion'}", highlight=False)
    if gone > len(missing):
        out.print(f"and {gone - len(missing):,} more are missing; -o FILE lists each")
    if gone:
        out.print("what is missing never reached the log: let the provider send it again, which is always safe")
