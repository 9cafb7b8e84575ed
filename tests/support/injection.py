"""Ties a test to the faults that it proves, and keeps what it measured.

`@pytest.mark.fault("P1", …)` names rows of `support.faults`. The fixture `fault` is told what was done and how soon things were
well again; a test that took it and did nothing fails. With `--measured FILE` what was told is kept, for `support.reliability`.
`@pytest.mark.long` is for `make chaos`, which says `--long`; other runs leave such tests out.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

_TOLD: Final = "told"


@dataclass
class Injection:
    """What a test did to the pipe."""

    fired: Counter[str] = field(default_factory=Counter)
    recoveries_s: list[float] = field(default_factory=list)

    def fire(self, what: str, times: int = 1) -> None:
        """Note that a fault was seen to strike."""
        self.fired[what] += times

    @contextmanager
    def recovering(self) -> Iterator[None]:
        """Measure until the block, which waits for things to be well again, ends."""
        began = time.monotonic()
        yield
        self.recoveries_s.append(time.monotonic() - began)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long tests too")
    parser.addoption("--measured", type=Path, default=None, help="keep in this file what the tests of faults measured")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(*ids): the rows of docs/reliability.md that the test proves")
    config.addinivalue_line("markers", "long: left out unless --long is given")
    if path := config.getoption("--measured"):
        config.pluginmanager.register(_Measured(path))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture
def fault() -> Injection:
    """What the test tells of the fault that it injects."""
    return Injection()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Iterator[None]:
    """Let no test pass that meant to do something and did not."""
    yield
    told = item.funcargs.get("fault")
    if isinstance(told, Injection):
        assert told.fired, "the fault did not fire"
        item.user_properties.append((_TOLD, told))


class _Measured:
    """Adds what passed in this run to what earlier runs measured."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._of: dict[str, list[Injection]] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" and report.passed:
            told = [value for name, value in report.user_properties if name == _TOLD]
            self._of.setdefault(report.nodeid.partition("[")[0], []).extend(told)

    def pytest_sessionfinish(self) -> None:
        kept = json.loads(self._path.read_text()) if self._path.exists() else {}
        kept |= {test: _summary(told) for test, told in self._of.items() if told}
        self._path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def _summary(told: list[Injection]) -> dict[str, Any]:
    fired = sum((one.fired for one in told), Counter[str]())
    recoveries = [seconds for one in told for seconds in one.recoveries_s]
    return {
        "fired": dict(sorted(fired.items())),
        "on": datetime.now(UTC).date().isoformat(),
        **({"recovery_s": round(max(recoveries), 1)} if recoveries else {}),
    }
