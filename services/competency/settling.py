"""What follows for a learner's awards when evidence has changed: granted, lost by the rule's policy, suspended, reinstated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from schemas.events import (
    ClaimedResult,
    CredentialStatus,
    EvidenceRef,
    IdentityHash,
    Losses,
    Outcome,
    StatusReason,
    Verdict,
)
from services.competency.attainment import Earned, Judged, earned, versions_for
from services.competency.ledger import Draft
from services.competency.progress import Award, AwardState, Identity, Progress, Standing, named
from services.competency.reasons import explanation
from services.competency.rulebook import Offer, Rulebook, Version
from services.competency.selection import Evidence, Holding, evidence_of, holding_of

_LOST: Final[Mapping[str, AwardState]] = {
    "revoke": AwardState.REVOKED_BY_RULE,
    "suspend": AwardState.SUSPENDED,
    "keep": AwardState.KEPT,
    "ask": AwardState.IN_REVIEW,
}
_VERDICTS: Final[Mapping[AwardState, Verdict]] = {
    AwardState.HELD: Verdict.ALREADY_HELD,
    AwardState.SUSPENDED: Verdict.SUSPENDED,
    AwardState.KEPT: Verdict.KEPT,
    AwardState.IN_REVIEW: Verdict.REVIEW,
    AwardState.REVOKED_BY_RULE: Verdict.REGRESSED,
    AwardState.REVOKED_BY_STAFF: Verdict.WITHHELD,
}


class Settled(Struct, frozen=True):
    """A learner's progress after everything was judged that was touched, and what each rule said."""

    progress: Progress
    outcomes: tuple[Outcome, ...] = ()


def settle(
    draft: Draft,
    book: Rulebook,
    progress: Progress,
    achievements: Sequence[str],
    lost: Iterable[str] = (),
    losses: Losses = Losses.POLICY,
) -> Settled:
    """Judge these achievements, which come blocks first, so that what is built with a block sees what became of it.

    ``lost`` are blocks that fell away for a reason of their own. If a correction changes a result that a credential shows but not
    that the achievement is attained, the credential stays as it is: its claim names the revision that it shows. What the catalogue
    in force does not offer any more is granted to nobody; who holds it keeps it as long as the evidence stands.
    """
    if not achievements:
        return Settled(progress)
    offer, holdings = book.in_force(draft.clock), _Holdings(progress)
    evidence = evidence_of(progress.results, holdings.standing)  # both see holdings change as blocks are judged
    counting = Evidence(evidence.results, holdings.counting)
    gone = set(lost)
    latest, earlier = dict(progress.awards), dict(progress.earlier)
    outcomes: list[Outcome] = []
    for name in achievements:
        awards = progress.awards_of(name)
        if name not in offer.achievements and all(award.state is AwardState.REVOKED_BY_RULE for award in awards):
            continue  # it cannot be earned any more, so there is nothing to say
        rejudged, recognition = progress.rejudged.get(name), progress.recognised.get(name)
        versions = versions_for(book.rules[name], evidence, rejudged)
        found = in_force = earned(versions, evidence, recognition)
        if holdings.differ(versions):
            in_force = earned(versions_for(book.rules[name], counting, rejudged), counting, recognition)
        settling = _Settling(draft, offer, progress.identities, gone, losses)
        after = settling.awards(name, awards, found, in_force)
        outcomes += settling.outcomes
        if after == awards:
            continue
        latest[name] = after[-1]
        if before := tuple(award for award in after[:-1] if award.state is not AwardState.REVOKED_BY_RULE):
            earlier[name] = before
        else:
            earlier.pop(name, None)
        if holdings.change(name, after):
            gone.add(name)
    return Settled(msgspec.structs.replace(progress, awards=latest, earlier=earlier), tuple(outcomes))


def reissue(draft: Draft, book: Rulebook, progress: Progress, name: str, award: Award, reason: StatusReason) -> Settled:
    """Claim an award anew as its next edition and revoke the credential of the one before.

    It shows the results that count for it now; an award that was kept without its evidence shows none.
    """
    offer = book.in_force(draft.clock)
    evidence = evidence_of(progress.results, _Holdings(progress).standing)
    versions = versions_for(book.rules[name], evidence, progress.rejudged.get(name))
    found = earned(versions, evidence, progress.recognised.get(name))
    at = _matched([a for a in progress.awards_of(name) if a.state is not AwardState.REVOKED_BY_RULE], found.times)
    settling = _Settling(draft, offer, progress.identities, set(), Losses.POLICY)
    if award.number in at:
        time = found.times[at[award.number]]
    else:
        bare = Evidence({}, {})
        time = Judged(award.attained_at, versions[-1], award.attained_at, versions[-1].judge, bare, award.level)
        time = msgspec.structs.replace(time, valid_until=award.valid_until)
    after = settling.reissued(award, time)
    draft.change(offer, award, CredentialStatus.REVOKED, reason)
    if after.is_suspended:
        draft.change(offer, after, CredentialStatus.SUSPENDED, reason)
    return Settled(with_award(progress, name, after), tuple(settling.outcomes))


