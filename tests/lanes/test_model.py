"""The model of Kafka that the simulation runs on, held against a real one: the same calls have the same outcomes."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as RealProducer
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from simulation.model import Broker, Process, Producer
from support import toy

from credstream.reading import committed
from streams.clients import producer_settings

PARTITIONS = 2


@dataclass
class Both:
    """One producer, real and model."""

    real: Any
    model: Producer
    is_open: bool = False
    is_gone: bool = False

    def call(self, name: str, *args: Any) -> tuple[str, str]:
        return outcome(self.real, name, *args), outcome(self.model, name, *args)


def outcome(producer: Any, name: str, *args: Any) -> str:
    try:
        getattr(producer, name)(*args)
        if name == "produce" and isinstance(producer, RealProducer):
            producer.flush(10)
    except KafkaException as raised:
        error = raised.args[0]
        return "fenced" if error.code() == KafkaError._FENCED else str(error)
    return "done"


@pytest.mark.parametrize("seed", range(8))
def test_a_model_producer_does_as_a_real_one(kafka: str, seed: int) -> None:
    chance, run = random.Random(seed), uuid4().hex[:8]
    topic = toy.topic(f"model-{run}", "in")
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics([NewTopic(topic.name, PARTITIONS, 1)], wait_for_metadata=True)
    admin.close()
    broker = Broker(PARTITIONS)
    process = Process("p", broker, lambda _: None)
    made: list[Both] = []

    def opened(name: str) -> None:
        settings = producer_settings({"bootstrap.servers": kafka}, f"{run}-{name}", 60)
        both = Both(RealProducer(settings), Producer(process, f"{run}-{name}"))
        assert both.call("init_transactions", 20.0) == ("done", "done")
        made.append(both)

    happened: dict[str, int] = defaultdict(int)
    for at in range(30):
        usable = [both for both in made if not both.is_gone]
        if not usable or chance.random() < 0.15:
            opened(chance.choice("ab"))
            continue
        both = chance.choice(usable)
        if not both.is_open:
            assert both.call("begin_transaction") == ("done", "done")
            both.is_open = True
        name = chance.choice(("produce", "produce", "commit_transaction", "abort_transaction"))
        if name == "produce":
            lane, value = chance.randrange(PARTITIONS), b"%d" % at
            both.call("produce", topic.name, value, b"key", lane)
            continue
        real, model = both.call(name, 20.0)
        assert real == model, (at, name)
        happened[real] += 1
        both.is_open, both.is_gone = False, real != "done"
    for name in "ab":
        opened(name)  # ends what is open
    found = [[], []]  # type: list[list[bytes]]
    for record in committed(kafka, topic):
        found[record.partition].append(record.value)
    expected = [[entry.value for _, entry in broker.visible(topic.name, lane)] for lane in range(PARTITIONS)]
    assert found == expected
    assert happened["done"]
