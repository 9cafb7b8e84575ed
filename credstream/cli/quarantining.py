"""`credstream quarantine`: what was set aside and why, and what a person does about it."""

from __future__ import annotations

import getpass
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from credstream.cli.console import (
    DEFAULT_FOLDER,
    Data,
    Exit,
    Json,
    Yes,
    confirmed,
    installation,
    instant_of,
    out,
    write_json,
)
from credstream.cli.quarantined import content, plain, table, tree
from credstream.cli.watching import counted, progress_bar
from credstream.quarantine.cases import Case, Wanted, cases, contents, named
from credstream.quarantine.foreseeing import Foresight
from credstream.quarantine.redriving import dismiss as dismiss_cases
from credstream.quarantine.redriving import redrive as redrive_cases
from schemas.errors import QuarantineReason, RefusedError
from schemas.topology import INBOX
from streams.settings import Installation

Ids = Annotated[str, Parameter(name="ID", help="As `credstream quarantine list` names it: lane@offset.")]
Reason = Annotated[
    tuple[QuarantineReason, ...],
    Parameter(name="--reason", negative=(), show_default=False, help="Only this reason; may be repeated."),
]
Provider = Annotated[str | None, Parameter(name="--provider", help="Only what this provider sent.")]
OfProgramme = Annotated[str | None, Parameter(name="--programme", help="Only what was sent for this programme.")]
Since = Annotated[str | None, Parameter(name="--since", help="Only what arrived from then on: a day, or an instant.")]
Until = Annotated[str | None, Parameter(name="--until", help="Only what arrived before: a day, or an instant.")]
Note = Annotated[str | None, Parameter(help="For the record, for good: why. Name nobody in it.")]
By = Annotated[str | None, Parameter(name="--as", help="Who does it, for the record; by default who is logged in.")]
_SHOWN: Final = 40


