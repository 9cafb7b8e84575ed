"""What is kept of a learner: the set of standing results, the events seen, the awards. Never a running tally.

The order in which results arrive leaves no trace in what stands: of each result the highest revision does, and among
contents of one revision the one with the larger digest.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from schemas.errors import IntegrityError, MalformedError, QuarantineReason
from schemas.events import AssessmentCompleted, CompletionBody, Disposition, Micropoints, Micros, ResultKind

MAX_RESULTS: Final = 10_000
MAX_BYTES: Final = 256 * 1024
_VERSION: Final = b"\x01"
_ID_BYTES: Final = 12  # of an event id's digest: a chance collision would lose a result, so 96 bits
_CONTENT_BYTES: Final = 8  # of a content's digest: a collision only costs the provider who sought it
_ENTRY_BYTES: Final = _ID_BYTES + _CONTENT_BYTES
_BETWEEN: Final = "\0"  # may stand in no text of the log


class Standing(Struct, frozen=True, array_like=True, gc=False):
    """A result as it stands. One that was retracted keeps its place, so that an original that comes later does not count."""

    revision: int
    digest: bytes
    retracted: bool
    assessment: str
    completed_at: Micros
    score: Micropoints | None = None
    score_max: Micropoints | None = None
    passed: bool | None = None
    level: str | None = None
    attempt: int | None = None
    evidence_url: str | None = None
    assessor_ref: str | None = None
    assessor_role: str | None = None
    site: str | None = None
    critical: bool | None = None


class AwardState(StrEnum):
    """Whether an award holds. What the rule took the rule may give again, as a new award; what staff took stays taken."""

    HELD = "held"
    SUSPENDED = "suspended"  # its evidence, or a building block, is away
    KEPT = "kept"  # its evidence fell away; it stays
    IN_REVIEW = "in_review"  # its evidence fell away; it stays until a person decides
    REVOKED_BY_RULE = "revoked_by_rule"
    REVOKED_BY_STAFF = "revoked_by_staff"


REVOKED: Final = frozenset({AwardState.REVOKED_BY_RULE, AwardState.REVOKED_BY_STAFF})


class Award(Struct, frozen=True, array_like=True, gc=False):
    """An award of an achievement. Its status list and index follow from `claim_no`.

    `attained_at`, `level` and `valid_until` are by what is known now; the credential keeps those that it was issued with.
    `suspended`: by staff, whatever the evidence.
    """

    number: int
    edition: int
    credential_id: str
    claim_no: int
    attained_at: Micros
    state: AwardState = AwardState.HELD
    level: str | None = None
    valid_until: Micros | None = None
    suspended: bool = False

    @property
    def stands(self) -> bool:
        """Say whether it is not revoked."""
        return self.state not in REVOKED

    @property
    def counts(self) -> bool:
        """Say whether it is neither revoked nor suspended."""
        return self.stands and not self.is_suspended

    @property
    def is_suspended(self) -> bool:
        """Say whether it is suspended, by the rule or by staff."""
        return self.stands and (self.suspended or self.state is AwardState.SUSPENDED)


class Recognition(Struct, frozen=True, array_like=True, gc=False):
    """Prior learning that staff recognised: it attains an achievement whatever the evidence."""

    at: Micros
    level: str | None
    narrative: str
    evidence_url: str | None


class Rejudged(Struct, frozen=True, array_like=True, gc=False):
    """From `since` on a version of a rule judges this learner, as staff asked for."""

    rule_digest: str
    since: Micros


class Identity(Struct, frozen=True, array_like=True, gc=False):
    """A salted hash of an identifier, for credentials."""

    identity_type: str
    salt: str
    identity_hash: str


class Progress(Struct, frozen=True, array_like=True):
    """A learner's evidence and awards. An immutable value: changes make a new one.

    `results` and `awaiting` (late, until someone reviews them; a rejected one says that it was retracted) are under `result_key`;
    `events` holds a digest of every event and of its content, one after the other. `awards` has each achievement's latest award,
    `earlier` those before it that are not revoked by their rule, oldest first.
    """

    results: dict[str, Standing]
    awaiting: dict[str, Standing]
    events: bytes
    awards: dict[str, Award]
    earlier: dict[str, tuple[Award, ...]] = {}
    recognised: dict[str, Recognition] = {}
    rejudged: dict[str, Rejudged] = {}
    identities: tuple[Identity, ...] = ()

    def awards_of(self, achievement: str) -> tuple[Award, ...]:
        """Return the awards of an achievement that its rule did not revoke, and the latest one in any case; oldest first."""
        latest = self.awards.get(achievement)
        return self.earlier.get(achievement, ()) if latest is None else (*self.earlier.get(achievement, ()), latest)


NOTHING: Final = Progress({}, {}, b"", {})
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Progress)
_CANONICAL: Final = msgspec.json.Encoder(order="sorted")


def decoded(kept: bytes | None) -> Progress:
    """Return the progress as it was kept.

    Raises:
        IntegrityError: The bytes are not what a version known here wrote.
    """
    if kept is None:
        return NOTHING
    if kept[:1] != _VERSION:
        raise IntegrityError(f"progress of version {kept[:1].hex()} is not known here")
    try:
        return _DECODER.decode(memoryview(kept)[1:])
    except msgspec.DecodeError as error:
        raise IntegrityError(f"progress cannot be read: {error}") from error


def encoded(progress: Progress) -> bytes:
    """Return what to keep."""
    return _VERSION + _ENCODER.encode(progress)


def check_room(progress: Progress, after: bytes, before: bytes | None) -> None:
    """Let a completion add to a learner only while there is room. What takes away is let through always.

    Raises:
        MalformedError: The learner would have more results or bytes than are kept.
    """
    if (before is None or len(after) > len(before)) and (
        len(after) > MAX_BYTES or len(progress.results) + len(progress.awaiting) > MAX_RESULTS
    ):
        raise MalformedError(
            QuarantineReason.LEARNER_FULL,
            f"{len(progress.results)} results and {len(after)} bytes; at most {MAX_RESULTS} and {MAX_BYTES} are kept",
        )


def result_key(provider: str, result_id: str) -> str:
    """Return the name of a result among a learner's."""
    return f"{provider}{_BETWEEN}{result_id}"


