"""Workers of one processor, killed with -9 and started again at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from streams.settings import Installation


class Workers:
    """Several workers of a processor of an installation, without anything else."""

    def __init__(self, place: Installation, processor: str, number: int) -> None:
        self._place, self._processor = place, processor
        for folder in ("logs", "run"):
            (place.folder / folder).mkdir(exist_ok=True)
        self._running = [self._start(worker) for worker in range(number)]
        self.kills = 0

    def _start(self, worker: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "credstream", "run", self._processor, "--worker", str(worker)]
        with self._log(worker).open("ab") as log:
            return subprocess.Popen(
                [*command, "--data", str(self._place.folder)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONFAULTHANDLER": "1"},  # a crash of its own leaves a trace, a kill does not
            )

    def _log(self, worker: int) -> Path:
        return self._place.folder / "logs" / f"{self._processor}-{worker}.log"

    def kill(self, worker: int) -> None:
        """Kill a worker with -9 and start it again. That it ran until then is asserted: what is dead already proves nothing."""
        victim = self._running[worker]
        assert victim.poll() is None, f"ended with {victim.returncode}: {self._log(worker).read_text()[-2_000:]}"
        os.kill(victim.pid, signal.SIGKILL)
        assert victim.wait(10) == -signal.SIGKILL
        self.kills += 1
        self._running[worker] = self._start(worker)

    def log(self, worker: int) -> str:
        """Return what a worker has said so far."""
        return self._log(worker).read_text()

    def pid(self, worker: int) -> int:
        """Return a worker's process id."""
        return self._running[worker].pid

    def stop(self) -> None:
        """End every worker politely."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(30)
