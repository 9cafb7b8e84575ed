"""Each learner's decisions, claims and status changes, held against the auditor's own evaluation of their life.

Memory holds one learner at a time; the store has sorted their records.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

import msgspec

from credstream.audit.awards import Said
from credstream.audit.books import Adopted, Book
from credstream.audit.decoding import Fields, UnreadableError, decoded
from credstream.audit.deriving import credential_id, lane_of
from credstream.audit.life import STAFF, Life
from credstream.audit.log import Cut
from credstream.audit.proofs import signer_of
from credstream.audit.store import Store
from credstream.audit.trust import Trust
from schemas.topology import CLAIMED, DECIDED, INBOX, QUARANTINED, STATUS_DECIDED

_JUDGED: Final = frozenset(
    {"unknown_programme", "unknown_provider", "unknown_assessment", "not_allowed", "future_dated", "event_id_conflict"}
)
"""Reasons that are judged here; the others are about bytes and room, and are taken as they are."""
_AT_ONCE: Final = 500
_ROWS: Final = (
    "SELECT i.lane, i.at, i.kind, i.event, i.appended_at, i.arrived_at, i.key, i.value, i.jws,"
    " d.at, d.no, d.decided_at, d.body, q.at, q.reason FROM inbox i"
    " LEFT JOIN decided d INDEXED BY decided_of_inbox ON d.lane = i.lane AND d.inbox_at = i.at"
    " LEFT JOIN quarantined q ON q.topic = ? AND q.partition = i.lane AND q.source = i.at AND q.stage = 'competency'"
    " WHERE i.learner = ? ORDER BY i.lane, i.at, d.at, q.at"
)


class Lives:
    """Evaluates the learners about whom something new was read."""

    def __init__(self, store: Store, trust: Trust, cut: Cut, lanes: int, advance: Callable[[int], None]) -> None:
        """Evaluate up to the cut."""
        self._store, self._trust, self._cut, self._lanes, self._advance = store, trust, cut, lanes, advance
        self._books: dict[tuple[str, int, int], Book] = {}
        self._adopted: dict[tuple[str, int], list[Adopted]] = {}
        catalogues: dict[str, Any] = {}
        rows = "SELECT a.programme, a.lane, a.at, a.digest, a.adopted_at, a.effective_from, c.text FROM adoption a"
        for programme, lane, at, digest, adopted_at, start, text in store.ask(
            f"{rows} JOIN catalogue c ON c.digest = a.digest ORDER BY a.programme, a.lane, a.at"
        ):
            catalogue = catalogues.setdefault(digest, json.loads(text))
            adopted = Adopted(
                position=at, digest=digest, adopted_at=adopted_at, effective_from=start, catalogue=catalogue
            )
            self._adopted.setdefault((programme, lane), []).append(adopted)

    def check(self) -> None:
        """Check every learner that is due; what is done stays done, whatever happens then."""
        while due := [row[0] for row in self._store.ask("SELECT learner FROM due LIMIT ?", _AT_ONCE)]:
            with self._store.whole():
                for learner in due:
                    self._check(learner)
                    self._store.ask("DELETE FROM due WHERE learner = ?", learner)
            self._advance(len(due))
        with self._store.whole():  # what is in flight is looked at again
            query = "SELECT DISTINCT learner FROM inbox WHERE lane = ? AND at >= ? AND learner IS NOT NULL"
            for lane in range(self._lanes):
                for row in self._store.ask(query, lane, self._cut.done("competency", INBOX, lane)).fetchall():
                    self._store.add("due", row[0])

    def _book(self, programme: str, lane: int, at: int) -> Book | None:
        adopted = [one for one in self._adopted.get((programme, lane), ()) if one.position < at]
        if not adopted:
            return None
        key = (programme, lane, len(adopted))
        if key not in self._books:
            self._books[key] = Book(adopted)
        return self._books[key]

    def _check(self, learner: str) -> None:
        scope = f"life {learner}"
        self._store.forget(scope)
        one = _One(self._store, self._trust, learner, scope)
        life, later, before = Life(one.credential_of), set[str](), None
        for row in self._store.ask(_ROWS, INBOX.name, learner).fetchall():
            lane, at, kind, event = row[:4]
            if (lane, at) == before:
                continue  # a second outcome: `check_outcomes` says so
            before = (lane, at)
            if at >= self._cut.done("competency", INBOX, lane):
                later.add(event)
            elif kind is not None:
                self._follow(life, one, row, self._book(learner.partition(":")[0], lane, at))
        one.finish(later)

    def _follow(self, life: Life, one: _One, row: tuple[Any, ...], book: Book | None) -> None:
        lane, _, kind, event, appended_at, arrived_at, key, value, jws = row[:9]
        decided_at_offset, number, now, body, set_aside, reason = row[9:]
        try:
            fields = decoded(value)[1]
        except UnreadableError:
            return
        refusal = life.refusal(kind, fields, book, appended_at) or self._unsigned(kind, fields, value, jws)
        if body is None and set_aside is not None:
            if reason in _JUDGED and refusal != reason:
                what = f"set aside as {reason}, and it is not"
                self._store.offend("decision", f"{QUARANTINED.name}/{lane}@{set_aside}", what, one.scope)
            self._store.check("decision", one.scope)
            return
        where = f"{DECIDED.name}/{lane}@{decided_at_offset}"
        if key != one.learner.encode() or lane_of(one.learner.encode(), self._lanes) != lane:
            refusal = "wrong_lane"
        if refusal is not None or book is None:
            if body is not None:
                self._store.offend("decision", where, f"it must be set aside as {refusal}", one.scope)
            return
        said = life.follow(kind, fields, book, arrived_at, arrived_at if now is None else now)
        one.expect(said, event, lane)
        if body is None:
            return  # `check_outcomes` says so
        self._store.check("decision", one.scope)
        found = msgspec.json.decode(body)
        if fault := _difference(said, found, fields, book.newest):
            self._store.offend("decision", where, fault, one.scope)
        one.claims_of(found, lane, number, now, where, book.in_force(now).digest)

    def _unsigned(self, kind: str, fields: Fields, value: bytes, jws: bytes | None) -> str | None:
        if kind not in STAFF:
            return None
        pinned = self._trust.programmes.get(fields["programme"])
        if pinned is None:
            return None
        token = (jws or b"").split(b"\n")[0]
        is_signed = signer_of(token, value, pinned.staff_keys) == fields["requested_by"]
        return None if is_signed else "bad_signature"


class _One:
    """What is in the log of one learner, beyond the decisions: claims and status changes."""

    def __init__(self, store: Store, trust: Trust, learner: str, scope: str) -> None:
        self._store, self._trust, self.learner, self.scope = store, trust, learner, scope
        query = (
            "SELECT achievement, award, edition, credential, lane, decision, at, no, body FROM claim WHERE learner = ?"
        )
        self._claims = store.ask(query + " ORDER BY lane, at", learner).fetchall()
        self._used: set[tuple[int, int]] = set()
        self._expected: list[tuple[Any, ...]] = []
        self._lanes: set[int] = set()

    def credential_of(self, achievement: str, award: int, edition: int) -> str | None:
        """Return the credential of an award: as claimed; if it was not, as it would be."""
        found = (row[3] for row in self._claims if row[:3] == (achievement, award, edition))
        claimed: str | None = next(found, None)
        if claimed is None and self._trust.credential_secret is not None:
            programme, _, ref = self.learner.partition(":")
            return credential_id(self._trust.credential_secret, programme, ref, achievement, award, edition)
        return claimed

    def expect(self, said: Said, cause: str, lane: int) -> None:
        """Note which status changes must be decided."""
        self._lanes.add(lane)
        self._expected += [(*change, cause) for change in said.changes]

    def claims_of(self, found: Fields, lane: int, number: int, now: int, where: str, offer: str) -> None:
        """Find the one claim of each grant in a decision."""
        for outcome in found["outcomes"]:
            if outcome["verdict"] not in {"granted", "reissued"}:
                continue
            self._store.check("granted", self.scope)
            named = (outcome["achievement"], outcome["award"], outcome["edition"])
            rows = [row for row in self._claims if row[:3] == named and row[4:6] == (lane, number)]
            claims = {row[7]: row for row in rows}
            self._used |= {(row[4], row[6]) for row in rows}
            if len(claims) != 1:
                self._store.offend("granted", where, f"{len(claims)} claims of {named[0]}", self.scope)
            for row in claims.values():
                fields = decoded(row[8])[1]
                for name, expected in _claimed(outcome, now, offer).items():
                    if fields[name] != expected:
                        what = f"the claim of {named[0]} says another {name}"
                        self._store.offend("granted", f"{CLAIMED.name}/{lane}@{row[6]}", what, self.scope)

    def finish(self, later: set[str]) -> None:
        """Note claims that no decision grants and status changes that follow from nothing, or are missing."""
        for row in self._claims:
            if (row[4], row[6]) not in self._used and not self._is_later(row, later):
                what = f"nothing grants claim {row[7]}"
                self._store.offend("granted", f"{CLAIMED.name}/{row[4]}@{row[6]}", what, self.scope)
        query = (
            "SELECT lane, MIN(at) AS first, credential, status, reason, cause FROM status WHERE learner = ?"
            " GROUP BY lane, list, no, credential, status, reason, cause ORDER BY lane, first"
        )
        rows = [row for row in self._store.ask(query, self.learner).fetchall() if row[5] not in later]
        self._store.check("decision", self.scope, len(rows))
        found, wanted = _in_order(rows), _in_order([(0, 0, *change) for change in self._expected])
        for at in range(max(len(found), len(wanted))):
            actual = found[at] if at < len(found) else None
            expected = wanted[at][2:] if at < len(wanted) else None
            if actual is None or tuple(actual[2:]) != expected:
                place = "the end" if actual is None else f"{actual[0]}@{actual[1]}"
                what = f"status change: {_told(actual and actual[2:])}; expected {_told(expected)}"
                self._store.offend("decision", f"{STATUS_DECIDED.name}/{place}", what, self.scope)
                break

    def _is_later(self, row: tuple[Any, ...], later: set[str]) -> bool:
        return bool(later) and decoded(row[8])[1]["event_id"] in later


def _in_order(changes: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return changes as they came; those of one cause, whose order says nothing, by what they are of."""
    found: list[tuple[Any, ...]] = []
    for _, together in groupby(changes, key=lambda change: change[5]):
        found += sorted(together, key=lambda change: (change[2] or "", change[3]))
    return found


