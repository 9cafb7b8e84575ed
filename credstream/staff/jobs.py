"""Many requests of staff as one job: kept in a file, sent at a rate, gone on with after an interruption.

Each request's id derives from what it asks, so that what is sent twice is known to competency and changes nothing.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from credstream.staff.desk import Answer, Desk
from schemas.errors import RefusedError
from schemas.events import Disposition, ReevaluationRequested, ReissueRequested, StatusRequested
from streams.settings import Installation

_MAX_BATCH: Final = 500
_ID_CHARS: Final = 24
_FOLDER: Final = "jobs"
Kind = Literal["backfill", "recall", "compromised"]


class _Reevaluation(Struct, frozen=True, tag="reevaluation"):
    request: ReevaluationRequested


class _Status(Struct, frozen=True, tag="status"):
    request: StatusRequested


class _Reissue(Struct, frozen=True, tag="reissue"):
    request: ReissueRequested


_Line: TypeAlias = _Reevaluation | _Status | _Reissue
_DECODER: Final = msgspec.json.Decoder(_Line)
JobRequest: TypeAlias = ReevaluationRequested | StatusRequested | ReissueRequested


@dataclass(slots=True)
class Tally:
    """What became of the requests of one run. `refused` are those that competency did not grant."""

    applied: int = 0
    known: int = 0
    refused: list[Answer] = field(default_factory=list)

    def add(self, answer: Answer) -> None:
        """Count one."""
        if not answer.granted:
            self.refused.append(answer)
        elif answer.disposition is Disposition.KNOWN:
            self.known += 1
        else:
            self.applied += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job's file: one request a line. Beside it stands how many are done; both go when all are."""

    path: Path
    requests: Sequence[JobRequest]

    @property
    def done(self) -> int:
        """Return how many requests were answered."""
        try:
            return int(_beside(self.path).read_text())
        except FileNotFoundError:
            return 0

    def finish(self) -> None:
        """Forget the job."""
        self.path.unlink(missing_ok=True)
        _beside(self.path).unlink(missing_ok=True)


def name_of(kind: Kind, *about: str | int | None) -> str:
    """Return a job's name, which derives from what it does."""
    return f"{kind}-{_digest(kind, *about)[:12]}"


def request_id(job: str, *about: str) -> str:
    """Return the id of a job's request, which derives from what it asks."""
    return f"{job}-{_digest(*about)}"


def _digest(*about: str | int | None) -> str:
    return hashlib.sha256(msgspec.json.encode(about)).hexdigest()[:_ID_CHARS]


def unfinished(installation: Installation, name: str) -> Job | None:
    """Return the job of this name that was begun and not finished, if there is one.

    Raises:
        RefusedError: Its file is not as it was written.
    """
    path = _path(installation, name)
    try:
        lines = path.read_bytes().splitlines()
        return Job(path=path, requests=[_DECODER.decode(line).request for line in lines])
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise RefusedError(f"{path}: {error}; delete it, and the job begins anew") from None


def begin(installation: Installation, name: str, requests: Sequence[JobRequest]) -> Job:
    """Write a job's file before anything is sent."""
    path = _path(installation, name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    with draft.open("wb") as file:
        for request in requests:
            file.write(msgspec.json.encode(_line(request)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    _beside(path).unlink(missing_ok=True)
    draft.replace(path)
    return Job(path=path, requests=requests)


def _line(request: JobRequest) -> _Line:
    match request:
        case StatusRequested():
            return _Status(request)
        case ReissueRequested():
            return _Reissue(request)
        case ReevaluationRequested():
            return _Reevaluation(request)


def run(job: Job, desk: Desk, *, rate: float, advance: Callable[[int], None] = lambda _: None) -> Tally:
    """Ask for all that is not done yet, at most `rate` a second, and return what became of it.

    Raises:
        UnavailableError: Kafka or competency does not answer; the job's file stays, to be gone on with.
    """
    tally, done = Tally(), job.done
    for batch in _paced(job.requests[done:], rate):
        for answer in desk.ask_all([replace(request, requested_by=desk.member) for request in batch]):
            tally.add(answer)
            advance(1)
        done += len(batch)
        _note(job.path, done)
    job.finish()
    return tally


def _paced(requests: Sequence[JobRequest], rate: float) -> Iterator[Sequence[JobRequest]]:
    """Yield the requests in batches, none before the rate allows."""
    began, sent = time.monotonic(), 0
    size = max(1, min(_MAX_BATCH, int(rate)))
    while sent < len(requests):
        time.sleep(max(0.0, began + sent / rate - time.monotonic()))
        yield requests[sent : sent + size]
        sent += size


def _note(path: Path, done: int) -> None:
    draft = path.with_name(f"{path.name}.done.draft")
    draft.write_text(str(done))
    draft.replace(_beside(path))


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.done")


def _path(installation: Installation, name: str) -> Path:
    return installation.folder / _FOLDER / f"{name}.ndjson"
