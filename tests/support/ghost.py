"""Leaves a transaction hanging, as a broker that died between the end of a transaction and its markers does.

A producer's records and offsets reach their partitions though its coordinator was never told of them. A broker of today asks the
coordinator first (KIP-890), so it is told not to.
"""

from __future__ import annotations

from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from kafka import KafkaAdminClient, KafkaProducer
from kafka.protocol.producer import ProduceRequest
from kafka.protocol.producer.transaction import TxnOffsetCommitRequest
from kafka.record.default_records import DefaultRecordBatchBuilder

from schemas.topology import Topic

_VERIFY = "transaction.partition.verification.enable"


def hang(servers: str, name: str, topic: Topic, lane: int, group: str, source: Topic) -> int:
    """Leave a transaction of this name open in a lane and in the offsets of a group, and return its producer's id."""
    _verifying(servers, "false")
    producer = KafkaProducer(bootstrap_servers=servers, transactional_id=name)
    admin: Any = KafkaAdminClient(bootstrap_servers=servers)
    try:
        producer.init_transactions()
        known = producer._transaction_manager.producer_id_and_epoch
        _write(admin, name, known, topic, lane)
        _commit(admin, name, known, group, source, lane)
    finally:
        admin.close()
        producer.close()
        _verifying(servers, "true")
    return int(known.producer_id)


def _write(admin: Any, name: str, known: Any, topic: Topic, lane: int) -> None:
    batch = DefaultRecordBatchBuilder(2, 0, 1, known.producer_id, known.epoch, 0, 100_000)
    batch.append(0, None, b"ghost", b"\x00never committed", [])
    data = ProduceRequest.TopicProduceData
    part = data.PartitionProduceData(index=lane, records=bytes(batch.build()))
    request = ProduceRequest(
        transactional_id=name,
        acks=-1,
        timeout_ms=10_000,
        topic_data=[data(name=topic.name, partition_data=[part])],
        min_version=3,
        max_version=9,
    )
    answer = admin._manager.run(_send, admin, request, None)
    assert [p.error_code for t in answer.responses for p in t.partition_responses] == [0], answer


def _commit(admin: Any, name: str, known: Any, group: str, source: Topic, lane: int) -> None:
    topic = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
    part = topic.TxnOffsetCommitRequestPartition(
        partition_index=lane, committed_offset=0, committed_leader_epoch=-1, committed_metadata=""
    )
    request = TxnOffsetCommitRequest(
        transactional_id=name,
        group_id=group,
        producer_id=known.producer_id,
        producer_epoch=known.epoch,
        generation_id=-1,
        member_id="",
        group_instance_id=None,
        topics=[topic(name=source.name, partitions=[part])],
        max_version=3,
    )
    answer = admin._manager.run(_send, admin, request, None)
    assert [p.error_code for t in answer.topics for p in t.partitions] == [0], answer


async def _send(admin: Any, request: Any, _: None) -> Any:
    """Send to the one broker that there is: leader and coordinator of everything."""
    [broker] = admin._manager.cluster.brokers()
    return await admin._manager.send(request, node_id=broker.node_id)


def _verifying(servers: str, value: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    entry = ConfigEntry(_VERIFY, value, incremental_operation=AlterConfigOpType.SET)
    resources = [
        ConfigResource(ResourceType.BROKER, str(broker), incremental_configs=[entry])
        for broker in admin.list_topics(timeout=20).brokers
    ]
    for done in admin.incremental_alter_configs(resources).values():
        done.result(20)
