"""`credstream keys check`: what is wrong with the keys, before it hurts."""

from __future__ import annotations

import time
from typing import Final

from msgspec import to_builtins
from rich.markup import escape
from rich.table import Table

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
from credstream.keys.checking import Outcome, checks
from credstream.keys.publishing import current

_MARKS: Final[dict[Outcome, str]] = {
    "ok": "[green]ok[/]",
    "wrong": "[bold red]wrong[/]",
    "unknown": "[yellow]could not tell[/]",
}


def check(*, programme: Programme = None, as_json: Json = False, data: Data = DEFAULT_FOLDER) -> Exit:
    """Check keys and their schedule: files, tokens, times, what is published and what is served. Exit code 1 when one is wrong.

    Keys in tokens sign a few bytes for it. Run it after each change, and daily.

    Example: credstream keys check
    """
    place = installation(data)
    found = list(checks(current(place, chosen_programme(place, programme)), time.time_ns() // 1000))
    if as_json:
        write_json(to_builtins(found))
    else:
        table = Table("what", "", "found", "what to do")
        for one in found:
            table.add_row(escape(one.what), _MARKS[one.outcome], escape(one.found), escape(one.do))
        out.print(table)
    return Exit.NO if any(one.outcome == "wrong" for one in found) else Exit.DONE