def named(key: str) -> tuple[str, str]:
    """Return the provider and the result_id in a result's name."""
    provider, _, result_id = key.partition(_BETWEEN)
    return provider, result_id


class Observed(Struct, frozen=True):
    """What one completion changed. `touched` names the assessments whose evidence is not what it was."""

    progress: Progress
    disposition: Disposition
    touched: tuple[str, ...] = ()
    detail: str | None = None


def observe(progress: Progress, completed: AssessmentCompleted, body: CompletionBody, *, late: bool) -> Observed:
    """Take one result into a learner's evidence.

    What is known already or outranked changes no evidence, so a redelivery is harmless. A ``late`` result is kept apart until
    someone reviews it; a retraction is never late, for nobody gains by it.

    Raises:
        MalformedError: The event id is known with another content; the first stands.
    """
    key, digest = result_key(completed.provider, body.result_id), content_digest(body)
    event = _event_digest(completed)
    if (content := _content_of(progress.events, event)) is not None:
        if content != digest:
            raise MalformedError(QuarantineReason.EVENT_ID_CONFLICT, f"event {completed.event_id} has another content")
        return Observed(progress, Disposition.KNOWN)
    events = progress.events + event + digest
    new, stands, waits = _standing(body, digest), progress.results.get(key), progress.awaiting.get(key)
    kept_apart = late and not new.retracted
    best = stands
    if kept_apart and waits is not None and (best is None or _rank(best) < _rank(waits)):
        best = waits
    if best is not None and _rank(best) >= _rank(new):
        unchanged = replace(progress, events=events)
        same = _rank(best) == _rank(new)
        return Observed(
            unchanged, Disposition.KNOWN if same else Disposition.OUTRANKED, (), None if same else _rivalry(best, new)
        )
    if kept_apart:
        awaiting = {**progress.awaiting, key: new}
        return Observed(replace(progress, awaiting=awaiting, events=events), Disposition.AWAITING_REVIEW)
    awaiting = progress.awaiting
    if waits is not None and _rank(waits) <= _rank(new):
        awaiting = {name: waiting for name, waiting in awaiting.items() if name != key}
    touched: tuple[str, ...] = (new.assessment,)
    if stands is not None and stands.assessment != new.assessment:
        touched = (stands.assessment, new.assessment)
    after = replace(progress, results={**progress.results, key: new}, awaiting=awaiting, events=events)
    return Observed(after, Disposition.RECORDED, touched, _rivalry(stands, new))


