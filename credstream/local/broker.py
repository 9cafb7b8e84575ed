"""A real Apache Kafka (KRaft, one node) on this machine, on loopback, with its data in one folder. No Docker."""

from __future__ import annotations

import base64
import fcntl
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from credstream.local.jars import DownloadError, class_path
from credstream.local.java import find_java
from schemas.errors import UnavailableError

_HOST: Final = "127.0.0.1"
_HEAP: Final = "512m"
_STOP_S: Final = 60.0
_PATIENCE_S: Final = 300.0  # after a hard stop Kafka reads what it had not flushed: 12 s for 2.3 GB on two cores
_SLOW_S: Final = 20.0
_LEAST_FREE_MB: Final = 64  # with less, Kafka's mapped indexes fail in ways that its log does not explain
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=BROKER://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=BROKER://{host}:{port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
# Relative to where the broker runs, so that no letter of the folder's name means anything to Kafka.
log.dirs=data
auto.create.topics.enable=false
# A quarantined record is up to four times as large as any other.
message.max.bytes=5000000
replica.fetch.max.bytes=5000000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
# Keep a stopped pipeline's place for a year: state without offsets parks a lane.
offsets.retention.minutes=525600
"""
_SILENT: Final = logging.getLogger(f"{__name__}.probe")
_SILENT.setLevel(logging.CRITICAL)  # a broker that is still starting refuses connections
_LOGGING: Final = """\
<Configuration><Appenders><Console name="c"><PatternLayout pattern="%d %p %c{1} %m%n"/></Console></Appenders>
<Loggers><Root level="WARN"><AppenderRef ref="c"/></Root></Loggers></Configuration>
"""


_TAKEN: Final = re.compile(r"failed to bind to [^\n]+")
_TELLING: Final = re.compile(r"\b(ERROR|FATAL)\b|(Exception|Error)\b")


class BrokerError(UnavailableError):
    """The embedded broker cannot start or stop, or has ended; the message says why and names its log."""


@dataclass(slots=True)
class Broker:
    """A running broker. `bootstrap_servers` is its address; end it with `stop`."""

    folder: Path
    bootstrap_servers: str
    pid: int
    process: subprocess.Popen[bytes]
    log_start: int  # where this start's part of the log begins

    def alive(self) -> bool:
        """Say whether it still runs."""
        return self.process.poll() is None

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            BrokerError: It has ended.
        """
        if not self.alive():
            why = _why(self.folder, self.log_start)
            raise BrokerError(f"the broker {self.pid} has ended: {why}; its log is {_log(self.folder)}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it by its pid and wait; its data stay.

        Raises:
            BrokerError: It has not ended after a minute.
        """
        with suppress(ProcessLookupError):
            self.process.send_signal(how)
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            raise BrokerError(f"the broker {self.pid} does not stop; its log is {_log(self.folder)}") from None


def start(folder: Path, *, timeout_s: float = _PATIENCE_S, say: Callable[[str], None] = lambda _: None) -> Broker:
    """Start the broker whose data lie in ``folder``, or a new one there, and return it once it answers.

    It keeps its ports from one start to the next unless another program has taken them; `<folder>/bootstrap` has its address.
    One that ends is noticed at once, whatever ``timeout_s``.

    Raises:
        BrokerError: A broker runs in the folder already; or Java, the jars, disk space or the time to answer are missing.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _exclusive(folder) as lock:
            return _started(folder, lock, timeout_s, say)
    except (FileNotFoundError, DownloadError) as error:
        raise BrokerError(f"no broker: {error}; its log would be {_log(folder)}") from error
    except OSError as error:
        raise BrokerError(
            f"no broker: {error.strerror} ({error.filename or folder}); its log is {_log(folder)}"
        ) from error


@contextmanager
def running(folder: Path, *, say: Callable[[str], None] = lambda _: None) -> Iterator[Broker]:
    """Run a broker for the length of a `with` block.

    Raises:
        BrokerError: See `start`.
    """
    broker = start(folder, say=say)
    try:
        yield broker
    finally:
        broker.stop()


def _log(folder: Path) -> Path:
    return folder / "broker.log"


def _exclusive(folder: Path) -> IO[str]:
    """Hold the folder until the broker inherits the lock, which then lasts exactly as long as the broker lives."""
    lock = (folder / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with lock:
            lock.seek(0)
            pid = lock.read().strip() or "unknown"
        raise BrokerError(
            f"a broker runs in {folder} already (pid {pid}); stop it, or name another folder; its log is {_log(folder)}"
        ) from None
    _sign(lock, os.getpid())  # what it says until now is the pid of a broker that is gone; another program may have it
    return lock


def _sign(lock: IO[str], pid: int) -> None:
    lock.truncate(0)
    lock.write(str(pid))
    lock.flush()


def _started(folder: Path, lock: IO[str], timeout_s: float, say: Callable[[str], None]) -> Broker:
    if (free := _free_mb(folder)) < _LEAST_FREE_MB:
        raise BrokerError(
            f"no broker: the disk of {folder} is full ({free} MB left, {_LEAST_FREE_MB} needed); its log is {_log(folder)}"
        )
    java, jars = find_java(), class_path(say)
    (folder / "log4j2.xml").write_text(_LOGGING)
    command = [str(java), f"-Xmx{_HEAP}", "-XX:+UseSerialGC", "-cp", f".{os.pathsep}{jars}"]
    port = _configured(folder, say)
    with _log(folder).open("ab") as log:
        log_start = log.tell()
        if not (folder / "data" / "meta.properties").exists():
            _format(folder, command, log)
        process = _spawn([*command, "kafka.Kafka", "server.properties"], folder, log, keep=[lock.fileno()])
    broker = Broker(folder, f"{_HOST}:{port}", process.pid, process, log_start)
    try:
        _sign(lock, process.pid)
        _wait_until_it_answers(broker, timeout_s, say)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return broker


def _spawn(command: list[str], folder: Path, log: IO[bytes], keep: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  our own command
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C.UTF-8"},  # Java spells paths by the locale
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        pass_fds=keep,
    )


def _configured(folder: Path, say: Callable[[str], None]) -> int:
    """Write the broker's settings with the ports that it had, or free ones, and return its port."""
    try:
        port, controller = map(int, (folder / "ports").read_text().split())
    except (FileNotFoundError, ValueError):
        port, controller = _free_ports()
    if taken := [str(one) for one in (port, controller) if not _is_free(one)]:
        port, controller = _free_ports()
        say(
            f"port {' and '.join(taken)} is taken by another program; "
            f"the broker moves to {_HOST}:{port}; its log is {_log(folder)}"
        )
    (folder / "ports").write_text(f"{port} {controller}")
    (folder / "server.properties").write_text(_PROPERTIES.format(host=_HOST, port=port, controller=controller))
    (folder / "bootstrap").write_text(f"{_HOST}:{port}")
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind((_HOST, 0))
        second.bind((_HOST, 0))
        return first.getsockname()[1], second.getsockname()[1]


def _format(folder: Path, command: list[str], log: IO[bytes]) -> None:
    cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
    start = log.tell()
    tool = [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", "server.properties"]
    if _spawn(tool, folder, log).wait():
        raise BrokerError(f"the broker's folder cannot be prepared: {_why(folder, start)}; its log is {_log(folder)}")


def _wait_until_it_answers(broker: Broker, timeout_s: float, say: Callable[[str], None]) -> None:
    silent: Any = {"logger": _SILENT}
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "reconnect.backoff.max.ms": 200, **silent})
    began = time.monotonic()
    patient = False
    while (waited := time.monotonic() - began) < timeout_s:
        broker.check()
        with suppress(KafkaException):
            if admin.list_topics(timeout=1).brokers:
                return
        if waited > _SLOW_S and not patient:
            patient = True
            say(f"the broker is still starting, as it does after a hard stop; its log is {_log(broker.folder)}")
    raise BrokerError(f"the broker did not answer within {timeout_s:.0f} s; its log is {_log(broker.folder)}")


def _free_mb(folder: Path) -> int:
    return shutil.disk_usage(folder).free // 1_000_000


def _why(folder: Path, log_start: int) -> str:
    """Say why a broker ended: what this machine shows, else what the log says last, from ``log_start`` on."""
    if (free := _free_mb(folder)) < _LEAST_FREE_MB:
        return f"its disk is full ({free} MB left)"
    with _log(folder).open("rb") as log:
        log.seek(log_start)
        said = log.read().decode("utf-8", "replace")
    if taken := _TAKEN.search(said):
        return taken[0]
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line) and not line.startswith("at ")]
    return [*lines, *telling][-1][:300] if lines else "it left no word"
