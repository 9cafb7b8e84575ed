"""Why a learner holds an achievement or not: how things stand, and every decision, read from the log itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, get_args

from msgspec import Struct

from credstream.learners import one_learner
from credstream.positions import Position, positions, with_blocks
from credstream.reading import at_offsets, committed
from credstream.zones import zone_of
from schemas.catalogue import Catalogue
from schemas.codec import decode, decode_any
from schemas.errors import RefusedError
from schemas.events import (
    AssessmentCompleted,
    AwardRequested,
    CompetencyDecided,
    CompletionBody,
    Disposition,
    LearnerProfiled,
    Micros,
    Outcome,
    ReevaluationRequested,
    ReviewDecided,
    StatusRequested,
)
from schemas.ids import lane_of, learner_key, learner_ref
from schemas.topology import DECIDED, INBOX, MAX_RECORD_BYTES
from services.competency.progress import Award, Progress, Standing
from services.competency.reasons import Node, explanation
from services.competency.requests import Request
from services.competency.rulebook import Rulebook
from streams.settings import LEARNER_SECRET, Installation

_REF: Final = re.compile(r"[0-9a-f]{32}")
_CAUSES: Final = (AssessmentCompleted, *get_args(Request), LearnerProfiled)
Cause: TypeAlias = AssessmentCompleted | Request | LearnerProfiled
Say = Callable[[int], None]


class Decided(Struct, frozen=True, kw_only=True):
    """One decision about an achievement. `cause` is the inbox record that was decided; `outcome` None where no rule was asked."""

    decided: CompetencyDecided
    cause: Cause | None
    outcome: Outcome | None

    @property
    def detail(self) -> str | None:
        """Return what was said beside the outcomes."""
        body = self.decided.body
        return None if isinstance(body, bytes) else body.detail


class Shown(Struct, frozen=True, kw_only=True):
    """A standing result, by the name of its provider and its own."""

    key: str
    standing: Standing


class Situation(Struct, frozen=True, kw_only=True):
    """How a learner stands with an achievement now. `explained` is a tree of reasons (see `services.competency.reasons`).

    `following` is that of the next award, where one is under way or a renewal may come; `renewable` says from when and until when
    results count for it. `late` results await a review and do not count until then.
    """

    achievement: str
    awards: tuple[Award, ...]
    attained: bool
    retired: bool
    explained: str | None
    following: str | None
    renewable: tuple[Micros, Micros] | None
    evidence: tuple[Shown, ...]
    late: tuple[Shown, ...]
    rule_digest: str | None

    @property
    def is_held(self) -> bool:
        """Say whether an award is neither revoked nor suspended."""
        return any(award.counts for award in self.awards)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All that can be said of a learner's achievements. `results` has the content of each (provider, result_id, revision)."""

    programme: str
    learner_ref: str
    catalogue: Catalogue
    zone: str
    now: Micros
    situations: Sequence[Situation]
    history: Mapping[str, Sequence[Decided]]
    results: Mapping[tuple[str, str, int], CompletionBody]


def learner_ref_of(installation: Installation, programme: str, learner: str) -> str:
    """Return the learner_ref of `scheme:identifier`; a learner_ref is returned as it is.

    Raises:
        RefusedError: It is neither.
    """
    if _REF.fullmatch(learner):
        return learner
    scheme, colon, identifier = learner.partition(":")
    if not colon or not identifier:
        raise RefusedError(
            f"{learner!r} names no learner: give scheme:identifier (email:a@example.ca) or a learner_ref"
        )
    return learner_ref(installation.secret(LEARNER_SECRET), programme, scheme, identifier)


def ask(
    installation: Installation,
    programme: str,
    learner: str,
    achievement: str | None,
    now: Micros,
    say: Say = lambda _: None,
) -> Answer:
    """Return how a learner stands with one achievement, or with all that there is something to say of, and how it came so.

    Raises:
        RefusedError: No catalogue was adopted, or none has the achievement.
        UnavailableError: Kafka does not answer.
    """
    key = learner_key(programme, learner)
    lane = lane_of(key, installation.kafka.lanes)
    kept, progress = one_learner(installation, lane, key, say)
    book = kept.rulebook(programme)
    if book is None:
        raise RefusedError(f"no catalogue of {programme} is adopted here; credstream rules publish one")
    if achievement is not None and achievement not in book.rules:
        raise RefusedError(f"{programme} has no achievement {achievement}; it has {', '.join(sorted(book.rules))}")
    found = list(_decided(installation, lane, key, say))
    return answer_of(book, programme, learner, None if achievement is None else [achievement], progress, found, now)


