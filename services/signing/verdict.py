"""The answer to whether a credential holds: named steps, each with its outcome and the reason in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

StepName = Literal[
    "parse",
    "context",
    "schema",
    "issuer",
    "key",
    "proof",
    "dates",
    "revocation",
    "suspension",
    "endorsements",
    "credentials",
    "recipient",
]
StepOutcome = Literal["pass", "fail", "unknown"]
Overall = Literal["valid", "invalid", "unknown"]

_BESIDE: Final = frozenset({"suspension", "endorsements"})
"""Steps that Open Badges do not ask for: one that could not be told is shown, and withholds no verdict."""
_WORST_FIRST: Final = ("fail", "unknown", "pass")
_MAX_REASON: Final = 300


@dataclass(frozen=True, slots=True)
class VerifyStep:
    """One question about a credential, its answer, and why in plain words that any terminal can show."""

    name: StepName
    outcome: StepOutcome
    reason: str

    def __post_init__(self) -> None:
        """Make the reason fit to show: it may quote the credential, which anyone may have written."""
        if len(self.reason) > _MAX_REASON or not self.reason.isprintable():
            shown = (c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in self.reason[:_MAX_REASON])
            object.__setattr__(self, "reason", "".join(shown))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all steps say together: invalid if one fails, unknown if one that decides could not be told, else valid."""

    steps: tuple[VerifyStep, ...]

    @property
    def overall(self) -> Overall:
        """Return the verdict in one word."""
        if any(step.outcome == "fail" for step in self.steps):
            return "invalid"
        untold = any(step.outcome == "unknown" and step.name not in _BESIDE for step in self.steps)
        return "unknown" if untold else "valid"

    @property
    def deciding(self) -> VerifyStep | None:
        """Return the step for which it is not valid: the first failed one, else the first that could not be told."""
        if self.overall == "valid":
            return None
        return worst(step for step in self.steps if step.outcome == "fail" or step.name not in _BESIDE)

    def told(self) -> dict[str, Any]:
        """Return the verdict as JSON has it."""
        steps = [{"name": step.name, "outcome": step.outcome, "reason": step.reason} for step in self.steps]
        return {"overall": self.overall, "steps": steps}


def worst(steps: Iterable[VerifyStep]) -> VerifyStep:
    """Return the first step of the worst outcome among them."""
    return min(steps, key=lambda step: _WORST_FIRST.index(step.outcome))
