"""Staff requests about a credential's status: signed, into the inbox, and back with competency's answer."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, Producer, TopicPartition

from credstream.reading import committed
from schemas.codec import decode, encode, headers
from schemas.errors import RefusedError, UnavailableError
from schemas.events import CompetencyDecided, CredentialIssued, Disposition, StatusAction, StatusReason, StatusRequested
from schemas.ids import lane_of, learner_key
from schemas.topology import DECIDED, INBOX, ISSUED
from services.signing.jws import HEADER, sign_detached
from streams.keystore import PASSPHRASE, signer
from streams.settings import Installation
from streams.topics import ends

_ANSWER_S: Final = 30.0
_FLUSH_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What competency decided about a request."""

    granted: bool
    detail: str


def request_revocation(
    installation: Installation, credential_id: str, reason: StatusReason, *, urgent: bool = False
) -> Answer:
    """Ask for a revocation as this installation's staff and return the decision.

    Raises:
        RefusedError: No such credential was issued, or there is no staff key.
        UnavailableError: Kafka or competency does not answer.
    """
    issued = issued_here(installation, credential_id)
    member = next(iter(installation.programmes[issued.programme].staff_keys))
    key = signer(installation.secret_path(f"staff/{issued.programme}/{member}.pem"), installation.secret(PASSPHRASE))
    request = StatusRequested(
        request_id=f"r-{secrets.token_hex(12)}",
        programme=issued.programme,
        learner_ref=issued.learner_ref,
        credential_id=credential_id,
        action=StatusAction.REVOKE,
        reason=reason,
        requested_by=member,
        requested_at=time.time_ns() // 1000,
        urgent=urgent,
    )
    value = encode(request)
    record_key = learner_key(issued.programme, issued.learner_ref)
    lane = lane_of(record_key, installation.kafka.lanes)
    start = ends(installation, [DECIDED])[DECIDED.name, lane]
    sent: list[tuple[str, str | bytes | None]] = [
        *headers(request, source=f"/staff/{member}", event_id=request.request_id),
        (HEADER, sign_detached(value, key, member)),
    ]
    producer = Producer({"bootstrap.servers": installation.bootstrap_servers, "enable.idempotence": True})
    producer.produce(INBOX.name, value, record_key, lane, headers=sent)
    if producer.flush(_FLUSH_S):
        raise UnavailableError(f"Kafka at {installation.bootstrap_servers} does not acknowledge")
    return _answer(installation, lane, start, request.request_id)


def issued_here(installation: Installation, credential_id: str) -> CredentialIssued:
    """Return the record of a credential that was issued here.

    Raises:
        RefusedError: There is none.
        UnavailableError: Kafka does not answer.
    """
    needle = credential_id.encode()
    for record in committed(installation.bootstrap_servers, ISSUED):
        if needle in record.value:
            issued = decode(record.value, CredentialIssued)
            if issued.credential_id == credential_id:
                return issued
    raise RefusedError(f"no credential {credential_id} was issued here")


def _answer(installation: Installation, lane: int, start: int, request_id: str) -> Answer:
    consumer = Consumer(
        {
            "bootstrap.servers": installation.bootstrap_servers,
            "group.id": "staff",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
        }
    )
    consumer.assign([TopicPartition(DECIDED.name, lane, start)])
    deadline = time.monotonic() + _ANSWER_S
    try:
        while time.monotonic() < deadline:
            for message in consumer.consume(500, 0.2):
                decided = decode(message.value(), CompetencyDecided)
                if decided.event_id == request_id:
                    detail = None if isinstance(decided.body, bytes) else decided.body.detail
                    granted = decided.disposition in {Disposition.APPLIED, Disposition.KNOWN}
                    return Answer(granted, detail or decided.disposition)
    finally:
        consumer.close()
    raise UnavailableError("asked, but competency has not decided yet; is it running? the request stands in the log")
