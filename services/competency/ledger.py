"""A lane's own numbers and clock: they run without gaps and never back, and they come from the log alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from schemas.completions import MAX_AHEAD
from schemas.errors import IntegrityError
from schemas.events import (
    ClaimBody,
    ClaimedResult,
    CredentialClaimed,
    CredentialStatus,
    IdentityHash,
    Micros,
    RecognitionBody,
    StatusDecided,
    StatusListOpened,
    StatusReason,
)
from schemas.ids import (
    LIST_LENGTH,
    credential_uuid,
    issuer_did,
    status_list_url,
    status_place,
    subject_id,
)
from services.competency.attainment import Judged
from services.competency.progress import Award
from services.competency.rulebook import Adoption, Offer

FORM: Final = "ob3-rdfc-2"
"""How credentials are signed now: the template's name, pinned by each claim so that a replay makes the same bytes."""
_KEPT_VERSION: Final = b"\x01"
_FIRST: Final = 1


class ProgrammeNumbers(Struct, frozen=True, array_like=True):
    """What a lane has counted for a programme: catalogues adopted, the next claim, the next decision of each status list."""

    adoptions: tuple[Adoption, ...] = ()
    next_claim: int = 0
    lists: tuple[int, ...] = ()


class Ledger(Struct, frozen=True, array_like=True):
    """The lane's own state. `clock` never goes back; it is the latest `claimed_at`."""

    lane: int
    clock: Micros = 0
    next_decision: int = 0
    programmes: dict[str, ProgrammeNumbers] = {}


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Ledger)


def decoded(kept: bytes) -> Ledger:
    """Return the ledger as it was kept.

    Raises:
        IntegrityError: The bytes are not what a version known here wrote.
    """
    if kept[:1] != _KEPT_VERSION:
        raise IntegrityError(f"a ledger of version {kept[:1].hex()} is not known here")
    try:
        return _DECODER.decode(memoryview(kept)[1:])
    except msgspec.DecodeError as error:
        raise IntegrityError(f"the ledger cannot be read: {error}") from error


def encoded(ledger: Ledger) -> bytes:
    """Return what to keep."""
    return _KEPT_VERSION + _ENCODER.encode(ledger)


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What identifiers derive from. Losing one changes every identifier after it."""

    credential_secret: bytes
    status_secret: bytes
    epoch: str


class Cause(Struct, frozen=True, kw_only=True):
    """The inbox record that is being decided."""

    event_id: str
    learner_ref: str
    offset: int
    appended_at: Micros
    received_at: Micros | None = None

    @property
    def arrived_at(self) -> Micros:
        """When it arrived: the broker's word, unless the gateway took it in more than five minutes earlier."""
        return self.appended_at if self.received_at is None else min(self.appended_at, self.received_at + MAX_AHEAD)


