"""Runs `credstream` as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from support.pipe import Pipe, until


def credstream(pipe: Pipe, *args: str, code: int | None = 0, timeout_s: float = 180) -> str:
    """Run a command on a pipe's installation and return what it says; no user's mistake ends in a stack trace."""
    done = subprocess.run(
        [sys.executable, "-m", "credstream", *args, "--data", str(pipe.place.folder)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


@contextmanager
def stopped(pipe: Pipe, process: str) -> Iterator[None]:
    """Stop a process of the pipe for the length of a `with` block, and wait until everything runs again."""
    [child] = [child for child in pipe.supervisor.children if child.name == process]
    assert child.process is not None
    child.process.terminate()
    child.process.wait(60)
    try:
        yield
    finally:
        for _ in until(f"{process} to run again"):
            pipe.supervisor.tend()
            if child.process.poll() is None:
                break
        pipe.supervisor.wait_until_ready()
