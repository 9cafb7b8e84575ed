"""A small stage that shows for ever what was lost, repeated or reordered; run as a process by the lane's tests.

`python toy.py BOOTSTRAP NAME [FREEZE]`: with FREEZE, the worker stops itself inside a transaction when that file appears.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from schemas.errors import IntegrityError, MalformedError, QuarantineReason, UnavailableError
from schemas.topology import DEFAULT_LANES, QUARANTINED, TOPICS, Cleanup, Topic
from streams.lane import LaneSettings, Worker
from streams.run import log_json_lines
from streams.stage import Output, Record, Step

LANES = 2


def topic(name: str, kind: str, cleanup: Cleanup = Cleanup.KEEP) -> Topic:
    return Topic(name=f"{name}.{kind}.v1", key="", holds="", writers=(), readers=(), cleanup=cleanup)


class Toy:
    """Chains each key's values; counts the lane's records."""

    has_idle_work = False

    def __init__(self, name: str) -> None:
        names: Any = StrEnum("names", {"TOY": name})
        self.processor: Any = names.TOY  # a processor's name that no processor has
        self.input = topic(name, "in")
        self.state_topic = topic(name, "state", Cleanup.COMPACT)
        self.output = topic(name, "out")

    def restored(self, lane: int, state: Mapping[bytes, bytes]) -> int:
        return int(state.get(b"\x00lane", b"0"))

    def kept(self, before: int, after: int) -> Mapping[bytes, bytes | None]:
        return {b"\x00lane": str(after).encode()}

    def step(self, lane: int, state: Mapping[bytes, bytes], record: Record) -> Step[int]:
        value = record.value
        if value is None:
            raise MalformedError(QuarantineReason.TOMBSTONE, "nothing")
        if value == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        if value == b"eat":
            bytearray(1 << 40)  # more than any machine has
        if value == b"hang":
            time.sleep(3_600)
        if value == b"integrity":
            raise IntegrityError("cannot go on")
        if value == b"unavailable" and not Path(os.environ.get("TOY_READY", "/nonexistent")).exists():
            raise UnavailableError("not yet")
        chain = hashlib.sha256((state.get(record.key or b"") or b"") + value).hexdigest().encode()
        out = Output(topic=self.output, key=record.key, value=b"%d %b" % (lane, chain))
        return Step(lane + 1, (out,), {record.key or b"": chain})

    def idle(self, lane: int, state: Mapping[bytes, bytes], now: int) -> Step[int] | None:
        return None


def create_topics(bootstrap: str, name: str) -> Toy:
    toy = Toy(name)
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    wanted = [NewTopic(t.name, LANES, 1, topic_configs=t.settings()) for t in (toy.input, toy.state_topic, toy.output)]
    if admin.describe_topics([QUARANTINED.name])[0]["error_code"]:
        wanted += [NewTopic(t.name, DEFAULT_LANES, 1, topic_configs=t.settings()) for t in TOPICS]
    admin.create_topics(wanted, wait_for_metadata=True)
    admin.close()
    return toy


class Freezing(Worker[int]):
    """Stops itself inside a transaction when told to: all is produced, the offsets are sent, the commit is not asked for."""

    order: Path | None = None

    def _retry(self, call: Callable[..., Any], *args: Any) -> Any:
        if self.order and call.__name__ == "commit_transaction" and self.order.exists():
            call.__self__.flush(5)  # type: ignore[attr-defined]
            self.order.rename(self.order.with_suffix(".frozen"))
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.5)  # it strikes some thread of the process, perhaps a moment later
        return super()._retry(call, *args)


def main(bootstrap: str, name: str, freeze: str | None = None, identity: str = "toy") -> None:
    log_json_lines()
    settings = LaneSettings(
        bootstrap_servers=bootstrap,
        epoch="e",
        identity=identity.encode(),
        max_starts=int(os.environ.get("TOY_STARTS", "5")),
    )
    worker = Freezing(Toy(name), settings)
    worker.order = Path(freeze) if freeze else None
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
