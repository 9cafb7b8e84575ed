"""Kafka brokers for chaos: one or three, each killed by its pid and started again on its data, each with a second way in.

The second way is advertised under another port, so that something can stand in between.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from confluent_kafka.admin import AdminClient
from support.pipe import until
from support.ports import free_port

from credstream.local.jars import class_path
from credstream.local.java import find_java

_CLUSTER_ID: Final = "Y2hhb3MtY2x1c3Rlci0wMA"
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=BROKER://127.0.0.1:{port},SIDE://127.0.0.1:{side},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=BROKER://127.0.0.1:{port},SIDE://127.0.0.1:{advertised}
listener.security.protocol.map=BROKER:PLAINTEXT,SIDE:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
log.dirs=data
auto.create.topics.enable=false
message.max.bytes=5000000
replica.fetch.max.bytes=5000000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={least}
transaction.state.log.num.partitions=4
min.insync.replicas={least}
unclean.leader.election.enable=false
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
replica.lag.time.max.ms=5000
"""


@dataclass
class Node:
    """One broker and controller."""

    id: int
    folder: Path
    port: int = field(default_factory=free_port)
    controller: int = field(default_factory=free_port)
    side: int = field(default_factory=free_port)
    advertised: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, command: Sequence[str]) -> None:
        with (self.folder / "broker.log").open("ab") as log:
            arguments = [*command, "kafka.Kafka", "server.properties"]
            self.process = subprocess.Popen(
                arguments, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def end(self, how: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, how)
        self.process.wait(90)


class Cluster:
    """Running brokers; with three, replication is 3 and two must have a record before it is acknowledged."""

    def __init__(self, folder: Path, nodes: int = 1) -> None:
        self.nodes = [Node(number, folder / f"node-{number}") for number in range(1, nodes + 1)]
        heap = "512m" if nodes == 1 else "320m"
        self._command = [str(find_java()), f"-Xmx{heap}", "-XX:+UseSerialGC", "-cp", f".:{class_path(lambda _: None)}"]
        voters = ",".join(f"{node.id}@127.0.0.1:{node.controller}" for node in self.nodes)
        for node in self.nodes:
            node.folder.mkdir(parents=True)
            text = _PROPERTIES.format(**vars(node), voters=voters, copies=nodes, least=min(2, nodes))
            (node.folder / "server.properties").write_text(text)
            tool = [*self._command, "kafka.tools.StorageTool", "format", f"--cluster-id={_CLUSTER_ID}"]
            formatting = [*tool, "-c", "server.properties"]
            subprocess.run(formatting, cwd=node.folder, check=True, capture_output=True, timeout=120)

    def start(self) -> None:
        for node in self.nodes:
            node.start(self._command)
        self.wait_for_all()

    def restart(self, node: Node) -> None:
        node.start(self._command)
        self.wait_for_all()

    def wait_for_all(self) -> None:
        """Return when every broker answers and has caught up."""
        quiet: Any = {"log_level": 0}
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, **quiet})
        for _ in until("every broker to be there and every replica in sync", 120, 0.5):
            try:
                about = admin.list_topics(timeout=5)
            except Exception:  # noqa: BLE001, S112  it does not answer yet
                continue
            behind = [p for t in about.topics.values() for p in t.partitions.values() if len(p.isrs) < len(p.replicas)]
            if len(about.brokers) == len(self.nodes) and not behind:
                return

    def leader(self, topic: str, partition: int) -> Node:
        """Return the broker that leads a partition."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        number = admin.list_topics(topic, timeout=20).topics[topic].partitions[partition].leader
        return next(node for node in self.nodes if node.id == number)

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(node.address for node in self.nodes)

    def stop(self) -> None:
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.send_signal(signal.SIGCONT)
                node.process.kill()
                node.process.wait()


@contextmanager
def cluster(folder: Path, nodes: int = 1) -> Iterator[Cluster]:
    """Run brokers for the length of a `with` block."""
    made = Cluster(folder, nodes)
    try:
        made.start()
        yield made
    finally:
        made.stop()
