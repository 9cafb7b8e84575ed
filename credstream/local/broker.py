"""A real Apache Kafka (KRaft, one node) on this machine, on loopback, with its data in one folder. No Docker."""

from __future__ import annotations

import base64
import fcntl
import logging
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
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
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=BROKER://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=BROKER://{host}:{port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
log.dirs={data}
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


class BrokerError(UnavailableError):
    """The embedded broker cannot start or stop; the message says why and names its log."""


@dataclass(slots=True)
class Broker:
    """A running broker. `bootstrap_servers` is its address; end it with `stop`."""

    folder: Path
    bootstrap_servers: str
    pid: int
    process: subprocess.Popen[bytes]
    lock: IO[str]

    def alive(self) -> bool:
        """Say whether it still runs."""
        return self.process.poll() is None

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
        finally:
            self.lock.close()


def start(folder: Path, *, timeout_s: float = 60.0, say: Callable[[str], None] = lambda _: None) -> Broker:
    """Start the broker whose data lie in ``folder``, or a new one there, and return it once it answers.

    It keeps its ports from one start to the next unless another program has taken them; `<folder>/bootstrap` has its address.

    Raises:
        BrokerError: A broker runs in the folder already; or Java, the jars, disk space or the time to answer are missing.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _exclusive(folder)
        try:
            return _started(folder, lock, timeout_s, say)
        except BaseException:
            lock.close()
            raise
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
    """Hold the folder. The broker inherits the lock, so it lasts as long as either of the two lives."""
    lock = (folder / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        pid = lock.read().strip() or "unknown"
        lock.close()
        raise BrokerError(
            f"a broker runs in {folder} already (pid {pid}); stop it, or name another folder; its log is {_log(folder)}"
        ) from None
    return lock


def _started(folder: Path, lock: IO[str], timeout_s: float, say: Callable[[str], None]) -> Broker:
    java, jars = find_java(), class_path(say)
    (folder / "log4j2.xml").write_text(_LOGGING)
    command = [str(java), f"-Xmx{_HEAP}", "-XX:+UseSerialGC", "-cp", f"{folder}{os.pathsep}{jars}"]
    port = _configured(folder, say)
    if not (folder / "data" / "meta.properties").exists():
        _format(folder, command)
    with _log(folder).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  our own command
            [*command, "kafka.Kafka", str(folder / "server.properties")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
    lock.truncate(0)
    lock.write(str(process.pid))
    lock.flush()
    broker = Broker(folder, f"{_HOST}:{port}", process.pid, process, lock)
    try:
        _wait_until_it_answers(broker, timeout_s)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return broker


def _configured(folder: Path, say: Callable[[str], None]) -> int:
    """Write the broker's settings with the ports that it had, or free ones, and return its port."""
    try:
        port, controller = map(int, (folder / "ports").read_text().split())
    except (FileNotFoundError, ValueError):
        port = controller = 0
    if port and not (_is_free(port) and _is_free(controller)):
        say(f"port {port} or {controller} is taken by another program; the broker moves to free ones")
        port = 0
    if not port:
        port, controller = _free_ports()
        (folder / "ports").write_text(f"{port} {controller}")
    settings = _PROPERTIES.format(host=_HOST, port=port, controller=controller, data=folder / "data")
    (folder / "server.properties").write_text(settings)
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


def _format(folder: Path, command: list[str]) -> None:
    cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
    tool = [*command, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(folder / "server.properties")]
    done = subprocess.run(tool, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        _log(folder).write_bytes(done.stdout + done.stderr)
        raise BrokerError(f"the broker's folder cannot be prepared: {_last_words(folder)}; its log is {_log(folder)}")


def _wait_until_it_answers(broker: Broker, timeout_s: float) -> None:
    silent: Any = {"logger": _SILENT}
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "reconnect.backoff.max.ms": 200, **silent})
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not broker.alive():
            raise BrokerError(
                f"the broker ended at once: {_last_words(broker.folder)}; its log is {_log(broker.folder)}"
            )
        with suppress(KafkaException):
            if admin.list_topics(timeout=1).brokers:
                return
    raise BrokerError(f"the broker did not answer within {timeout_s:.0f} s; its log is {_log(broker.folder)}")


def _last_words(folder: Path) -> str:
    with suppress(OSError):
        lines = [line for line in _log(folder).read_text("utf-8", "replace").splitlines() if line.strip()]
        telling = [line for line in lines if "ERROR" in line or "Exception" in line]
        if lines:
            return (telling or lines)[-1].strip()[:300]
    return "it left no word"
