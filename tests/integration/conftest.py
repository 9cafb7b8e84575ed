"""A pipe of its own for what changes catalogues, stops processors and damages what they keep."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.pipe import Pipe, whole_pipe
from support.small import FIRST, catalogue

from credstream.local import broker


@pytest.fixture(scope="session")
def mended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    """A whole pipe with a small catalogue, on a Kafka of its own."""
    folder = tmp_path_factory.mktemp("mended")
    with (
        broker.running(tmp_path_factory.mktemp("mended-kafka")) as kafka,
        whole_pipe(folder / "data", kafka.bootstrap_servers, catalogue=catalogue(folder / "1", "1", *FIRST)) as running,
    ):
        yield running
