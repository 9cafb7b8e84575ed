"""`credstream topics unhang | accept-gap`: what an operator does about a log that is not as it should be."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from credstream.cli.console import (
    DEFAULT_FOLDER,
    Data,
    Exit,
    Json,
    Member,
    Yes,
    chosen_programme,
    confirmed,
    err,
    installation,
    out,
    write_json,
)
from credstream.lanes import hanging
from credstream.lanes.gaps import Gap, accept, parked_for
from credstream.lanes.hanging import Hanging
from credstream.lanes.state import check_unheld
from credstream.people import member_of
from schemas.errors import RefusedError
from schemas.events import GapKind
from schemas.topology import Processor
from streams.settings import Installation

DryRun = Annotated[bool, Parameter(negative=(), help="Only show what would be done.")]
_SURELY_S: Final = 60.0


def unhang(
    *,
    older_than_s: Annotated[
        float, Parameter(help="Leave alone what was written to in the last so many seconds.")
    ] = _SURELY_S,
    although_torn: Annotated[
        bool,
        Parameter(negative=(), help="Also abort one whose other parts may have taken effect; read what is said first."),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """End transactions that hang: open in a partition though no coordinator knows of them, so that readers wait for ever.

    One that a coordinator knows of is left alone: its owner, the next owner of its lane, or time ends it. What is ended is aborted:
    nobody ever sees it, and where its lane's input offsets hang with it, the lane decides the same again.

    Exit code 1 when any is left.

    Example: credstream topics unhang --dry-run
    """
    place = installation(data)
    found = hanging.hanging(place, older_than_s=older_than_s)
    safe = [one for one in found if although_torn or _is_safe(one)]
    if as_json:
        write_json([{**msgspec.to_builtins(one), "safe": _is_safe(one)} for one in found])
    elif not found:
        out.print("no transaction hangs")
    else:
        out.print(_table(found))
        for one in found:
            if one not in safe:
                out.print(_torn(one), highlight=False)
    left = len(found) - len(safe)
    if dry_run or not safe:
        return Exit.NO if found and not dry_run else Exit.DONE
    if not confirmed(f"Abort {len(safe)}?", yes=yes):
        return Exit.NO
    for one in safe:
        hanging.end(place, one)
    again = hanging.hanging(place, older_than_s=0)
    for one in again:
        err.print(f"it still hangs: producer {one.producer_id}", highlight=False)
    if not as_json:
        out.print(
            f"aborted: {len(safe)}; readers go on by themselves, a parked lane when its processor is started again"
        )
    return Exit.NO if again or left else Exit.DONE


def accept_gap(
    processor: Annotated[Literal["competency", "issuing", "status"], Parameter(help="Whose lane is parked.")],
    *,
    lane: Annotated[
        int | None, Parameter(help="The lane; without it, every lane is looked at and none is changed.")
    ] = None,
    note: Annotated[str | None, Parameter(help="For the record, for good: why. Name nobody in it.")] = None,
    dry_run: DryRun = False,
    programme: Annotated[
        str | None, Parameter(help="Whose member of staff signs; needed when there are several.")
    ] = None,
    member: Member = None,
    yes: Yes = False,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Let a parked lane go on although numbers are missing, or come again otherwise, or records are gone: a person's decision.

    Look for what is missing first: a mirror, a backup, `credstream replay`. What is accepted is lost for good, and the log keeps
    who accepted it and why, signed. The processor must be stopped, and is started again afterwards.

    Exit code 1 when a lane is parked for something that cannot be accepted.

    Example: credstream topics accept-gap issuing

    Example: credstream topics accept-gap issuing --lane 2 --note "no mirror has them" --dry-run
    """
    place, of = installation(data), Processor(processor)
    if lane is not None and not 0 <= lane < place.kafka.lanes:
        raise RefusedError(f"--lane {lane}: there are lanes 0 to {place.kafka.lanes - 1}")
    lanes = range(place.kafka.lanes) if lane is None else [lane]
    found = [gap for number in lanes if (gap := parked_for(place, of, number)) is not None]
    if as_json:
        write_json([{**msgspec.to_builtins(gap), "acceptable": gap.acceptable, "lost": _lost(gap)} for gap in found])
    elif not found:
        out.print(f"nothing parks {'the lane' if lane is not None else 'a lane'} of {of} where it stands")
    else:
        out.print(_gaps(found))
    hopeless = [gap for gap in found if not gap.acceptable]
    if lane is None or dry_run or not found or hopeless:
        return Exit.NO if hopeless else Exit.DONE
    if not note or not note.strip():
        raise RefusedError("--note: say why, for the record")
    check_unheld(place, of)
    chosen = chosen_programme(place, programme or _programme_in(found[0], place))
    who = member_of(place, chosen, member)
    if not confirmed(f"Accept it as {who}? What is missing is lost for good.", yes=yes):
        return Exit.NO
    accept(place, found[0], chosen, who, note)
    return _accepted(place, of, lane, as_json=as_json)


