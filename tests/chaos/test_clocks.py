"""Clocks of processors that are wrong by far: no date of a claim comes from them, and once they are right all is well."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import clocks
from support.cluster import cluster
from support.comparing import all_is_well
from support.injection import Injection
from support.logs import records
from support.pipe import Pipe, completion, until, whole_pipe

from schemas.codec import decode
from schemas.events import CatalogueAdopted, CredentialClaimed, CredentialStatusChanged, StatusListPublished
from schemas.topology import CLAIMED, LIST_PUBLISHED, STATUS_CHANGED

pytestmark = pytest.mark.timeout(600)
HOUR_S = 3_600


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    folder = tmp_path_factory.mktemp("clocks")
    with cluster(folder / "kafka") as made, whole_pipe(folder / "pipe", made.bootstrap_servers) as running:
        yield running


def restart(pipe: Pipe) -> None:
    """Start every processor again, in the environment that the test has now."""
    for child in pipe.supervisor.children:
        if child.name != "gateway" and child.process:
            child.process.terminate()
            child.process.wait(60)
    pipe.supervisor.wait_until_ready()


@contextmanager
def wrong_clocks(pipe: Pipe, shift_s: int) -> Iterator[None]:
    """Run the processors with another clock for the length of a `with` block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(clocks.__path__[0])))
        patch.setenv("CLOCK_SHIFT_S", str(shift_s))
        restart(pipe)
    yield
    restart(pipe)


def clock_of(pipe: Pipe, processor: str) -> float:
    """When a processor's last log line says that it is."""
    log = pipe.place.folder / "logs" / f"{processor}-0.log"
    line = log.read_text().strip().splitlines()[-1]
    stamp = line.partition('"time": "')[2].partition(".")[0]
    return time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%S")) - time.timezone


def claims(pipe: Pipe) -> dict[int, list[CredentialClaimed]]:
    """Every claim, by lane."""
    read = {
        lane: [decode(r.value, CredentialClaimed, CatalogueAdopted, max_bytes=CLAIMED.max_bytes) for r in of]
        for lane, of in records(pipe.place, CLAIMED).items()
    }
    return {lane: [one for one in of if isinstance(one, CredentialClaimed)] for lane, of in read.items()}


@pytest.mark.fault("C1")
@pytest.mark.parametrize(
    "shift_s", [400 * 24 * HOUR_S, pytest.param(-24 * HOUR_S, marks=pytest.mark.long), -2 * HOUR_S]
)
def test_no_date_of_a_claim_comes_from_a_processors_clock(pipe: Pipe, shift_s: int, fault: Injection) -> None:
    began = time.time()
    names = [f"clock{shift_s}-{i}" for i in range(40)]
    with wrong_clocks(pipe, shift_s):
        assert abs(clock_of(pipe, "competency") - time.time() - shift_s) < 60
        fault.fire(f"clocks of every processor {shift_s // HOUR_S:+,} h")
        assert all(line.accepted for line in pipe.send([completion(name) for name in names]))
        outcomes = [o for fate in pipe.fate(f"{names[0]}-0") for o in fate["outcomes"] if o["verdict"] == "granted"]
        credential = outcomes[0]["credential_id"]
        pipe.drain()
        command = ["status", "revoke", credential, "--reason", "misconduct", "--data", str(pipe.place.folder)]
        subprocess.run([sys.executable, "-m", "credstream", *command], check=True, capture_output=True)
    with fault.recovering():
        for _ in until("the revocation to be published and the list to be dated now"):
            listed = [
                decode(r.value, StatusListPublished) for of in records(pipe.place, LIST_PUBLISHED).values() for r in of
            ]
            changed = [
                decode(r.value, CredentialStatusChanged)
                for of in records(pipe.place, STATUS_CHANGED).values()
                for r in of
            ]
            newest = {one.status_list: one for one in listed}
            if credential in {c.credential_id for c in changed} and all(
                one.published_at / 1e6 < time.time() + 60 for one in newest.values()
            ):
                break
    for made in claims(pipe).values():
        dates = [claim.claimed_at for claim in made]
        assert dates == sorted(dates)
        assert all(date <= time.time() * 1e6 for date in dates)
    mine = [c.claimed_at for made in claims(pipe).values() for c in made if c.claimed_at >= began * 1e6 - 1_000_000]
    assert len(mine) >= len(names)
    all_is_well(pipe, [f"{name}-0" for name in names])
