"""The gateway's way into the inbox: accepted means that the broker has acknowledged."""

from __future__ import annotations

import asyncio
import base64
import binascii
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, Producer
from prometheus_client import Counter

from schemas.codec import encode, headers
from schemas.errors import UnavailableError
from schemas.events import AssessmentCompleted, LearnerProfiled
from schemas.ids import lane_of, learner_key
from schemas.topology import INBOX
from streams.settings import Installation

_DELIVERY_MS: Final = 10_000
_BUFFER: Final = 200_000
ACCEPTED: Final = Counter("credstream_completions_accepted", "Completions that the broker has acknowledged.")
FAILED: Final = Counter("credstream_completions_unacknowledged", "Completions that the broker did not acknowledge.")


class _Batch:
    """Counts down acknowledgements; the highest offset of each lane is the receipt."""

    def __init__(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        self._left, self._loop = size, loop
        self.done: asyncio.Future[KafkaError | None] = loop.create_future()
        self.offsets: dict[int, int] = {}
        self._error: KafkaError | None = None

    def delivered(self, error: KafkaError | None, message: Any) -> None:
        """Take one acknowledgement; runs in the producer's polling thread."""
        if error is None:
            lane, offset = message.partition(), message.offset()
            self.offsets[lane] = max(offset, self.offsets.get(lane, -1))
        else:
            self._error = error
        self._left -= 1
        if self._left == 0:
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(self._error)


class InboxWriter:
    """Writes with an idempotent producer and never a transaction: one left open would hold everyone back."""

    def __init__(self, installation: Installation) -> None:
        """Connect lazily; a broker that is away is told on writing."""
        self._lanes = installation.kafka.lanes
        self._producer = Producer(
            {
                "bootstrap.servers": installation.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 5,
                "compression.type": "lz4",
                "delivery.timeout.ms": _DELIVERY_MS,
                "queue.buffering.max.messages": _BUFFER,
            }
        )
        self._open = True
        self._thread = threading.Thread(target=self._poll, name="inbox", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while self._open:
            self._producer.poll(0.1)

    async def write(
        self, events: Sequence[AssessmentCompleted | LearnerProfiled], traceparent: bytes | None = None
    ) -> str:
        """Return a receipt once the broker has acknowledged every one of them.

        Raises:
            UnavailableError: It did not, or the buffer is full. Sending all of them again is safe.
        """
        batch = _Batch(len(events), asyncio.get_running_loop())
        sent = 0
        try:
            for event in events:
                key = learner_key(event.programme, event.learner_ref)
                provider = f"/providers/{event.provider}" if isinstance(event, AssessmentCompleted) else ""
                source = f"/programmes/{event.programme}{provider}"
                self._producer.produce(
                    INBOX.name,
                    encode(event),
                    key,
                    lane_of(key, self._lanes),
                    on_delivery=batch.delivered,
                    headers=list(headers(event, source=source, event_id=event.event_id, traceparent=traceparent)),
                )
                sent += 1
        except BufferError:
            FAILED.inc(len(events))
            raise UnavailableError("too much is waiting for the broker") from None
        if error := await batch.done:
            FAILED.inc(len(events))
            raise UnavailableError(f"the broker did not acknowledge: {error.str()}")
        ACCEPTED.inc(sent)
        return receipt_of(batch.offsets)

    def close(self) -> None:
        """Write what waits, then stop."""
        self._producer.flush(_DELIVERY_MS / 1000)
        self._open = False
        self._thread.join(2)


def receipt_of(offsets: Mapping[int, int]) -> str:
    """Return an opaque word for positions in the inbox: the highest offset of each lane."""
    text = ",".join(f"{lane}:{offset}" for lane, offset in sorted(offsets.items()))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def positions_in(receipt: str) -> Mapping[int, int] | None:
    """Return the positions that a receipt stands for, or None when it is none of ours."""
    try:
        text = base64.b64decode(receipt + "=" * (-len(receipt) % 4), altchars=b"-_", validate=True).decode("ascii")
        return {int(lane): int(offset) for lane, _, offset in (part.partition(":") for part in text.split(","))}
    except (binascii.Error, ValueError):
        return None
