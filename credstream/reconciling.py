"""A provider's own list of completions, held against what became of each here: nothing that they sent may be missing."""

from __future__ import annotations

import csv
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import Engine, Row, func, select

from credstream.gateway.records import redriven
from schemas.errors import RefusedError, UnavailableError
from schemas.events import Verdict
from schemas.topology import INBOX
from streams.settings import Installation
from streams.tables import COMPLETION, OUTCOME
from streams.topics import ends

State = Literal["missing", "quarantined", "decided"]
ADDED: Final = (
    "credstream_state",
    "credstream_disposition",
    "credstream_detail",
    "credstream_decided_at",
    "credstream_credentials",
)
"""The columns that the answer adds to the provider's own."""
_AT_ONCE: Final = 500
_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.5
_NUMBER: Final = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
_SECOND: Final = 1_000_000
_REPEATS: Final = frozenset({"known", "outranked"})
_ASIDE: Final = "quarantined"
Given = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of the list name a completion: its event id, or else its result id."""

    event_id: str
    result_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """One line of the list, and what became of it. `credentials` are the ids of those that it earned."""

    line: int
    given: Given
    state: State
    disposition: str = ""
    detail: str = ""
    decided_at: str = ""
    credentials: tuple[str, ...] = ()

    def row(self) -> dict[str, str]:
        """Return the line with the columns that are added, fit for a spreadsheet."""
        said = (self.state, self.disposition, self.detail, self.decided_at, " ".join(self.credentials))
        return {name: inert(text) for name, text in {**self.given, **dict(zip(ADDED, said, strict=True))}.items()}


def lines(path: Path, columns: Columns) -> tuple[Sequence[str], Iterator[Given]]:
    """Return the names of a list's columns, and its lines.

    Raises:
        RefusedError: It cannot be read, or has neither column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = [name.strip() for name in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RefusedError(f"{path}: {error}") from None
    if not {columns.event_id, columns.result_id} & set(names):
        known = ", ".join(names) or "none"
        raise RefusedError(
            f"{path}: its first line must name a column {columns.event_id} or {columns.result_id}; it names {known}. "
            "If yours are called otherwise, say so with --event-id and --result-id"
        )
    return names, _lines(path, names)


def _lines(path: Path, names: Sequence[str]) -> Iterator[Given]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            next(reader)
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield dict(zip(names, [*row, *[""] * len(names)], strict=False))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RefusedError(f"{path}: {error}") from None


def settle(installation: Installation, engine: Engine, say: Callable[[int], None] = lambda _: None) -> None:
    """Wait until all that stands in the inbox now is decided and in the views, so that what is not there is missing.

    Raises:
        UnavailableError: It takes longer than a minute.
    """
    wanted = {lane: end for (_, lane), end in ends(installation, [INBOX]).items()}
    deadline = time.monotonic() + _PATIENCE_S
    while behind := sum(max(0, end - _seen(engine, lane, end)) for lane, end in wanted.items()):
        say(behind)
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"{behind:,} records of {INBOX.name} are not in the views yet, so nothing can be said to be missing; "
                "are competency and views running? (credstream doctor, or the dashboard)"
            )
        time.sleep(_PAUSE_S)


def _seen(engine: Engine, lane: int, end: int) -> int:
    query = select(func.count()).where(COMPLETION.c.lane == lane, COMPLETION.c.inbox_offset < end)
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def reconcile(
    engine: Engine, programme: str, provider: str, given: Iterable[Given], columns: Columns
) -> Iterator[Reconciled]:
    """Yield each line with what became of it; a completion that was set aside and redriven counts by what became of it last."""
    batch: list[Given] = []
    done = 1
    for line in given:
        batch.append(line)
        if len(batch) == _AT_ONCE:
            yield from _batch(engine, programme, provider, batch, columns, done)
            done, batch = done + len(batch), []
    yield from _batch(engine, programme, provider, batch, columns, done)


def _batch(
    engine: Engine, programme: str, provider: str, batch: Sequence[Given], columns: Columns, done: int
) -> Iterator[Reconciled]:
    named = [(line.get(columns.event_id, "").strip(), line.get(columns.result_id, "").strip()) for line in batch]
    events = {event for event, _ in named if event}
    results = {result for event, result in named if result and not event}
    mine = (COMPLETION.c.programme == programme) & (COMPLETION.c.provider == provider) & ~redriven()
    by_event: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    by_result: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    order = (COMPLETION.c.lane, COMPLETION.c.inbox_offset)
    with engine.connect() as connection:
        for row in connection.execute(
            select(COMPLETION).where(mine, COMPLETION.c.event_id.in_(events)).order_by(*order)
        ):
            by_event[row.event_id].append(row)
        for row in connection.execute(
            select(COMPLETION).where(mine, COMPLETION.c.result_id.in_(results)).order_by(*order)
        ):
            by_result[row.result_id].append(row)
        for number, (line, (event, result)) in enumerate(zip(batch, named, strict=True), done + 1):
            rows = by_event[event] if event else by_result[result]
            yield _reconciled(connection, number, line, rows)


def _reconciled(connection: Any, number: int, line: Given, rows: Sequence[Row[Any]]) -> Reconciled:
    if not rows:
        return Reconciled(line=number, given=line, state="missing")
    decided = [row for row in rows if row.disposition != _ASIDE]
    counted = [row for row in decided if row.disposition not in _REPEATS]
    row = (counted or decided or rows)[-1]
    state: State = "decided" if decided else "quarantined"
    credentials = () if row.decision_no is None else _earned(connection, row.lane, row.decision_no)
    at = datetime.fromtimestamp(row.decided_at / _SECOND, UTC).isoformat(timespec="seconds")
    return Reconciled(
        line=number,
        given=line,
        state=state,
        disposition=row.disposition,
        detail=row.detail or "",
        decided_at=at,
        credentials=credentials,
    )


def _earned(connection: Any, lane: int, decision_no: int) -> tuple[str, ...]:
    query = select(OUTCOME.c.credential_id).where(
        OUTCOME.c.lane == lane,
        OUTCOME.c.decision_no == decision_no,
        OUTCOME.c.verdict.in_([Verdict.GRANTED, Verdict.REISSUED]),
    )
    return tuple(row.credential_id for row in connection.execute(query.order_by(OUTCOME.c.achievement)))


def inert(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: one that begins like one gets an apostrophe (OWASP, CSV injection)."""
    if cell[:1] in {
        "=",
        "+",
        "-",
        "@",
        "\t",
        "\r",
        "\n",
        "\uff1d",
        "\uff0b",
        "\uff0d",
        "\uff20",
    } and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def write(path: Path, names: Sequence[str], found: Iterable[Reconciled]) -> Iterator[Reconciled]:
    """Write each line with what became of it, and pass it on.

    Raises:
        RefusedError: The file cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [inert(name) for name in (*names, *ADDED)])
            writer.writeheader()
            for one in found:
                writer.writerow({inert(name): cell for name, cell in one.row().items()})
                yield one
    except OSError as error:
        raise RefusedError(f"{path}: {error}") from None
