"""What must hold, by number and name; and what was found of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Invariant:
    """One promise. `name` labels metrics and JSON."""

    number: int
    name: str
    says: str


INVARIANTS: Final[tuple[Invariant, ...]] = tuple(
    Invariant(number, name, says)
    for number, (name, says) in enumerate(
        (
            ("acknowledged", "what was acknowledged is in the log, and nothing else"),
            ("outcome", "each inbox record has exactly one outcome; one that was redriven counts once"),
            ("granted", "each grant has one claim; what was quarantined can be recovered"),
            ("decision", "each decision equals the auditor's own evaluation"),
            ("identity", "one credential id for each award; claim numbers without gaps"),
            ("bytes", "one byte string for each credential id"),
            ("place", "no two credentials share a place in a status list"),
            ("claim", "each credential has its claim, each claim its credential"),
            ("proof", "each credential verifies with a key published for it"),
            ("agreement", "claim and credential agree field by field"),
            ("privacy", "no secret and no personal datum in the clear"),
            ("revocation", "set bits are the revocations that took effect, no more and no fewer"),
            ("list", "status lists verify, rise in version, and never clear a place"),
            ("answer", "the public answer about a credential is the auditor's"),
            ("analytics", "each number shown equals a recount"),
            ("offsets", "positions never go back or past the end; the log is the same"),
            ("order", "decisions follow the order of the inbox"),
            ("counters", "received equals outcomes and what is in flight"),
            ("transparency", "each issue and status change is in the transparency log"),
            ("erasure", "after an erasure nothing is left to read"),
            ("recovery", "each fault was recovered from in time"),
            ("logs", "no traceback in any log"),
        ),
        1,
    )
)
BY_NAME: Final = {invariant.name: invariant for invariant in INVARIANTS}

Verdict = Literal["holds", "violated", "not checked"]


@dataclass(frozen=True, slots=True)
class Offence:
    """Where an invariant does not hold: a position or an id, and what is wrong there. Never a personal datum or a secret."""

    where: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of one invariant. `not_checked` says what part of it was not looked at, and why; it may be all."""

    invariant: Invariant
    checked: int
    violations: int
    first: tuple[Offence, ...]
    not_checked: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """Return the verdict in a word; what looked at nothing does not hold."""
        if self.violations:
            return "violated"
        return "holds" if self.checked else "not checked"
