"""One learner's life: what must follow from each record about them, in the order of the inbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from credstream.audit.awards import Award, Awards, CredentialOf, Said, State
from credstream.audit.books import Book
from credstream.audit.decoding import Fields
from credstream.audit.earning import Recognised
from credstream.audit.evidence import Evidence

_AHEAD: Final = 5 * 60 * 1_000_000
_ANSWERS: Final[Mapping[str, State]] = {"keep": "kept", "suspend": "suspended", "revoke": "gone"}
STAFF: Final = frozenset(
    {"StatusRequested", "AwardRequested", "ReviewDecided", "ReevaluationRequested", "ReissueRequested"}
)


class Life:
    """What is known of a learner after the records so far."""

    def __init__(self, credential_of: CredentialOf) -> None:
        """Begin with nothing; ``credential_of`` names the credential of an achievement's award."""
        self._evidence = Evidence()
        self._awards = Awards(credential_of)
        self._identities: Any = []

    def refusal(  # noqa: PLR0911  one for each reason
        self, kind: str, fields: Fields, book: Book | None, appended_at: int
    ) -> str | None:
        """Return the reason for which a record must be quarantined, of those that can be judged here; None if it counts."""
        if book is None:
            return "unknown_programme"
        body = fields.get("body")
        if kind != "AssessmentCompleted" or not isinstance(body, dict):
            return None
        provider, assessment = fields["provider"], book.assessments.get(body["assessment"])
        if provider not in book.providers:
            return "unknown_provider"
        if assessment is None:
            return "unknown_assessment"
        if provider not in assessment["providers"]:
            return "not_allowed"
        if body["completed_at"] > appended_at + _AHEAD:
            return "future_dated"
        return "event_id_conflict" if self._evidence.conflicts(provider, fields["event_id"], body) else None

    def follow(  # noqa: PLR0911  one for each kind
        self, kind: str, fields: Fields, book: Book, arrived_at: int, now: int
    ) -> Said:
        """Return what must follow from a record that counts."""
        match kind:
            case "AssessmentCompleted":
                return self._completed(fields, book, arrived_at, now)
            case "LearnerProfiled":
                return self._profiled(fields)
            case "StatusRequested":
                return self._status(fields, book, now)
            case "AwardRequested":
                return self._award(fields, book, now)
            case "ReviewDecided":
                return self._review(fields, book, now)
            case "ReissueRequested":
                return self._reissue(fields, book, now)
            case _:
                return self._reevaluation(fields, book, now)

    def _completed(self, fields: Fields, book: Book, arrived_at: int, now: int) -> Said:
        body = fields["body"]
        is_late = not book.accepts_late(body["assessment"], arrived_at - body["completed_at"])
        disposition, touched = self._evidence.take(fields["provider"], fields["event_id"], body, is_late=is_late)
        said = Said(disposition)
        if touched:
            self._awards.settle(said, book, now, self._evidence.shown(), book.touched_by(touched))
        return said

    def _profiled(self, fields: Fields) -> Said:
        if not isinstance(fields["body"], dict):
            return Said("refused")
        known, self._identities = self._identities, fields["body"]["identities"]
        return Said("known" if known == self._identities else "recorded")

    # -- what staff ask for --------------------------------------------------------------------------------------------

    def _status(self, fields: Fields, book: Book, now: int) -> Said:
        """Revoke, suspend or reinstate. A revocation is final, and it closes what the rule revoked already."""
        found = self._awards.find(fields["credential_id"])
        if found is None:
            return Said("refused")
        name, award = found
        is_replaced = self._is_replaced(name, award, fields["credential_id"])
        if fields["action"] == "revoke":
            if is_replaced or award.state == "taken":
                return Said("known")
            said = Said("applied")
            if award.stands:
                said.changes.append((award.credential, "revoked", fields["reason"]))
            award.state = "taken"
            return self._and_what_is_built(said, book, now, name)
        if not award.stands or is_replaced:
            return Said("refused")
        suspend, was_suspended = fields["action"] == "suspend", award.is_suspended
        if award.paused is suspend:
            return Said("known")
        award.paused, said = suspend, Said("applied")
        if award.is_suspended != was_suspended:
            said.changes.append((award.credential, "suspended" if suspend else "reinstated", fields["reason"]))
        return self._and_what_is_built(said, book, now, name)

    def _is_replaced(self, name: str, award: Award, credential: str) -> bool:
        """Say whether another credential came after this one: of a later edition, or of an award in the place of a lost one."""
        lost = award.state == "gone" and award is not self._awards.of[name][-1]
        return lost or award.credential != credential

    def _and_what_is_built(self, said: Said, book: Book, now: int, name: str) -> Said:
        built = book.built_with(name)
        self._awards.settle(said, book, now, self._evidence.shown(), built, lost={name})
        return said

    def _award(self, fields: Fields, book: Book, now: int) -> Said:
        """Recognise prior learning, of what is offered and not held, and was not taken away by staff."""
        body, name = fields["body"], fields["achievement"]
        if not isinstance(body, dict):
            return Said("refused")
        asked = Recognised(fields["attained_at"], fields["level"], body["narrative"], body["evidence_url"])
        if self._awards.recognised.get(name) == asked:
            return Said("known")
        stated = book.in_force(now).offered.get(name)
        awards = self._awards.of.get(name, [])
        levels = {None} | {level["name"] for level in (stated or {}).get("rule", {}).get("levels", ())}
        refused = (
            stated is None
            or asked.level not in levels
            or asked.at > now
            or name in self._awards.recognised
            or any(one.stands or one.state == "taken" for one in awards)
        )
        if refused:
            return Said("refused")
        self._awards.recognised[name] = asked
        said = Said("applied")
        self._awards.settle(said, book, now, self._evidence.shown(), [name, *book.built_with(name)])
        return said

    def _review(self, fields: Fields, book: Book, now: int) -> Said:
        """Let a late result in or keep it out; or say what becomes of an award that lost its evidence."""
        about_result = fields["answer"] in {"accept", "reject"}
        if about_result and fields["provider"] is not None and fields["result_id"] is not None:
            name = (fields["provider"], fields["result_id"])
            touched = self._evidence.review(name, accept=fields["answer"] == "accept")
            if touched is None:
                return Said("refused")
            said = Said("applied")
            if touched:
                self._awards.settle(said, book, now, self._evidence.shown(), book.touched_by(touched))
            return said
        found = None if fields["credential_id"] is None else self._awards.find(fields["credential_id"])
        if about_result or found is None or found[1].state != "review":
            return Said("refused")
        if self._is_replaced(*found, fields["credential_id"]):
            return Said("refused")
        return self._reviewed_award(*found, fields["answer"], book, now)

    def _reviewed_award(self, name: str, award: Award, answer: str, book: Book, now: int) -> Said:
        said, was_suspended = Said("applied"), award.is_suspended
        award.state = _ANSWERS[answer]
        if not award.stands:
            said.changes.append((award.credential, "revoked", "evidence_corrected"))
        elif award.is_suspended and not was_suspended:
            said.changes.append((award.credential, "suspended", "evidence_corrected"))
        return self._and_what_is_built(said, book, now, name)

    def _reevaluation(self, fields: Fields, book: Book, now: int) -> Said:
        """Have a published version judge from an instant on."""
        name, asked = fields["achievement"], (fields["rule_digest"], fields["since"])
        if not any(version.digest == asked[0] for version in book.versions.get(name, ())):
            return Said("refused")
        if self._awards.rejudged.get(name) == asked:
            return Said("known")
        self._awards.rejudged[name] = asked
        said, keep_all = Said("applied"), fields["losses"] == "keep"
        names = [name, *book.built_with(name)]
        self._awards.settle(said, book, now, self._evidence.shown(), names, keep_all=keep_all)
        return said

    def _reissue(self, fields: Fields, book: Book, now: int) -> Said:
        """Issue a credential anew, as the next edition of an award that stands and is offered."""
        found = self._awards.find(fields["credential_id"])
        if found is None:
            return Said("refused")
        name, award = found
        if self._is_replaced(name, award, fields["credential_id"]):
            return Said("known")
        if not award.stands or name not in book.in_force(now).offered:
            return Said("refused")
        said = Said("applied")
        self._awards.reissue(said, book, self._evidence.shown(), name, award, fields["reason"])
        return said
