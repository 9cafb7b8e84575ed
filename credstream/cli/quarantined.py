"""How records in quarantine look to people and to programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from credstream.quarantine.cases import Case, inbox_event, shown
from credstream.zones import minute
from schemas.errors import MalformedError
from schemas.events import RecordQuarantined, Resolution
from schemas.topology import INBOX

_BYTES_SHOWN: Final = 256
_BYTES_A_LINE: Final = 16


def table(found: Sequence[Case]) -> Table:
    """Return cases as a table."""
    shown_as = Table("id", "arrived (UTC)", "reason", "provider", "event", "why", "state")
    shown_as.columns[0].no_wrap = shown_as.columns[1].no_wrap = True  # to be copied
    for case in found:
        shown_as.add_row(
            str(case.position),
            minute(case.appended_at, "UTC"),
            case.reason,
            escape(case.provider or ""),
            escape(case.event_id or case.kind or f"{case.size:,} bytes"),
            escape(case.detail),
            state(case),
        )
    return shown_as


def state(case: Case) -> str:
    """Return what was done about a case."""
    if case.resolved is None:
        return "open, redriven before" if case.earlier else "open"
    if case.resolved.resolution is Resolution.REDRIVEN:
        return f"redriven to {case.resolved.redriven_partition}@{case.resolved.redriven_offset}"
    return escape(f"dismissed: {case.resolved.note or ''}")


def plain(case: Case) -> dict[str, Any]:
    """Return a case for programs."""
    place = {"stage": case.position.stage, "position": case.position.source}
    rest = {name: value for name, value in msgspec.structs.asdict(case).items() if name != "position"}
    resolved = None if case.resolved is None else msgspec.to_builtins(case.resolved)
    return {"id": str(case.position), **place, **rest, "resolved": resolved}


def tree(case: Case, aside: RecordQuarantined, fault: str | None) -> Tree:
    """Return all that is known of one case; ``fault``: why it would be set aside again."""
    root = Tree(f"[bold]{escape(str(case.position))}[/]: {case.reason}")
    root.add(escape(case.detail))
    root.add(
        f"set aside by {case.position.stage} at {case.position.source}, arrived {minute(case.appended_at, 'UTC')} UTC"
    )
    root.add(f"{case.size:,} bytes, SHA-256 {case.sha256}")
    for earlier in case.earlier:
        root.add(f"the same record was set aside before, at {escape(earlier)}")
    headers = root.add("headers")
    for header in aside.headers:
        headers.add(escape(f"{header.name}: {shown(header.value)}"))
    said = root.add(escape(f"key {shown(aside.key)}"))
    said_in_it = content(case, aside)
    if isinstance(said_in_it, dict):
        for name, value in said_in_it.items():
            said.add(escape(f"{name}: {value}"))
    else:
        for line in said_in_it:
            said.add(escape(line))
    if case.resolved is not None:
        root.add(
            f"{state(case)}, by {escape(case.resolved.resolved_by)}, {minute(case.resolved.resolved_at, 'UTC')} UTC"
        )
    elif fault is None:
        root.add(f"redriven now it would go on: credstream quarantine redrive {case.position}")
    else:
        root.add(escape(f"redriven now it would be set aside again: {fault}"))
    return root


def content(case: Case, aside: RecordQuarantined) -> dict[str, Any] | list[str]:
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
