"""The embedded broker: a real Kafka that starts by itself, survives kills, and says clearly what is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from credstream.local import broker, jars

START = (
    "import sys; from pathlib import Path; from credstream.local import broker; "
    "b = broker.start(Path(sys.argv[1])); print(b.bootstrap_servers, b.pid, flush=True)"
)
FILL_THE_DISK = """
import os, sys
from pathlib import Path
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from credstream.local import broker

b = broker.start(Path(sys.argv[1]))
admin = AdminClient({"bootstrap.servers": b.bootstrap_servers})
admin.create_topics([NewTopic("full", 1, 1)])["full"].result(20)
producer = Producer({"bootstrap.servers": b.bootstrap_servers, "message.timeout.ms": 3000})
while True:
    b.check()
    producer.produce("full", os.urandom(900_000))
    producer.flush(4)
"""
needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare for a full disk"
)


def write(servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
    producer = Producer({"bootstrap.servers": servers})
    producer.produce("kept", b"still here")
    assert producer.flush(20) == 0


def read(servers: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition("kept", 0, 0)])
    record = consumer.poll(20)
    consumer.close()
    return record.value() if record else None


def run(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        env={"HOME": os.environ["HOME"], "PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.fault("B1", "B2")
def test_what_was_acknowledged_survives_a_clean_stop_and_kill_9(tmp_path: Path) -> None:
    with broker.running(tmp_path) as first:
        write(first.bootstrap_servers)
    assert not first.alive()
    second = broker.start(tmp_path)
    assert second.bootstrap_servers == first.bootstrap_servers
    assert read(second.bootstrap_servers) == b"still here"
    os.kill(second.pid, signal.SIGKILL)  # by another hand: its owner neither stopped it nor ended
    second.process.wait()
    with pytest.raises(broker.BrokerError, match=rf"broker {second.pid} has ended.*broker\.log"):
        second.check()
    with broker.running(tmp_path) as third:
        assert read(third.bootstrap_servers) == b"still here"


def test_all_its_data_lie_in_the_folder_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    folder = tmp_path / "données, du: pilote\\2026"
    with broker.running(folder) as running:
        write(running.bootstrap_servers)
    assert (folder / "data" / "kept-0").is_dir()
    assert list(tmp_path.iterdir()) == [folder]


def test_a_cluster_id_that_looks_like_an_option_is_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_bytes", lambda size: b"\xf8" * size)
    with broker.running(tmp_path):
        assert "cluster.id=-Pj4" in (tmp_path / "data" / "meta.properties").read_text()


def test_a_second_start_is_refused_even_after_the_first_ones_owner_died(tmp_path: Path) -> None:
    owner = run(f"{START}; import os; os.kill(os.getpid(), 9)", tmp_path)
    assert owner.returncode == -signal.SIGKILL
    address, pid = owner.stdout.split()
    try:
        with pytest.raises(broker.BrokerError, match=rf"already \(pid {pid}\).*broker\.log"):
            broker.start(tmp_path)
    finally:
        os.kill(int(pid), signal.SIGTERM)
    for _ in range(100):  # not our child, so we cannot wait for it
        try:
            again = broker.start(tmp_path)
            break
        except broker.BrokerError:
            time.sleep(0.1)
    assert again.bootstrap_servers == address
    again.stop()


def test_a_taken_port_moves_the_broker_which_says_so(tmp_path: Path) -> None:
    with broker.running(tmp_path) as first:
        write(first.bootstrap_servers)
    said: list[str] = []
    with socket.create_server(("127.0.0.1", port := int(first.bootstrap_servers.rpartition(":")[2]))):
        moved = broker.start(tmp_path, say=said.append)
        try:
            assert moved.bootstrap_servers == (tmp_path / "bootstrap").read_text() != first.bootstrap_servers
            assert [f"port {port} is taken" in line and "broker.log" in line for line in said] == [True]
            assert read(moved.bootstrap_servers) == b"still here"
        finally:
            moved.stop()


def test_it_starts_with_no_java_on_path(tmp_path: Path) -> None:
    done = run(f"{START}; b.stop()", tmp_path / "kafka", PATH=str(tmp_path))
    assert done.stdout.startswith("127.0.0.1:"), done.stderr
    assert not done.stderr


def cached(cache: Path) -> Path:
    """Copy the jars that this machine has."""
    jars.class_path(lambda _: None)
    return Path(shutil.copytree(jars.cache_folder() / f"kafka-{jars.KAFKA}", cache / f"kafka-{jars.KAFKA}"))


def test_a_damaged_jar_is_fetched_anew(tmp_path: Path) -> None:
    victim = cached(tmp_path) / "kafka-clients-4.3.1.jar"
    good = victim.read_bytes()
    victim.write_bytes(good[:1000])
    said: list[str] = []
    assert str(victim) in jars.class_path(said.append, tmp_path)
    assert victim.read_bytes() == good
    assert said == [f"fetching Apache Kafka {jars.KAFKA} (45 MB), once"]


def test_a_download_that_was_cut_short_in_mavens_own_folder_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M2_REPO", str(tmp_path / "maven"))
    torn = tmp_path / "maven/org/apache/kafka/kafka_2.13/4.3.1/kafka_2.13-4.3.1.pom"
    torn.parent.mkdir(parents=True)
    torn.write_text("<project><modelVers")
    jars.class_path(lambda _: None, tmp_path / "cache")


def test_starts_at_the_same_time_fetch_once(tmp_path: Path) -> None:
    next(cached(tmp_path).glob("*.jar")).unlink()
    said: list[str] = []
    with ThreadPoolExecutor() as pool:
        one, other = pool.map(lambda _: jars.class_path(said.append, tmp_path), range(2))
    assert one == other
    assert len(said) == 1


def test_a_failed_download_names_what_and_where(tmp_path: Path) -> None:
    away = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = run(START, tmp_path / "kafka", HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"), **away)
    last = done.stderr.strip().splitlines()[-1]
    assert "cannot fetch Kafka's jars into" in last
    assert "broker.log" in last


@pytest.mark.fault("D1")
@needs_mounts
@pytest.mark.parametrize(
    ("size", "script", "says"),
    [("8k", START, "the disk of"), ("90m", FILL_THE_DISK, "has ended: its disk is full")],
    ids=["when it starts", "while it runs"],
)
def test_a_full_disk_is_told_with_the_logs_name(size: str, script: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(script)
    mounted = tmp_path / "disk"
    mounted.mkdir()
    command = f"mount -t tmpfs -o size={size} tmpfs {mounted} && exec {sys.executable} {tmp_path}/script.py {mounted}/k"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, timeout=120, check=False
    )
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this sandbox allows no mounts")
    told = [line for line in done.stderr.splitlines() if "BrokerError" in line]
    assert told, done.stderr
    assert says in told[-1]
    assert "broker.log" in told[-1]