def listed(
    *,
    reason: Reason = (),
    provider: Provider = None,
    programme: OfProgramme = None,
    since: Since = None,
    until: Until = None,
    every: Annotated[
        bool, Parameter(name="--all", negative=(), help="Also what was redriven or dismissed; and show every line.")
    ] = False,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """List what was set aside and nobody has done anything about yet, oldest first.

    Example: credstream quarantine list --reason unknown_assessment --provider northern-college
    """
    wanted = _wanted(reason, provider, programme, since, until)
    found = [case for case in _cases(installation(data)) if wanted.holds(case) and (every or case.is_open)]
    if as_json:
        write_json([plain(case) for case in found])
    elif not found:
        out.print("nothing in quarantine" + ("" if every else " waits for anybody") + _meant(wanted))
    else:
        last = found if every else found[-_SHOWN:]
        out.print(table(last))
        if len(last) < len(found):
            out.print(f"the last {len(last)} of {len(found):,}; --all or --json shows every one")
        reasons = Counter(case.reason for case in found if case.is_open)
        out.print("open: " + (", ".join(f"{name} {count:,}" for name, count in sorted(reasons.items())) or "none"))
        out.print("next: credstream quarantine show ID; credstream quarantine redrive --reason … --dry-run")
    return Exit.DONE


def show(
    name: Ids,
    *,
    save: Annotated[Path | None, Parameter(help="Write the record's bytes into this file.")] = None,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Show one record: where it was set aside, why, what it says, and what would become of it if it were redriven now.

    Example: credstream quarantine show 3@17
    """
    place = installation(data)
    [case] = named(_cases(place), [name])
    aside = next((found for _, found in contents(place, [case])), None)
    if aside is None:
        raise RefusedError(f"{name}: its record is gone from the quarantine")
    fault = Foresight(place).fault(case, aside)
    if save is not None:
        save.write_bytes(aside.value or b"")
    if as_json:
        write_json({**plain(case), "would_be_set_aside": fault, "content": content(case, aside)})
    else:
        out.print(tree(case, aside, fault))
    return Exit.DONE


def redrive(
    *names: Ids,
    reason: Reason = (),
    provider: Provider = None,
    programme: OfProgramme = None,
    since: Since = None,
    until: Until = None,
    every: Annotated[bool, Parameter(name="--all", negative=(), help="Everything that is open and fits.")] = False,
    also_hopeless: Annotated[
        bool, Parameter(negative=(), help="Also what would be set aside again, as far as can be seen.")
    ] = False,
    note: Note = None,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only show what would be done.")] = False,
    by: By = None,
    yes: Yes = False,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Give records to the inbox again, as they were sent, once what was wrong has been mended. Doing it again changes nothing.

    Each keeps its bytes, its headers, and the link to where it was set aside. When it arrived first is what counts for lateness.
    What waits for an assessment is redriven by itself when a catalogue that knows it is published.

    Example: credstream quarantine redrive --reason not_allowed --provider northern-college --dry-run

    Example: credstream quarantine redrive 3@17 --note "the catalogue names the college now"
    """
    wanted = _wanted(reason, provider, programme, since, until)
    if bool(names) == (every or wanted != Wanted()):
        raise RefusedError("name what is redriven, or say which: --reason, --provider, --since, --until, or --all")
    place = installation(data)
    found = _cases(place)
    chosen = [case for case in (named(found, names) if names else filter(wanted.holds, found)) if case.is_open]
    foresight = Foresight(place)
    faults = {case.position: foresight.fault(case, aside) for case, aside in contents(place, chosen)}
    possible = [case for case in chosen if case.position.topic == INBOX.name]
    good = [case for case in possible if also_hopeless or faults.get(case.position) is None]
    if as_json and dry_run:
        write_json([{**plain(case), "would_be_set_aside": faults.get(case.position)} for case in chosen])
        return Exit.DONE
    if not as_json:
        _preview(chosen, {case.position: faults.get(case.position) for case in chosen}, len(good))
    if dry_run or not good:
        return Exit.DONE
    if not confirmed(f"Redrive {len(good):,}?", yes=yes):
        return Exit.NO
    with progress_bar("redriving", len(good)) as advance:
        given = redrive_cases(place, good, foresight, by or getpass.getuser(), note=note, advance=advance)
    if as_json:
        write_json({"redriven": given, "noted": len(good) - given, "left": len(chosen) - len(good)})
        return Exit.DONE
    out.print(f"redriven: {given:,}" + (f"; {len(good) - given:,} had been before" if given < len(good) else ""))
    out.print("what became of them: credstream quarantine list, or GET /v1/completions/{event_id}")
    return Exit.DONE


def dismiss(
    *names: Ids,
    reason: Reason = (),
    provider: Provider = None,
    programme: OfProgramme = None,
    since: Since = None,
    until: Until = None,
    every: Annotated[bool, Parameter(name="--all", negative=(), help="Everything that is open and fits.")] = False,
    note: Annotated[str, Parameter(help="For the record, for good: why. Name nobody in it.")],
    dry_run: Annotated[bool, Parameter(negative=(), help="Only show what would be done.")] = False,
    by: By = None,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Say that nothing is to be done about records in quarantine. They stay there, with their bytes, and are open no more.

    Example: credstream quarantine dismiss --reason malformed --until 2026-03-01 --note "a test of the provider's"
    """
    wanted = _wanted(reason, provider, programme, since, until)
    if bool(names) == (every or wanted != Wanted()):
        raise RefusedError("name what is dismissed, or say which: --reason, --provider, --since, --until, or --all")
    if not note.strip():
        raise RefusedError("--note: say why, for the record")
    place = installation(data)
    found = _cases(place)
    chosen = [case for case in (named(found, names) if names else filter(wanted.holds, found)) if case.is_open]
    if not chosen:
        out.print("nothing open fits")
        return Exit.DONE
    out.print(table(chosen[:_SHOWN]))
    if dry_run:
        out.print(f"would be dismissed: {len(chosen):,}")
        return Exit.DONE
    if not confirmed(f"Dismiss {len(chosen):,}?", yes=yes):
        return Exit.NO
    out.print(f"dismissed: {dismiss_cases(place, chosen, by or getpass.getuser(), note):,}")
    return Exit.DONE


def _wanted(
    reasons: tuple[QuarantineReason, ...],
    provider: str | None,
    programme: str | None,
    since: str | None,
    until: str | None,
) -> Wanted:
    return Wanted(
        reasons=reasons,
        provider=provider,
        programme=programme,
        since=None if since is None else instant_of(since),
        until=None if until is None else instant_of(until),
    )


def _meant(wanted: Wanted) -> str:
    return "" if wanted == Wanted() else " that fits"


def _cases(place: Installation) -> Sequence[Case]:
    with counted("reading the quarantine") as say:
        return cases(place, say)


def _preview(chosen: Sequence[Case], faults: dict[Any, str | None], good: int) -> None:
    if not chosen:
        out.print("nothing open fits")
        return
    foreseen = Table("id", "reason", "provider", "event", "if it is redriven now")
    foreseen.columns[0].no_wrap = True
    for case in chosen[:_SHOWN]:
        fault = faults[case.position]
        told = "[green]goes on[/]" if fault is None else f"[yellow]set aside again[/]: {escape(fault)}"
        foreseen.add_row(
            str(case.position), case.reason, escape(case.provider or ""), escape(case.event_id or case.kind or ""), told
        )
    out.print(foreseen)
    if len(chosen) > _SHOWN:
        out.print(f"and {len(chosen) - _SHOWN:,} more")
    left = len(chosen) - good
    out.print(f"to be redriven: {good:,}" + (f"; left, since they would be set aside again: {left:,}" if left else ""))


__all__ = ["dismiss", "listed", "redrive", "show"]