def with_award(progress: Progress, name: str, after: Award) -> Progress:
    """Return the progress with an award in the place of the one that has its number."""
    if progress.awards[name].number == after.number:
        return msgspec.structs.replace(progress, awards={**progress.awards, name: after})
    earlier = tuple(after if award.number == after.number else award for award in progress.earlier[name])
    kept = tuple(award for award in earlier if award.state is not AwardState.REVOKED_BY_RULE)
    return msgspec.structs.replace(progress, earlier={**progress.earlier, name: kept})


class _Holdings:
    """What a learner holds: all that is not revoked, and of that what is not suspended."""

    def __init__(self, progress: Progress) -> None:
        self.standing: dict[str, Holding] = {}
        self.counting: dict[str, Holding] = {}
        for name in progress.awards:
            self.change(name, progress.awards_of(name))

    def change(self, name: str, awards: Sequence[Award]) -> bool:
        """Take in what became of an achievement; say whether less of it counts than before."""
        before = self.counting.get(name)
        for held, of in (
            (self.standing, [a for a in awards if a.stands]),
            (self.counting, [a for a in awards if a.counts]),
        ):
            if holding := holding_of(of):
                held[name] = holding
            else:
                held.pop(name, None)
        now = self.counting.get(name)
        return before is not None and (now is None or len(now.again) < len(before.again))

    def differ(self, versions: Sequence[Version]) -> bool:
        """Say whether a building block of these rules is suspended."""
        return any(self.standing.get(b) != self.counting.get(b) for version in versions for b in version.blocks)


