"""`credstream topics rebind`: the log is another one than before; what is lost with it, and going on with what there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.markup import escape
from rich.table import Table

from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, Json, Yes, confirmed, installation, out, write_json
from credstream.cli.mending import DryRun
from credstream.cli.watching import progress_bar
from credstream.lanes import rebinding
from credstream.lanes.rebinding import Binding, Changed, Plan
from schemas.topology import (
    CATALOGUE_PUBLISHED,
    CLAIMED,
    DECIDED,
    INBOX,
    ISSUED,
    ISSUING_PROGRESS,
    LIST_PUBLISHED,
    PROGRESS,
    QUARANTINED,
    STATUS_CHANGED,
    STATUS_DECIDED,
    STATUS_PROGRESS,
)

_LOST: Final[Mapping[str, str]] = {
    INBOX.name: "every completion and request as it was sent: without it nothing can go on, since decisions name positions in it. "
    "Restore it whole, from a mirror or backup, and then rebind",
    PROGRESS.name: "nothing, if the inbox is whole: it is rebuilt from there",
    DECIDED.name: "the history of decisions. The views keep what they had; why, export and audit begin anew",
    CLAIMED.name: "claims that were not signed yet. Their numbers leave a gap, at which issuing parks: topics accept-gap",
    ISSUED.name: "the log of credentials. The views keep those that they had, so pages and lists go on; export and subscribers "
    "begin anew, and views must not be rebuilt",
    ISSUING_PROGRESS.name: "nothing, if the claims are whole: it is rebuilt from there",
    STATUS_DECIDED.name: "changes of status that were decided and not published yet: topics accept-gap",
    STATUS_PROGRESS.name: "nothing, if the decisions and the published lists are whole: it is rebuilt from there",
    LIST_PUBLISHED.name: "the signed lists. The views keep theirs; each is published again when it is due",
    STATUS_CHANGED.name: "the history of changes of status. The views keep what they had; subscribers begin anew",
    CATALOGUE_PUBLISHED.name: "catalogue versions by digest, for the gateway: publish the current one again",
    QUARANTINED.name: "the bytes and reasons of all that was set aside: it can no longer be redriven",
}


def rebind(
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Bind the installation to its log as it is now, after topics were deleted and made anew, or restored from a backup or mirror.

    Processors refuse to start on topics that are not those with which they were made. Look at what is lost first, with --dry-run:
    restoring is better. Topics that are missing are made; lanes read what is new to them from its beginning, and count no repeat.

    Everything but the gateway must be stopped.

    Example: credstream topics rebind --dry-run
    """
    place = installation(data)
    found = rebinding.plan(place)
    if as_json:
        write_json(_plain(found))
    elif found.is_empty:
        out.print("this installation is bound to its log as it is; nothing is to be done")
    else:
        _print(found)
    if dry_run or found.is_empty:
        return Exit.DONE
    if not confirmed("Go on with the log as it is now?", yes=yes):
        return Exit.NO
    with progress_bar("binding lanes", len(found.bindings)) as advance:
        rebinding.bind(place, found, advance)
    if not as_json:
        out.print(f"bound: {len(found.bindings)} lanes; start everything again, then credstream audit")
    return Exit.DONE


def _print(found: Plan) -> None:
    table = Table("topic", "it was", "it is", "what is lost with the former one, unless it was restored")
    for one in found.changed:
        table.add_row(one.topic.name, _id(one.before), _id(one.now), escape(_LOST[one.topic.name]))
    if found.changed:
        out.print(table)
    by_deed: dict[tuple[str, str], list[Binding]] = {}
    for bound in found.bindings:
        by_deed.setdefault((bound.processor, _deed(bound)), []).append(bound)
    for (processor, deed), some in by_deed.items():
        lanes = ", ".join(str(bound.lane) for bound in some)
        out.print(f"{processor}, {'lanes' if len(some) > 1 else 'lane'} {lanes}: {deed}", highlight=False)


def _deed(one: Binding) -> str:
    if one.restarts and one.rebuilt:
        return "begins anew: both what it read and what it kept are gone, so its numbers begin at 0 again"
    if one.restarts:
        return "reads its input from the beginning; what it knows already changes nothing"
    return "what it kept is rebuilt from its input" if one.rebuilt else "goes on where it was"


def _id(name: str | None) -> str:
    return "missing" if name is None else str(name)[:8]


def _plain(found: Plan) -> Mapping[str, Sequence[Mapping[str, object]]]:
    return {"changed": [_change(one) for one in found.changed], "lanes": [_lane(one) for one in found.bindings]}


def _change(one: Changed) -> Mapping[str, object]:
    return {"topic": one.topic.name, "before": one.before, "now": one.now, "lost": _LOST[one.topic.name]}


def _lane(one: Binding) -> Mapping[str, object]:
    return {"processor": one.processor, "lane": one.lane, "position": one.position, "what": _deed(one)}
