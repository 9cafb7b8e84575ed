"""How a lane's Kafka clients are set. Each number is a trap of `docs/decisions/0002-lanes.md`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_MAX_MESSAGE_BYTES: Final = 5_000_000  # a quarantined record is up to four times as large as any other


def consumer_settings(client: Mapping[str, Any], group: str, session_timeout_s: float) -> dict[str, Any]:
    """Return the settings of a worker's consumer."""
    session_ms = int(session_timeout_s * 1000)
    return {
        **client,
        "group.id": group,
        "partition.assignment.strategy": "range",  # [3]
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": session_ms // 4,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",  # [5] never jump over what retention removed
        "fetch.wait.max.ms": 100,
        "queued.min.messages": 10_000,
        "queued.max.messages.kbytes": 65_536,
    }


def transactional_id(stage: str, epoch: str, lane: int) -> str:
    """Return the name under which a lane's owner writes: who opens it fences whoever had the lane before [1]."""
    return f"{stage}-{epoch}-{lane}"


def producer_settings(client: Mapping[str, Any], transactional_id: str, timeout_s: float) -> dict[str, Any]:
    """Return the settings of a lane's producer."""
    return {
        **client,
        "transactional.id": transactional_id,
        "transaction.timeout.ms": int(timeout_s * 1000),
        "linger.ms": 50,  # commit flushes at once; a short linger only cuts the batch into small requests
        "batch.size": 1_000_000,
        "message.max.bytes": _MAX_MESSAGE_BYTES,
        "compression.type": "lz4",
        "retry.backoff.ms": 5,  # [2]
        "retry.backoff.max.ms": 100,
        "delivery.report.only.error": True,
    }
