"""What a compromised key leaves to do: everything that it ever signed, and what of it still stands and must be issued anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from credstream.learners import learners
from credstream.reading import committed, credentials
from credstream.staff.foreseeing import foresight
from credstream.staff.jobs import JobRequest
from credstream.staff.rejudging import Asking
from schemas.codec import decode
from schemas.events import (
    CatalogueAdopted,
    ClaimVoided,
    CredentialClaimed,
    CredentialIssued,
    CredentialStatus,
    CredentialStatusChanged,
    Disposition,
    Micros,
)
from schemas.topology import CLAIMED, ISSUED, STATUS_CHANGED
from services.competency.progress import Progress
from streams.settings import Installation


@dataclass(frozen=True, slots=True)
class Named:
    """A claim that names the key."""

    credential_id: str
    learner_ref: str
    achievement: str
    claimed_at: Micros


@dataclass(slots=True)
class Signed:
    """Everything that names a key: what it signed, what was voided, and what waits unsigned."""

    claims: dict[str, Named] = field(default_factory=dict)
    issued: set[str] = field(default_factory=set)
    voided: set[str] = field(default_factory=set)

    def counts(self, since: Micros) -> Mapping[str, tuple[int, int]]:
        """Return by achievement how many were signed before an instant and since."""
        after = Counter(c.achievement for c in self.claims.values() if c.claimed_at >= since)
        before = Counter(c.achievement for c in self.claims.values() if c.claimed_at < since)
        return {name: (before[name], after[name]) for name in sorted(after.keys() | before.keys())}


def signed_by(place: Installation, programme: str, key_id: str) -> Signed:
    """Return every claim of a programme that names a key, from the log itself, and what became of it.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    found = Signed()
    for record in committed(place.bootstrap_servers, CLAIMED):
        claim = decode(record.value, CredentialClaimed, CatalogueAdopted)
        if isinstance(claim, CredentialClaimed) and (claim.programme, claim.key_id) == (programme, key_id):
            found.claims[claim.credential_id] = Named(
                claim.credential_id, claim.learner_ref, claim.achievement, claim.claimed_at
            )
    for record in committed(place.bootstrap_servers, ISSUED):
        event = decode(record.value, CredentialIssued, ClaimVoided)
        if event.credential_id in found.claims:
            (found.issued if isinstance(event, CredentialIssued) else found.voided).add(event.credential_id)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is left of a key: what to ask, and what cannot be issued anew, with the reason. `gone`: revoked already."""

    requests: Sequence[JobRequest]
    stuck: Mapping[str, str]
    gone: int


def rest(asking: Asking, signed: Signed, since: Micros) -> Rest:
    """Return what must be issued anew: every credential of the key that stands, those since an instant first.

    Raises:
        RefusedError: A lane has adopted no catalogue.
        UnavailableError: Kafka does not answer.
    """
    by_learner: dict[str, list[Named]] = {}
    for named in signed.claims.values():
        by_learner.setdefault(named.learner_ref, []).append(named)
    requests: dict[str, JobRequest] = {}
    stuck: dict[str, str] = {}
    for lane in range(asking.installation.kafka.lanes) if by_learner else ():
        kept, found = learners(asking.installation, lane, asking.programme)
        seen = foresight(asking.installation, asking.programme, kept)
        for learner, progress in found:
            for named in _standing(progress, by_learner.get(learner, ())):
                request = asking.reissue(learner, named.credential_id)
                decision = seen.decision(progress, request)
                if decision.decided.disposition is Disposition.REFUSED and not isinstance(decision.decided.body, bytes):
                    stuck[named.credential_id] = decision.decided.body.detail or "refused"
                else:
                    requests[named.credential_id] = request
    order = sorted(requests, key=lambda name: (signed.claims[name].claimed_at < since, signed.claims[name].claimed_at))
    gone = len(signed.claims) - len(requests) - len(stuck)
    return Rest(requests=[requests[name] for name in order], stuck=stuck, gone=gone)


def _standing(progress: Progress, named: Sequence[Named]) -> Iterator[Named]:
    for one in named:
        awards = {award.credential_id: award for award in progress.awards_of(one.achievement)}
        if one.credential_id in awards and awards[one.credential_id].stands:
            yield one


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What is not in effect yet: credentials of the key that no list shows as revoked, and new ones that are not signed."""

    unrevoked: int
    unsigned: int

    @property
    def whole(self) -> bool:
        """Say whether everything is."""
        return not (self.unrevoked or self.unsigned)


def effect(place: Installation, signed: Signed) -> Effect:
    """Return what is not in effect yet of what was decided.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    revoked = set()
    for record in committed(place.bootstrap_servers, STATUS_CHANGED):
        change = decode(record.value, CredentialStatusChanged)
        if change.status is CredentialStatus.REVOKED:
            revoked.add(change.credential_id)
    wanted = set()
    for record in committed(place.bootstrap_servers, CLAIMED):
        claim = decode(record.value, CredentialClaimed, CatalogueAdopted)
        if isinstance(claim, CredentialClaimed) and claim.supersedes in signed.claims:
            wanted.add(claim.credential_id)
    wanted -= signed.claims.keys()
    there = {issued.credential_id for issued in credentials(place.bootstrap_servers) if issued.credential_id in wanted}
    return Effect(unrevoked=len(signed.claims.keys() - revoked), unsigned=len(wanted - there))
