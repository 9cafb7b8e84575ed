"""Toxiproxy between the pipe and its broker: it delays, cuts, resets or swallows what goes through."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from support.pipe import until
from support.ports import free_port

needs_toxiproxy = pytest.mark.skipif(
    shutil.which("toxiproxy-server") is None, reason="needs system package toxiproxy (make system)"
)


@dataclass
class Proxy:
    """One way to a server, which can be spoilt."""

    port: int
    _http: httpx.Client
    _path: str

    @contextmanager
    def toxic(self, kind: str, **attributes: Any) -> Iterator[None]:
        """Spoil both directions for the length of a `with` block."""
        for stream in ("upstream", "downstream"):
            about = {"name": f"{kind}-{stream}", "type": kind, "stream": stream, "attributes": attributes}
            self._http.post(f"{self._path}/toxics", json=about).raise_for_status()
        try:
            yield
        finally:
            for stream in ("upstream", "downstream"):
                self._http.delete(f"{self._path}/toxics/{kind}-{stream}").raise_for_status()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Close every connection and refuse new ones."""
        self._http.post(self._path, json={"enabled": False}).raise_for_status()
        try:
            yield
        finally:
            self._http.post(self._path, json={"enabled": True}).raise_for_status()

    def reset(self, times: int, pause_s: float) -> None:
        """Close every connection, again and again."""
        for _ in range(times):
            with self.away():
                time.sleep(0.1)
            time.sleep(pause_s)


class Toxiproxy:
    """A running toxiproxy."""

    def __init__(self) -> None:
        self.port = free_port()
        command = ["toxiproxy-server", "-host", "127.0.0.1", "-port", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)
        for _ in until("toxiproxy", 20):
            try:
                self._http.get("/version").raise_for_status()
            except httpx.TransportError:
                continue
            break

    def proxy(self, name: str, listen: int, upstream: int) -> Proxy:
        """Lead a port to another."""
        about = {"name": name, "listen": f"127.0.0.1:{listen}", "upstream": f"127.0.0.1:{upstream}"}
        self._http.post("/proxies", json=about).raise_for_status()
        return Proxy(listen, self._http, f"/proxies/{name}")

    def stop(self) -> None:
        self._http.close()
        self._process.terminate()
        self._process.wait(10)
