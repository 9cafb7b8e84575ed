"""The broker's disk runs full under load: nothing more is accepted, nothing accepted is lost, and with room again work goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.comparing import all_is_well
from support.injection import Injection
from support.pipe import BASE_URL, CATALOGUE, Pipe, until
from support.sending import Sender

from credstream import installation as installations
from credstream.cli.running import create, running
from credstream.local.broker import BrokerError
from credstream.local.supervisor import Supervisor
from credstream.rules.loader import load as load_catalogue
from credstream.rules.publishing import publish
from schemas.catalogue import Catalogue
from streams.settings import Installation


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 250 MB."""
    folder = tmp_path / "data" / "kafka"
    folder.mkdir(parents=True)
    mounted = ["mount", "-t", "tmpfs", "-o", "size=250m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a small disk, which takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """Take all room but a little."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free - leave)
    return filler


@pytest.mark.fault("D1")
@pytest.mark.timeout(500)
def test_a_full_disk_stops_everything_and_loses_nothing(small_disk: Path, fault: Injection) -> None:
    place = create(small_disk.parent, base_url=BASE_URL, catalogue=CATALOGUE, cadence_s=1.0)
    catalogue = installations.build_catalogue(place, load_catalogue(CATALOGUE))
    accepted = until_it_is_full(place, small_disk, catalogue, fault)
    (small_disk / "filler").unlink()
    with fault.recovering(), running(place) as supervisor:
        with Sender(Pipe(place, supervisor, catalogue), "room") as sender:
            for _ in until("the gateway to accept again"):
                if sender.accepted:
                    break
        all_is_well(Pipe(place, supervisor, catalogue), accepted | sender.accepted)


def tend_for_two_minutes(supervisor: Supervisor) -> None:
    for _ in until("the broker to give up", 120):
        supervisor.tend()


def until_it_is_full(place: Installation, disk: Path, catalogue: Catalogue, fault: Injection) -> set[str]:
    """Run and send until the broker gives up; return what was accepted."""
    with running(place) as supervisor:
        publish(place, catalogue)
        with Sender(Pipe(place, supervisor, catalogue), "full", size=100) as sender:
            for _ in until("something to be accepted"):
                if sender.accepted:
                    break
            fill(disk, 2_000_000)
            with pytest.raises(BrokerError, match="disk"):
                tend_for_two_minutes(supervisor)
            fault.fire("disk full")
            assert sender.accepted
        return sender.accepted