class Draft:
    """The ledger while one record is decided: hands out numbers, places and identifiers, and collects what was numbered."""

    def __init__(self, ledger: Ledger, programme: str, naming: Naming, cause: Cause) -> None:
        """Begin from ``ledger``; the clock moves on to the arrival of ``cause``, never back."""
        self._ledger, self.programme, self._naming, self.cause = ledger, programme, naming, cause
        numbers = ledger.programmes.get(programme, ProgrammeNumbers())
        self._before, self._next_claim, self._lists = numbers, numbers.next_claim, numbers.lists
        self.clock = max(ledger.clock, cause.arrived_at)
        self.lane, self.decision_no = ledger.lane, ledger.next_decision
        self.claims: list[CredentialClaimed] = []
        self.statuses: list[StatusListOpened | StatusDecided] = []

    def ledger(self, adoption: Adoption | None = None) -> Ledger:
        """Return the ledger after the decision."""
        programmes = self._ledger.programmes
        if adoption is not None or self._next_claim != self._before.next_claim or self._lists is not self._before.lists:
            adoptions = self._before.adoptions if adoption is None else (*self._before.adoptions, adoption)
            programmes = {**programmes, self.programme: ProgrammeNumbers(adoptions, self._next_claim, self._lists)}
        return Ledger(self.lane, self.clock, self.decision_no + 1, programmes)

    def claim(
        self,
        offer: Offer,
        earned: Judged,
        number: int,
        results: tuple[ClaimedResult, ...],
        identities: tuple[IdentityHash, ...] = (),
        before: Award | None = None,
    ) -> Award:
        """Claim an achievement and return its award: numbered, with its credential's id and place in a status list.

        Words are those in force now, the key is that of the catalogue adopted last, and the rule is the version by which it was
        attained. A new edition supersedes ``before``.
        """
        version, attained_at, naming = earned.version, earned.since or earned.at, self._naming
        achievement, learner = offer.achievements[version.achievement], self.cause.learner_ref
        edition = _FIRST if before is None else before.edition + 1
        credential = credential_uuid(naming.credential_secret, self.programme, learner, achievement.id, number, edition)
        url, index = self._place(offer, self._next_claim)
        award = Award(
            number,
            edition,
            credential,
            self._next_claim,
            attained_at,
            level=earned.level,
            valid_until=earned.valid_until,
        )
        subject, known = subject_id(naming.credential_secret, credential), earned.recognition
        why = None if known is None else RecognitionBody(narrative=known.narrative, evidence_url=known.evidence_url)
        self.claims.append(
            CredentialClaimed(
                claim_no=self._next_claim,
                lane=self.lane,
                programme=self.programme,
                learner_ref=learner,
                achievement=achievement.id,
                award=number,
                edition=edition,
                credential_id=credential,
                supersedes=None if before is None else before.credential_id,
                catalogue_digest=offer.digest,
                rule_digest=version.rule_digest,
                key_id=offer.schedule.key_in_force("credentials", self.clock).id,
                form=FORM,
                status_list=url,
                status_index=index,
                claimed_at=self.clock,
                awarded_at=attained_at,
                valid_until=earned.valid_until,
                event_id=self.cause.event_id,
                decision_no=self.decision_no,
                caused_at=self.cause.appended_at,
                body=ClaimBody(subject_id=subject, results=results, identities=identities, recognition=why),
                level=earned.level,
            )
        )
        self._next_claim += 1
        if self._next_claim % LIST_LENGTH == LIST_LENGTH // 2:  # the next list is published before it is needed
            self.open_list(offer)
        return award

    def change(
        self, offer: Offer, award: Award, status: CredentialStatus, reason: StatusReason, *, urgent: bool = False
    ) -> None:
        """Change the status of an award's credential. A revocation is final."""
        url, index = self._place(offer, award.claim_no)
        self.statuses.append(
            StatusDecided(
                decision_no=self._next_in_list(award.claim_no // LIST_LENGTH),
                lane=self.lane,
                programme=self.programme,
                learner_ref=self.cause.learner_ref,
                credential_id=award.credential_id,
                status=status,
                reason=reason,
                status_list=url,
                status_index=index,
                decided_at=self.clock,
                urgent=urgent,
                cause=self.cause.event_id,
            )
        )

    def open_list(self, offer: Offer) -> None:
        """Open the lane's next status list of this programme."""
        number, catalogue = len(self._lists), offer.catalogue
        self._lists = (*self._lists, 0)
        self.statuses.append(
            StatusListOpened(
                decision_no=self._next_in_list(number),
                lane=self.lane,
                programme=self.programme,
                status_list=self._list_url(offer, number),
                list_number=number,
                issuer=issuer_did(catalogue.base_url, self.programme),
                key_id=offer.schedule.key_in_force("status", self.clock).id,
                decided_at=self.clock,
            )
        )

    def earlier_credentials(self, achievement: str, award: Award) -> Iterator[str]:
        """Yield the ids of the credentials of all awards before this one, and of its editions before this one."""
        numbers = [(number, _FIRST) for number in range(_FIRST, award.number)]
        editions = [(award.number, edition) for edition in range(_FIRST, award.edition)]
        for number, edition in numbers + editions:
            secret, learner = self._naming.credential_secret, self.cause.learner_ref
            yield credential_uuid(secret, self.programme, learner, achievement, number, edition)

    def _place(self, offer: Offer, claim_no: int) -> tuple[str, int]:
        naming = self._naming
        place = status_place(naming.status_secret, self.programme, naming.epoch, self.lane, claim_no)
        return self._list_url(offer, place.list_number), place.index

    def _list_url(self, offer: Offer, number: int) -> str:
        return status_list_url(offer.catalogue.base_url, self.programme, self._naming.epoch, self.lane, number)

    def _next_in_list(self, number: int) -> int:
        decision_no = self._lists[number]
        self._lists = (*self._lists[:number], decision_no + 1, *self._lists[number + 1 :])
        return decision_no
