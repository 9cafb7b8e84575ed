"""The records of the pipe, as decoded. One struct for each schema in `history/`; field order and names are the schema's.

Instants are whole microseconds since 1970 in UTC. Scores are whole millionths of a point, so nothing is ever rounded.
A record about a learner is an envelope: routing fields in the clear, and a body that is either in the clear or, when
`sealed_with` names a learner's data key, ciphertext.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

Micros: TypeAlias = int
"""An instant: microseconds since 1970-01-01T00:00:00Z."""
Micropoints: TypeAlias = int
"""A score: millionths of a point."""
POINT: Final = 1_000_000


class ResultKind(StrEnum):
    """What a provider says about a result. All three name the same `result_id`; the highest revision stands."""

    COMPLETED = "completed"
    CORRECTED = "corrected"
    RETRACTED = "retracted"


class CompletionBody(Struct, frozen=True, kw_only=True):
    """What was shown: one assessment result. `score` and `score_max` come together or not at all."""

    result_id: str
    revision: int
    kind: ResultKind
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


class AssessmentCompleted(Struct, frozen=True, kw_only=True):
    """A provider reports an assessment result of a learner (completed, corrected or retracted)."""

    event_id: str
    programme: str
    provider: str
    learner_ref: str
    received_at: Micros
    correlation: str | None = None
    sealed_with: str | None = None
    body: CompletionBody | bytes


class StatusAction(StrEnum):
    """What staff ask for. Revocation is final."""

    REVOKE = "revoke"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"


class StatusReason(StrEnum):
    """Why a status changes; a closed list, never free text, since it travels to subscribers."""

    ISSUED_IN_ERROR = "issued_in_error"
    EVIDENCE_CORRECTED = "evidence_corrected"
    MISCONDUCT = "misconduct"
    BUILDING_BLOCK_LOST = "building_block_lost"
    SUPERSEDED = "superseded"
    LEARNER_REQUEST = "learner_request"
    KEY_COMPROMISED = "key_compromised"


class StatusRequested(Struct, frozen=True, kw_only=True):
    """Staff ask for a change of a credential's status. Signed by the staff key named in the record's `jws` header."""

    request_id: str
    programme: str
    learner_ref: str
    credential_id: str
    action: StatusAction
    reason: StatusReason
    requested_by: str
    requested_at: Micros
    urgent: bool = False
    sealed_with: str | None = None
    note: bytes | None = None


class RecognitionBody(Struct, frozen=True, kw_only=True):
    """Why prior learning is recognised, as the credential will say it: `narrative` is Markdown."""

    narrative: str
    evidence_url: str | None = None


class AwardRequested(Struct, frozen=True, kw_only=True):
    """Staff award an achievement for prior learning. Signed by the staff key named in the record's `jws` header."""

    request_id: str
    programme: str
    learner_ref: str
    achievement: str
    level: str | None = None
    attained_at: Micros
    requested_by: str
    requested_at: Micros
    sealed_with: str | None = None
    body: RecognitionBody | bytes


class ReviewAnswer(StrEnum):
    """What a person decides: about a late result the first two, about lost evidence the others."""

    ACCEPT = "accept"
    REJECT = "reject"
    KEEP = "keep"
    SUSPEND = "suspend"
    REVOKE = "revoke"


class ReviewDecided(Struct, frozen=True, kw_only=True):
    """Staff decide what waits for a person: a late result (`provider`, `result_id`), or an award that lost its evidence.

    Signed by the staff key named in the record's `jws` header. `note` is for the record alone.
    """

    request_id: str
    programme: str
    learner_ref: str
    answer: ReviewAnswer
    provider: str | None = None
    result_id: str | None = None
    credential_id: str | None = None
    requested_by: str
    requested_at: Micros
    sealed_with: str | None = None
    note: bytes | None = None


class Losses(StrEnum):
    """What becomes of awards that a re-evaluation does not confirm."""

    KEEP = "keep"
    POLICY = "policy"  # as the rule says for lost evidence


