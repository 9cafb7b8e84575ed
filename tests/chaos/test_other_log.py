"""Topics that are not those which a lane's state was made with: workers refuse to start, and say which."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewPartitions, NewTopic
from support.injection import Injection
from support.pipe import BASE_URL, CATALOGUE, until
from support.workers import Workers

from credstream import installation as installations
from credstream.cli.running import create
from credstream.local import broker
from credstream.rules.loader import load as load_catalogue
from credstream.rules.publishing import publish
from schemas.topology import CLAIMED, DECIDED
from streams import topics
from streams.settings import Installation, load

LANES = 2


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    """An installation whose competency has state, and does not run."""
    with broker.running(tmp_path / "kafka") as running:
        folder = tmp_path / "data"
        create(folder, base_url=BASE_URL, catalogue=CATALOGUE, lanes=LANES)
        settings = folder / "credstream.toml"
        address = f'bootstrap_servers = "{running.bootstrap_servers}"'
        settings.write_text(settings.read_text().replace('bootstrap_servers = ""', address))
        place = load(folder)
        topics.create(place)
        workers = Workers(place, "competency", 1)
        try:
            publish(place, installations.build_catalogue(place, load_catalogue(CATALOGUE)))
        finally:
            workers.stop()
        yield place


def refusal(place: Installation) -> str:
    """Start competency, which must refuse; return its last words."""
    command = [sys.executable, "-m", "credstream", "run", "competency", "--data", str(place.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 78, done.stderr[-2_000:]
    assert "Traceback" not in done.stderr
    return str(json.loads(done.stderr.strip().splitlines()[-1])["message"])


@pytest.mark.fault("B10", "B11")
def test_a_topic_made_anew_or_with_more_partitions_keeps_workers_from_starting(
    place: Installation, fault: Injection
) -> None:
    admin = KafkaAdminClient(bootstrap_servers=place.bootstrap_servers)
    admin.delete_topics([DECIDED.name])
    for _ in until("the topic to be gone"):
        if admin.describe_topics([DECIDED.name])[0]["error_code"]:
            break
    admin.create_topics([NewTopic(DECIDED.name, LANES, 1, topic_configs=DECIDED.settings())], wait_for_metadata=True)
    fault.fire("topic deleted and made anew")
    assert "was made by another installation or log" in refusal(place)
    admin.create_partitions({CLAIMED.name: NewPartitions(LANES + 1)})
    fault.fire("partition added")
    admin.close()
    assert "has 3 partitions, this installation 2 lanes" in refusal(place)
