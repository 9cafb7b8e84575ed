"""What would become of a record in quarantine if it were given to the inbox again now, as far as can be seen beforehand."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from credstream.quarantine.cases import Case, inbox_event
from credstream.rules.adopted import lanes_kept
from schemas.errors import MalformedError, QuarantineReason
from schemas.events import AssessmentCompleted, CatalogueAdopted, Header, LearnerProfiled, RecordQuarantined
from schemas.ids import lane_of, learner_key
from schemas.topology import INBOX
from services.competency.acceptance import accepted
from services.competency.rulebook import Rulebook
from services.signing.jws import HEADER, signer_of
from streams.settings import Installation

ELSEWHERE: Final = "what credstream itself wrote cannot be redriven: mend the program, then replay"


class Foresight:
    """The installation as it is now: what its lanes have adopted, whose keys it pins."""

    def __init__(self, installation: Installation) -> None:
        """Read what is adopted.

        Raises:
            UnavailableError: Kafka does not answer.
        """
        self._place, self._kept = installation, lanes_kept(installation)
        self._books: dict[tuple[int, str], Rulebook | None] = {}

    def fault(self, case: Case, aside: RecordQuarantined) -> str | None:
        """Return why the record would be set aside again, None where it may go on.

        Whether an event id is known with another content, whether a learner is full, and whether the record ends the process
        that reads it, shows only when it is tried.
        """
        if case.position.topic != INBOX.name:
            return ELSEWHERE
        try:
            self._read(aside)
        except MalformedError as error:
            return str(error)
        return None

    def destination(self, aside: RecordQuarantined) -> tuple[bytes | None, int]:
        """Return key and lane for the record: the learner's, if it is about one, whatever it was sent with."""
        try:
            event = inbox_event(aside.value)
        except MalformedError:
            return aside.key, aside.partition
        if isinstance(event, CatalogueAdopted):
            return event.programme.encode(), aside.partition
        key = learner_key(event.programme, event.learner_ref)
        return key, lane_of(key, self._place.kafka.lanes)

    def _read(self, aside: RecordQuarantined) -> None:
        event = inbox_event(aside.value)
        if isinstance(event, CatalogueAdopted):
            return
        _, lane = self.destination(aside)
        book = self._book(lane, event.programme)
        if isinstance(event, AssessmentCompleted):
            accepted(event, book, time.time_ns() // 1000)
        elif not isinstance(event, LearnerProfiled):
            self._check_signature(event, aside)

    def _book(self, lane: int, programme: str) -> Rulebook:
        if (lane, programme) not in self._books:
            self._books[lane, programme] = self._kept[lane].rulebook(programme)
        book = self._books[lane, programme]
        if book is None:
            raise MalformedError(QuarantineReason.UNKNOWN_PROGRAMME, f"{programme!r} has adopted no catalogue")
        return book

    def _check_signature(self, request: Any, aside: RecordQuarantined) -> None:
        pinned = self._place.programmes.get(request.programme)
        keys: Mapping[str, str] = {} if pinned is None else pinned.staff_keys
        signature = next((header.value for header in aside.headers if _is_signature(header)), None)
        if signer_of(signature, aside.value or b"", keys) != request.requested_by:
            raise MalformedError(QuarantineReason.BAD_SIGNATURE, "not signed by the member of staff whom it names")


def _is_signature(header: Header) -> bool:
    return header.name == HEADER
