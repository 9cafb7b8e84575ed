"""`credstream replay`: rebuilds what follows from the log, compares, and puts it in place when asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, Json, Yes, confirmed, installation, out, write_json
from credstream.cli.watching import counted, progress_bar
from credstream.lanes.state import check_unheld, write
from credstream.replaying import views
from credstream.replaying.lanes import Replayed
from credstream.replaying.lanes import replay as replay_lane
from schemas.errors import RefusedError
from schemas.topology import Processor
from streams.settings import Installation
from streams.tables import open_database

Target = Literal["views", "competency", "issuing", "status"]
_DIGEST_SHOWN: Final = 16
_KEYS_SHOWN: Final = 5


def replay(
    target: Annotated[Target, Parameter(help="Whose: views, competency, issuing or status.")],
    *,
    lane: Annotated[int | None, Parameter(help="Only this lane (not for views); by default every one.")] = None,
    swap: Annotated[bool, Parameter(negative=(), help="Put what was rebuilt in place of what differs.")] = False,
    yes: Yes = False,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Rebuild views, or what a processor keeps, from the log alone, and compare: the digests must be the same.

    Nothing is changed without --swap. Records in quarantine stay there, and nothing is signed anew: signatures are those that were
    issued, and must fit. For a processor's lanes, --swap needs that processor to be stopped; views need not be.

    Exit code 1 when anything differs and was not swapped.

    Example: credstream replay views

    Example: credstream replay competency --lane 2 --swap
    """
    place = installation(data)
    if target == "views":
        if lane is not None:
            raise RefusedError("views have no lanes of their own; leave --lane out")
        return _views(place, swap=swap, yes=yes, as_json=as_json)
    if lane is not None and not 0 <= lane < place.kafka.lanes:
        raise RefusedError(f"--lane {lane}: there are lanes 0 to {place.kafka.lanes - 1}")
    processor = Processor(target)
    if swap:
        check_unheld(place, processor)
    lanes = range(place.kafka.lanes) if lane is None else [lane]
    with counted(f"replaying {target}") as say:
        found = [replay_lane(place, processor, number, say) for number in lanes]
    return _lanes(place, processor, found, swap=swap, yes=yes, as_json=as_json)


def _views(place: Installation, *, swap: bool, yes: bool, as_json: bool) -> Exit:
    engine = open_database(place.database_url)
    with views.rebuilt(place) as made:
        with views.at_one_moment(engine) as connection:
            until, in_use = views.positions(connection), views.digests(connection)
        with progress_bar("rebuilding the views", sum(until.values())) as advance:
            made.fill(until, advance)
        with made.engine.connect() as connection:
            anew = views.digests(connection)
        found = views.compared(in_use, anew)
        wrong = [one.table for one in found if not one.same]
        if as_json:
            write_json([{**msgspec.to_builtins(one), "same": one.same} for one in found])
        else:
            _print_views(found)
        if not wrong:
            _tell("the views are what the log says", as_json=as_json)
            return Exit.DONE
        if not swap:
            _tell("they differ; --swap puts what the log says in their place", as_json=as_json)
            return Exit.NO
        if not confirmed(f"Replace {', '.join(wrong)}?", yes=yes):
            return Exit.NO
        views.swap(engine, made, wrong)
    _tell(f"replaced: {', '.join(wrong)}", as_json=as_json)
    return Exit.DONE


def _print_views(found: Sequence[views.Compared]) -> None:
    table = Table("table", "rows", "digest", "rows by the log", "digest by the log", "")
    for one in found:
        said = "[green]same[/]" if one.same else "[red]differs[/]"
        digests = (one.digest[:_DIGEST_SHOWN], one.anew_digest[:_DIGEST_SHOWN])
        table.add_row(one.table, f"{one.rows:,}", digests[0], f"{one.anew_rows:,}", digests[1], said)
    out.print(table)


def _lanes(
    place: Installation, processor: Processor, found: Sequence[Replayed], *, swap: bool, yes: bool, as_json: bool
) -> Exit:
    if as_json:
        write_json([_plain(one) for one in found])
    else:
        _print_lanes(found)
    wrong = [one for one in found if one.changes]
    published = sum(sum(one.counted.values()) for one in found)
    if published:
        _tell(
            "what was published differs from what the log says, and no replay mends that: see docs/runbooks/InvariantViolated.md",
            as_json=as_json,
        )
    if not wrong:
        if not published:
            _tell(f"{processor} keeps and has published what the log says", as_json=as_json)
        return Exit.NO if published else Exit.DONE
    if not swap:
        _tell("what is kept differs; --swap puts what the log says in its place", as_json=as_json)
        return Exit.NO
    keys = sum(len(one.changes) for one in wrong)
    if not confirmed(f"Change {keys:,} keys of {len(wrong)} lanes?", yes=yes):
        return Exit.NO
    for one in wrong:
        write(place, processor, one.lane, one.changes, expected=one.position)
    _tell(f"replaced {keys:,} keys; {processor} may be started again", as_json=as_json)
    return Exit.NO if published else Exit.DONE


def _print_lanes(found: Sequence[Replayed]) -> None:
    table = Table("lane", "records", "set aside", "up to", "state", "state by the log", "kept", "published")
    for one in found:
        kept = "[green]same[/]" if not one.changes else f"[red]{len(one.changes):,} keys differ[/]"
        published = "[green]same[/]" if not one.counted else "[red]differs[/]"
        digests = (one.digest[:_DIGEST_SHOWN], one.replayed_digest[:_DIGEST_SHOWN])
        table.add_row(
            str(one.lane), f"{one.records:,}", f"{one.set_aside:,}", f"{one.position:,}", *digests, kept, published
        )
    out.print(table)
    for one in found:
        for key in sorted(one.changes)[:_KEYS_SHOWN]:
            out.print(f"lane {one.lane}: {escape(_key(key))} differs", highlight=False)
        for fault in one.output_faults:
            out.print(f"{escape(fault.where)}: {escape(fault.what)}", highlight=False)


def _plain(one: Replayed) -> dict[str, object]:
    return {
        "processor": one.processor,
        "lane": one.lane,
        "position": one.position,
        "records": one.records,
        "set_aside": one.set_aside,
        "digest": one.digest,
        "digest_by_the_log": one.replayed_digest,
        "keys_that_differ": [_key(key) for key in sorted(one.changes)],
        "published_that_differs": [msgspec.to_builtins(fault) for fault in one.output_faults],
        "same": one.same,
    }


def _key(key: bytes) -> str:
    return key.removeprefix(b"\x00").decode("utf-8", "backslashreplace")


def _tell(text: str, *, as_json: bool) -> None:
    if not as_json:
        out.print(text)
