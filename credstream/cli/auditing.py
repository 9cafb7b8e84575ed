"""`credstream audit`: the independent checker, on the topics or on an export."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter
from prometheus_client import start_http_server
from rich.console import Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from credstream.audit.auditing import Audit, Options
from credstream.audit.broker import KafkaLog
from credstream.audit.folder import FolderLog
from credstream.audit.following import follow as follow_log
from credstream.audit.invariants import Finding
from credstream.audit.log import Log
from credstream.audit.store import Store
from credstream.audit.trust import Trust
from credstream.audit.uncommitted import check_uncommitted
from credstream.audit.witnesses import JournalError
from credstream.auditor import Gateway, trust_of
from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, Json, err, installation, out, write_json
from schemas.errors import RefusedError

_COLOURS: Final = {"holds": "green", "violated": "bold red", "not checked": "yellow"}
_ALL: Final = "all"
_EVERY_S: Final = 30.0


def audit(
    folder: Annotated[Path | None, Parameter(help="An export to audit instead of the topics.")] = None,
    *,
    sample: Annotated[str, Parameter(help="How many proofs are verified, or `all`; each takes about 12 ms.")] = "300",
    seed: Annotated[int, Parameter(help="Draws the sample, and the answers that are asked for.")] = 1,
    checkpoint: Annotated[Path | None, Parameter(help="Go on from this file, and keep it.")] = None,
    journal: Annotated[
        Path | None, Parameter(help="What a sender wrote down: NDJSON; docs/audit.md has its form.")
    ] = None,
    logs: Annotated[
        Path | None, Parameter(help="The processes' logs; by default those in the installation's folder.")
    ] = None,
    gateway: Annotated[str | None, Parameter(help="The gateway to ask, by its address.")] = None,
    planted: Annotated[Path | None, Parameter(help="Words, one a line, that must stand nowhere in the log.")] = None,
    grace_s: Annotated[float, Parameter(name="--grace-s", help="What is younger may still be on its way.")] = 900.0,
    uncommitted: Annotated[
        bool, Parameter(negative=(), help="Compare with what was written and never committed.")
    ] = False,
    follow: Annotated[bool, Parameter(negative=(), help="Audit again and again, with metrics on loopback.")] = False,
    every_s: Annotated[float, Parameter(name="--every-s", help="How often, with --follow.")] = _EVERY_S,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Check the promises anew, from the log alone, by code that shares nothing with what it checks.

    Exit code 1 when one is violated; the report names the first places. What could not be looked at is said to be not checked.

    Examples:
        credstream audit                                  # the topics of this installation
        credstream audit handover --sample all            # an export, with every proof
        credstream audit --checkpoint audit.db --follow   # all the time; metrics for Prometheus
    """
    options = Options(
        sample=_sample(sample), seed=seed, grace_s=grace_s, journal=journal, logs=logs, promised_s=_promised(grace_s)
    )
    with ExitStack() as stack:
        log, trust, options = _subject(stack, folder, data, options, gateway, planted)
        store = stack.enter_context(_store(checkpoint))
        if follow:
            _follow(Audit(log, store, trust, options), data, every_s)
        with _shown(as_json=as_json) as advance:
            findings = _run(Audit(log, store, trust, options), advance)
            if uncommitted:
                findings = _uncommitted(stack, log, store, data, findings)
    if as_json:
        write_json([plain(finding) for finding in findings])
    else:
        out.print(report(findings))
    return Exit.NO if any(finding.violations for finding in findings) else Exit.DONE


def _sample(text: str) -> int:
    if text == _ALL:
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise RefusedError(f"--sample {text}: a number of proofs, or all")
    return int(text)


def _promised(grace_s: float) -> float:
    return min(300.0, grace_s)


def _subject(
    stack: ExitStack, folder: Path | None, data: Path, options: Options, gateway: str | None, planted: Path | None
) -> tuple[Log, Trust, Options]:
    """Return what is audited: an export, or the topics of an installation, with its secrets where they are at hand."""
    asked = stack.enter_context(_closing(Gateway(gateway))) if gateway else None
    changes: dict[str, Any] = {"public": asked}
    if folder is not None:
        try:
            exported = FolderLog(folder)
        except ValueError as error:
            raise RefusedError(str(error)) from None
        return exported, exported.trust, replace(options, **changes, counts=exported.counts)
    place = installation(data)
    if options.logs is None:
        changes["logs"] = data / "logs"
    log = stack.enter_context(_closing(KafkaLog(place.bootstrap_servers, place.kafka.lanes)))
    return log, trust_of(place, planted=planted), replace(options, **changes)


