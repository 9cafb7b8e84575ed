"""The views, filled anew from the topics into a database beside, compared with those in use, and put in their place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, Table, delete, insert, select, text

from credstream.audit.broker import KafkaLog
from schemas.topology import Processor, inputs
from streams.settings import Installation
from streams.tables import METADATA, POSITION, open_database
from streams.views import View

_AT_ONCE: Final = 1_000
_MASK: Final = (1 << 256) - 1
Advance = Callable[[int], None]
Positions = Mapping[tuple[str, int], int]
TABLES: Final[Sequence[Table]] = [table for table in METADATA.sorted_tables if table is not POSITION]


class Compared(Struct, frozen=True, kw_only=True):
    """One table, as it is in use and as it was filled anew: rows and a digest of each."""

    table: str
    rows: int
    digest: str
    anew_rows: int
    anew_digest: str

    @property
    def same(self) -> bool:
        """Say whether both hold the same rows."""
        return (self.rows, self.digest) == (self.anew_rows, self.anew_digest)


class Rebuilt:
    """A database beside the one in use, filled from the topics."""

    def __init__(self, installation: Installation, engine: Engine) -> None:
        """Fill this one."""
        self._installation, self.engine, self._view = installation, engine, View(engine)

    def fill(self, until: Positions, advance: Advance = lambda _: None) -> None:
        """Take in every record up to these positions of the views that are compared.

        Raises:
            UnavailableError: Kafka does not answer.
            MalformedError: A record of our own cannot be read.
        """
        log = KafkaLog(self._installation.bootstrap_servers, self._installation.kafka.lanes)
        try:
            for topic in inputs(Processor.VIEWS):
                for lane in range(self._installation.kafka.lanes):
                    start, end = self._view.next_offset(topic.name, lane), until.get((topic.name, lane), 0)
                    records = ((r.topic, r.lane, r.offset, r.value) for r in log.records(topic, lane, start, end))
                    for some in _batches(records):
                        self._view.take(some)
                        advance(len(some))
        finally:
            log.close()


@contextmanager
def rebuilt(installation: Installation) -> Iterator[Rebuilt]:
    """Make an empty database beside the views for the length of a `with` block."""
    folder = installation.folder / "views"
    folder.mkdir(exist_ok=True)
    path = folder / "rebuilt.db"
    _remove(path)
    engine = open_database(f"sqlite:///{path.absolute()}")
    try:
        yield Rebuilt(installation, engine)
    finally:
        engine.dispose()
        _remove(path)


def positions(connection: Connection) -> Positions:
    """Return up to where views have come."""
    return {(topic, lane): following for topic, lane, following in connection.execute(select(POSITION))}


@contextmanager
def at_one_moment(engine: Engine) -> Iterator[Connection]:
    """Read all tables as they are at one moment, for the length of a `with` block."""
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        else:
            connection.exec_driver_sql("BEGIN")
        yield connection
        connection.rollback()


def digest(connection: Connection, table: Table) -> tuple[int, str]:
    """Return how many rows a table has, and a digest of them in which their order does not matter."""
    rows, total = 0, 0
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(select(table)):
        rows += 1
        total += int.from_bytes(hashlib.sha256(msgspec.msgpack.encode(tuple(row))).digest(), "big")
    return rows, f"{total & _MASK:064x}"


def digests(connection: Connection) -> Mapping[str, tuple[int, str]]:
    """Return what `digest` says of each table."""
    return {table.name: digest(connection, table) for table in TABLES}


def compared(in_use: Mapping[str, tuple[int, str]], anew: Mapping[str, tuple[int, str]]) -> Sequence[Compared]:
    """Return both side by side."""
    return [
        Compared(table=str(name), rows=rows, digest=said, anew_rows=anew[name][0], anew_digest=anew[name][1])
        for name, (rows, said) in in_use.items()
    ]


def swap(engine: Engine, made: Rebuilt, tables: Sequence[str]) -> None:
    """Put what was filled anew into the place of these tables, whole, in one transaction.

    Who reads sees the former rows, then the new ones. Views that are running wait meanwhile and go on from where they were.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("LOCK TABLE position IN EXCLUSIVE MODE"))
        made.fill(positions(connection))
        with made.engine.connect() as source:
            for table in (METADATA.tables[name] for name in tables):
                connection.execute(delete(table))
                rows: Any = source.execution_options(yield_per=_AT_ONCE).execute(select(table))
                for some in rows.mappings().partitions(_AT_ONCE):
                    connection.execute(insert(table), [dict(row) for row in some])


def _batches(records: Iterator[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for record in records:
        batch.append(record)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
