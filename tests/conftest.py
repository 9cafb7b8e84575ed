"""One real Kafka and one whole pipe a session; what needs neither pays for neither."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pipe import Pipe, whole_pipe

from credstream.local import broker

SEED = 20_261_124

pytest_plugins = ["support.injection", "support.bench"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="repeat a chaos run")
    parser.addoption("--soak", default=None, help="how long the soak lasts, as in 10m")
    parser.addoption("--results", type=int, default=5_000, help="how many results a chaos run sends")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:  # noqa: ARG001
    """Where skips for a missing system package are failures, as in CI, make them so."""
    report = yield
    missing = report.skipped and "needs system package" in str(report.longrepr)  # type: ignore[attr-defined]
    if missing and os.environ.get("CREDSTREAM_NO_SKIP"):
        report.outcome = "failed"  # type: ignore[attr-defined]
    return report


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What a chaos run draws from; `--seed` repeats one."""
    chosen = request.config.getoption("--seed")
    return SEED if chosen is None else int(chosen)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Kafka that this session started."""
    with broker.running(tmp_path_factory.mktemp("kafka")) as running:
        yield running.bootstrap_servers


@pytest.fixture(scope="session")
def pipe(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    """The whole pipe on this session's Kafka, with the Ontario pilots' catalogue adopted."""
    with whole_pipe(tmp_path_factory.mktemp("pipe"), kafka) as running:
        yield running


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).parents[1]
