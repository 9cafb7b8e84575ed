"""`credstream award` and `credstream status`: what staff decide about one learner, signed by the member who asks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from credstream.cli.console import (
    DEFAULT_FOLDER,
    Data,
    Exit,
    Json,
    Member,
    Programme,
    Yes,
    chosen_programme,
    confirmed,
    err,
    installation,
    instant_of,
    out,
    write_json,
)
from credstream.learners import one_learner
from credstream.staff import credentials
from credstream.staff.desk import Answer, Desk
from credstream.staff.foreseeing import changes, detail_of, foresight
from credstream.why import learner_ref_of
from credstream.zones import minute, zone_of
from schemas.errors import RefusedError
from schemas.events import (
    AwardRequested,
    Disposition,
    Micros,
    RecognitionBody,
    StatusAction,
    StatusReason,
    StatusRequested,
)
from schemas.ids import lane_of, learner_key

Credential = Annotated[str, Parameter(help="The credential's id, or its URL.")]
Urgent = Annotated[bool, Parameter(negative=(), help="Publish at once instead of at the next cadence.")]
_UNSEEN = (
    "Status lists do not show it: Open Badges 3.0 leaves room for one status, and that is revocation. Suspension shows on the "
    "credential's page, in `credstream status show` and `verify`, and in what subscribers are told; a verifier that looks at the "
    "list alone goes on saying valid. Who must not be able to use the credential anywhere needs a revocation."
)


def award(
    learner: Annotated[str, Parameter(help="scheme:identifier (email:a@example.ca) or the learner_ref.")],
    achievement: Annotated[str, Parameter(help="What is recognised.")],
    *,
    date: Annotated[str, Parameter(help="When it was attained: 2026-01-05, or an instant with its offset.")],
    reason: Annotated[str, Parameter(help="Why it is recognised; Markdown, shown in the credential for good.")],
    evidence: Annotated[str | None, Parameter(help="The address of what was assessed, https://…")] = None,
    level: Annotated[str | None, Parameter(help="The level of the award, where the rule has levels.")] = None,
    programme: Programme = None,
    member: Member = None,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Award an achievement for prior learning: the credential says that it was recognised, on which day and why.

    What it would lead to is shown first. Exit code 1 when it is refused.

    Example: credstream award email:dana@example.ca site-safety --date 2026-01-05 --reason "Red Seal journeyperson since 2011"
    """
    place = installation(data)
    chosen = chosen_programme(place, programme)
    if evidence is not None and not evidence.startswith("https://"):
        raise RefusedError(f"--evidence {evidence}: an address that begins with https:// is wanted")
    if not reason.strip():
        raise RefusedError("--reason: say why it is recognised; the credential shows it")
    ref = learner_ref_of(place, chosen, learner)
    key = learner_key(chosen, ref)
    kept, progress = one_learner(place, lane_of(key, place.kafka.lanes), key)
    seen = foresight(place, chosen, kept)
    with Desk(place, chosen, member) as desk:
        request = desk.request(
            AwardRequested,
            ref,
            achievement=achievement,
            level=level,
            attained_at=instant_of(date, zone_of(seen.book.newest.catalogue)),
            body=RecognitionBody(narrative=reason, evidence_url=evidence),
        )
        foreseen = seen.decision(progress, request)
        if foreseen.decided.disposition is Disposition.REFUSED:
            err.print(f"not awarded: {detail_of(foreseen)}", markup=False)
            return Exit.NO
        for change in changes(progress, foreseen.progress or progress):
            grade = f", {change.award.level}" if change.award.level else ""
            out.print(f"{change.effect}: [bold]{escape(change.achievement)}[/], award {change.award.number}{grade}")
        if not confirmed(f"Award it as {desk.member}?", yes=yes):
            return Exit.NO
        return _told(desk.ask(request), "awarded", "not awarded")


