"""Sends completions to the gateway, in batches, again where that is safe (it always is: repeats count once)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import httpx
import msgspec

from schemas.errors import UnavailableError

BATCH: Final = 1_000
_TRIES: Final = 6
_FIRST_PAUSE_S: Final = 0.5
_TIMEOUT_S: Final = 60.0
_JSON: Final = msgspec.json.Encoder(decimal_format="number")  # exact: no score passes through a float


@dataclass(frozen=True, slots=True)
class LineResult:
    """What the gateway said of one completion; `line` counts from 1 over everything sent."""

    line: int
    accepted: bool
    event_id: str | None
    problems: Sequence[Mapping[str, str]]


class CompletionsClient:
    """One provider's way in."""

    def __init__(self, url: str, key: str) -> None:
        """Talk to the gateway at ``url`` with a provider's API key."""
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=_TIMEOUT_S)

    def send(self, completions: Iterable[Mapping[str, Any]]) -> Iterator[LineResult]:
        """Send completions and yield what became of each, in order.

        Raises:
            UnavailableError: The gateway does not answer, or refuses all of it (a wrong key, say); the message tells why.
        """
        sent = 0
        for batch in _batches(completions, BATCH):
            for line, result in enumerate(self._post(batch), sent + 1):
                yield LineResult(line, result["accepted"], result.get("event_id"), result.get("errors", ()))
            sent += len(batch)

    def _post(self, batch: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        body = b"\n".join(_JSON.encode(completion) for completion in batch)
        pause_s, reason = _FIRST_PAUSE_S, ""
        for _ in range(_TRIES):
            try:
                answer = self._http.post(
                    "/v1/completions", content=body, headers={"Content-Type": "application/x-ndjson"}
                )
            except httpx.TransportError as error:
                reason = f"{type(error).__name__}: {error}"
            else:
                if answer.is_success:
                    return list(answer.json()["results"])
                reason = f"{answer.status_code} {answer.text}"
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    break
            time.sleep(pause_s)
            pause_s *= 2
        raise UnavailableError(f"the gateway at {self._http.base_url} took nothing: {reason}")

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def _batches(items: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
