"""A provider that goes on sending whatever the gateway answers, and remembers what was accepted."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Self

import httpx
from support.pipe import Pipe, completion


class Sender:
    """Sends small batches without a pause for trying again; an answer that never came is tried again like a refusal."""

    def __init__(self, pipe: Pipe, name: str, *, size: int = 10, pause_s: float = 0.05) -> None:
        self._pipe, self._name, self._size, self._pause_s = pipe, name, size, pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.accepted: set[str] = set()
        self.answers: Counter[int] = Counter()
        self.made = 0

    def _run(self) -> None:
        headers = {"Authorization": f"Bearer {self._pipe.key()}", "Content-Type": "application/x-ndjson"}
        with httpx.Client(headers=headers, timeout=20) as http:
            while not self._stop.is_set():
                self._send(http, [completion(f"{self._name}-{self.made + i}") for i in range(self._size)])
                self.made += self._size

    def _send(self, http: httpx.Client, batch: list[dict[str, object]]) -> None:
        """Send a batch until it is accepted, or until the end."""
        body = b"\n".join(json.dumps(one).encode() for one in batch)
        while not self._stop.wait(self._pause_s):
            try:
                answer = http.post(f"{self._pipe.url}/v1/completions", content=body)
            except httpx.TransportError:
                self.answers[0] += 1
                continue
            except Exception:  # noqa: BLE001  the gateway itself is away: it has no address
                self.answers[-1] += 1
                continue
            self.answers[answer.status_code] += 1
            if answer.is_success:
                assert all(result["accepted"] for result in answer.json()["results"])
                self.accepted |= {str(one["event_id"]) for one in batch}
                return

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()
        self._thread.join(60)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