class _Settling:
    """The awards of one achievement, held against what was earned."""

    def __init__(
        self, draft: Draft, offer: Offer, identities: Sequence[Identity], gone: set[str], losses: Losses
    ) -> None:
        self._draft, self._offer, self._identities, self._gone, self._losses = draft, offer, identities, gone, losses
        self.outcomes: list[Outcome] = []
        self._lacking: Judged | None = None

    def awards(self, name: str, awards: Sequence[Award], found: Earned, in_force: Earned) -> tuple[Award, ...]:
        """Return the awards as they are now; `outcomes` then says what was decided about each that changed.

        What is earned ``in_force``, without any suspended building block, counts; what is earned only with one is suspended.
        """
        slots = [award for award in awards if award.state is not AwardState.REVOKED_BY_RULE]
        counting = _matched(slots, in_force.times)
        rest = [award.number for award in slots if award.number not in counting]
        away = dict(zip(rest, found.times[len(in_force.times) :], strict=False))  # but for suspended blocks
        said = found.times[-1] if found.times else found.following
        self._lacking = in_force.following
        after: dict[int, Award] = {award.number: award for award in awards}
        for award in slots:
            at = counting.get(award.number)
            time = away.get(award.number) if at is None else in_force.times[at]
            judged = time or found.following or said
            if judged is not None:
                after[award.number] = self._kept(award, judged, attained=time is not None, counts=at is not None)
        closed = bool(slots) and slots[-1].state is AwardState.REVOKED_BY_STAFF
        fresh = [time for at, time in enumerate(in_force.times) if at not in counting.values()]
        if name in self._offer.achievements and not (closed and fresh and fresh[0].version.rule.renewal is not None):
            for time in fresh:
                number = 1 + max(after, default=0)
                after[number] = self._granted(time, number)
        if not self.outcomes and said is not None:
            latest = awards[-1] if awards else None
            self._say(self._unchanged(latest, found, in_force), said, latest)
        return tuple(after[number] for number in sorted(after))

    def _unchanged(self, award: Award | None, found: Earned, in_force: Earned) -> Verdict:
        if award is None or award.state is AwardState.REVOKED_BY_RULE or not found.times:
            is_lost = award is not None and award.stands
            return _VERDICTS[award.state] if award is not None and is_lost else Verdict.NOT_YET
        if award.state is AwardState.HELD and len(in_force.times) < len(found.times):
            return Verdict.SUSPENDED
        return _VERDICTS[award.state]

    def reissued(self, award: Award, time: Judged) -> Award:
        """Return the award with a credential of its next edition; its state is what it was."""
        after = self._granted(time, award.number, award)
        return msgspec.structs.replace(after, state=award.state, suspended=award.suspended)

    def _granted(self, time: Judged, number: int, before: Award | None = None) -> Award:
        node, used = time.why()
        results = tuple(_claimed(key, used[key]) for key in sorted(used, key=lambda k: (used[k].completed_at, k)))
        identities = tuple(
            IdentityHash(identity_type=i.identity_type, salt=i.salt, identity_hash=i.identity_hash)
            for i in self._identities
        )
        award = self._draft.claim(self._offer, time, number, results, identities, before)
        verdict = Verdict.GRANTED if before is None else Verdict.REISSUED
        self._say(verdict, time, award, explanation(node), used)
        return award

    def _kept(self, award: Award, judged: Judged, *, attained: bool, counts: bool) -> Award:
        """Return an award that had been granted, as the evidence has it now."""
        if award.state is AwardState.REVOKED_BY_STAFF:
            return award
        version = judged.version
        if attained and judged.since is not None:
            state = AwardState.HELD if counts else AwardState.SUSPENDED
            after = msgspec.structs.replace(
                award, attained_at=judged.since, level=judged.level, valid_until=judged.valid_until, state=state
            )
        elif award.state is AwardState.HELD or (
            award.state is AwardState.SUSPENDED and self._losses is not Losses.KEEP
        ):  # to keep what is suspended does not put it in force
            policy = "keep" if self._losses is Losses.KEEP else version.rule.on_loss
            after = msgspec.structs.replace(award, state=_LOST[policy])
        else:
            return award
        if after.state is not award.state:
            self._tell(award, after, version)
            verdict = _VERDICTS[after.state]
            if after.state is AwardState.HELD and award.state is AwardState.SUSPENDED:
                verdict = Verdict.REINSTATED
            self._say(verdict, judged, after)
        return after

    def _tell(self, before: Award, after: Award, version: Version) -> None:
        is_block = not self._gone.isdisjoint(version.blocks) or (after.is_suspended and bool(version.blocks))
        reason = StatusReason.BUILDING_BLOCK_LOST if is_block else StatusReason.EVIDENCE_CORRECTED
        if not after.stands:
            self._draft.change(self._offer, before, CredentialStatus.REVOKED, reason)
        elif before.is_suspended != after.is_suspended:
            status = CredentialStatus.SUSPENDED if after.is_suspended else CredentialStatus.REINSTATED
            self._draft.change(self._offer, before, status, reason)

    def _say(
        self,
        verdict: Verdict,
        judged: Judged,
        award: Award | None,
        explained: str | None = None,
        used: Mapping[str, Standing] | None = None,
    ) -> None:
        if explained is None or used is None:
            node, used = judged.why()
            if verdict is Verdict.SUSPENDED and judged.since is not None and self._lacking is not None:
                node, _ = self._lacking.why()  # it is earned, but for a building block that is suspended
            explained = explanation(node)
        self.outcomes.append(
            Outcome(
                achievement=judged.version.achievement,
                verdict=verdict,
                rule_digest=judged.version.rule_digest,
                award=None if award is None else award.number,
                edition=None if award is None else award.edition,
                credential_id=None if award is None else award.credential_id,
                attained_at=judged.since,
                explanation=explained,
                evidence=tuple(_reference(key, standing) for key, standing in used.items()),
                level=judged.level,
                valid_until=judged.valid_until,
            )
        )


def _matched(slots: Sequence[Award], times: Sequence[Judged]) -> dict[int, int]:
    """Return for each award that is still earned, by its number, which time it stands for.

    An award stays with the instant that it has; the others follow in order, so that what is lost is the last one.
    """
    at_instant = {time.since: at for at, time in enumerate(times)}
    by_slot: dict[int, int] = {}
    for award in slots:
        if (at := at_instant.pop(award.attained_at, None)) is not None:  # each time is one award's
            by_slot[award.number] = at
    free = [at for at in range(len(times)) if at not in by_slot.values()]
    others = (award.number for award in slots if award.number not in by_slot)
    return by_slot | dict(zip(others, free, strict=False))


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
        passed=standing.passed,
        level=standing.level,
        attempt=standing.attempt,
    )
