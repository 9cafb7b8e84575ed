"""The audit: read up to a cut, evaluate each life anew, check what holds of the whole, and say what was found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from credstream.audit.adoptions import check_adoptions
from credstream.audit.credentials import Credentials, check_claims
from credstream.audit.identity import check_identities
from credstream.audit.invariants import INVARIANTS, Finding
from credstream.audit.lists import check_revocations
from credstream.audit.lives import Lives
from credstream.audit.log import READ, Cut, Log
from credstream.audit.offsets import check_offsets
from credstream.audit.outcomes import check_outcomes
from credstream.audit.public import Public, check_public
from credstream.audit.reading import Reading
from credstream.audit.store import Store
from credstream.audit.trust import Trust
from credstream.audit.witnesses import check_counters, check_journal, check_logs, forget_witnesses
from schemas.topology import ISSUED

_SECOND: Final = 1_000_000
_NEVER_CHECKED: Final = {
    "transparency": "this version keeps no transparency log",
    "erasure": "this version erases nothing",
    "recovery": "recovery is timed by the chaos tests, which know when they struck",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to audit. ``sample`` proofs are verified (0: all), drawn by ``seed``; what is younger than ``grace_s`` may be on its way.

    ``promised_s``: a revocation shows after so long at the latest.
    """

    sample: int = 300
    seed: int = 1
    grace_s: float = 900.0
    promised_s: float = 300.0
    journal: Path | None = None
    logs: Path | None = None
    counts: Mapping[str, Any] | None = None
    public: Public | None = None


Advance = Callable[[str, int, int], None]
"""Hears what is done now, how far it went on, and how far it goes."""


@dataclass(frozen=True, slots=True)
class Audit:
    """One audit of one log into one store; run again, it goes on from where it stopped."""

    log: Log
    store: Store
    trust: Trust
    options: Options

    def run(self, advance: Advance = lambda *_: None) -> list[Finding]:
        """Audit what the log holds now and return what was found of each invariant, in their order.

        Raises:
            ValueError: The store is of another log.
            UnavailableError: The log cannot be read.
        """
        store, cut = self.store, self.log.cut()
        self._check_same()
        with store.whole():
            store.forget_reasons()
            check_offsets(store, cut, self.log.lanes)
        self._read(cut, advance)
        with store.whole():
            check_adoptions(store, self.trust)
        due = store.one("SELECT COUNT(*) FROM due")
        Lives(store, self.trust, cut, self.log.lanes, lambda by: advance("evaluating", by, due)).check()
        with store.whole():
            self._check_whole(cut)
        return [Finding(**_found(store, one.name), invariant=one) for one in INVARIANTS]

    def _check_same(self) -> None:
        """A checkpoint goes on with the log, the drawing and the secrets with which it began."""
        secrets = (self.trust.credential_secret, self.trust.status_secret, *self.trust.planted)
        about = [self.trust.base_url, self.trust.epoch, self.log.lanes, self.options.sample, self.options.seed]
        about.append(hashlib.sha256(b"\0".join(secret or b"" for secret in secrets)).hexdigest()[:16])
        if self.store.noted("log") not in {None, json.dumps(about)}:
            raise ValueError(
                "the checkpoint is of another log, or began with another sample or other secrets; begin anew"
            )
        self.store.note("log", json.dumps(about))

    def _read(self, cut: Cut, advance: Advance) -> None:
        lanes = range(self.log.lanes)
        total = sum(cut.end(topic, lane) - self.store.position(topic.name, lane) for topic in READ for lane in lanes)
        issued = sum(cut.end(ISSUED, lane) - cut.begin(ISSUED, lane) for lane in lanes)
        sample = self.options.sample
        share = 1.0 if not sample or issued <= sample else sample / issued
        credentials = Credentials(self.store, self.trust, share=share, seed=self.options.seed)
        Reading(self.log, self.store, self.trust, credentials, lambda by: advance("reading", by, total)).read(cut)

    def _check_whole(self, cut: Cut) -> None:
        store, options, grace = self.store, self.options, int(self.options.grace_s * _SECOND)
        check_outcomes(store, cut, self.log.lanes)
        check_identities(store, self.trust)
        check_claims(store, cut, grace)
        check_revocations(store, cut, grace)
        forget_witnesses(store)
        check_journal(store, options.journal)
        check_logs(store, options.logs)
        check_counters(store, options.counts)
        promised = int(options.promised_s * _SECOND)
        base_url, seed = self.trust.base_url, options.seed
        check_public(store, cut, options.public, base_url, sample=options.sample, seed=seed, promised_us=promised)
        for name, why in _NEVER_CHECKED.items():
            store.skip(name, why)


def _found(store: Store, name: str) -> dict[str, Any]:
    checked, violations, first, not_checked = store.found(name)
    return {"checked": checked, "violations": violations, "first": first, "not_checked": not_checked}
