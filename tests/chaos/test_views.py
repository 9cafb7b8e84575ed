"""The views' file is lost or damaged: it is built again from the log, to the same rows, while the gateway goes on."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.exc import DatabaseError
from support.injection import Injection
from support.pipe import Pipe, completion, until

from streams.tables import METADATA


def rows(path: Path) -> dict[str, list[Any]]:
    """Everything that the views hold, positions included."""
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            return {t.name: sorted(map(repr, connection.execute(select(t)))) for t in METADATA.sorted_tables}
    finally:
        engine.dispose()


def lose(path: Path) -> None:
    for belongs in path.parent.glob(f"{path.name}*"):
        belongs.unlink()


def damage(path: Path) -> None:
    chance = random.Random(1)
    with path.open("r+b") as file:
        for _ in range(200):
            file.seek(chance.randrange(100, path.stat().st_size - 100))
            file.write(chance.randbytes(100))


@pytest.mark.parametrize("harm", [lose, damage], ids=["lost", "damaged"])
@pytest.mark.fault("D3", "D4")
def test_views_are_built_again_to_the_same_rows_and_the_gateway_shows_them(
    pipe: Pipe, harm: Callable[[Path], None], fault: Injection
) -> None:
    pipe.send([completion(f"views-{harm.__name__}-{i}") for i in range(50)])
    [granted] = [o for o in pipe.fate(f"views-{harm.__name__}-49-0")[0]["outcomes"] if o["verdict"] == "granted"]
    pipe.drain()
    path = pipe.place.folder / "views" / "views.db"
    before = settled(path)
    [views] = [c for c in pipe.supervisor.children if c.name == "views"]
    assert views.process is not None
    os.kill(views.process.pid, signal.SIGKILL)
    views.process.wait()
    harm(path)
    fault.fire("file lost" if harm is lose else "file damaged")
    with fault.recovering():
        for _ in until("the views to be there again", 120, 0.5):
            pipe.supervisor.tend()
            try:
                after = rows(path)
            except DatabaseError:
                continue
            if after == before:
                break
    assert path.with_suffix(".damaged").exists() == (harm is damage)
    with pipe.http(None) as http:
        for _ in until("the gateway to show the credential"):
            if http.get(f"/credentials/{granted['credential_id']}").is_success:
                break


def settled(path: Path) -> dict[str, list[Any]]:
    """The rows, once they change no more."""
    found = rows(path)
    for _ in until("the views to be done", 60, 1.5):
        before, found = found, rows(path)
        if before == found:
            return found
    raise AssertionError
