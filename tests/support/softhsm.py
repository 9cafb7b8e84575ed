"""A SoftHSM with tokens of its own, for tests of keys in hardware."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pkcs11
import pytest

from streams.pkcs11 import module

PIN = "5678"
_PLACES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
_FOUND = [place for place in _PLACES if Path(place).exists()]
LIBRARY = _FOUND[0] if _FOUND and shutil.which("softhsm2-util") else ""
needs_softhsm = pytest.mark.skipif(not LIBRARY, reason="needs system package softhsm2 (make system)")


def configure(folder: Path) -> Path:
    """Make a SoftHSM without tokens; from now on it is this process's and its children's. Returns its tokens' folder."""
    tokens = folder / "tokens"
    tokens.mkdir(parents=True)
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(settings)
    pkcs11.lib(LIBRARY).reinitialize()  # it reads its settings once: another test's may be in force in this process
    module.cache_clear()  # its sessions have ended
    return tokens


def make_token(label: str) -> None:
    command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "1234", "--pin", PIN]
    subprocess.run(command, check=True, capture_output=True)
