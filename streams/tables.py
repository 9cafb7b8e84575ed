"""The tables of the views. Each can be dropped and rebuilt from the topics; none holds anything that is not in the log."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DisconnectionError

METADATA: Final = MetaData()
_ID: Final = String(200)
_MAKING_TABLES: Final = 0x6372_6564  # the key of an advisory lock

POSITION: Final = Table(
    "position",
    METADATA,
    Column("topic", String(100), primary_key=True),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("next", BigInteger, nullable=False),
)
COMPLETION: Final = Table(
    "completion",
    METADATA,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("inbox_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("programme", _ID),
    Column("provider", _ID),
    Column("event_id", _ID),
    Column("result_id", _ID),
    Column("learner_ref", String(32)),
    Column("disposition", String(40), nullable=False),
    Column("detail", Text),
    Column("decision_no", BigInteger),
    Column("decided_at", BigInteger, nullable=False),
    Index("completion_event", "provider", "event_id"),
    Index("completion_result", "provider", "result_id"),
)
OUTCOME: Final = Table(
    "outcome",
    METADATA,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("decision_no", BigInteger, primary_key=True, autoincrement=False),
    Column("achievement", _ID, primary_key=True),
    Column("programme", _ID, nullable=False),
    Column("learner_ref", String(32)),
    Column("verdict", String(40), nullable=False),
    Column("award", Integer),
    Column("credential_id", String(36)),
    Column("rule_digest", String(80)),
    Column("explanation", Text, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Index("outcome_learner", "programme", "learner_ref"),
)
CREDENTIAL: Final = Table(
    "credential",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("programme", _ID, nullable=False),
    Column("learner_ref", String(32), nullable=False),
    Column("achievement", _ID, nullable=False),
    Column("award", Integer, nullable=False),
    Column("edition", Integer, nullable=False),
    Column("supersedes", String(36)),
    Column("claimed_at", BigInteger, nullable=False),
    Column("awarded_at", BigInteger, nullable=False),
    Column("valid_until", BigInteger),
    Column("level", _ID),
    Column("status_list", Text, nullable=False),
    Column("status_index", Integer, nullable=False),
    Column("catalogue_digest", String(80), nullable=False),
    Column("digest", String(80), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("credential_learner", "programme", "learner_ref"),
    Index("credential_newest", "claimed_at"),
)
VOIDED: Final = Table(
    "voided",
    METADATA,
    Column("credential_id", String(36), primary_key=True),
    Column("programme", _ID, nullable=False),
    Column("achievement", _ID, nullable=False),
    Column("key_id", _ID, nullable=False),
    Column("reason", String(40), nullable=False),
    Column("claimed_at", BigInteger, nullable=False),
)
# Apart from `credential`, so that a change may come before the credential that it is about.
CREDENTIAL_STATUS: Final = Table(
    "credential_status",
    METADATA,
    Column("credential_id", String(36), primary_key=True),
    Column("status", String(20), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("list_version", BigInteger, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("effective_at", BigInteger, nullable=False),
)
STATUS_LIST: Final = Table(
    "status_list",
    METADATA,
    Column("url", String(500), primary_key=True),
    Column("programme", _ID, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    Column("set_bits", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
CATALOGUE: Final = Table(
    "catalogue",
    METADATA,
    Column("programme", _ID, primary_key=True),
    Column("digest", String(80), primary_key=True),
    Column("published_at", BigInteger, nullable=False),
    Column("packed", LargeBinary, nullable=False),
)
QUARANTINE: Final = Table(
    "quarantine",
    METADATA,
    Column("topic", String(100), primary_key=True),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("stage", String(40), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("appended_at", BigInteger, nullable=False),
)
# Apart from `quarantine` and `completion`, so that word of a redrive may come before what it is about.
RESOLUTION: Final = Table(
    "resolution",
    METADATA,
    Column("topic", String(100), primary_key=True),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("resolution", String(20), nullable=False),
    Column("redriven_lane", Integer),
    Column("redriven_offset", BigInteger),
    Column("resolved_by", _ID, nullable=False),
    Column("resolved_at", BigInteger, nullable=False),
)
# What a dashboard counts, by minute of the log's time, so that it need not scan the others.
TALLY: Final = Table(
    "tally",
    METADATA,
    Column("kind", String(20), primary_key=True),
    Column("label", _ID, primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
)


def open_database(url: str, *, rebuild: bool = False) -> Engine:
    """Connect to the views' database and make the tables that are missing.

    With ``rebuild``, tables of another version of this program are dropped, positions too, and so filled again from the topics.
    """
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "checkout", _is_still_the_file)
    make_tables(engine, METADATA, rebuild=rebuild)
    return engine


def make_tables(engine: Engine, tables: MetaData, *, rebuild: bool = False) -> None:
    """Make the tables that are missing. Processes that start together do so one after the other."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(select(func.pg_advisory_xact_lock(_MAKING_TABLES)))
        if rebuild and _is_of_another_version(connection, tables):
            tables.drop_all(connection)
        tables.create_all(connection)


def _is_of_another_version(connection: Connection, tables: MetaData) -> bool:
    found = inspect(connection)
    return any(
        {column["name"] for column in found.get_columns(table.name)} != set(table.columns.keys())
        for table in tables.sorted_tables
        if found.has_table(table.name)
    )


def _set_up_sqlite(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
    cursor.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the newest rows; their positions go with them
    cursor.close()


def _is_still_the_file(connection: Any, record: Any, _proxy: object) -> None:
    """Connect anew when another file has taken the place of the one that is open: views are built anew in a file of their own."""
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    found = os.stat(path).st_ino if os.path.exists(path) else None  # noqa: PTH110, PTH116  each request passes here
    if record.info.setdefault("file", found) != found or found is None:
        raise DisconnectionError


def set_aside_damaged(url: str) -> Path | None:
    """Move views in a SQLite file that is damaged out of the way, so that they are built anew; return where they went."""
    location = make_url(url)
    if location.get_backend_name() != "sqlite" or not location.database or not Path(location.database).exists():
        return None
    path = Path(location.database)
    with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.DatabaseError):
        if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
            return None
    aside = path.with_suffix(".damaged")
    path.replace(aside)
    for belongs in ("-wal", "-shm"):
        path.with_name(path.name + belongs).unlink(missing_ok=True)
    return aside


def insert_new(dialect: Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that leaves rows alone that are there already."""
    return _insert(dialect, table).on_conflict_do_nothing()


def _insert(dialect: Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect.name == "sqlite" else postgresql.insert(table)


def upsert_newest(dialect: Dialect, table: Table, newest_by: str) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that replaces a row by one whose `newest_by` is not smaller."""
    insert = _insert(dialect, table)
    keys = {column.name for column in table.primary_key}
    changed = {column.name: insert.excluded[column.name] for column in table.columns if column.name not in keys}
    newer = table.c[newest_by] <= insert.excluded[newest_by]
    return insert.on_conflict_do_update(index_elements=sorted(keys), set_=changed, where=newer)


def add_up(dialect: Dialect) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that adds to a tally."""
    insert = _insert(dialect, TALLY)
    total = TALLY.c["count"] + insert.excluded["count"]
    return insert.on_conflict_do_update(index_elements=["kind", "label", "minute"], set_={"count": total})
