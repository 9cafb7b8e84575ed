"""`credstream send`: completions from files, through the gateway."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter
from rich.progress import Progress
from rich.table import Table

from credstream.cli.console import DEFAULT_FOLDER, Data, Exit, Json, err, installation, is_terminal, out, write_json
from credstream.client.completions import CompletionsClient, LineResult
from credstream.local.supervisor import gateway_url
from schemas.errors import RefusedError
from streams.settings import Installation

_NUMBERS: Final = frozenset({"score", "score_max", "revision", "attempt"})
_TRUTHS: Final = frozenset({"passed", "critical"})
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_SHOWN: Final = 20


def send(
    *files: Path,
    provider: Annotated[str | None, Parameter(help="Who sends; needed when the installation knows several.")] = None,
    programme: Annotated[str | None, Parameter(help="For which programme; needed when there are several.")] = None,
    gateway: Annotated[str | None, Parameter(help="A gateway elsewhere; by default this installation's.")] = None,
    key_file: Annotated[Path | None, Parameter(help="The API key's file; by default the installation's own.")] = None,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Send completions from CSV or NDJSON files; sending them again changes nothing.

    Each line is one completion. A CSV file names its columns in the first line: learner_scheme and learner_identifier (or
    learner_ref), result_id, assessment, completed_at, and as needed score, score_max, passed, revision, kind, ...

    Example: credstream send results.csv --provider northern-college
    """
    if not files:
        err.print("credstream send: name at least one file")
        return Exit.USAGE
    if missing := [str(path) for path in files if not path.is_file()]:
        err.print(f"credstream send: no such file: {', '.join(missing)}")
        return Exit.USAGE
    place = None if gateway and key_file else installation(data)
    key = (key_file or _key_file(place, programme, provider)).read_text().strip()
    client = CompletionsClient(gateway or gateway_url(_needed(place)), key)
    accepted, refused = 0, []
    try:
        with Progress(console=err, disable=not is_terminal()) as progress:
            total = sum(_count(path) for path in files)
            task = progress.add_task("sending", total=total)
            for result in client.send(row for path in files for row in rows(path)):
                progress.advance(task)
                if result.accepted:
                    accepted += 1
                else:
                    refused.append(result)
    finally:
        client.close()
    _report(accepted, refused, as_json=as_json)
    return Exit.NO if refused else Exit.DONE


def _needed(place: Installation | None) -> Installation:
    if place is None:
        raise RefusedError("--key-file and --gateway go together")
    return place


def _key_file(place: Installation | None, programme: str | None, provider: str | None) -> Path:
    folder = _needed(place).secret_path("providers")
    found = sorted(folder.glob(f"{programme or '*'}/{provider or '*'}.key"))
    if len(found) != 1:
        known = ", ".join(f"{p.parent.name}/{p.stem}" for p in sorted(folder.glob("*/*.key"))) or "none"
        raise RefusedError(f"say which provider sends, with --provider (and --programme); known here: {known}")
    return found[0]


def _count(path: Path) -> int:
    with path.open("rb") as file:
        lines = sum(1 for line in file if line.strip())
    return lines - 1 if path.suffix == ".csv" else lines


def rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the completions in a CSV or NDJSON file, as the gateway reads them.

    Raises:
        RefusedError: A line is not JSON, or the CSV has no header; the message names the line.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".csv":
            for row in csv.DictReader(file):
                yield _completion(row)
            return
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield json.loads(line, parse_float=Decimal)
                except ValueError as error:
                    raise RefusedError(f"{path}:{number}: not JSON: {error}") from None


def _completion(row: Mapping[str, str | None]) -> dict[str, Any]:
    completion: dict[str, Any] = {}
    for name, text in row.items():
        if not name or text is None or not text.strip():
            continue
        value = text.strip()
        if name in _NUMBERS and _NUMBER.fullmatch(value):
            completion[name] = msgspec.Raw(value.encode())
        elif name in _TRUTHS and value.lower() in {"true", "false"}:
            completion[name] = value.lower() == "true"
        else:
            completion[name] = value
    if "learner_identifier" in completion:
        scheme = completion.pop("learner_scheme", "email")
        completion["learner"] = {"scheme": scheme, "identifier": completion.pop("learner_identifier")}
    return completion


def _report(accepted: int, refused: list[LineResult], *, as_json: bool) -> None:
    if as_json:
        write_json({"accepted": accepted, "refused": [{"line": r.line, "errors": r.problems} for r in refused]})
        return
    out.print(f"{accepted:,} accepted, {len(refused):,} refused")
    if refused:
        table = Table("line", "field", "why")
        for result in refused[:_SHOWN]:
            for problem in result.problems:
                table.add_row(str(result.line), problem.get("field", ""), problem.get("detail", ""))
        out.print(table)
        if len(refused) > _SHOWN:
            out.print(f"… and {len(refused) - _SHOWN:,} more; --json lists all")