class ReevaluationRequested(Struct, frozen=True, kw_only=True):
    """Staff have a learner's evidence from `since` on judged by a published version of a rule, as if it had been in force.

    Signed by the staff key named in the record's `jws` header. A version adopted later takes force as it would have.
    """

    request_id: str
    programme: str
    learner_ref: str
    achievement: str
    rule_digest: str
    since: Micros
    losses: Losses
    requested_by: str
    requested_at: Micros


class ReissueRequested(Struct, frozen=True, kw_only=True):
    """Staff have a credential issued anew, as a new edition of its award that supersedes it; the attainment stays as it is.

    Signed by the staff key named in the record's `jws` header.
    """

    request_id: str
    programme: str
    learner_ref: str
    credential_id: str
    reason: StatusReason
    requested_by: str
    requested_at: Micros


class IdentityHash(Struct, frozen=True, kw_only=True):
    """A salted hash of an identifier, as credentials carry it (OB 3.0 IdentityObject): `sha256$` and 64 hexadecimal digits."""

    identity_type: str
    salt: str
    identity_hash: str


class ProfileBody(Struct, frozen=True, kw_only=True):
    """By what a learner's credentials can be recognised as theirs."""

    identities: tuple[IdentityHash, ...] = ()


class LearnerProfiled(Struct, frozen=True, kw_only=True):
    """What the gateway learned of a learner. The latest one counts for credentials issued from then on."""

    event_id: str
    programme: str
    learner_ref: str
    received_at: Micros
    sealed_with: str | None = None
    body: ProfileBody | bytes


class CatalogueAdopted(Struct, frozen=True, kw_only=True):
    """A catalogue version takes force in this lane. Signed with the programme's offline key (`jws` header).

    `adoption_no` counts from 1 without gaps, so a repeat is known; `catalogue` is the zlib-compressed canonical JSON.
    """

    programme: str
    adoption_no: int
    digest: str
    effective_from: Micros | None = None
    catalogue: bytes


class Disposition(StrEnum):
    """What became of one inbox record."""

    RECORDED = "recorded"  # new or changed evidence
    KNOWN = "known"  # the same event or the same content again
    OUTRANKED = "outranked"  # a higher revision of this result stands already
    AWAITING_REVIEW = "awaiting_review"  # too late to count without one; `detail` says by how much
    APPLIED = "applied"  # a request of staff that took effect
    ADOPTED = "adopted"  # a catalogue
    REFUSED = "refused"  # a request that cannot be granted; `detail` says why


class Verdict(StrEnum):
    """The outcome of one rule."""

    GRANTED = "granted"
    REISSUED = "reissued"  # a new edition of an award that is held
    ALREADY_HELD = "already_held"
    NOT_YET = "not_yet"
    REGRESSED = "regressed"  # held before; the evidence fell away, and the credential is revoked
    SUSPENDED = "suspended"  # it fell away, or a building block is suspended: suspended until it is there again
    REINSTATED = "reinstated"  # it is there again
    KEPT = "kept"  # it fell away; the credential stays, as its rule or a person says
    REVIEW = "review"  # it fell away; a person decides
    WITHHELD = "withheld"  # the rule holds, but staff revoked the award: it stays revoked


class EvidenceRef(Struct, frozen=True, kw_only=True):
    """A standing result that counted."""

    provider: str
    result_id: str
    revision: int


class Outcome(Struct, frozen=True, kw_only=True):
    """What one rule said about one learner. `explanation` is a JSON tree: see `services.competency.reasons`."""

    achievement: str
    verdict: Verdict
    rule_digest: str
    award: int | None = None
    edition: int | None = None
    credential_id: str | None = None
    attained_at: Micros | None = None
    explanation: str
    evidence: tuple[EvidenceRef, ...] = ()
    level: str | None = None
    valid_until: Micros | None = None


class DecisionBody(Struct, frozen=True, kw_only=True):
    """The outcomes of every rule looked at, possibly none."""

    outcomes: tuple[Outcome, ...]
    detail: str | None = None