def reviewed(progress: Progress, provider: str, result_id: str, *, accept: bool) -> Observed | None:
    """Let a late result in, or keep it out for good; None when none waits. A rejected one is remembered by its rank."""
    key = result_key(provider, result_id)
    waits, stands = progress.awaiting.get(key), progress.results.get(key)
    if waits is None or waits.retracted:
        return None
    if not accept:
        out = Standing(waits.revision, waits.digest, True, waits.assessment, waits.completed_at)  # noqa: FBT003
        return Observed(replace(progress, awaiting={**progress.awaiting, key: out}), Disposition.APPLIED)
    awaiting = {name: waiting for name, waiting in progress.awaiting.items() if name != key}
    if stands is not None and _rank(stands) >= _rank(waits):
        return Observed(
            replace(progress, awaiting=awaiting), Disposition.APPLIED, (), "a higher revision stands already"
        )
    touched = dict.fromkeys((waits.assessment,) if stands is None else (stands.assessment, waits.assessment))
    after = replace(progress, results={**progress.results, key: waits}, awaiting=awaiting)
    return Observed(after, Disposition.APPLIED, tuple(touched))


def content_digest(body: CompletionBody) -> bytes:
    """Return what tells two contents apart: the head of the SHA-256 of the body's JSON, names sorted, absent fields left out."""
    present = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not None}
    return hashlib.sha256(_CANONICAL.encode(present)).digest()[:_CONTENT_BYTES]


def _event_digest(completed: AssessmentCompleted) -> bytes:
    named_by = f"{completed.provider}{_BETWEEN}{completed.event_id}"  # ids are a provider's own (CloudEvents §3.1.1)
    return hashlib.sha256(named_by.encode()).digest()[:_ID_BYTES]


def _content_of(events: bytes, event: bytes) -> bytes | None:
    at = events.find(event)
    while at % _ENTRY_BYTES and at >= 0:  # within another entry, by chance
        at = events.find(event, at + 1)
    return None if at < 0 else events[at + _ID_BYTES : at + _ENTRY_BYTES]


def _rank(standing: Standing) -> tuple[int, bytes]:
    return standing.revision, standing.digest


def _rivalry(stands: Standing | None, new: Standing) -> str | None:
    if stands is None or stands.revision != new.revision:
        return None
    return f"two contents of revision {new.revision}: the one with the larger digest stands; for review"


def _standing(body: CompletionBody, digest: bytes) -> Standing:
    if body.kind is ResultKind.RETRACTED:
        return Standing(body.revision, digest, True, body.assessment, body.completed_at)  # noqa: FBT003
    return Standing(
        body.revision,
        digest,
        False,  # noqa: FBT003
        body.assessment,
        body.completed_at,
        body.score,
        body.score_max,
        body.passed,
        body.level,
        body.attempt,
        body.evidence_url,
        body.assessor_ref,
        body.assessor_role,
        body.site,
        body.critical,
    )
