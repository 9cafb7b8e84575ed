"""Requests of staff: signed by a member, into the inbox, and back with competency's answers. All requests go this one way."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from credstream.people import member_of, staff_signer
from credstream.quarantine.cases import set_aside
from schemas.codec import decode, encode, headers
from schemas.errors import UnavailableError
from schemas.events import CompetencyDecided, Disposition, Outcome
from schemas.ids import lane_of, learner_key
from schemas.topology import DECIDED, INBOX, QUARANTINED
from services.competency.requests import Request
from services.signing.jws import HEADER, sign_detached
from streams.settings import Installation
from streams.topics import ends

_ANSWER_S: Final = 30.0
_FLUSH_S: Final = 15.0
_MAX_BATCH: Final = 500
_POLL_S: Final = 0.1
R = TypeVar("R", bound=Request)


@dataclass(frozen=True, slots=True)
class Answer:
    """What competency decided about a request."""

    request: Request
    disposition: Disposition | None
    detail: str
    outcomes: tuple[Outcome, ...] = ()

    @property
    def granted(self) -> bool:
        """Say whether it took effect, now or before."""
        return self.disposition in {Disposition.APPLIED, Disposition.KNOWN}


class Desk:
    """Where one member of staff asks. Requests that are repeated with the same `request_id` are harmless."""

    def __init__(self, installation: Installation, programme: str, member: str | None = None) -> None:
        """Sit down as this member of staff, or as the only one.

        Raises:
            RefusedError: There is no such member, or their key cannot be used.
        """
        self.installation, self.programme = installation, programme
        self.member = member_of(installation, programme, member)
        self._key = staff_signer(installation, programme, self.member)
        common = {"bootstrap.servers": installation.bootstrap_servers}
        self._producer = Producer({**common, "enable.idempotence": True})
        self._consumer = Consumer(
            {
                **common,
                "group.id": "staff",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
            }
        )
        self._listening = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        self._consumer.close()

    def request(self, kind: type[R], learner_ref: str, *, request_id: str | None = None, **about: Any) -> R:
        """Return a request about a learner, in this member's name."""
        return kind(
            request_id=request_id or f"r-{secrets.token_hex(12)}",
            programme=self.programme,
            learner_ref=learner_ref,
            requested_by=self.member,
            requested_at=time.time_ns() // 1000,
            **about,
        )

    def ask(self, request: Request) -> Answer:
        """Ask for one thing and return the decision.

        Raises:
            UnavailableError: Kafka or competency does not answer.
        """
        return next(self.ask_all([request]))

    def ask_all(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Ask for several things, and yield each decision as it comes; never more than a few hundred are under way.

        Raises:
            UnavailableError: Kafka or competency does not answer; what was sent stands in the log.
        """
        self._listen()
        for start in range(0, len(requests), _MAX_BATCH):
            yield from self._ask_batch(requests[start : start + _MAX_BATCH])

    def _ask_batch(self, requests: Sequence[Request]) -> Iterator[Answer]:
        placed: dict[tuple[int, int], str] = {}
        for request in requests:
            self._send(request, placed)
        if self._producer.flush(_FLUSH_S) or len(placed) < len(requests):
            raise UnavailableError(f"Kafka at {self.installation.bootstrap_servers} does not acknowledge")
        waiting = {request.request_id: request for request in requests}
        deadline = time.monotonic() + _ANSWER_S
        while waiting:
            for message in self._consumer.consume(500, _POLL_S):
                answer = _read(message, waiting, placed)
                if answer is not None:
                    del waiting[answer.request.request_id]
                    deadline = time.monotonic() + _ANSWER_S
                    yield answer
            if waiting and time.monotonic() > deadline:
                raise UnavailableError(
                    f"asked, but competency has not decided about {len(waiting)} requests yet; is it running? they stand in the log"
                )

    def _listen(self) -> None:
        """Listen for answers from here on: to decisions, and to what is set aside."""
        if not self._listening:
            at = ends(self.installation, [DECIDED, QUARANTINED])
            self._consumer.assign([TopicPartition(topic, lane, end) for (topic, lane), end in at.items()])
            self._listening = True

    def _send(self, request: Request, placed: dict[tuple[int, int], str]) -> None:
        value, key = encode(request), learner_key(request.programme, request.learner_ref)
        sent: list[tuple[str, str | bytes | None]] = [
            *headers(request, source=f"/staff/{self.member}", event_id=request.request_id),
            (HEADER, sign_detached(value, self._key, self.member)),
        ]

        def acknowledged(error: Any, message: Any) -> None:
            if error is None:
                placed[message.partition(), message.offset()] = request.request_id

        lane = lane_of(key, self.installation.kafka.lanes)
        while True:
            try:
                self._producer.produce(INBOX.name, value, key, lane, headers=sent, on_delivery=acknowledged)
            except BufferError:
                self._producer.poll(_POLL_S)
            else:
                return


def _read(message: Any, waiting: Mapping[str, Request], placed: Mapping[tuple[int, int], str]) -> Answer | None:
    """Return the answer in a record, if it is one."""
    if message.error() is not None:
        raise KafkaException(message.error())
    if message.topic() == QUARANTINED.name:
        aside = set_aside(message.value())
        if aside is None or aside.topic != INBOX.name:
            return None
        request = waiting.get(placed.get((aside.partition, aside.offset), ""))
        if request is None:
            return None
        return Answer(request, None, f"set aside ({aside.reason}): {aside.detail}")
    decided = decode(message.value(), CompetencyDecided)
    request = waiting.get(decided.event_id)
    if request is None or decided.learner_ref != request.learner_ref:
        return None
    body = None if isinstance(decided.body, bytes) else decided.body
    detail = body.detail if body is not None and body.detail else decided.disposition.value.replace("_", " ")
    return Answer(request, decided.disposition, detail, () if body is None else body.outcomes)
