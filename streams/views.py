"""The views: a Faust agent that keeps rows and positions in one database transaction, so that redelivery changes nothing.

Faust reads uncommitted records unless it is in its own exactly-once mode, and would show credentials whose transaction was
aborted: the consumer thread here reads committed ones. On every assignment the database says where to start, so a restored
backup catches up by itself.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import faust
import prometheus_client
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from sqlalchemy import Connection, Engine, Table, select, tuple_

from schemas.errors import MalformedError
from schemas.topology import Processor, inputs
from streams import metrics
from streams.hanging import watch_open_transactions
from streams.rows import Row, Rows, Tally
from streams.settings import Installation
from streams.tables import (
    CATALOGUE,
    CREDENTIAL_STATUS,
    POSITION,
    STATUS_LIST,
    add_up,
    insert_new,
    open_database,
    set_aside_damaged,
    upsert_newest,
)

log = logging.getLogger(__name__)

_BATCH: Final = 1_000
_WITHIN_S: Final = 0.1
_SESSION_S: Final = 6.0
_NEWEST_BY: Final = {STATUS_LIST: "version", CREDENTIAL_STATUS: "list_version", CATALOGUE: "published_at"}
# Several changes may take effect in one version of a list: the later decision counts, and of one instant the later record.
_THEN: Final = {CREDENTIAL_STATUS: ("decided_at",)}
_APART: Final = {CREDENTIAL_STATUS: ("status",)}
ROWS: Final = prometheus_client.Counter("credstream_view_rows", "Rows written to the views.", ["table"])
WRITE_SECONDS: Final = prometheus_client.Histogram(
    "credstream_view_write_seconds", "Writing one batch into the database."
)


class View:
    """Rows and positions in one database."""

    def __init__(self, engine: Engine) -> None:
        """Write to this database."""
        self._engine = engine
        with engine.connect() as connection:
            self._next: dict[tuple[str, int], int] = {
                (topic, lane): following for topic, lane, following in connection.execute(select(POSITION))
            }

    def next_offset(self, topic: str, lane: int) -> int:
        """Return where to start."""
        return self._next.get((topic, lane), 0)

    def take(self, records: Sequence[tuple[str, int, int, bytes]]) -> None:
        """Apply what is new of records (topic, lane, offset, value). All of it or none.

        Raises:
            MalformedError: A record of our own cannot be read; nothing of the batch was applied.
        """
        rows, following = Rows(), dict[tuple[str, int], int]()
        for topic, lane, offset, value in records:
            if offset >= following.get((topic, lane), self.next_offset(topic, lane)):
                rows.take(topic, value)
                following[topic, lane] = offset + 1
        if not following:
            return
        began = time.monotonic()
        dialect = self._engine.dialect
        counted: Counter[Tally] = Counter()
        with self._engine.begin() as connection:
            for table, found in rows.by_table.items():
                newest_by = _NEWEST_BY.get(table)
                new = newer(connection, table, found, newest_by) if newest_by else unknown(connection, table, found)
                insert = upsert_newest(dialect, table, newest_by) if newest_by else insert_new(dialect, table)
                for row in [new] if new and not newest_by else [[row] for row in new]:
                    connection.execute(insert, [one.values for one in row])
                counted.update(tally for row in new for tally in row.tallies)
            tallies = [
                {"kind": kind, "label": label, "minute": minute, "count": count}
                for (kind, label, minute), count in sorted(counted.items())
            ]
            if tallies:
                connection.execute(add_up(dialect), tallies)
            places = [{"topic": topic, "lane": lane, "next": at} for (topic, lane), at in following.items()]
            connection.execute(upsert_newest(dialect, POSITION, "next"), places)
        self._next |= following
        WRITE_SECONDS.observe(time.monotonic() - began)
        for table, found in rows.by_table.items():
            ROWS.labels(table.name).inc(len(found))


def unknown(connection: Connection, table: Table, found: Sequence[Row]) -> list[Row]:
    """Return those of the rows that are not there yet, each once: a transaction that stands twice in the log counts once."""
    by_key = {row.key(table): row for row in reversed(found)}
    columns = list(table.primary_key)
    known = select(*columns).where(tuple_(*columns).in_(list(by_key)))
    there = {tuple(row) for row in connection.execute(known)}
    return [row for key, row in reversed(by_key.items()) if key not in there]


def newer(connection: Connection, table: Table, found: Sequence[Row], newest_by: str) -> list[Row]:
    """Return those of the rows that come after the one that is there, in their order; the same again is none."""
    names = [newest_by, *_THEN.get(table, ()), *_APART.get(table, ())]
    orders = len(names) - len(_APART.get(table, ()))
    key, columns = list(table.primary_key), [table.c[name] for name in names]
    asked = select(*key, *columns).where(tuple_(*key).in_(list({row.key(table) for row in found})))
    last = {tuple(row[: len(key)]): tuple(row[len(key) :]) for row in connection.execute(asked)}
    new = []
    for row in found:
        said, before = tuple(row.values[name] for name in names), last.get(row.key(table))
        if before is None or said[:orders] > before[:orders] or (said[:orders] == before[:orders] and said != before):
            last[row.key(table)] = said
            new.append(row)
    return new


class _CommittedThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001  read when the consumer starts
        return consumer


class _DatabaseConsumer(driver.Consumer):
    """Starts each assignment from the database instead of from the group's committed offsets."""

    def _new_consumer_thread(self) -> _CommittedThread:
        return _CommittedThread(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to where the database is."""
        wanted = {topic.name for topic in inputs(Processor.VIEWS)}
        view: View = self.app.view  # type: ignore[attr-defined]
        starts = {tp: view.next_offset(tp.topic, tp.partition) for tp in self.assignment() if tp.topic in wanted}
        for tp, offset in starts.items():
            await self._seek(tp, offset)
        return starts


class _DatabaseTransport(driver.Transport):
    Consumer = _DatabaseConsumer


class _ViewsApp(faust.App):
    view: View

    def _new_transport(self) -> Any:
        return _DatabaseTransport(self.conf.broker_consumer, self)


def main(installation: Installation) -> int:
    """Keep the views until stopped; returns the exit code.

    Raises:
        RefusedError: The database cannot be opened.
    """
    if installation.database_url.startswith("sqlite"):
        (installation.folder / "views").mkdir(exist_ok=True)
    if aside := set_aside_damaged(installation.database_url):
        log.error("the views' file is damaged; it is now %s, and the views are built anew from the log", aside)
    app = _ViewsApp(
        Processor.VIEWS.value,
        broker=";".join(f"kafka://{server}" for server in installation.bootstrap_servers.split(",")),
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_partitions=installation.kafka.lanes,
        broker_session_timeout=_SESSION_S,
        broker_heartbeat_interval=_SESSION_S / 4,
        broker_rebalance_timeout=2 * _SESSION_S,
        consumer_max_fetch_size=8_000_000,
        key_serializer="raw",
        value_serializer="raw",
    )
    app.view = View(open_database(installation.database_url, rebuild=True))
    topics = app.topic(*(topic.name for topic in inputs(Processor.VIEWS)), key_type=bytes, value_type=bytes)
    failed: list[BaseException] = []

    async def views(stream: Any) -> None:
        async for events in stream.take_events(_BATCH, within=_WITHIN_S):
            try:
                app.view.take([(e.message.tp.topic, e.message.tp.partition, e.message.offset, e.value) for e in events])
                metrics.turned(Processor.VIEWS)
            except MalformedError as error:
                log.error("a record of our own cannot be read; the views stop here: %s", error)  # noqa: TRY400
                failed.append(error)
            except Exception as error:  # Faust would acknowledge the batch and go on without it
                log.exception("the views stop here")
                failed.append(error)
            if failed:
                await app.crash(failed[0])  # the supervisor starts us again, where the database is
                return

    app.agent(topics, concurrency=1)(views)
    watch_open_transactions(installation)
    sys.argv = ["views"]
    worker = faust.Worker(app, loglevel="WARNING", override_logging=False, redirect_stdouts=False)
    try:
        worker.execute_from_commandline()
    except SystemExit as stop:
        return int(stop.code or 0) if not failed else 75
    return 75 if failed else 0