@contextmanager
def _closing(what: Any) -> Iterator[Any]:
    try:
        yield what
    finally:
        what.close()


@contextmanager
def _store(checkpoint: Path | None) -> Iterator[Store]:
    with ExitStack() as stack:
        path = checkpoint
        if path is None:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="credstream-audit-"))) / "audit.db"
        try:
            store = Store(path)
        except ValueError as error:
            raise RefusedError(str(error)) from None
        try:
            yield store
        finally:
            store.close()


def _run(audit: Audit, advance: Callable[[str, int, int], None] = lambda *_: None) -> list[Finding]:
    try:
        return audit.run(advance)
    except (JournalError, ValueError) as error:
        raise RefusedError(str(error)) from None


def _uncommitted(stack: ExitStack, log: Log, store: Store, data: Path, findings: list[Finding]) -> list[Finding]:
    if isinstance(log, FolderLog):
        raise RefusedError("an export holds what was committed alone; --uncommitted asks the topics")
    place = installation(data)
    everything = KafkaLog(place.bootstrap_servers, place.kafka.lanes, uncommitted=True)
    stack.enter_context(_closing(everything))
    with store.whole():
        aborted = check_uncommitted(store, log, everything, log.cut())
    err.print(f"{aborted:,} records were written and never committed")
    return [again(store, finding) for finding in findings]


def again(store: Store, finding: Finding) -> Finding:
    """Return a finding as the store has it now."""
    checked, violations, first, not_checked = store.found(finding.invariant.name)
    return Finding(
        invariant=finding.invariant, checked=checked, violations=violations, first=first, not_checked=not_checked
    )


def _follow(audit: Audit, data: Path, every_s: float) -> None:
    """Audit until interrupted."""
    host, port = installation(data).metrics_listen
    server, _ = start_http_server(port, host)
    out.print(f"auditing every {every_s:g} s; metrics on http://{host}:{server.server_port}/metrics; Ctrl-C stops it")

    def tell(findings: Sequence[Finding]) -> None:
        for finding in findings:
            for offence in finding.first:
                err.print(f"{finding.invariant.name}: {offence.where}: {offence.what}", soft_wrap=True, highlight=False)

    follow_log(lambda: _run(audit), every_s, tell, lambda error: err.print(str(error), soft_wrap=True))


@contextmanager
def _shown(*, as_json: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show, to people, what is done now and how far it is."""
    columns = (TextColumn("{task.description:>12}"), BarColumn(), TextColumn("{task.completed:,}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=as_json or not err.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def advance(what: str, by: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.advance(tasks[what], by)

        yield advance


def plain(finding: Finding) -> dict[str, Any]:
    """Return a finding for programs."""
    return {
        "number": finding.invariant.number,
        "invariant": finding.invariant.name,
        "says": finding.invariant.says,
        "verdict": finding.verdict,
        "checked": finding.checked,
        "violations": finding.violations,
        "first": [{"where": offence.where, "what": offence.what} for offence in finding.first],
        "not_checked": list(finding.not_checked),
    }


def report(findings: Sequence[Finding]) -> RenderableType:
    """Return the findings for people: a table, then where something is wrong, and what was not looked at."""
    table = Table("", "invariant", "checked", "violations", "")
    for column in (0, 2, 3):
        table.columns[column].justify = "right"
    for finding in findings:
        colour, number = _COLOURS[finding.verdict], finding.invariant.number
        checked = f"{finding.checked:,}" if finding.checked else ""
        violations = f"[{colour}]{finding.violations:,}[/]" if finding.violations else ""
        table.add_row(str(number), finding.invariant.says, checked, violations, f"[{colour}]{finding.verdict}[/]")
    parts: list[RenderableType] = [table]
    for finding in findings:
        for at, offence in enumerate(finding.first):
            head = f"{finding.invariant.number} {finding.invariant.says}: " if at == 0 else "  "
            parts.append(Text.assemble((head, "red"), f"{offence.where}: {offence.what}", overflow="fold"))
        if finding.violations > len(finding.first):
            parts.append(Text(f"  and {finding.violations - len(finding.first):,} more"))
    for finding in findings:
        parts += [
            Text(f"not checked, {finding.invariant.number}: {why}", style="yellow") for why in finding.not_checked
        ]
    return Group(*parts)
