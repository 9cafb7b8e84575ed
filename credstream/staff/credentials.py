"""One credential: whose it is, how its award stands by what competency keeps, and every status change that took effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from credstream.learners import one_learner
from credstream.reading import committed
from schemas.codec import decode
from schemas.errors import RefusedError
from schemas.events import ClaimVoided, CredentialIssued, CredentialStatusChanged
from schemas.ids import lane_of, learner_key
from schemas.topology import ISSUED, STATUS_CHANGED
from services.competency.progress import Award, AwardState, Progress
from streams.settings import Installation


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialStanding:
    """A credential, its award as it is kept now (None: its rule revoked it, and it is not the latest), and its changes.

    `newer` is the award's credential, if that is another edition.
    """

    issued: CredentialIssued
    award: Award | None
    newer: str | None
    changes: Sequence[CredentialStatusChanged]

    @property
    def status(self) -> str:
        """Return its status in a word."""
        return status_of(self.award)

    @property
    def reason(self) -> str:
        """Return what its status comes from."""
        if self.newer is not None:
            return f"a newer edition superseded it: {self.newer}"
        return "its rule revoked it" if self.award is None else reason_of(self.award)


def status_of(award: Award | None) -> str:
    """Return an award's status in a word."""
    if award is None or not award.stands:
        return "revoked"
    return "suspended" if award.is_suspended else "valid"


def reason_of(award: Award) -> str:
    """Return what an award's status comes from."""
    by_rule = award.state is AwardState.SUSPENDED
    if award.suspended and award.stands:
        return "suspended by staff and by its rule" if by_rule else "suspended by staff"
    return {
        AwardState.HELD: "",
        AwardState.SUSPENDED: "its rule suspended it: evidence, or a building block, is away",
        AwardState.KEPT: "its evidence fell away; it stays",
        AwardState.IN_REVIEW: "its evidence fell away; it stays until a person decides (credstream review list)",
        AwardState.REVOKED_BY_RULE: "its rule revoked it",
        AwardState.REVOKED_BY_STAFF: "staff revoked it",
    }[award.state]


def find(installation: Installation, credential_id: str) -> CredentialIssued:
    """Return a credential that was issued here.

    Raises:
        RefusedError: There is none.
        UnavailableError: Kafka does not answer.
    """
    needle = credential_id.encode()
    for record in committed(installation.bootstrap_servers, ISSUED):
        if needle in record.value:
            issued = decode(record.value, CredentialIssued, ClaimVoided)
            if isinstance(issued, CredentialIssued) and issued.credential_id == credential_id:
                return issued
    raise RefusedError(f"no credential {credential_id} was issued here")


def standing(installation: Installation, credential_id: str) -> CredentialStanding:
    """Return how a credential stands.

    Raises:
        RefusedError: There is none.
        UnavailableError: Kafka does not answer.
    """
    issued = find(installation, credential_id)
    key = learner_key(issued.programme, issued.learner_ref)
    lane = lane_of(key, installation.kafka.lanes)
    _, progress = one_learner(installation, lane, key)
    changed = [
        change
        for record in committed(installation.bootstrap_servers, STATUS_CHANGED, lane=lane)
        if record.key == key
        for change in [decode(record.value, CredentialStatusChanged)]
        if change.credential_id == credential_id
    ]
    award, newer = _award_of(progress, issued)
    return CredentialStanding(issued=issued, award=award, newer=newer, changes=changed)


def _award_of(progress: Progress, issued: CredentialIssued) -> tuple[Award | None, str | None]:
    """Return the award that a credential shows, or else the credential that superseded it."""
    same = [award for award in progress.awards_of(issued.achievement) if award.number == issued.award]
    award = same[0] if same else None
    if award is None or award.credential_id == issued.credential_id:
        return award, None
    return None, award.credential_id if award.edition > issued.edition else None