def revoke(
    credential: Credential,
    *,
    reason: StatusReason = StatusReason.ISSUED_IN_ERROR,
    urgent: Urgent = False,
    member: Member = None,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Revoke a credential. This is final: it cannot be undone, and what staff revoke is not granted again.

    Example: credstream status revoke 6f9619ff-8b86-8011-b42d-00c04fc964ff --reason misconduct
    """
    warning = "Revoking {} is final: its holder cannot use it again, and verifiers will say revoked."
    return _change(data, credential, StatusAction.REVOKE, reason, member, warning=warning, urgent=urgent, yes=yes)


def suspend(
    credential: Credential,
    *,
    reason: StatusReason = StatusReason.MISCONDUCT,
    urgent: Urgent = False,
    member: Member = None,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Suspend a credential, and with it what is built on it, until it is reinstated. Status lists do not show it.

    Example: credstream status suspend 6f9619ff-8b86-8011-b42d-00c04fc964ff --reason misconduct
    """
    warning = f"Suspending {{}}. {_UNSEEN}"
    return _change(data, credential, StatusAction.SUSPEND, reason, member, warning=warning, urgent=urgent, yes=yes)


def reinstate(
    credential: Credential,
    *,
    reason: StatusReason = StatusReason.ISSUED_IN_ERROR,
    urgent: Urgent = False,
    member: Member = None,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """End a suspension by staff. One by the credential's rule ends by itself when the evidence is there again.

    Example: credstream status reinstate 6f9619ff-8b86-8011-b42d-00c04fc964ff
    """
    warning = "Reinstating {}: it is valid again, unless its rule suspends it as well."
    return _change(data, credential, StatusAction.REINSTATE, reason, member, warning=warning, urgent=urgent, yes=yes)


def _change(
    data: Any,
    credential: str,
    action: StatusAction,
    reason: StatusReason,
    member: str | None,
    *,
    warning: str,
    urgent: bool,
    yes: bool,
) -> Exit:
    place = installation(data)
    issued = credentials.find(place, credential.rpartition("/")[2])
    out.print(warning.format(issued.credential_id), highlight=False)
    if not confirmed(f"{action.capitalize()} it?", yes=yes):
        return Exit.NO
    with Desk(place, issued.programme, member) as desk:
        request = desk.request(
            StatusRequested,
            issued.learner_ref,
            credential_id=issued.credential_id,
            action=action,
            reason=reason,
            urgent=urgent,
        )
        answer = desk.ask(request)
    done = {
        StatusAction.REVOKE: "revoked; the status list shows it",
        StatusAction.SUSPEND: "suspended; subscribers and its page are told",
        StatusAction.REINSTATE: "reinstated; subscribers and its page are told",
    }[action]
    when = "at once" if urgent else f"within {place.status.cadence_s:.0f} s"
    return _told(answer, f"{done} {when}", f"not {done.partition(';')[0]}")


def show(credential: Credential, *, as_json: Json = False, data: Data = DEFAULT_FOLDER) -> Exit:
    """Show how a credential stands: its award, its status and why, and each change that took effect.

    Exit code 1 when it is revoked or suspended.

    Example: credstream status show 6f9619ff-8b86-8011-b42d-00c04fc964ff
    """
    place = installation(data)
    found = credentials.standing(place, credential.rpartition("/")[2])
    issued, award = found.issued, found.award
    if as_json:
        write_json(
            {
                "credential_id": issued.credential_id,
                "achievement": issued.achievement,
                "award": issued.award,
                "level": issued.level,
                "valid_until": issued.valid_until,
                "status": found.status,
                "reason": found.reason or None,
                "changes": [
                    {"status": c.status, "reason": c.reason, "effective_at": c.effective_at, "cause": c.cause}
                    for c in found.changes
                ],
            }
        )
    else:
        colour = {"valid": "green", "suspended": "yellow"}.get(found.status, "red")
        why = f": {found.reason}" if found.reason else ""
        out.print(f"[bold {colour}]{found.status}[/]{escape(why)}  {issued.credential_id}")
        grade = f", {issued.level}" if issued.level else ""
        out.print(f"{escape(issued.achievement)}, award {issued.award}{escape(grade)}, {_until(issued.valid_until)}")
        if award is not None and award.level != issued.level:
            out.print(f"by what is known now its level is {award.level}; the credential stays as it is")
        if found.changes:
            table = Table("in effect since", "status", "reason", "asked by")
            for change in found.changes:
                reason = change.reason.replace("_", " ")
                table.add_row(minute(change.effective_at, "UTC"), change.status, reason, change.cause)
            out.print(table)
    return Exit.DONE if found.status == "valid" else Exit.NO


def _until(instant: Micros | None) -> str:
    if instant is None:
        return "valid for ever"
    ended = "ended" if instant <= int(datetime.now(UTC).timestamp() * 1_000_000) else "valid until"
    return f"{ended} {minute(instant, 'UTC')}"


def _told(answer: Answer, done: str, refused: str) -> Exit:
    if not answer.granted:
        err.print(f"{refused}: {answer.detail}", markup=False, highlight=False)
        return Exit.NO
    said = f" ({answer.detail})" if answer.detail != Disposition.APPLIED else ""
    out.print(f"{done}{said}", markup=False, highlight=False)
    return Exit.DONE
