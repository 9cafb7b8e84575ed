"""All of the world that a worker touches. `KAFKA` is the real one; the simulation puts a model in its place."""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from confluent_kafka import Consumer, Producer, TopicPartition

from streams.restore import State, restorer

Settings: TypeAlias = dict[str, Any]
_LANES_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Kafka's clients, made from their settings; a pool; a clock; a watchdog that ends the process unless called off in time."""

    consumer: Callable[[Settings], Any]
    producer: Callable[[Settings], Any]
    restorer: Callable[[Settings], Callable[[TopicPartition], State]]
    pool: Callable[[], Executor]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    watch: Callable[[float], None]
    call_off: Callable[[], None]


KAFKA: Final = Surroundings(
    consumer=Consumer,
    producer=Producer,
    restorer=restorer,
    pool=lambda: ThreadPoolExecutor(_LANES_AT_ONCE),  # a commit is mostly waiting: lanes wait side by side
    monotonic=time.monotonic,
    sleep=time.sleep,
    watch=lambda seconds: faulthandler.dump_traceback_later(seconds, exit=True),
    call_off=faulthandler.cancel_dump_traceback_later,
)
