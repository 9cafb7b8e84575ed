"""Installs what `tests/external/package-lock.json` names, once; several sessions may want to at the same time."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path
from typing import Final

EXTERNAL: Final = Path(__file__).parents[1] / "external"


def node_with_packages() -> str | None:
    """Return the path of node with the packages installed, or None where there is no node or npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    with (EXTERNAL / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, done = EXTERNAL / "package-lock.json", EXTERNAL / "node_modules" / ".installed"
        if not done.exists() or done.read_bytes() != wanted.read_bytes():
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(command, cwd=EXTERNAL, check=True, timeout=280)
            done.write_bytes(wanted.read_bytes())
    return node
