"""What follows from one record: the evidence as it is then, an outcome for every rule that it touched, claims, statuses.

Each is a pure function of the lane's ledger, what is kept of the learner and the record; the same record again decides the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from schemas.events import (
    AssessmentCompleted,
    ClaimedResult,
    CompetencyDecided,
    CompletionBody,
    CredentialClaimed,
    DecisionBody,
    Disposition,
    EvidenceRef,
    Micros,
    Outcome,
    StatusAction,
    StatusDecided,
    StatusListOpened,
    StatusReason,
    StatusRequested,
    Verdict,
)
from services.competency.attainment import Judged, judged
from services.competency.ledger import Draft, Ledger
from services.competency.progress import Award, AwardState, Progress, Standing, named, observe
from services.competency.reasons import explanation
from services.competency.rulebook import DAY, Offer, Rulebook, Version
from services.competency.selection import Evidence, Holding, evidence_of, held


class Decision(Struct, frozen=True, kw_only=True):
    """All that follows from one record. `progress` is None where no learner is concerned."""

    ledger: Ledger
    progress: Progress | None
    decided: CompetencyDecided
    claims: Sequence[CredentialClaimed] = ()
    statuses: Sequence[StatusListOpened | StatusDecided] = ()


def decide_completion(
    draft: Draft, book: Rulebook, progress: Progress, completed: AssessmentCompleted, body: CompletionBody
) -> Decision:
    """Take an accepted completion in and decide every rule that it touches.

    What is known, outranked or awaits a review touches none.

    Raises:
        MalformedError: The event id is known with another content.
    """
    accepted_days = book.assessments[body.assessment].late_after_days
    age = draft.cause.arrived_at - body.completed_at
    late = accepted_days is not None and age > accepted_days * DAY
    seen = observe(progress, completed, body, late=late)
    detail = seen.detail
    if seen.disposition is Disposition.AWAITING_REVIEW:
        detail = f"it came {age // DAY} days after the assessment; more than {accepted_days} await a review"
    after, outcomes = _reassess(draft, book, seen.progress, book.looking_at(seen.touched), lost=set())
    decided = _decided(
        draft,
        book,
        programme=completed.programme,
        provider=completed.provider,
        result_id=body.result_id,
        correlation=completed.correlation,
        disposition=seen.disposition,
        body=DecisionBody(outcomes=outcomes, detail=detail),
    )
    return _decision(draft, after, decided)


def decide_status(draft: Draft, book: Rulebook, progress: Progress, request: StatusRequested) -> Decision:
    """Revoke a credential as staff ask, and with it what was built on it. What staff revoke stays revoked.

    A credential that its rule revoked already is closed for good all the same, so it makes no difference which came first.
    """
    disposition, detail, awards = Disposition.REFUSED, "", progress.awards
    found = _award_of(draft, awards, request.credential_id)
    outcomes: tuple[Outcome, ...] = ()
    if request.action is not StatusAction.REVOKE:
        detail = "only a revocation can be asked for as yet; suspension does not exist"
    elif found is None:
        detail = "this learner has no such credential"
    else:
        name, award = found
        if award.credential_id != request.credential_id or award.state is AwardState.REVOKED_BY_STAFF:
            disposition, detail = Disposition.KNOWN, "revoked already"
        else:
            disposition = Disposition.APPLIED
            if award.state is AwardState.HELD:
                draft.revoke(book.in_force(draft.clock), award, request.reason, urgent=request.urgent)
            else:
                detail = "revoked already, by its rule; now it stays so"
            closed = msgspec.structs.replace(award, state=AwardState.REVOKED_BY_STAFF)
            progress = _with_awards(progress, {**awards, name: closed})
            progress, outcomes = _reassess(draft, book, progress, book.building.get(name, ()), lost={name})
    decided = _decided(
        draft,
        book,
        programme=request.programme,
        disposition=disposition,
        body=DecisionBody(outcomes=outcomes, detail=detail or None),
    )
    return _decision(draft, progress, decided)


def _decision(draft: Draft, progress: Progress, decided: CompetencyDecided) -> Decision:
    return Decision(
        ledger=draft.ledger(), progress=progress, decided=decided, claims=draft.claims, statuses=draft.statuses
    )


def _decided(
    draft: Draft,
    book: Rulebook,
    *,
    programme: str,
    disposition: Disposition,
    body: DecisionBody,
    provider: str | None = None,
    result_id: str | None = None,
    correlation: str | None = None,
) -> CompetencyDecided:
    return CompetencyDecided(
        decision_no=draft.decision_no,
        lane=draft.lane,
        inbox_offset=draft.cause.offset,
        programme=programme,
        learner_ref=draft.cause.learner_ref,
        provider=provider,
        event_id=draft.cause.event_id,
        result_id=result_id,
        disposition=disposition,
        catalogue_digest=book.newest.digest,
        decided_at=draft.clock,
        correlation=correlation,
        body=body,
    )


def _award_of(draft: Draft, awards: Mapping[str, Award], credential: str) -> tuple[str, Award] | None:
    """Return the achievement and its latest award, if the credential is of that award or of an earlier one."""
    for name, award in awards.items():
        if award.credential_id == credential or credential in draft.earlier_credentials(name, award):
            return name, award
    return None


def _with_awards(progress: Progress, awards: dict[str, Award]) -> Progress:
    return Progress(progress.results, progress.awaiting, progress.events, awards)


def _reassess(
    draft: Draft, book: Rulebook, progress: Progress, achievements: Sequence[str], lost: set[str]
) -> tuple[Progress, tuple[Outcome, ...]]:
    """Judge these achievements, which come blocks first, so that what is built with a block sees what became of it.

    ``lost`` are blocks that fell away for a reason of their own. If a correction changes a result that a credential shows but not
    that the achievement is attained, the credential stays as it is: its claim names the revision that it shows. What the catalogue
    in force does not offer any more is granted to nobody; who holds it keeps it as long as the evidence stands.
    """
    if not achievements:
        return progress, ()
    offer, holding = book.in_force(draft.clock), held(progress.awards)
    evidence = evidence_of(progress.results, holding)  # sees `holding` change as blocks are judged
    awards = dict(progress.awards)
    outcomes: list[Outcome] = []
    for name in achievements:
        versions, award = book.rules[name], awards.get(name)
        if name not in offer.achievements and (award is None or award.state is AwardState.REVOKED_BY_RULE):
            continue  # it cannot be earned any more, so there is nothing to say
        outcome, after = _outcome(draft, offer, evidence, judged(versions, evidence), award, lost)
        outcomes.append(outcome)
        if after is None:
            continue
        awards[name] = after
        if after.state is AwardState.HELD:
            holding[name] = Holding(after.attained_at, after.level)
        elif holding.pop(name, None) is not None:
            lost.add(name)
    return _with_awards(progress, awards), tuple(outcomes)


def _outcome(
    draft: Draft, offer: Offer, evidence: Evidence, found: Judged, award: Award | None, lost: set[str]
) -> tuple[Outcome, Award | None]:
    """Return what became of one achievement, and its award after that."""
    version = found.version
    node, used = found.why(evidence)
    refs = tuple(_reference(key, standing) for key, standing in used.items())
    verdict = _verdict(found.since, award)
    if verdict is Verdict.GRANTED and found.since is not None:
        results = tuple(_claimed(key, used[key]) for key in sorted(used, key=lambda k: (used[k].completed_at, k)))
        number = 1 if award is None else award.number + 1
        award = draft.claim(offer, version, number, found.since, found.level, results)
    elif verdict is Verdict.ALREADY_HELD and found.since is not None and award is not None:
        if (award.attained_at, award.level) != (found.since, found.level):
            award = msgspec.structs.replace(award, attained_at=found.since, level=found.level)
    elif verdict is Verdict.REGRESSED and award is not None:
        draft.revoke(offer, award, _reason(version, lost))
        award = msgspec.structs.replace(award, state=AwardState.REVOKED_BY_RULE)
    outcome = Outcome(
        achievement=version.achievement,
        verdict=verdict,
        rule_digest=version.rule_digest,
        award=None if award is None else award.number,
        edition=None if award is None else award.edition,
        credential_id=None if award is None else award.credential_id,
        attained_at=found.since,
        explanation=explanation(node),
        evidence=refs,
    )
    return outcome, award


def _verdict(since: Micros | None, award: Award | None) -> Verdict:
    state = None if award is None else award.state
    if since is None:
        return Verdict.REGRESSED if state is AwardState.HELD else Verdict.NOT_YET
    if state is AwardState.HELD:
        return Verdict.ALREADY_HELD
    return Verdict.WITHHELD if state is AwardState.REVOKED_BY_STAFF else Verdict.GRANTED


def _reason(version: Version, lost: set[str]) -> StatusReason:
    return StatusReason.EVIDENCE_CORRECTED if lost.isdisjoint(version.blocks) else StatusReason.BUILDING_BLOCK_LOST


def _reference(key: str, standing: Standing) -> EvidenceRef:
    provider, result_id = named(key)
    return EvidenceRef(provider=provider, result_id=result_id, revision=standing.revision)


def _claimed(key: str, standing: Standing) -> ClaimedResult:
    provider, result_id = named(key)
    return ClaimedResult(
        provider=provider,
        result_id=result_id,
        revision=standing.revision,
        assessment=standing.assessment,
        completed_at=standing.completed_at,
        score=standing.score,
        score_max=standing.score_max,
        evidence_url=standing.evidence_url,
    )
