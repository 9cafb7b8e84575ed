"""Verifies many credentials: finds them in files, folders and NDJSON, spreads them over processes, and counts the answers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from credstream.trust import Trust
from schemas.errors import RefusedError
from services.signing.opening import MAX_IMAGE_BYTES
from services.signing.verdict import Verdict
from services.signing.verifying import Verifier

Named: TypeAlias = tuple[str, bytes]
"""A credential's bytes, and what to call them."""

SUFFIXES: Final = frozenset({".json", ".jsonld", ".jwt", ".jws", ".png", ".svg", ".ndjson"})
_LINES: Final = ".ndjson"
_BATCH: Final = 250
_WORTH_A_PROCESS: Final = 2_000
"""A second process takes about two seconds to start and to meet the shapes; fewer credentials are sooner done in one."""
_MAX_NOTED: Final = 1_000


@dataclass(slots=True)
class Tally:
    """How many credentials are valid, invalid or unknown, by which step, and the first of those that are not valid."""

    counts: Counter[str] = field(default_factory=Counter)
    steps: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    noted: list[tuple[str, Verdict]] = field(default_factory=list)

    def take(self, name: str, verdict: Verdict) -> None:
        """Count one verdict."""
        self.counts[verdict.overall] += 1
        if (step := verdict.deciding) is not None:
            self.steps[verdict.overall, step.name, step.reason] += 1
            if len(self.noted) < _MAX_NOTED:
                self.noted.append((name, verdict))

    def add(self, other: Tally) -> None:
        """Count what another process counted."""
        self.counts += other.counts
        self.steps += other.steps
        self.noted += other.noted[: _MAX_NOTED - len(self.noted)]


class _Line(msgspec.Struct):
    """A line of an export: the credential's bytes stay as they are."""

    credential: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    credential_id: str = ""


def found_in(path: Path) -> Iterator[Named]:
    """Yield the credentials in a file, a file of lines, or a folder, in the order of their names.

    Raises:
        RefusedError: There is no such file, or it is larger than any credential.
    """
    if path.is_dir():
        for inner in sorted(path.rglob("*")):
            if inner.is_file() and inner.suffix.lower() in SUFFIXES:
                yield from found_in(inner)
    elif path.suffix.lower() == _LINES:
        yield from _lines(path)
    else:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_IMAGE_BYTES + 1)
        except OSError as error:
            raise RefusedError(f"{path}: {error.strerror}") from None
        yield str(path), data


def _lines(path: Path) -> Iterator[Named]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_IMAGE_BYTES):
                number += 1
                if text := line.strip():
                    yield _of_line(text, f"{path}:{number}")
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}") from None


def _of_line(text: bytes, name: str) -> Named:
    """Return a line's credential: the line itself, or what an export's line holds as `credential`."""
    try:
        line = msgspec.json.decode(text, type=_Line)
    except (msgspec.DecodeError, RecursionError):
        return name, text
    if not isinstance(line.credential, msgspec.Raw):
        return name, text
    held = bytes(line.credential)
    return line.credential_id or name, held.strip(b'"') if held.startswith(b'"') else held  # a token needs no escapes


def verify_all(
    credentials: Iterable[Named],
    trust: Trust,
    now: datetime,
    *,
    recipient: str | None = None,
    processes: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Tally:
    """Verify credentials, on every core where they are many, and count the answers.

    Args:
        credentials: What to verify; read as they are needed.
        trust: Whom to trust.
        now: An aware instant.
        recipient: Who they are said to be of.
        processes: How many to use; by default one for each core, if there are enough credentials.
        advance: Told after each batch how many were done.
    """
    tally, rest = Tally(), iter(credentials)
    first = list(islice(rest, _WORTH_A_PROCESS if processes is None else 0))
    processes = processes or (len(os.sched_getaffinity(0)) if len(first) == _WORTH_A_PROCESS else 1)
    batches = _batches(chain(first, rest))
    if processes == 1:
        verifier = trust.verifier(now)
        for batch in batches:
            tally.add(_tallied(verifier, batch, recipient))
            advance(len(batch))
        return tally
    with ProcessPoolExecutor(processes, initializer=_prepare, initargs=(trust, now, recipient)) as pool:
        waiting = [(len(batch), pool.submit(_verify, batch)) for batch in islice(batches, 2 * processes)]
        while waiting:
            count, done = waiting.pop(0)
            tally.add(done.result())
            waiting += _submitted(pool, batches)
            advance(count)
    return tally


def _batches(credentials: Iterator[Named]) -> Iterator[tuple[Named, ...]]:
    while batch := tuple(islice(credentials, _BATCH)):
        yield batch


def _submitted(pool: ProcessPoolExecutor, batches: Iterator[tuple[Named, ...]]) -> list[tuple[int, Future[Tally]]]:
    return [(len(batch), pool.submit(_verify, batch)) for batch in islice(batches, 1)]


_here: dict[str, tuple[Verifier, str | None]] = {}
"""This process's verifier, in a process that was made to verify."""


def _prepare(trust: Trust, now: datetime, recipient: str | None) -> None:
    _here["verifier"] = trust.verifier(now), recipient


def _verify(batch: tuple[Named, ...]) -> Tally:
    verifier, recipient = _here["verifier"]
    return _tallied(verifier, batch, recipient)


def _tallied(verifier: Verifier, batch: Iterable[Named], recipient: str | None) -> Tally:
    tally = Tally()
    for name, credential in batch:
        tally.take(name, verifier.verify(credential, recipient=recipient))
    return tally