def _accepted(place: Installation, of: Processor, lane: int, *, as_json: bool) -> Exit:
    following = parked_for(place, of, lane)
    if not as_json:
        out.print(f"accepted, and on the record; start {of} again")
        if following is not None:
            out.print(
                f"then lane {lane} is parked for the next thing, so accept that first: {following.says}", markup=False
            )
    return Exit.DONE if following is None or following.acceptable else Exit.NO


def _programme_in(gap: Gap, place: Installation) -> str | None:
    return gap.series if gap.series in place.programmes else None


def _gaps(found: Sequence[Gap]) -> Table:
    table = Table("lane", "at", "what parks it", "if it is accepted")
    for gap in found:
        table.add_row(str(gap.lane), str(gap.offset), escape(gap.says), escape(_lost(gap)))
    return table


def _lost(gap: Gap) -> str:
    """Say in plain words what accepting a gap gives up."""
    claims = "credentials that were granted are never issued; credstream audit names each"
    lists = "changes of status that were decided are never published; credstream audit names each"
    sent = "completions that providers were told are accepted: let each provider reconcile their list and send what is missing"
    by_stage = {Processor.COMPETENCY: sent, Processor.ISSUING: claims, Processor.STATUS: lists}
    match gap.kind:
        case None:
            return "it cannot be accepted; see docs/runbooks/LaneParked.md"
        case GapKind.MISSING:
            numbers = f"{gap.until - gap.first:,} numbers, from {gap.first} to {gap.until - 1}"
            return f"{numbers}, are given up: {by_stage[gap.processor]}"
        case GapKind.CONFLICT:
            return f"the record at {gap.offset} is left out, and the first with the number {gap.first} stands"
        case GapKind.GONE | GapKind.CUT_OFF:
            return f"it goes on at {gap.offset}; what lay between is given up: {by_stage[gap.processor]}"


def _is_safe(one: Hanging) -> bool:
    """What is no processor's took part in nothing else of ours; a processor's took no effect if its input offsets hang too."""
    return one.owner is None or one.took_no_effect


def _table(found: Sequence[Hanging]) -> Table:
    table = Table("transaction", "producer", "the coordinator says", "hangs at", "last written")
    for one in found:
        places = "\n".join(f"{part.topic}/{part.partition}@{part.start}" for part in one.stretches)
        table.add_row(
            escape(one.transactional_id or "not known any more"),
            f"{one.producer_id}, epoch {one.producer_epoch}",
            escape(one.state or "it knows no such producer"),
            places,
            f"{one.age_s(time.time()):,.0f} s ago",
        )
    return table


def _torn(one: Hanging) -> str:
    return (
        f"{escape(one.transactional_id or '')} is left: the offsets of its input do not hang, so the rest of it may have taken "
        f"effect. Stop {one.owner}, run `credstream replay {one.owner}` to see what the log says should be there, and keep a copy "
        "of the partition; --although-torn aborts it, and what it wrote there is then missing for good (topics accept-gap)"
    )
