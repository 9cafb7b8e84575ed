"""A whole pipe for tests: an installation, its processes, and short ways to send and to wait."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from credstream import installation as installations
from credstream.cli.running import create
from credstream.client.completions import CompletionsClient, LineResult
from credstream.local.supervisor import Supervisor, gateway_url
from credstream.rules.loader import load as load_catalogue
from credstream.rules.publishing import publish
from schemas.catalogue import Catalogue
from streams import topics
from streams.settings import Installation, load

CATALOGUE = Path(__file__).parents[2] / "catalogues" / "ontario-pilots"
PROGRAMME = "ontario-pilots"
PROVIDER = "great-river-training"
BASE_URL = "https://credentials.pilots.example"


LATELY = (datetime.now(UTC) - timedelta(days=10)).isoformat(timespec="seconds")
"""Lately enough to count without a review."""


@dataclass
class Pipe:
    """A running installation."""

    place: Installation
    supervisor: Supervisor
    catalogue: Catalogue

    @property
    def url(self) -> str:
        return gateway_url(self.place)

    def key(self, provider: str = PROVIDER) -> str:
        return self.place.secret_path(f"providers/{PROGRAMME}/{provider}.key").read_text()

    def http(self, provider: str | None = PROVIDER) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key(provider)}"} if provider else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def send(self, completions: Iterable[Mapping[str, Any]], provider: str = PROVIDER) -> list[LineResult]:
        client = CompletionsClient(self.url, self.key(provider))
        try:
            return list(client.send(completions))
        finally:
            client.close()

    def fate(self, event_id: str, provider: str = PROVIDER) -> Any:
        """Return what became of a completion, once that is known."""
        with self.http(provider) as http:
            for _ in until(f"the fate of {event_id}"):
                answer = http.get(f"/v1/completions/{event_id}")
                if answer.is_success and answer.json()["fates"]:
                    return answer.json()["fates"]
        raise AssertionError

    def drain(self, timeout_s: float = 120) -> None:
        """Wait until no processor is behind, twice in a row."""
        quiet = 0
        for _ in until("the pipe to drain", timeout_s):
            quiet = quiet + 1 if not any(lag.records for lag in topics.lags(self.place)) else 0
            if quiet >= 2:
                return


def until(what: str, timeout_s: float = 60, pause_s: float = 0.2) -> Iterator[None]:
    """Loop until the body returns or breaks; fail after a while."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        yield
        time.sleep(pause_s)
    raise AssertionError(f"waited {timeout_s:.0f} s for {what}")


@contextmanager
def whole_pipe(
    folder: Path, bootstrap_servers: str, *, workers: int = 1, catalogue: Path = CATALOGUE, replication: int = 1
) -> Iterator[Pipe]:
    """Run an installation on a Kafka that runs already."""
    create(folder, base_url=BASE_URL, catalogue=catalogue, cadence_s=1.0)
    settings = folder / "credstream.toml"
    kafka = f'bootstrap_servers = "{bootstrap_servers}"\nreplication = {replication}'
    settings.write_text(settings.read_text().replace('bootstrap_servers = ""', kafka))
    place = load(folder)
    topics.create(place)
    supervisor = Supervisor(place, workers, lambda _: None)
    try:
        supervisor.start()
        supervisor.wait_until_ready()
        draft = load_catalogue(catalogue)
        built = installations.build_catalogue(place, draft)
        publish(place, built)
        yield Pipe(place, supervisor, built)
    finally:
        supervisor.stop()


def completion(result_id: str, **changes: Any) -> dict[str, Any]:
    """Return a good completion of the site safety test."""
    return {
        "event_id": f"{result_id}-0",
        "learner": {"scheme": "email", "identifier": f"{result_id}@learners.example"},
        "result_id": result_id,
        "assessment": "site-safety-test",
        "score": 80,
        "score_max": 100,
        "completed_at": LATELY,
        **changes,
    }
