"""The views: rows and positions change together, so redelivery, any order of topics and a lost database change nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest
from sqlalchemy import func, select
from support.pipe import Pipe, completion, until

from credstream.reading import committed
from schemas.topology import ISSUED, Processor, inputs
from streams.tables import CREDENTIAL, METADATA, POSITION, TALLY, open_database
from streams.views import View

Batch = list[tuple[str, int, int, bytes]]


@pytest.fixture
def log(pipe: Pipe) -> Batch:
    """Everything that views read, topic by topic."""
    pipe.send([completion(f"view-{i}") for i in range(30)])
    for i in range(30):
        pipe.fate(f"view-{i}-0")
    for _ in until("thirty credentials"):
        issued = list(committed(pipe.place.bootstrap_servers, ISSUED))
        if len(issued) >= 30:
            break
    return [
        (r.topic, r.partition, r.offset, r.value)
        for topic in inputs(Processor.VIEWS)
        for r in committed(pipe.place.bootstrap_servers, topic)
    ]


def contents(url: str) -> dict[str, list[tuple[object, ...]]]:
    with open_database(url).connect() as connection:
        return {t.name: sorted(map(tuple, connection.execute(select(t))), key=repr) for t in METADATA.sorted_tables}


@pytest.mark.fault("D3")
def test_redelivery_and_other_orders_of_topics_give_the_same_rows(log: Batch, tmp_path: Path) -> None:
    once, again = f"sqlite:///{tmp_path / 'once.db'}", f"sqlite:///{tmp_path / 'again.db'}"
    View(open_database(once)).take(log)
    view = View(open_database(again))
    by_topic = sorted(log, key=lambda r: (r[0], r[1], r[2]), reverse=False)
    for start in range(0, len(by_topic), 7):
        view.take(by_topic[start : start + 7])
        view.take(by_topic[max(0, start - 3) : start + 7])
    View(open_database(again)).take(log)  # a process that starts again reads its positions
    assert contents(again) == contents(once)


def test_processes_that_start_together_make_the_tables_once(tmp_path: Path) -> None:
    make = "import sys; from streams.tables import open_database as o; print(flush=True); o(input(), rebuild=True)"
    for attempt in range(5):
        started = [
            subprocess.Popen([sys.executable, "-c", make], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
            for _ in range(6)
        ]
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        for process in started:
            assert process.stdin is not None
            process.stdin.write(f"sqlite:///{tmp_path / f'{attempt}.db'}\n")
            process.stdin.flush()
        assert [process.communicate()[1] for process in started] == [""] * len(started)


def test_a_record_that_cannot_be_read_leaves_rows_and_positions_as_they_were(log: Batch, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'views.db'}"
    view = View(open_database(url))
    view.take(log[:20])
    before = contents(url)
    with pytest.raises(Exception, match="malformed"):
        view.take([*log[20:25], (ISSUED.name, 0, 1 << 40, b"nonsense")])
    assert contents(url) == before


def test_postgresql_holds_the_same_rows(log: Batch, tmp_path: Path, postgresql: str) -> None:
    sqlite = f"sqlite:///{tmp_path / 'views.db'}"
    opened = [open_database(url) for url in (sqlite, postgresql)]
    for engine in opened:
        view = View(engine)
        view.take(log)
        view.take(log)
    engines = open_database(postgresql), open_database(sqlite)
    with engines[0].connect() as ours, engines[1].connect() as theirs:
        for query in (
            select(func.count()).select_from(CREDENTIAL),
            select(func.sum(TALLY.c["count"])),
            select(POSITION).order_by(POSITION.c.topic, POSITION.c.lane),
        ):
            assert list(map(tuple, ours.execute(query))) == list(map(tuple, theirs.execute(query)))
    for engine in (*engines, *opened):
        engine.dispose()


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[str]:
    """A throwaway PostgreSQL on a socket of its own."""
    programs = sorted(p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("needs system package postgresql")
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    folder = tmp_path / "pg"
    folder.mkdir()
    if drop:  # PostgreSQL will not run as root
        shutil.chown(folder, 65534, 65534)
    for parent in (tmp_path, *tmp_path.parents):
        if len(parent.parts) > 2:  # below the folder for temporary files
            parent.chmod(0o755)
    subprocess.run(
        [*drop, programs[-1] / "initdb", "-D", folder / "data", "-A", "trust", "-U", "credstream"],
        check=True,
        capture_output=True,
    )
    server = subprocess.Popen(
        [*drop, programs[-1] / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses="],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in until("PostgreSQL", 30):
            ready = subprocess.run([programs[-1] / "pg_isready", "-h", folder], capture_output=True, check=False)
            if ready.returncode == 0:
                break
        yield f"postgresql+psycopg://credstream@/postgres?host={folder}"
    finally:
        server.send_signal(signal.SIGINT)  # fast shutdown: do not wait for clients
        server.wait(20)
