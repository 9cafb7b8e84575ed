"""A version of a rule applied to what was decided before it: whom it concerns, what it would do, and what to ask for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from credstream.learners import LaneKept, learners
from credstream.reading import committed
from credstream.rules.adopted import AdoptedVersion, find
from credstream.staff.foreseeing import Change, Effect, Foresight, changes, foresight
from credstream.staff.jobs import JobRequest, request_id
from schemas.catalogue import Achievement, canonical
from schemas.codec import decode
from schemas.errors import RefusedError
from schemas.events import (
    CatalogueAdopted,
    CompetencyDecided,
    CredentialClaimed,
    Losses,
    Micros,
    ReevaluationRequested,
    ReissueRequested,
    StatusAction,
    StatusReason,
    StatusRequested,
    Verdict,
)
from schemas.ids import content_digest, lane_of, learner_key
from schemas.topology import CLAIMED, DECIDED
from services.competency.progress import Progress, Rejudged
from services.competency.rulebook import Rulebook, Version
from streams.settings import Installation

Say = Callable[[int], None]
_EXAMPLES: Final = 5


@dataclass(slots=True)
class Plan:
    """What to ask, and what it would do: by achievement and effect how many awards, and a few of the learners."""

    requests: list[JobRequest] = field(default_factory=list)
    effects: Counter[tuple[str, Effect]] = field(default_factory=Counter)
    examples: dict[tuple[str, Effect], list[str]] = field(default_factory=dict)
    learners: int = 0
    unchanged: int = 0

    def add(self, learner_ref: str, requests: Sequence[JobRequest], found: Sequence[Change]) -> None:
        """Count a learner."""
        self.requests += requests
        self.learners += 1
        self.unchanged += not found
        for change in found:
            about = change.achievement, change.effect
            self.effects[about] += 1
            shown = self.examples.setdefault(about, [])
            if len(shown) < _EXAMPLES:
                shown.append(learner_ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who asks, when, and as part of which job: what the requests of a plan have in common."""

    installation: Installation
    programme: str
    job: str
    member: str
    now: Micros

    def reevaluation(self, learner: str, achievement: str, digest: str, since: Micros, losses: Losses) -> JobRequest:
        """Return a request to have a learner judged by a version from an instant on."""
        return ReevaluationRequested(
            request_id=request_id(self.job, learner, achievement),
            programme=self.programme,
            learner_ref=learner,
            achievement=achievement,
            rule_digest=digest,
            since=since,
            losses=losses,
            requested_by=self.member,
            requested_at=self.now,
        )

    def revocation(self, learner: str, credential_id: str) -> JobRequest:
        """Return a request to revoke what was issued in error."""
        return StatusRequested(
            request_id=request_id(self.job, credential_id),
            programme=self.programme,
            learner_ref=learner,
            credential_id=credential_id,
            action=StatusAction.REVOKE,
            reason=StatusReason.ISSUED_IN_ERROR,
            requested_by=self.member,
            requested_at=self.now,
        )

    def reissue(self, learner: str, credential_id: str) -> JobRequest:
        """Return a request to issue anew what a compromised key was to sign."""
        return ReissueRequested(
            request_id=request_id(self.job, credential_id),
            programme=self.programme,
            learner_ref=learner,
            credential_id=credential_id,
            reason=StatusReason.KEY_COMPROMISED,
            requested_by=self.member,
            requested_at=self.now,
        )


def version_now(book: Rulebook, achievement: str, now: Micros) -> Version:
    """Return the version of a rule that judges now.

    Raises:
        RefusedError: The achievement is not offered, or not yet.
    """
    versions = [version for version in book.rules.get(achievement, ()) if version.start <= now]
    if not versions or versions[-1].retired:
        known = ", ".join(name for name, all_of_it in book.rules.items() if not all_of_it[-1].retired)
        raise RefusedError(f"the catalogue in force offers no {achievement}; it offers {known}")
    return versions[-1]


def backfill(asking: Asking, achievement: str, since: Micros, losses: Losses, say: Say = lambda _: None) -> Plan:
    """Plan to judge the evidence from an instant on by the version in force now, of everybody whose awards that changes.

    Raises:
        RefusedError: The catalogue in force does not offer the achievement.
        UnavailableError: Kafka does not answer.
    """
    plan = Plan()
    for lane in range(asking.installation.kafka.lanes):
        kept, found = learners(asking.installation, lane, asking.programme, say)
        seen = foresight(asking.installation, asking.programme, kept)
        version = version_now(seen.book, achievement, asking.now)
        for learner, progress in found:
            if not _is_looked_at(version, progress):
                continue
            request = asking.reevaluation(learner, achievement, version.rule_digest, since, losses)
            changed = list(changes(progress, seen.after(progress, [request])))
            if changed:
                plan.add(learner, [request], changed)
    return plan


