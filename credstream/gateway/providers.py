"""Routes for training providers: send completions, name learners, ask what became of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, get, post
from litestar.params import Parameter

from credstream.gateway.completions import IDENTITY_TYPES, NamedLearner, Refused, read
from credstream.gateway.inbox import InboxWriter, positions_in
from credstream.gateway.keys import KeyRing, Sender
from credstream.gateway.problems import ProblemError
from credstream.gateway.records import Records
from schemas.catalogue import Catalogue
from schemas.errors import UnavailableError
from schemas.events import AssessmentCompleted, IdentityHash, LearnerProfiled, ProfileBody
from schemas.ids import content_digest, identity_hash, learner_ref
from schemas.topology import INBOX
from streams.settings import LEARNER_SECRET, Installation
from streams.topics import ends

_MAX_LINES: Final = 10_000
_NDJSON: Final = "application/x-ndjson"
_RETRY_S: Final = "2"
_TRACEPARENT_CHARS: Final = 55  # W3C Trace Context §3.2


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """What became of one line. A warning does not keep it from being accepted."""

    accepted: bool
    event_id: str | None = None
    errors: Sequence[dict[str, str]] = field(default_factory=tuple)
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of everything sent. `receipt` asks for the fate of what was accepted."""

    accepted: int
    refused: int
    receipt: str | None
    results: Sequence[LineAnswer]


@dataclass(frozen=True, slots=True)
class LearnerRef:
    """A learner's opaque id in a programme."""

    learner_ref: str


@dataclass(frozen=True, slots=True)
class OutcomeAnswer:
    """What one rule said."""

    achievement: str
    verdict: str
    credential_id: str | None


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one record of a completion: decided (`disposition`), or quarantined (`detail` says why)."""

    event_id: str | None
    result_id: str | None
    disposition: str
    detail: str | None
    outcomes: Sequence[OutcomeAnswer]


@dataclass(frozen=True, slots=True)
class FateAnswer:
    """Every fate known; `behind` is how many inbox records the view has still to see before it can know more."""

    state: str
    behind: int
    fates: Sequence[Fate]


def sender_of(request: Request[Any, Any, Any], keys: KeyRing) -> Sender:
    """Return who sends.

    Raises:
        ProblemError: 401, the same for every reason.
    """
    found = keys.sender(request.headers.get("authorization"))
    if found is None:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "send a provider's API key: Authorization: Bearer …",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return found


class Providers(Controller):
    """For training providers."""

    path = "/v1"
    tags = ("providers",)

    @post(
        "/completions",
        status_code=HTTPStatus.ACCEPTED,
        summary="Send one completion (JSON) or up to 10,000 (NDJSON)",
        description="202 once the broker has acknowledged; safe to repeat. `dry_run` validates only.",
    )
    async def send(
        self,
        request: Request[Any, Any, Any],
        keys: KeyRing,
        inbox: InboxWriter,
        records: Records,
        installation: Installation,
        dry_run: Annotated[bool, Parameter(description="Validate only; nothing is sent on.")] = False,  # noqa: FBT002
    ) -> Response[Answer]:
        """Take completions in."""
        sender = sender_of(request, keys)
        lines = await _lines(request)
        secret, now = installation.secret(LEARNER_SECRET), time.time_ns() // 1000
        read_lines = [read(line, sender, secret, now) for line in lines]
        catalogue = records.catalogue(sender.programme)
        events = [event for event in read_lines if isinstance(event, AssessmentCompleted)]
        receipt = None
        if events and not dry_run:
            try:
                receipt = await inbox.write(events, _trace(request))
            except UnavailableError as error:
                raise ProblemError(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"{error}; nothing is lost by sending it again",
                    headers={"Retry-After": _RETRY_S},
                ) from None
        results = [_line_answer(event, catalogue) for event in read_lines]
        refused = len(read_lines) - len(events)
        if refused and not _is_ndjson(request):
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "the completion cannot be taken", errors=results[0].errors
            )
        return Response(Answer(accepted=len(events), refused=refused, receipt=receipt, results=results))

    @post(
        "/learners",
        status_code=HTTPStatus.OK,
        summary="The learner_ref of an identifier",
        description="Credentials issued from then on carry a salted hash of each identifier in `in_credentials`.",
    )
    async def name_learner(
        self,
        data: NamedLearner,
        request: Request[Any, Any, Any],
        keys: KeyRing,
        inbox: InboxWriter,
        installation: Installation,
    ) -> LearnerRef:
        """Return the opaque id; nothing is told about whether the learner is known."""
        sender = sender_of(request, keys)
        secret = installation.secret(LEARNER_SECRET)
        ref = learner_ref(secret, sender.programme, data.scheme, data.identifier)
        if data.in_credentials:
            try:
                await inbox.write([_profile(data, ref, sender, secret)], _trace(request))
            except UnavailableError as error:
                raise ProblemError(
                    HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"Retry-After": _RETRY_S}
                ) from None
        return LearnerRef(ref)

    @get("/completions", summary="What became of a result", sync_to_thread=True)
    def fate_of_result(
        self,
        request: Request[Any, Any, Any],
        keys: KeyRing,
        records: Records,
        installation: Installation,
        result_id: str,
        receipt: str | None = None,
    ) -> FateAnswer:
        """Return what became of every completion of a result."""
        return _fate(sender_of(request, keys), records, installation, receipt, result_id=result_id)

    @get("/completions/{event_id:str}", summary="What became of a completion", sync_to_thread=True)
    def fate_of_event(
        self,
        request: Request[Any, Any, Any],
        keys: KeyRing,
        records: Records,
        installation: Installation,
        event_id: str,
        receipt: str | None = None,
    ) -> FateAnswer:
        """Return the decision, the credential, or the quarantine's reason; 404 only when it can no longer be on its way."""
        return _fate(sender_of(request, keys), records, installation, receipt, event_id=event_id)