class CompetencyDecided(Struct, frozen=True, kw_only=True):
    """What became of one inbox record. Numbered without gaps in each lane."""

    decision_no: int
    lane: int
    inbox_offset: int
    programme: str
    learner_ref: str | None = None
    provider: str | None = None
    event_id: str
    result_id: str | None = None
    disposition: Disposition
    catalogue_digest: str | None = None
    decided_at: Micros
    correlation: str | None = None
    sealed_with: str | None = None
    body: DecisionBody | bytes


class ClaimedResult(Struct, frozen=True, kw_only=True):
    """A result as the credential shows it."""

    provider: str
    result_id: str
    revision: int
    assessment: str
    completed_at: Micros
    score: Micropoints | None = None
    score_max: Micropoints | None = None
    evidence_url: str | None = None
    passed: bool | None = None
    level: str | None = None
    attempt: int | None = None


class ClaimBody(Struct, frozen=True, kw_only=True):
    """What the credential says of the learner. `recognition`: awarded by staff for prior learning, and why."""

    subject_id: str
    results: tuple[ClaimedResult, ...]
    identities: tuple[IdentityHash, ...] = ()
    recognition: RecognitionBody | None = None


class CredentialClaimed(Struct, frozen=True, kw_only=True):
    """The fact that a learner attained an achievement. It pins everything the credential will say and how it is signed.

    `claim_no` counts from 0 without gaps in each (programme, lane).
    """

    claim_no: int
    lane: int
    programme: str
    learner_ref: str
    achievement: str
    award: int
    edition: int
    credential_id: str
    supersedes: str | None = None
    catalogue_digest: str
    rule_digest: str
    key_id: str
    form: str
    status_list: str
    status_index: int
    claimed_at: Micros
    awarded_at: Micros
    valid_until: Micros | None = None
    event_id: str
    decision_no: int
    caused_at: Micros  # append time of the inbox record behind it
    sealed_with: str | None = None
    body: ClaimBody | bytes
    level: str | None = None


class CredentialIssued(Struct, frozen=True, kw_only=True):
    """A signed credential. `credential` is the JSON document's bytes (or, sealed, ciphertext); its SHA-256 is `digest`."""

    claim_no: int
    lane: int
    programme: str
    learner_ref: str
    achievement: str
    award: int
    edition: int
    credential_id: str
    supersedes: str | None = None
    catalogue_digest: str
    rule_digest: str
    key_id: str
    form: str
    status_list: str
    status_index: int
    claimed_at: Micros
    awarded_at: Micros
    valid_until: Micros | None = None
    event_id: str
    decision_no: int
    caused_at: Micros  # append time of the inbox record behind it
    digest: str
    sealed_with: str | None = None
    credential: bytes
    level: str | None = None


class VoidReason(StrEnum):
    """Why a claim gets no credential; a closed list."""

    KEY_COMPROMISED = "key_compromised"


class ClaimVoided(Struct, frozen=True, kw_only=True):
    """A claim that will have no credential: the catalogue that `catalogue_digest` names says that its key was compromised.

    The award stays; it is claimed anew, with another key, as its next edition.
    """

    claim_no: int
    lane: int
    programme: str
    learner_ref: str
    achievement: str
    award: int
    edition: int
    credential_id: str
    key_id: str
    claimed_at: Micros
    reason: VoidReason
    catalogue_digest: str


class StatusListOpened(Struct, frozen=True, kw_only=True):
    """A lane's next status list is to be published, before the first credential points to it.

    `key_id` signs it unless the catalogue adopted last has another status key in force.
    """

    decision_no: int
    lane: int
    programme: str
    status_list: str
    list_number: int
    issuer: str
    key_id: str
    decided_at: Micros


class CredentialStatus(StrEnum):
    """The state of a credential in events and on pages. Only a revocation shows in a list."""

    REVOKED = "revoked"
    SUSPENDED = "suspended"
    REINSTATED = "reinstated"


class StatusDecided(Struct, frozen=True, kw_only=True):
    """A credential's status changes. `decision_no` counts from 0 without gaps in each list, `StatusListOpened` included."""

    decision_no: int
    lane: int
    programme: str
    learner_ref: str
    credential_id: str
    status: CredentialStatus
    reason: StatusReason
    status_list: str
    status_index: int
    decided_at: Micros
    urgent: bool = False
    cause: str


