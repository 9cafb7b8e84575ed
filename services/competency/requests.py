"""What staff ask for, decided: statuses, recognition, reviews, re-evaluations. "No" is an answer with a reason."""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec.structs import replace

from schemas.events import (
    AwardRequested,
    CredentialStatus,
    Disposition,
    LearnerProfiled,
    ProfileBody,
    RecognitionBody,
    ReevaluationRequested,
    ReissueRequested,
    ReviewAnswer,
    ReviewDecided,
    StatusAction,
    StatusReason,
    StatusRequested,
)
from services.competency.decisions import Decision, decision
from services.competency.ledger import Draft
from services.competency.progress import (
    Award,
    AwardState,
    Identity,
    Progress,
    Recognition,
    Rejudged,
    reviewed,
)
from services.competency.rulebook import Rulebook
from services.competency.settling import Settled, reissue, settle, with_award

Request: TypeAlias = StatusRequested | AwardRequested | ReviewDecided | ReevaluationRequested | ReissueRequested
"""What staff ask for about one learner."""
_ANSWERS: Final = {
    ReviewAnswer.KEEP: AwardState.KEPT,
    ReviewAnswer.SUSPEND: AwardState.SUSPENDED,
    ReviewAnswer.REVOKE: AwardState.REVOKED_BY_RULE,
}


def decide_request(draft: Draft, book: Rulebook, progress: Progress, request: Request) -> Decision:
    """Decide what a member of staff asks for, who signed it."""
    match request:
        case StatusRequested():
            return decide_status(draft, book, progress, request)
        case AwardRequested():
            return decide_award(draft, book, progress, request)
        case ReviewDecided():
            return decide_review(draft, book, progress, request)
        case ReevaluationRequested():
            return decide_reevaluation(draft, book, progress, request)
        case ReissueRequested():
            return decide_reissue(draft, book, progress, request)


def decide_status(draft: Draft, book: Rulebook, progress: Progress, request: StatusRequested) -> Decision:
    """Revoke, suspend or reinstate a credential as staff ask, and with it what was built on it. A revocation is final.

    A credential that its rule revoked already is closed for good all the same, so it makes no difference which came first.
    """
    found = _award_of(draft, progress, request.credential_id)
    if found is None:
        return _refused(draft, book, progress, "this learner has no such credential")
    name, award = found
    if request.action is StatusAction.REVOKE:
        return _revoked(draft, book, progress, request, name, award)
    if award.credential_id != request.credential_id or not award.stands:
        return _refused(draft, book, progress, "it is revoked, and a revocation is final")
    suspend = request.action is StatusAction.SUSPEND
    if award.suspended is suspend:
        said = "suspended already" if suspend else "staff did not suspend it"
        return decision(draft, book, Settled(progress), Disposition.KNOWN, said)
    after, detail = replace(award, suspended=suspend), None
    if after.is_suspended == award.is_suspended:
        detail = "its rule has suspended it as well: it stays so until the evidence is there again"
    else:
        status = CredentialStatus.SUSPENDED if suspend else CredentialStatus.REINSTATED
        draft.change(book.in_force(draft.clock), award, status, request.reason, urgent=request.urgent)
    return _applied(draft, book, with_award(progress, name, after), name, detail)


def _revoked(
    draft: Draft, book: Rulebook, progress: Progress, request: StatusRequested, name: str, award: Award
) -> Decision:
    if award.credential_id != request.credential_id or award.state is AwardState.REVOKED_BY_STAFF:
        return decision(draft, book, Settled(progress), Disposition.KNOWN, "revoked already")
    detail = None
    if award.stands:
        offer = book.in_force(draft.clock)
        draft.change(offer, award, CredentialStatus.REVOKED, request.reason, urgent=request.urgent)
    else:
        detail = "revoked already, by its rule; now it stays so"
    closed = replace(award, state=AwardState.REVOKED_BY_STAFF)
    return _applied(draft, book, with_award(progress, name, closed), name, detail)


def decide_award(draft: Draft, book: Rulebook, progress: Progress, request: AwardRequested) -> Decision:
    """Award an achievement for prior learning. The same request again is known; what staff revoked is not awarded again."""
    body, name = request.body, request.achievement
    if not isinstance(body, RecognitionBody):
        return _refused(draft, book, progress, "its reasons are sealed, and sealed ones are not read here")
    recognition = Recognition(request.attained_at, request.level, body.narrative, body.evidence_url)
    if progress.recognised.get(name) == recognition:
        return decision(draft, book, Settled(progress), Disposition.KNOWN, "recognised already")
    if why := _why_not_awarded(draft, book, progress, request):
        return _refused(draft, book, progress, why)
    recognised = replace(progress, recognised={**progress.recognised, name: recognition})
    settled = settle(draft, book, recognised, (name, *book.building.get(name, ())))
    return decision(draft, book, settled, Disposition.APPLIED)


def _why_not_awarded(draft: Draft, book: Rulebook, progress: Progress, request: AwardRequested) -> str | None:
    name = request.achievement
    offered, awards = book.in_force(draft.clock).achievements.get(name), progress.awards_of(name)
    if offered is None:
        return f"the catalogue in force offers no {name}"
    levels = [level.name for level in offered.rule.levels]
    if request.level is not None and request.level not in levels:
        return f"{name} has no level {request.level}; it has {', '.join(levels) or 'none'}"
    if request.attained_at > draft.clock:
        return "it cannot be attained in the future"
    if any(award.state is AwardState.REVOKED_BY_STAFF for award in awards):
        return "staff revoked it, and what staff revoke stays revoked"
    if name in progress.recognised or any(award.stands for award in awards):
        return "the learner holds it already"
    return None


