"""`credstream quarantine`: what was set aside and why, and what a person does about it."""

from __future__ import annotations

import getpass
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

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
from credstream.cli.watching import counted, progress_bar
from credstream.quarantine.cases import Case, Wanted, cases, contents, inbox_event, named, shown
from credstream.quarantine.foreseeing import Foresight
from credstream.quarantine.redriving import dismiss as dismiss_cases
from credstream.quarantine.redriving import redrive as redrive_cases
from credstream.zones import minute
from schemas.errors import MalformedError, QuarantineReason, RefusedError
from schemas.events import RecordQuarantined, Resolution
from schemas.topology import INBOX
from streams.settings import Installation

Ids = Annotated[str, Parameter(name="ID", help="As `credstream quarantine list` names it: lane@offset.")]
Reason = Annotated[
    tuple[QuarantineReason, ...], Parameter(name="--reason", negative=(), help="Only this reason; may be repeated.")
]
Provider = Annotated[str | None, Parameter(name="--provider", help="Only what this provider sent.")]
OfProgramme = Annotated[str | None, Parameter(name="--programme", help="Only what was sent for this programme.")]
Since = Annotated[str | None, Parameter(name="--since", help="Only what arrived from then on: a day, or an instant.")]
Until = Annotated[str | None, Parameter(name="--until", help="Only what arrived before: a day, or an instant.")]
Note = Annotated[str | None, Parameter(help="For the record, for good: why. Name nobody in it.")]
By = Annotated[str | None, Parameter(name="--as", help="Who does it, for the record; by default who is logged in.")]
_SHOWN: Final = 40
_BYTES_SHOWN: Final = 256
_BYTES_A_LINE: Final = 16


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
        write_json([_plain(case) for case in found])
    elif not found:
        out.print("nothing in quarantine" + ("" if every else " waits for anybody") + _meant(wanted))
    else:
        last = found if every else found[-_SHOWN:]
        out.print(_table(last))
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
        write_json({**_plain(case), "would_be_set_aside": fault, "content": _content(case, aside)})
    else:
        out.print(_tree(case, aside, fault))
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
        write_json([{**_plain(case), "would_be_set_aside": faults.get(case.position)} for case in chosen])
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
    out.print(_table(chosen[:_SHOWN]))
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
    table = Table("id", "reason", "provider", "event", "if it is redriven now")
    table.columns[0].no_wrap = True
    for case in chosen[:_SHOWN]:
        fault = faults[case.position]
        told = "[green]goes on[/]" if fault is None else f"[yellow]set aside again[/]: {escape(fault)}"
        table.add_row(
            str(case.position), case.reason, escape(case.provider or ""), escape(case.event_id or case.kind or ""), told
        )
    out.print(table)
    if len(chosen) > _SHOWN:
        out.print(f"and {len(chosen) - _SHOWN:,} more")
    left = len(chosen) - good
    out.print(f"to be redriven: {good:,}" + (f"; left, since they would be set aside again: {left:,}" if left else ""))


def _table(found: Sequence[Case]) -> Table:
    table = Table("id", "arrived (UTC)", "reason", "provider", "event", "why", "since")
    table.columns[0].no_wrap = table.columns[1].no_wrap = True  # to be copied
    for case in found:
        table.add_row(
            str(case.position),
            minute(case.appended_at, "UTC"),
            case.reason,
            escape(case.provider or ""),
            escape(case.event_id or case.kind or f"{case.size:,} bytes"),
            escape(case.detail),
            _state(case),
        )
    return table


def _state(case: Case) -> str:
    if case.resolved is None:
        return "open, redriven before" if case.earlier else "open"
    if case.resolved.resolution is Resolution.REDRIVEN:
        return f"redriven to {case.resolved.redriven_partition}@{case.resolved.redriven_offset}"
    return escape(f"dismissed: {case.resolved.note or ''}")


def _plain(case: Case) -> dict[str, Any]:
    place = {"stage": case.position.stage, "position": case.position.source}
    rest = {name: value for name, value in msgspec.structs.asdict(case).items() if name != "position"}
    resolved = None if case.resolved is None else msgspec.to_builtins(case.resolved)
    return {"id": str(case.position), **place, **rest, "resolved": resolved}


def _tree(case: Case, aside: RecordQuarantined, fault: str | None) -> Tree:
    tree = Tree(f"[bold]{escape(str(case.position))}[/]: {case.reason}")
    tree.add(escape(case.detail))
    tree.add(
        f"set aside by {case.position.stage} at {case.position.source}, arrived {minute(case.appended_at, 'UTC')} UTC"
    )
    tree.add(f"{case.size:,} bytes, SHA-256 {case.sha256}")
    for earlier in case.earlier:
        tree.add(f"the same record was set aside before, at {escape(earlier)}")
    headers = tree.add("headers")
    for header in aside.headers:
        headers.add(escape(f"{header.name}: {shown(header.value)}"))
    said = tree.add(escape(f"key {shown(aside.key)}"))
    content = _content(case, aside)
    if isinstance(content, dict):
        for name, value in content.items():
            said.add(escape(f"{name}: {value}"))
    else:
        for line in content:
            said.add(escape(line))
    if case.resolved is not None:
        tree.add(
            f"{_state(case)}, by {escape(case.resolved.resolved_by)}, {minute(case.resolved.resolved_at, 'UTC')} UTC"
        )
    elif fault is None:
        tree.add(f"redriven now it would go on: credstream quarantine redrive {case.position}")
    else:
        tree.add(escape(f"redriven now it would be set aside again: {fault}"))
    return tree


def _content(case: Case, aside: RecordQuarantined) -> dict[str, Any] | list[str]:
    """Return what the record says, or its first bytes where it cannot be read."""
    if case.position.topic == INBOX.name:
        try:
            event = inbox_event(aside.value)
        except MalformedError:
            pass
        else:
            body = getattr(event, "body", None)
            parts = msgspec.to_builtins(body) if isinstance(body, msgspec.Struct) else {}
            fields = {n: v for n, v in msgspec.to_builtins(event).items() if n not in {"body", "catalogue"}}
            return {n: v for n, v in {"kind": type(event).__name__, **fields, **parts}.items() if v is not None}
    value = (aside.value or b"")[:_BYTES_SHOWN]
    lines = [value[start : start + _BYTES_A_LINE] for start in range(0, len(value), _BYTES_A_LINE)]
    return [f"{line.hex(' '):47}  {''.join(chr(b) if 32 <= b < 127 else '.' for b in line)}" for line in lines]  # noqa: PLR2004


__all__ = ["dismiss", "listed", "redrive", "show"]
