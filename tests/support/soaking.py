"""Random faults for a soak: what is done and when follows from the seed alone."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from support.cluster import Cluster
from support.injection import Injection
from support.pipe import Pipe
from support.toxics import Proxy

from credstream.local.supervisor import Child
from schemas.topology import INBOX

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600}


def seconds(text: str) -> int:
    """Read `90s`, `10m` or `1h`."""
    found = re.fullmatch(r"(\d+)([smh])", text)
    if not found:
        raise ValueError(f"{text}: how long, as in 90s, 10m or 1h")
    return int(found[1]) * _UNITS[found[2]]


@dataclass
class Havoc:
    """Everything that a soak may do to a pipe on three brokers behind proxies."""

    pipe: Pipe
    brokers: Cluster
    proxies: Sequence[Proxy]
    fault: Injection
    chance: random.Random

    @property
    def deeds(self) -> Mapping[str, Callable[[], None]]:
        return {
            "kill -9 of a process": self.kill,
            "process stopped for longer than its session": self.freeze,
            "kill -9 of a broker": self.kill_broker,
            "all connections reset": self.reset,
            "network that swallows everything": lambda: self.spoil("timeout", 12, timeout=0),
            "network with 400 ms more": lambda: self.spoil("latency", 10, latency=200, jitter=50),
        }

    def strike(self) -> None:
        """Do one thing, wait for its end, and give the pipe a moment."""
        name = self.chance.choices(list(self.deeds), weights=(6, 3, 2, 3, 1, 1))[0]
        print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
        self.deeds[name]()
        self.fault.fire(name)
        self.tend(self.chance.uniform(2, 12))

    def tend(self, length_s: float) -> None:
        """Be the supervisor for a while."""
        ends = time.monotonic() + length_s
        while time.monotonic() < ends:
            self.pipe.supervisor.tend()
            time.sleep(0.2)

    def _victim(self) -> Child:
        alive = [c for c in self.pipe.supervisor.children if c.process and c.process.poll() is None]
        return self.chance.choice(sorted(alive, key=lambda child: child.label))

    def kill(self) -> None:
        victim = self._victim()
        assert victim.process is not None
        os.kill(victim.process.pid, signal.SIGKILL)

    def freeze(self) -> None:
        victim = self._victim()
        assert victim.process is not None
        os.kill(victim.process.pid, signal.SIGSTOP)
        self.tend(self.chance.uniform(3, 14))
        victim.process.send_signal(signal.SIGCONT)

    def kill_broker(self) -> None:
        victim = self.brokers.leader(INBOX.name, self.chance.randrange(4))
        victim.end(signal.SIGKILL)
        self.tend(self.chance.uniform(0, 10))
        self.brokers.restart(victim)

    def reset(self) -> None:
        for proxy in self.proxies:
            proxy.reset(3, 0.3)

    def spoil(self, kind: str, length_s: float, **attributes: int) -> None:
        with ExitStack() as spoilt:
            for proxy in self.proxies:
                spoilt.enter_context(proxy.toxic(kind, **attributes))
            self.tend(length_s)
