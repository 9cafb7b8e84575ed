"""A learner's results as they stand: of each the highest revision, of equals the larger digest; late ones wait for a person.

Written from `docs/rules.md`, "What a rule sees".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

from credstream.audit.decoding import canonical
from credstream.audit.evaluator import Shown

_RANKED: Final = 8  # bytes of the digest that tells contents apart
Name = tuple[str, str]
"""A result: provider and result_id."""


@dataclass(frozen=True, slots=True)
class Result:
    """A result in the content that was reported last, or, of rivals, in the greater one."""

    revision: int
    digest: bytes
    retracted: bool
    body: Mapping[str, Any]
    shown: Shown

    @property
    def rank(self) -> tuple[int, bytes]:
        """Return what decides between two contents of one result."""
        return self.revision, self.digest

    @property
    def assessment(self) -> str:
        """Return what it is a result of."""
        return str(self.body["assessment"])


@dataclass(slots=True)
class Evidence:
    """What a learner has shown."""

    results: dict[Name, Result] = field(default_factory=dict)
    waiting: dict[Name, Result] = field(default_factory=dict)
    events: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def conflicts(self, provider: str, event: str, body: Mapping[str, Any]) -> bool:
        """Say whether this event is known with another content."""
        known = self.events.get((provider, event))
        return known is not None and known != _digest(body)

    def take(self, provider: str, event: str, body: Mapping[str, Any], *, is_late: bool) -> tuple[str, frozenset[str]]:
        """Take a completion in; return what becomes of it, and the assessments of which the evidence is not what it was."""
        digest, name = _digest(body), (provider, str(body["result_id"]))
        if (provider, event) in self.events:
            return "known", frozenset()
        self.events[provider, event] = digest
        new = Result(body["revision"], digest, body["kind"] == "retracted", body, _shown(name, body))
        stands, waits = self.results.get(name), self.waiting.get(name)
        waits_too = is_late and not new.retracted
        known = [one.rank for one in (stands, waits if waits_too else None) if one is not None]
        if known and max(known) >= new.rank:
            return ("known" if max(known) == new.rank else "outranked"), frozenset()
        if waits_too:
            self.waiting[name] = new
            return "awaiting_review", frozenset()
        if waits is not None and waits.rank <= new.rank:
            del self.waiting[name]
        return "recorded", self._stand(name, new)

    def review(self, name: Name, *, accept: bool) -> frozenset[str] | None:
        """Let a late result in, or remember that it is out; None when none waits."""
        waits = self.waiting.get(name)
        if waits is None or waits.retracted:
            return None
        if not accept:
            self.waiting[name] = replace(waits, retracted=True)
            return frozenset()
        del self.waiting[name]
        stands = self.results.get(name)
        return frozenset() if stands is not None and stands.rank >= waits.rank else self._stand(name, waits)

    def _stand(self, name: Name, new: Result) -> frozenset[str]:
        before = self.results.get(name)
        self.results[name] = new
        return frozenset({new.assessment} | ({before.assessment} if before else set()))

    def shown(self) -> list[Shown]:
        """Return what counts, as the evaluator reads it."""
        return [one.shown for one in self.results.values() if not one.retracted]


def _digest(body: Mapping[str, Any]) -> bytes:
    stated = {name: value for name, value in body.items() if value is not None}
    return hashlib.sha256(canonical(stated)).digest()[:_RANKED]


def _shown(name: Name, body: Mapping[str, Any]) -> Shown:
    score, most = body.get("score"), body.get("score_max")
    return Shown(
        assessment=body["assessment"],
        at=body["completed_at"],
        order=name,
        share=None if score is None or most is None else Fraction(score, most),
        passed=body.get("passed"),
        level=body.get("level"),
        role=body.get("assessor_role"),
        site=body.get("site"),
        assessor=body.get("assessor_ref"),
        critical=body.get("critical"),
        evidence=body.get("evidence_url"),
    )