def _told(change: Any) -> str:
    return "none" if change is None else f"{change[1]} ({change[2]}) of {change[0]}"


def _claimed(outcome: Mapping[str, Any], now: int, offer: str) -> dict[str, Any]:
    return {
        "credential_id": outcome["credential_id"],
        "rule_digest": outcome["rule_digest"],
        "awarded_at": outcome["attained_at"],
        "valid_until": outcome["valid_until"],
        "level": outcome["level"],
        "claimed_at": now,
        "catalogue_digest": offer,
    }


def _difference(said: Said, found: Fields, fields: Fields, newest: str) -> str | None:
    """Say in what a decision differs from what must follow, or None."""
    if found["disposition"] != said.disposition:
        return f"{found['disposition']}; expected {said.disposition}"
    if found["event_id"] != fields.get("event_id", fields.get("request_id")):
        return "it is about another event"
    if found["catalogue_digest"] != newest:
        return "it names another catalogue"
    wanted = sorted(said.outcomes, key=_order)
    actual = sorted(found["outcomes"], key=_order)
    return next(_outcome_differences(wanted, actual), None)


def _outcome_differences(wanted: list[dict[str, Any]], actual: list[dict[str, Any]]) -> Iterator[str]:
    for at in range(max(len(wanted), len(actual))):
        if at >= len(actual):
            yield f"{wanted[at]['achievement']}: no outcome; expected {wanted[at]['verdict']}"
        elif at >= len(wanted):
            yield f"{actual[at]['achievement']}: {actual[at]['verdict']}; expected no outcome"
        else:
            for name, expected in wanted[at].items():
                if actual[at].get(name) != expected:
                    yield f"{actual[at]['achievement']}: {name} {actual[at].get(name)}; expected {expected}"


def _order(outcome: Mapping[str, Any]) -> tuple[str, int]:
    return outcome["achievement"], outcome["award"] or 0