class StatusListPublished(Struct, frozen=True, kw_only=True):
    """A signed list. `version` rises strictly in each list; `credential` is the JSON document."""

    programme: str
    lane: int
    status_list: str
    version: int
    key_id: str
    published_at: Micros
    valid_until: Micros
    set_bits: int
    credential: bytes


class CredentialStatusChanged(Struct, frozen=True, kw_only=True):
    """A status took effect: whoever fetches version `list_version` of the list sees it (revocations only)."""

    programme: str
    lane: int
    learner_ref: str
    credential_id: str
    status: CredentialStatus
    reason: StatusReason
    status_list: str
    status_index: int
    list_version: int
    decided_at: Micros
    effective_at: Micros
    cause: str


class CataloguePublished(Struct, frozen=True, kw_only=True):
    """An immutable catalogue version by its digest (`jws` header as in `CatalogueAdopted`)."""

    programme: str
    digest: str
    published_at: Micros
    catalogue: bytes


class Header(Struct, frozen=True, kw_only=True):
    """A Kafka header as it stood, whatever its bytes."""

    name: str
    value: bytes | None = None


class RecordQuarantined(Struct, frozen=True, kw_only=True):
    """A record that could not be processed, with its bytes, where it stood and why."""

    stage: str
    topic: str
    partition: int
    offset: int
    appended_at: Micros
    reason: str
    detail: str
    sha256: str
    size: int
    sealed_with: str | None = None
    key: bytes | None = None
    headers: tuple[Header, ...] = ()
    value: bytes | None = None


class Resolution(StrEnum):
    """What was done about a record that was set aside."""

    REDRIVEN = "redriven"
    DISMISSED = "dismissed"


class QuarantineResolved(Struct, frozen=True, kw_only=True):
    """What a person, or an adopted catalogue, did about the record set aside at this position by this stage.

    Redriven: it stands in its topic again at `redriven_partition` and `redriven_offset`, with the same bytes.
    """

    stage: str
    topic: str
    partition: int
    offset: int
    resolution: Resolution
    redriven_partition: int | None = None
    redriven_offset: int | None = None
    resolved_by: str
    resolved_at: Micros
    note: str | None = None


REDRIVEN_FROM: Final = "redriven-from"
"""The header of a redriven record, once for each time: `topic/partition@offset` where it was set aside, the original first."""


class GapKind(StrEnum):
    """What is wrong where a lane is parked."""

    GONE = "gone"  # records before this offset are gone from the log, unread
    CUT_OFF = "cut_off"  # the log ends before the offset up to which it was read
    MISSING = "missing"  # numbers are missing before the record at this offset
    CONFLICT = "conflict"  # the record at this offset has a number that is known with another content


class GapAccepted(Struct, frozen=True, kw_only=True):
    """A person decided that a parked lane goes on at an offset. Signed by the staff key named in the record's `jws` header.

    `first` up to, and without, `until` are the numbers of `series` (a programme's claims, a list's decisions) that are missing, or
    the one that came again; without a series they are offsets. `sha256` is that of the record at the offset.
    """

    stage: str
    topic: str
    partition: int
    offset: int
    kind: GapKind
    series: str | None = None
    first: int
    until: int
    sha256: str | None = None
    requested_by: str
    requested_at: Micros
    note: str


Event: TypeAlias = (
    AssessmentCompleted
    | StatusRequested
    | AwardRequested
    | ReviewDecided
    | ReevaluationRequested
    | ReissueRequested
    | LearnerProfiled
    | CatalogueAdopted
    | CompetencyDecided
    | CredentialClaimed
    | CredentialIssued
    | ClaimVoided
    | StatusListOpened
    | StatusDecided
    | StatusListPublished
    | CredentialStatusChanged
    | CataloguePublished
    | RecordQuarantined
    | QuarantineResolved
    | GapAccepted
)
