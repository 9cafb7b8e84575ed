"""What was read and found so far, in one SQLite file: a checkpoint, and the reason why memory does not grow with the log.

Records are sorted on disk: by lane and offset as they stand, by learner for the evaluation of each life.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from credstream.audit.invariants import Offence

_SCHEMA: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE position (topic TEXT, lane INTEGER, next INTEGER, PRIMARY KEY (topic, lane)) WITHOUT ROWID;
CREATE TABLE seen (topic TEXT, lane INTEGER, records INTEGER, PRIMARY KEY (topic, lane)) WITHOUT ROWID;
CREATE TABLE inbox (
    lane INTEGER, at INTEGER, learner TEXT, kind TEXT, event TEXT, provider TEXT, appended_at INTEGER, arrived_at INTEGER,
    key BLOB, value BLOB, jws BLOB, PRIMARY KEY (lane, at)) WITHOUT ROWID;
CREATE INDEX inbox_of_learner ON inbox (learner, lane, at);
CREATE TABLE decided (
    lane INTEGER, at INTEGER, no INTEGER, inbox_at INTEGER, learner TEXT, decided_at INTEGER, body BLOB,
    PRIMARY KEY (lane, at)) WITHOUT ROWID;
CREATE INDEX decided_of_inbox ON decided (lane, inbox_at);
CREATE TABLE quarantined (
    lane INTEGER, at INTEGER, stage TEXT, topic TEXT, partition INTEGER, source INTEGER, reason TEXT, sha256 TEXT, size INTEGER,
    value BLOB, PRIMARY KEY (lane, at)) WITHOUT ROWID;
CREATE INDEX quarantined_source ON quarantined (topic, partition, source);
CREATE TABLE redriven (
    lane INTEGER, at INTEGER, source TEXT, sha256 TEXT, PRIMARY KEY (lane, at)) WITHOUT ROWID;
CREATE TABLE resolved (
    lane INTEGER, at INTEGER, source TEXT, resolution TEXT, to_lane INTEGER, to_at INTEGER, PRIMARY KEY (lane, at)) WITHOUT ROWID;
CREATE TABLE claim (
    lane INTEGER, at INTEGER, programme TEXT, no INTEGER, decision INTEGER, learner TEXT, achievement TEXT, award INTEGER,
    edition INTEGER, credential TEXT, list TEXT, place INTEGER, claimed_at INTEGER, body BLOB,
    PRIMARY KEY (lane, at)) WITHOUT ROWID;
CREATE INDEX claim_no ON claim (programme, lane, no);
CREATE INDEX claim_of_learner ON claim (learner, achievement, award);
CREATE INDEX claim_credential ON claim (credential);
CREATE INDEX claim_decision ON claim (lane, decision);
CREATE INDEX claim_place ON claim (list, place);
CREATE TABLE issued (
    lane INTEGER, at INTEGER, programme TEXT, no INTEGER, credential TEXT, achievement TEXT, digest BLOB,
    PRIMARY KEY (lane, at)) WITHOUT ROWID;
CREATE INDEX issued_no ON issued (programme, lane, no);
CREATE INDEX issued_credential ON issued (credential);
CREATE TABLE voided (
    lane INTEGER, at INTEGER, programme TEXT, no INTEGER, credential TEXT, key_id TEXT, catalogue TEXT,
    PRIMARY KEY (lane, at)) WITHOUT ROWID;
CREATE INDEX voided_no ON voided (programme, lane, no);
CREATE TABLE status (
    lane INTEGER, at INTEGER, list TEXT, no INTEGER, kind TEXT, learner TEXT, credential TEXT, status TEXT, reason TEXT,
    place INTEGER, cause TEXT, urgent INTEGER, decided_at INTEGER, key_id TEXT, PRIMARY KEY (lane, at)) WITHOUT ROWID;
CREATE INDEX status_of_list ON status (list, no);
CREATE INDEX status_of_learner ON status (learner, lane, at);
CREATE TABLE changed (
    lane INTEGER, at INTEGER, list TEXT, credential TEXT, status TEXT, place INTEGER, version INTEGER, decided_at INTEGER,
    effective_at INTEGER, PRIMARY KEY (lane, at)) WITHOUT ROWID;
CREATE INDEX changed_credential ON changed (credential);
CREATE INDEX changed_list ON changed (list, version);
CREATE TABLE list (list TEXT PRIMARY KEY, lane INTEGER, at INTEGER, version INTEGER, digest BLOB, places BLOB, valid_until INTEGER,
    published_at INTEGER);
CREATE TABLE catalogue (digest TEXT PRIMARY KEY, programme TEXT, text BLOB);
CREATE TABLE adoption (
    programme TEXT, lane INTEGER, at INTEGER, no INTEGER, digest TEXT, adopted_at INTEGER, effective_from INTEGER,
    PRIMARY KEY (programme, lane, at)) WITHOUT ROWID;
CREATE TABLE unreadable (topic TEXT, lane INTEGER, at INTEGER, PRIMARY KEY (topic, lane, at)) WITHOUT ROWID;
CREATE TABLE due (learner TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE checked (invariant TEXT, scope TEXT, number INTEGER, PRIMARY KEY (invariant, scope)) WITHOUT ROWID;
CREATE TABLE offence (invariant TEXT, scope TEXT, place TEXT, what TEXT);
CREATE INDEX offence_scope ON offence (scope);
CREATE TABLE unchecked (invariant TEXT, why TEXT, PRIMARY KEY (invariant, why)) WITHOUT ROWID;
"""
_CACHE_KB: Final = 32_000
_FORMAT: Final = "2"
_BATCH: Final = 5_000
FIRST: Final = 5
"""How many offences are named."""


