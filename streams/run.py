"""Runs one processor until it is told to stop. Its log is one JSON object a line; its exit code tells the supervisor what next."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from importlib import import_module
from importlib.metadata import version
from types import FrameType
from typing import Any, Final

from confluent_kafka import KafkaException
from prometheus_client import start_http_server

from schemas.errors import RefusedError, UnavailableError
from schemas.topology import Processor
from streams import metrics
from streams.lane import LaneSettings, Worker
from streams.settings import Installation
from streams.topics import identity

log = logging.getLogger(__name__)
_WAIT_FOR_KAFKA_S: Final = 60.0


class Exit(IntEnum):
    """Why a processor ended: done, start me again, or do not (sysexits.h: EX_TEMPFAIL, EX_CONFIG)."""

    STOPPED = 0
    AGAIN = 75
    REFUSED = 78


class JsonLines(logging.Formatter):
    """One JSON object a line, so that a control character in a message can forge no second line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        about: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            about["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(about, ensure_ascii=False)


def log_json_lines() -> None:
    """Send every log record to standard error as a JSON line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("kafka", "aiokafka", "faust", "mode", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def serve_metrics(installation: Installation) -> str:
    """Serve this process's metrics, by default on a free loopback port, and return the address."""
    metrics.BUILD.info({"version": version("credstream")})
    host, port = installation.metrics_listen
    server, _ = start_http_server(port, addr=host)
    return f"{host}:{server.server_address[1]}"


@contextmanager
def announced(installation: Installation, label: str, about: Mapping[str, Any]) -> Iterator[None]:
    """Keep a file in the installation's `run` folder that says where this process is to be found."""
    path = installation.folder / "run" / f"{label}.json"
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), **about}))
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def run(processor: Processor, installation: Installation, worker: int) -> int:
    """Run one worker of a processor; returns its exit code (see `Exit`)."""
    log_json_lines()
    try:
        log_identity = _wait_for(lambda: identity(installation))
        with announced(installation, f"{processor}-{worker}", {"metrics": serve_metrics(installation)}):
            module = import_module(f"streams.{processor}")
            if processor is Processor.VIEWS:
                return int(module.main(installation))
            return _run_lanes(module.stage(installation), installation, log_identity)
    except RefusedError as error:
        log.error("%s", error)  # noqa: TRY400  a refusal is one line
        return Exit.REFUSED
    except UnavailableError as error:
        log.error("%s", error)  # noqa: TRY400
        return Exit.AGAIN


def _run_lanes(stage: Any, installation: Installation, log_identity: bytes) -> int:
    settings = LaneSettings(
        bootstrap_servers=installation.bootstrap_servers, epoch=installation.epoch, identity=log_identity
    )
    worker: Worker[Any] = Worker(stage, settings)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        worker.run()
    except KafkaException as error:
        log.error("leaving, to be started again: %s", error)  # noqa: TRY400  fenced, or Kafka stays away
        return Exit.AGAIN
    return Exit.STOPPED


def _wait_for(call: Callable[[], bytes]) -> bytes:
    """Call until Kafka answers.

    Raises:
        UnavailableError: It has not for a minute.
    """
    deadline = time.monotonic() + _WAIT_FOR_KAFKA_S
    while True:
        try:
            return call()
        except UnavailableError as error:
            if time.monotonic() > deadline:
                raise
            log.warning("%s; again", error)
            time.sleep(1)