def _profile(data: NamedLearner, ref: str, sender: Sender, secret: bytes) -> LearnerProfiled:
    identities = []
    for one in data.in_credentials:
        if (identity_type := IDENTITY_TYPES.get(one.scheme)) is None or len(data.in_credentials) > len(IDENTITY_TYPES):
            known = ", ".join(IDENTITY_TYPES)
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"credentials can carry a hash of one each of: {known}")
        salt, digest = identity_hash(secret, ref, identity_type, one.identifier)
        identities.append(IdentityHash(identity_type=identity_type, salt=salt, identity_hash=digest))
    named = content_digest("".join(i.identity_hash for i in identities).encode()).removeprefix("sha256-")
    return LearnerProfiled(
        event_id=f"profile-{named[:32]}",
        programme=sender.programme,
        learner_ref=ref,
        received_at=time.time_ns() // 1000,
        body=ProfileBody(identities=tuple(identities)),
    )


def _is_ndjson(request: Request[Any, Any, Any]) -> bool:
    return request.content_type[0] == _NDJSON


async def _lines(request: Request[Any, Any, Any]) -> Sequence[bytes]:
    """Return the body's completions.

    Raises:
        ProblemError: The media type is another, there are none or too many.
    """
    body = await request.body()
    if _is_ndjson(request):
        lines = [line for line in body.split(b"\n") if line.strip()]
    elif request.content_type[0] == "application/json":
        lines = [body]
    else:
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send application/json or {_NDJSON}")
    if not 0 < len(lines) <= _MAX_LINES:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, f"from 1 to {_MAX_LINES:,} lines are taken at once, not {len(lines):,}"
        )
    return lines


def _trace(request: Request[Any, Any, Any]) -> bytes | None:
    found = request.headers.get("traceparent")
    return found.encode() if found and len(found) == _TRACEPARENT_CHARS and found.isascii() else None


def _line_answer(event: AssessmentCompleted | Refused, catalogue: Catalogue | None) -> LineAnswer:
    if isinstance(event, Refused):
        return LineAnswer(accepted=False, errors=[dict(error) for error in event.errors])
    known = (
        catalogue is None
        or isinstance(event.body, bytes)
        or any(a.id == event.body.assessment for a in catalogue.assessments)
    )
    warning = None if known else "no catalogue knows this assessment yet; it waits in quarantine until one does"
    return LineAnswer(accepted=True, event_id=event.event_id, warning=warning)


def _fate(
    sender: Sender,
    records: Records,
    installation: Installation,
    receipt: str | None,
    *,
    event_id: str | None = None,
    result_id: str | None = None,
) -> FateAnswer:
    wanted = positions_in(receipt) if receipt else _end_of_inbox(installation)
    if wanted is None:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "no receipt of ours",
            errors=[{"field": "receipt", "detail": "give it as it was answered"}],
        )
    seen = records.decided_up_to()
    behind = sum(max(0, offset - seen.get(lane, -1)) for lane, offset in wanted.items())
    rows = records.fates(sender.programme, sender.provider, event_id=event_id, result_id=result_id)
    if not rows and not behind:
        raise ProblemError(HTTPStatus.NOT_FOUND, "you have sent no such completion")
    fates = [
        Fate(
            event_id=row.event_id,
            result_id=row.result_id,
            disposition=row.disposition,
            detail=row.detail,
            outcomes=[
                OutcomeAnswer(o.achievement, o.verdict, o.credential_id)
                for o in (records.outcomes(row.lane, row.decision_no) if row.decision_no is not None else ())
            ],
        )
        for row in rows
    ]
    state = f"accepted, {behind} behind" if behind and not fates else "known"
    return FateAnswer(state=state, behind=behind, fates=fates)


def _end_of_inbox(installation: Installation) -> dict[int, int]:
    try:
        return {lane: end - 1 for (_, lane), end in ends(installation, [INBOX]).items()}
    except UnavailableError as error:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"Retry-After": _RETRY_S}) from None