class Store:
    """The file. Everything written between two commits is there after a crash, or none of it."""

    def __init__(self, path: Path) -> None:
        """Open a checkpoint, or begin one.

        Raises:
            ValueError: It is another version's, or no checkpoint.
        """
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            self._db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA temp_store = FILE")
            self._db.execute("PRAGMA synchronous = OFF")
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'about'").fetchone():
                self._db.executescript(_SCHEMA)
                self.note("format", _FORMAT)
            if self.noted("format") != _FORMAT:
                raise ValueError(f"{path} is a checkpoint of another version; begin a new one")
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{path} is no checkpoint: {error}") from None
        self._waiting: dict[str, list[tuple[Any, ...]]] = {}
        self._checked: dict[tuple[str, str], int] = {}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Do all or nothing."""
        self._db.execute("BEGIN")
        try:
            yield
            self.flush()
        except BaseException:
            self._waiting.clear()
            self._checked.clear()
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- rows ----------------------------------------------------------------------------------------------------------

    def add(self, table: str, *row: Any) -> None:
        """Add a row; rows are written in batches, and one with a key that is there replaces it."""
        waiting = self._waiting.setdefault(table, [])
        waiting.append(row)
        if len(waiting) >= _BATCH:
            self._write(table)

    def _write(self, table: str) -> None:
        if rows := self._waiting.pop(table, None):
            marks = ",".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)  # noqa: S608  our own names

    def flush(self) -> None:
        """Write what waits."""
        for table in list(self._waiting):
            self._write(table)
        counted, self._checked = self._checked, {}
        self._db.executemany(
            "INSERT INTO checked VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number",
            [(invariant, scope, number) for (invariant, scope), number in counted.items()],
        )

    def ask(self, query: str, *values: Any) -> sqlite3.Cursor:
        """Run a query."""
        return self._db.execute(query, values)

    def one(self, query: str, *values: Any) -> Any:
        """Return the only value, or None."""
        row = self._db.execute(query, values).fetchone()
        return None if row is None else row[0]

    def note(self, name: str, value: str) -> None:
        """Remember a word about the log."""
        self._db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    def noted(self, name: str) -> str | None:
        """Return it."""
        found: str | None = self.one("SELECT value FROM about WHERE name = ?", name)
        return found

    def position(self, topic: str, lane: int) -> int:
        """Return up to where a lane has been read."""
        return self.one("SELECT next FROM position WHERE topic = ? AND lane = ?", topic, lane) or 0

    # -- findings ------------------------------------------------------------------------------------------------------

    def check(self, invariant: str, scope: str = "read", number: int = 1) -> None:
        """Count what was checked; ``scope`` names what is checked anew together, `read` what is read once."""
        key = (invariant, scope)
        self._checked[key] = self._checked.get(key, 0) + number

    def offend(self, invariant: str, where: str, what: str, scope: str = "read") -> None:
        """Note where an invariant does not hold."""
        self.add("offence", invariant, scope, where, what)

    def offend_all(self, invariant: str, scope: str, found: Iterable[tuple[str, str]]) -> None:
        """Note several places."""
        for where, what in found:
            self.offend(invariant, where, what, scope)

    def skip(self, invariant: str, why: str) -> None:
        """Note what is not checked, and why."""
        self._db.execute("INSERT OR IGNORE INTO unchecked VALUES (?, ?)", (invariant, why))

    def forget(self, scope: str) -> None:
        """Forget what was found in a scope, to check it anew."""
        self._db.execute("DELETE FROM offence WHERE scope = ?", (scope,))
        self._db.execute("DELETE FROM checked WHERE scope = ?", (scope,))

    def forget_reasons(self) -> None:
        """Forget why something is not checked."""
        self._db.execute("DELETE FROM unchecked")

    def found(self, invariant: str) -> tuple[int, int, tuple[Offence, ...], tuple[str, ...]]:
        """Return how much was checked of an invariant, how many offences there are, the first, and what was not checked."""
        checked = self.one("SELECT SUM(number) FROM checked WHERE invariant = ?", invariant) or 0
        number = self.one("SELECT COUNT(*) FROM offence WHERE invariant = ?", invariant)
        first = self.ask("SELECT place, what FROM offence WHERE invariant = ? ORDER BY rowid LIMIT ?", invariant, FIRST)
        why = self.ask("SELECT why FROM unchecked WHERE invariant = ? ORDER BY why", invariant)
        return checked, number, tuple(Offence(*row) for row in first), tuple(row[0] for row in why)