def decide_review(draft: Draft, book: Rulebook, progress: Progress, request: ReviewDecided) -> Decision:
    """Let a late result in or keep it out, or say what becomes of an award that lost its evidence."""
    late = {ReviewAnswer.ACCEPT, ReviewAnswer.REJECT}
    if request.answer in late and request.provider is not None and request.result_id is not None:
        accept = request.answer is ReviewAnswer.ACCEPT
        seen = reviewed(progress, request.provider, request.result_id, accept=accept)
        if seen is None:
            return _refused(draft, book, progress, "no such result waits for a review")
        settled = settle(draft, book, seen.progress, book.looking_at(seen.touched))
        about = {"provider": request.provider, "result_id": request.result_id}
        return decision(draft, book, settled, seen.disposition, seen.detail, **about)
    found = None if request.credential_id is None else _award_of(draft, progress, request.credential_id)
    if request.answer in late or found is None:
        return _refused(draft, book, progress, "it names no result that is late, and no credential of this learner")
    name, award = found
    if award.state is not AwardState.IN_REVIEW or award.credential_id != request.credential_id:
        return _refused(draft, book, progress, "this credential does not wait for a review")
    after = replace(award, state=_ANSWERS[request.answer])
    offer, reason = book.in_force(draft.clock), StatusReason.EVIDENCE_CORRECTED
    if not after.stands:
        draft.change(offer, award, CredentialStatus.REVOKED, reason)
    elif after.is_suspended and not award.is_suspended:
        draft.change(offer, award, CredentialStatus.SUSPENDED, reason)
    return _applied(draft, book, with_award(progress, name, after), name)


def decide_reevaluation(draft: Draft, book: Rulebook, progress: Progress, request: ReevaluationRequested) -> Decision:
    """Judge a learner's evidence from an instant on by another version of a rule."""
    name = request.achievement
    if not any(version.rule_digest == request.rule_digest for version in book.rules.get(name, ())):
        return _refused(draft, book, progress, f"no version of {name} has the digest {request.rule_digest}")
    rejudged = Rejudged(request.rule_digest, request.since)
    if progress.rejudged.get(name) == rejudged:
        return decision(draft, book, Settled(progress), Disposition.KNOWN, "judged by this version already")
    after = replace(progress, rejudged={**progress.rejudged, name: rejudged})
    settled = settle(draft, book, after, (name, *book.building.get(name, ())), losses=request.losses)
    return decision(draft, book, settled, Disposition.APPLIED)


def decide_reissue(draft: Draft, book: Rulebook, progress: Progress, request: ReissueRequested) -> Decision:
    """Claim a credential anew, with the key and the words in force now, and revoke the old one.

    A credential that a newer edition has superseded is known, so asking again changes nothing.
    """
    found = _award_of(draft, progress, request.credential_id)
    if found is None:
        return _refused(draft, book, progress, "this learner has no such credential")
    name, award = found
    if award.credential_id != request.credential_id:
        return decision(draft, book, Settled(progress), Disposition.KNOWN, f"the latest is {award.credential_id}")
    if not award.stands:
        return _refused(draft, book, progress, "it is revoked, and what is revoked is not issued anew")
    if name not in book.in_force(draft.clock).achievements:
        return _refused(draft, book, progress, f"the catalogue in force offers no {name}")
    settled = reissue(draft, book, progress, name, award, request.reason)
    return decision(draft, book, settled, Disposition.APPLIED)


def take_profile(draft: Draft, book: Rulebook, progress: Progress, profiled: LearnerProfiled) -> Decision:
    """Remember by what a learner's credentials can be recognised; those issued before stay as they are."""
    body = profiled.body
    if not isinstance(body, ProfileBody):
        return _refused(draft, book, progress, "the profile is sealed, and sealed ones are not read here")
    identities = tuple(Identity(i.identity_type, i.salt, i.identity_hash) for i in body.identities)
    known = identities == progress.identities
    return decision(
        draft,
        book,
        Settled(progress if known else replace(progress, identities=identities)),
        Disposition.KNOWN if known else Disposition.RECORDED,
    )


def _refused(draft: Draft, book: Rulebook, progress: Progress, why: str) -> Decision:
    return decision(draft, book, Settled(progress), Disposition.REFUSED, why)


def _applied(draft: Draft, book: Rulebook, progress: Progress, name: str, detail: str | None = None) -> Decision:
    """Judge what was built with an achievement of which one award changed."""
    settled = settle(draft, book, progress, book.building.get(name, ()), lost={name})
    return decision(draft, book, settled, Disposition.APPLIED, detail)


def _award_of(draft: Draft, progress: Progress, credential: str) -> tuple[str, Award] | None:
    """Return the achievement and the award of a credential; of one that is none's any more, the award that came after it."""
    for name in progress.awards:
        awards = progress.awards_of(name)
        for award in awards:
            if award.credential_id == credential:
                return name, award
        for award in awards:
            if credential in draft.earlier_credentials(name, award):
                return name, award
    return None