def answer_of(
    book: Rulebook,
    programme: str,
    learner: str,
    names: Sequence[str] | None,
    progress: Progress,
    found: Sequence[Decided],
    now: Micros,
) -> Answer:
    """Return the answer about these achievements, or all that there is something to say of.

    ``found`` are the decisions about the learner with their causes, oldest first.
    """
    if names is None:
        named = {outcome.achievement for decision in found for outcome in _outcomes(decision.decided)}
        names = [name for name in book.rules if name in named or name in progress.awards]
    stand = positions(book, progress, with_blocks(names, book))
    catalogue = book.newest.catalogue
    return Answer(
        programme=programme,
        learner_ref=learner,
        catalogue=catalogue,
        zone=zone_of(catalogue),
        now=now,
        situations=[situation(name, progress, stand.get(name), now) for name in names],
        history={name: list(_about(name, progress, found, stand.get(name))) for name in names},
        results={
            (c.provider, c.body.result_id, c.body.revision): c.body
            for d in found
            if isinstance(c := d.cause, AssessmentCompleted) and isinstance(c.body, CompletionBody)
        },
    )


def situation(name: str, progress: Progress, position: Position | None, now: Micros) -> Situation:
    """Return how a learner stands with an achievement: by what it was attained, else what is missing ``now``."""
    explained: Node | None = None
    used: Mapping[str, Standing] = {}
    if position is not None and position.judged.since is not None:
        explained, used = position.judged.why()
    elif position is not None:
        explained, used = position.outlook(now)
    following, renewable = _next_award(position, now)
    looked_at = frozenset() if position is None else position.version.assessments
    late = {k: s for k, s in progress.awaiting.items() if not s.retracted and s.assessment in looked_at}
    judges = None if position is None else position.judged.version if explained and explained.met else position.version
    return Situation(
        achievement=name,
        awards=progress.awards_of(name),
        attained=position is not None and position.judged.since is not None,
        retired=position is not None and position.version.retired,
        explained=None if explained is None else explanation(explained),
        following=None if following is None else explanation(following),
        renewable=renewable,
        evidence=_by_time(used),
        late=_by_time(late),
        rule_digest=None if judges is None else judges.rule_digest,
    )


def _next_award(position: Position | None, now: Micros) -> tuple[Node | None, tuple[Micros, Micros] | None]:
    """Return what the next award asks, and the time in which results renew, where they may."""
    if position is None:
        return None, None
    begun = position.following
    asked = begun.why()[0] if begun is not None and begun.since is None else None
    renewal = position.renewal
    if renewal is None or renewal.until < now:
        return asked, None
    return asked or renewal.asked, (renewal.opens, renewal.until)


def _by_time(results: Mapping[str, Standing]) -> tuple[Shown, ...]:
    ordered = sorted(results.items(), key=lambda item: (item[1].completed_at, item[0]))
    return tuple(Shown(key=key, standing=standing) for key, standing in ordered)


def _decided(installation: Installation, lane: int, key: bytes, say: Say) -> Iterator[Decided]:
    """Yield every decision about the learner with its cause, oldest first, without outcomes."""
    found: list[CompetencyDecided] = []
    for number, record in enumerate(committed(installation.bootstrap_servers, DECIDED, lane=lane), 1):
        if number % 1_000 == 0:
            say(1_000)
        if record.key == key:
            found.append(decode(record.value, CompetencyDecided))
    offsets = [decided.inbox_offset for decided in found]
    causes = {record.offset: record for record in at_offsets(installation.bootstrap_servers, INBOX, lane, offsets)}
    for decided in found:
        record = causes.get(decided.inbox_offset)
        cause = None
        if record is not None:
            cause = decode_any(record.value, _CAUSES, max_bytes=MAX_RECORD_BYTES)
        yield Decided(decided=decided, cause=cause, outcome=None)


def _about(name: str, progress: Progress, found: Sequence[Decided], position: Position | None) -> Iterator[Decided]:
    """Yield the decisions that say something of an achievement, or of an award of it, or that kept a result from it."""
    credentials = {award.credential_id for award in progress.awards_of(name)}
    credentials |= {
        o.credential_id for d in found for o in _outcomes(d.decided) if o.achievement == name and o.credential_id
    }
    looked_at = frozenset() if position is None else position.version.assessments
    for decision in found:
        outcomes = [o for o in _outcomes(decision.decided) if o.achievement == name]
        for outcome in outcomes:
            yield Decided(decided=decision.decided, cause=decision.cause, outcome=outcome)
        if not outcomes and _concerns(decision, name, credentials, looked_at):
            yield decision


def _concerns(decision: Decided, name: str, credentials: set[str], looked_at: frozenset[str]) -> bool:
    match decision.cause:
        case StatusRequested(credential_id=credential):
            return credential in credentials
        case ReviewDecided(credential_id=credential) if credential is not None:
            return credential in credentials
        case AwardRequested(achievement=achievement) | ReevaluationRequested(achievement=achievement):
            return achievement == name
        case AssessmentCompleted(body=CompletionBody(assessment=assessment)):
            return assessment in looked_at and decision.decided.disposition is not Disposition.KNOWN
        case _:
            return False


def _outcomes(decided: CompetencyDecided) -> Sequence[Outcome]:
    return () if isinstance(decided.body, bytes) else decided.body.outcomes
