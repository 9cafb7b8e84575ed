"""Runs every processor and the gateway of an installation on this machine, beside the embedded broker.

One that dies is started again; one that refused to start (exit code 78) is not, since it would refuse again.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from credstream.local import broker
from credstream.local.broker import Broker
from schemas.errors import RefusedError, UnavailableError
from schemas.topology import Processor
from streams.settings import Installation

REFUSED: Final = 78
_STOP_S: Final = 30.0
_READY_S: Final = 90.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 10.0
_STEADY_S: Final = 30.0
GATEWAY: Final = "gateway"
FORMS: Final = "forms"


@dataclass(slots=True)
class Child:
    """One supervised process: its command's arguments, where its log goes, and how often it was started."""

    name: str
    worker: int = 0
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    started_at: float = 0.0
    restart_at: float | None = None
    pause_s: float = _FIRST_PAUSE_S

    @property
    def label(self) -> str:
        """Return the name under which the process writes its log and its address."""
        return f"{self.name}-{self.worker}"


@dataclass(slots=True)
class Supervisor:
    """Starts, watches and stops the processes of one installation. Stops them in the order in which records flow."""

    installation: Installation
    workers: int = 1
    say: Callable[[str], None] = print
    kafka: Broker | None = None  # the embedded broker, if it is ours to keep alive
    children: list[Child] = field(default_factory=list)

    def start(self) -> None:
        """Start every process."""
        for folder in ("logs", "run"):
            (self.installation.folder / folder).mkdir(exist_ok=True)
        for stale in (self.installation.folder / "run").glob("*.json"):
            stale.unlink()
        names = [(GATEWAY, 0), (FORMS, 0), *((p.value, w) for p in Processor for w in range(self._workers(p)))]
        self.children = [Child(name, worker) for name, worker in names]
        for child in self.children:
            self._start(child)

    def _workers(self, processor: Processor) -> int:
        return 1 if processor is Processor.VIEWS else self.workers

    def _start(self, child: Child) -> None:
        command = [sys.executable, "-m", "credstream", "run", child.name, "--worker", str(child.worker)]
        with self.log_path(child).open("ab") as log:
            child.process = subprocess.Popen(  # noqa: S603  our own command
                [*command, "--data", str(self.installation.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us alone; we stop them in order
            )
        child.started_at, child.restart_at = time.monotonic(), None

    def log_path(self, child: Child) -> Path:
        """Return where a process logs."""
        return self.installation.folder / "logs" / f"{child.label}.log"

    def tend(self) -> None:
        """Start again what has died. Call it a few times a second.

        Raises:
            RefusedError: A process refused to start; the message is its own.
            BrokerError: The broker has died and cannot be started again.
        """
        self._tend_kafka()
        now = time.monotonic()
        for child in self.children:
            if child.process is None or (code := child.process.poll()) is None:
                if now - child.started_at > _STEADY_S:
                    child.pause_s = _FIRST_PAUSE_S
            elif code == REFUSED:
                raise RefusedError(f"{child.label} refused to start: {self._last_words(child)}")
            elif child.restart_at is None:
                child.restart_at = now + child.pause_s
                child.pause_s = min(2 * child.pause_s, _LONGEST_PAUSE_S)
                self.say(f"{child.label} ended with {_ending(code)}; see {self.log_path(child)}")
            elif now >= child.restart_at:
                child.restarts += 1
                self._start(child)

    def _tend_kafka(self) -> None:
        if self.kafka is None or self.kafka.alive():
            return
        self.say(f"the broker has ended; starting it again on its data; its log is in {self.kafka.folder}")
        before = self.kafka.bootstrap_servers
        self.kafka = broker.start(self.kafka.folder, say=self.say)
        if self.kafka.bootstrap_servers != before:  # its port was taken meanwhile: everyone must learn the new one
            for child in self.children:
                if child.process is not None:
                    child.process.terminate()

    def _last_words(self, child: Child) -> str:
        lines = self.log_path(child).read_text("utf-8", "replace").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), f"see {self.log_path(child)}")
        with contextlib.suppress(ValueError, AttributeError):
            return str(json.loads(last).get("message", last))
        return last

    def wait_until_ready(self) -> None:
        """Return when the gateway is ready, which it is when Kafka answers and every lane is in some worker's hands.

        Raises:
            UnavailableError: It takes longer than 90 s; the message says what is missing.
            RefusedError: A process refused to start.
        """
        deadline, reasons = time.monotonic() + _READY_S, "the gateway does not answer"
        while time.monotonic() < deadline:
            self.tend()
            with contextlib.suppress(httpx.HTTPError, UnavailableError):
                answer = httpx.get(f"{gateway_url(self.installation)}/readyz", timeout=5)
                if answer.is_success:
                    return
                reasons = answer.text
            time.sleep(0.2)
        raise UnavailableError(
            f"not ready after {_READY_S:.0f} s: {reasons}; the logs are in {self.installation.folder / 'logs'}"
        )

    def stop(self) -> None:
        """End every process by its pid, the broker last: politely, and after 30 s for good."""
        for child in self.children:
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + _STOP_S
        for child in self.children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say(f"{child.label} did not stop within {_STOP_S:.0f} s; killed")
                child.process.kill()
                child.process.wait()
        if self.kafka is not None:
            self.kafka.stop()


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def running(installation: Installation) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the processes of an installation say of themselves: name, and pid, metrics address and perhaps URL."""
    for path in sorted((installation.folder / "run").glob("*.json")):
        with contextlib.suppress(ValueError, OSError):
            about = json.loads(path.read_text("utf-8"))
            if _alive(about["pid"]):
                yield path.stem, about


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def gateway_url(installation: Installation) -> str:
    """Return where the gateway of an installation listens.

    Raises:
        UnavailableError: It does not run.
    """
    for name, about in running(installation):
        if name.startswith(GATEWAY) and about.get("url"):
            return str(about["url"])
    raise UnavailableError(f"the gateway of {installation.folder} is not running; start it with `credstream up`")


def addresses(installation: Installation) -> Sequence[tuple[str, str]]:
    """Return what people may want to open: name and address."""
    url = gateway_url(installation)
    shown = [("dashboard", f"{url}/dashboard"), ("gateway", url), ("Kafka", installation.bootstrap_servers)]
    return shown + [
        (f"metrics of {n}", f"http://{a['metrics']}/metrics") for n, a in running(installation) if a.get("metrics")
    ]
