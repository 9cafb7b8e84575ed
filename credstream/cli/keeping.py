"""Commands for operators: export, topics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from credstream import exporting
from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, Json, installation, out, write_json
from credstream.picture import mermaid
from schemas.errors import RefusedError
from streams import topics as broker_topics


def export(folder: Path, *, as_json: Json = False, data: Data = DEFAULT_FOLDER) -> Exit:
    """Write everything another party needs to check this installation, offline, into an empty or new folder.

    Example: credstream export handover
    """
    try:
        counts = exporting.export(installation(data), folder, (lambda _: None) if as_json else out.print)
    except FileExistsError as error:
        raise RefusedError(str(error)) from None
    if as_json:
        write_json(counts)
    return Exit.DONE


def topics(
    *,
    picture: Annotated[bool, Parameter(negative=(), help="Print the pipe as a Mermaid flowchart.")] = False,
    create: Annotated[bool, Parameter(negative=(), help="Make the topics that are missing, on a new log.")] = False,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Show and check the topics: is each there, with as many partitions as this installation has lanes?"""
    if picture:
        out.print(mermaid(), markup=False, highlight=False)
        return Exit.DONE
    place = installation(data)
    if create:
        broker_topics.create(place)
    states, ends = broker_topics.describe(place), broker_topics.ends(place)
    lanes = range(place.kafka.lanes)
    rows = [
        {
            "topic": state.topic.name,
            "partitions": state.partitions,
            "end": sum(ends[state.topic.name, lane] for lane in lanes) if state.id else None,
            "fits": state.id is not None and state.partitions == place.kafka.lanes,
        }
        for state in states
    ]
    if as_json:
        write_json(rows)
    else:
        table = Table("topic", "partitions", "end", "")
        for row in rows:
            ok = "[green]fits[/]" if row["fits"] else "[red]does not fit[/]"
            table.add_row(
                str(row["topic"]), str(row["partitions"]), f"{row['end']:,}" if row["end"] is not None else "", ok
            )
        out.print(table)
    return Exit.DONE if all(row["fits"] for row in rows) else Exit.NO