def _is_looked_at(version: Version, progress: Progress) -> bool:
    if version.achievement in progress.awards or not version.blocks.isdisjoint(progress.awards):
        return True
    return any(standing.assessment in version.assessments for standing in progress.results.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What is recalled: rules by their digests, each with its achievement; or with `catalogue` all that was granted under it."""

    rules: Mapping[str, str]
    catalogue: str | None = None

    def covers(self, claim: CredentialClaimed) -> bool:
        """Say whether something was granted under it."""
        return claim.rule_digest in self.rules or claim.catalogue_digest == self.catalogue


def wrong_version(versions: Sequence[AdoptedVersion], name: str, *, everything: bool = False) -> Wrong:
    """Return what was wrong: the rules that a catalogue version brought, by its number or digest; or one rule by its digest.

    Raises:
        RefusedError: There is no such version, or it brought no rule.
    """
    stated = {digest_of(one): one.id for version in versions for one in version.catalogue.achievements}
    wanted = name.removeprefix("sha256-")
    matching = {digest for digest in stated if wanted and digest.removeprefix("sha256-").startswith(wanted)}
    if len(matching) == 1 and not name.isdecimal():
        [digest] = matching
        return Wrong(rules={digest: stated[digest]})
    version = find(versions, name)
    if not name.isdecimal():  # a digest may have been adopted several times: what it brought, it brought the first time
        version = next(one for one in versions if one.digest == version.digest)
    before = {digest_of(one) for other in versions[: version.number - 1] for one in other.catalogue.achievements}
    brought = {digest_of(one): one.id for one in version.catalogue.achievements if digest_of(one) not in before}
    if not brought and not everything:
        raise RefusedError(f"adoption {version.number} brought no rule that was not there before; see --everything")
    return Wrong(rules=brought, catalogue=version.digest if everything else None)


def digest_of(achievement: Achievement) -> str:
    """Return the digest of an achievement's rule, as claims and decisions name it."""
    return content_digest(canonical(achievement.rule))


def granted_under(installation: Installation, programme: str, wrong: Wrong) -> Iterator[CredentialClaimed]:
    """Yield every claim that was made under what was wrong, or whose credential it put in force again.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    servers = installation.bootstrap_servers
    again = reinstated_under((decode(record.value, CompetencyDecided) for record in committed(servers, DECIDED)), wrong)
    for record in committed(servers, CLAIMED):
        claim = decode(record.value, CredentialClaimed, CatalogueAdopted)
        if not isinstance(claim, CredentialClaimed) or claim.programme != programme:
            continue
        if wrong.covers(claim):
            yield claim
        elif claim.credential_id in again:
            yield replace(claim, rule_digest=again[claim.credential_id])


def reinstated_under(decisions: Iterable[CompetencyDecided], wrong: Wrong) -> Mapping[str, str]:
    """Return the credentials that a wrong rule was the last to put in force again, each with that rule's digest."""
    last: dict[str, str] = {}
    for decided in decisions:
        for outcome in () if isinstance(decided.body, bytes) else decided.body.outcomes:
            if outcome.verdict is Verdict.REINSTATED and outcome.credential_id is not None:
                last[outcome.credential_id] = outcome.rule_digest
    return {credential_id: digest for credential_id, digest in last.items() if digest in wrong.rules}


def recall(asking: Asking, claims: Sequence[CredentialClaimed], *, redecide: bool, say: Say = lambda _: None) -> Plan:
    """Plan to revoke what was granted under a wrong version and stands, or to decide it again by the version in force now.

    Raises:
        RefusedError: To decide again, the wrong version must not be in force any more.
        UnavailableError: Kafka does not answer.
    """
    plan, lanes = Plan(), asking.installation.kafka.lanes
    by_learner: dict[str, list[CredentialClaimed]] = {}
    for claim in claims:
        by_learner.setdefault(claim.learner_ref, []).append(claim)
    for lane in sorted({lane_of(learner_key(asking.programme, learner), lanes) for learner in by_learner}):
        kept, found = learners(asking.installation, lane, asking.programme, say)
        seen = foresight(asking.installation, asking.programme, kept)
        for learner, progress in found:
            if learner not in by_learner:
                continue
            if redecide:
                requests = list(_again(asking, seen, kept, progress, by_learner[learner]))
            else:
                requests = [
                    asking.revocation(learner, c.credential_id) for c in _standing(progress, by_learner[learner])
                ]
            if requests:
                plan.add(learner, requests, list(changes(progress, seen.after(progress, requests))))
    return plan


def _standing(progress: Progress, claims: Sequence[CredentialClaimed]) -> Iterator[CredentialClaimed]:
    for claim in claims:
        awards = {award.credential_id: award for award in progress.awards_of(claim.achievement)}
        if claim.credential_id in awards and awards[claim.credential_id].stands:
            yield claim


def _again(
    asking: Asking, seen: Foresight, kept: LaneKept, progress: Progress, claims: Sequence[CredentialClaimed]
) -> Iterator[JobRequest]:
    """Yield a request for each achievement: the version in force now judges from when the wrong one did."""
    wrong_digest = {claim.achievement: claim.rule_digest for claim in _standing(progress, claims)}
    for achievement, digest in wrong_digest.items():
        version = version_now(seen.book, achievement, asking.now)
        if version.rule_digest == digest:
            raise RefusedError(
                f"the rule of {achievement} is in force still; publish the right one first (credstream rules rollback)"
            )
        since = _began(seen.book, kept, asking.programme, achievement, digest)
        if progress.rejudged.get(achievement) != Rejudged(version.rule_digest, since):
            yield asking.reevaluation(claims[0].learner_ref, achievement, version.rule_digest, since, Losses.POLICY)


def _began(book: Rulebook, kept: LaneKept, programme: str, achievement: str, digest: str) -> Micros:
    """Return from when on a version judged in this lane."""
    judging = [version.start for version in book.rules[achievement] if version.rule_digest == digest]
    if judging:
        return min(judging)
    return min(
        adoption.changes_from
        for adoption, catalogue in kept.adopted(programme)
        for one in catalogue.achievements
        if one.id == achievement and digest_of(one) == digest
    )
