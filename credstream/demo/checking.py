"""The demonstration's check of itself: every question has an answer that was computed another way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from openbadgeslib.ob3.ldp import OB3LdpVerifier
from openbadgeslib.ob3.verifier import OB3VerificationError

from credstream.quarantine.cases import set_aside
from credstream.reading import committed, credentials
from credstream.trust import of_installation
from schemas.codec import decode
from schemas.events import (
    POINT,
    CompetencyDecided,
    CredentialIssued,
    CredentialStatus,
    CredentialStatusChanged,
    Verdict,
)
from schemas.ids import issuer_did
from schemas.topology import DECIDED, QUARANTINED, STATUS_CHANGED
from streams.settings import Installation

SAMPLE: Final = 300


@dataclass(frozen=True, slots=True)
class Check:
    """One question, what was found, and whether it is as it should be."""

    question: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the pipe has published."""

    issued: Sequence[CredentialIssued]
    statuses: Mapping[str, CredentialStatus]
    quarantined: Mapping[str, int]
    levels: Mapping[tuple[str, str], str | None]

    @property
    def revoked(self) -> set[str]:
        """The credentials that are revoked."""
        return {name for name, status in self.statuses.items() if status is CredentialStatus.REVOKED}

    @property
    def held(self) -> set[tuple[str, str, str | None]]:
        """Who holds what: learner_ref, achievement and level of every credential that is neither revoked nor suspended."""
        gone = {CredentialStatus.REVOKED, CredentialStatus.SUSPENDED}
        held = {(c.learner_ref, c.achievement) for c in self.issued if self.statuses.get(c.credential_id) not in gone}
        return {(*one, self.levels.get(one)) for one in held}


def outcome(installation: Installation) -> Outcome:
    """Read what the pipe has published, from the topics themselves.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    servers = installation.bootstrap_servers
    changes = (decode(record.value, CredentialStatusChanged) for record in committed(servers, STATUS_CHANGED))
    statuses = {change.credential_id: change.status for change in changes}
    issued = list(credentials(servers))
    aside = (set_aside(record.value) for record in committed(servers, QUARANTINED))
    reasons = Counter(one.reason for one in aside if one is not None)
    return Outcome(issued, statuses, reasons, dict(_levels(servers)))


def _levels(servers: str) -> Iterator[tuple[tuple[str, str], str | None]]:
    """Yield the level of each award as it was decided, one decision after the other; what merely stays keeps its own."""
    for record in committed(servers, DECIDED):
        decided: Any = decode(record.value, CompetencyDecided)
        if decided.learner_ref and not isinstance(decided.body, bytes):
            for one in decided.body.outcomes:
                if one.award is not None and one.verdict not in {Verdict.KEPT, Verdict.REVIEW}:
                    yield (decided.learner_ref, one.achievement), one.level


def check_holdings(found: Outcome, expected: set[tuple[str, str, str | None]], how: str) -> list[Check]:
    """Compare who holds what, and at which level, with an independent computation, learner by learner."""
    lost, extra = expected - found.held, found.held - expected
    graded = sum(level is not None for _, _, level in expected)
    twice = [
        key
        for key, n in Counter((c.learner_ref, c.achievement, c.award, c.edition) for c in found.issued).items()
        if n > 1
    ]
    ids = {c.credential_id for c in found.issued}
    places = {(c.status_list, c.status_index) for c in found.issued}
    return [
        Check(
            f"achievements held, against {how}",
            f"{len(found.held):,} held, {len(expected):,} expected, {graded:,} with a level; "
            f"{len(lost)} lost, {len(extra)} extra{_first(lost, extra)}",
            not lost and not extra,
        ),
        Check(
            "credentials issued twice",
            f"{len(twice)} of {len(found.issued):,}",
            not twice and len(ids) == len(found.issued),
        ),
        Check("status list places shared", f"{len(found.issued) - len(places)}", len(places) == len(found.issued)),
    ]


def _first(*differences: set[tuple[str, str, str | None]]) -> str:
    """Return what to look at first, for `credstream why`."""
    wrong = sorted({one[:2] for some in differences for one in some})
    return f"; first {wrong[0][0]} {wrong[0][1]}" if wrong else ""


def check_signatures(
    installation: Installation, found: Outcome, programme: str, advance: Callable[[int], None], seed: int
) -> list[Check]:
    """Verify every credential with our verifier, and some drawn at random with an independent library."""
    trust = of_installation(installation)
    now = datetime.now(UTC)
    known, verifier = trust.documents, trust.verifier(now)
    ended = {c.credential_id for c in found.issued if c.valid_until and c.valid_until <= now.timestamp() * POINT}
    wrong: Counter[str] = Counter()
    revoked = found.revoked
    for credential in found.issued:
        verdict = verifier.verify(credential.credential)
        failed = {step.name for step in verdict.steps if step.outcome != "pass"} - {"suspension"}
        name = credential.credential_id
        if failed != {step for step, of in (("revocation", revoked), ("dates", ended)) if name in of}:
            wrong[", ".join(sorted(failed)) or "a revocation or an end is not seen"] += 1
        advance(1)
    valid = [c for c in found.issued if c.credential_id not in ended]
    sample = random.Random(seed).sample(valid, min(SAMPLE, len(valid)))  # noqa: S311
    refused = [error for c in sample if (error := _refused_elsewhere(c.credential, installation, programme, known))]
    changed = found.issued[0].credential.replace(b'"validFrom":"20', b'"validFrom":"21', 1) if found.issued else b""
    tampered = verifier.verify(changed).overall == "invalid" and _refused_elsewhere(
        changed, installation, programme, known
    )
    return [
        Check(
            "verified by our verifier",
            f"{len(found.issued) - wrong.total():,} of {len(found.issued):,}, {len(ended)} of them ended"
            + "".join(f"; {times} of {why}" for why, times in wrong.items()),
            not wrong,
        ),
        Check(
            "verified by openbadgeslib, drawn at random",
            f"{len(sample) - len(refused)} of {len(sample)}" + (f": {refused[0]}" if refused else ""),
            not refused,
        ),
        Check("one changed in one byte", "refused by both" if tampered else "NOT refused", bool(tampered)),
    ]


def _refused_elsewhere(
    credential: bytes, installation: Installation, programme: str, known: Mapping[str, bytes]
) -> str | None:
    """Return why openbadgeslib refuses a credential, or None. It resolves the issuer's did:web document itself."""
    verifier = OB3LdpVerifier.for_issuer_did(issuer_did(installation.base_url, programme))
    try:
        verifier.verify(credential, download=lambda url, *_args, **_more: known[url])
    except OB3VerificationError as error:
        return str(error)
    return None


def check_set_aside(found: Outcome, expected: Mapping[str, int]) -> Check:
    """Compare what was quarantined, by reason."""
    shown = ", ".join(f"{reason} {count}" for reason, count in sorted(found.quarantined.items())) or "none"
    return Check("set aside, by reason", shown, dict(found.quarantined) == dict(expected))


def someone_not_yet(installation: Installation) -> tuple[str, str] | None:
    """Return a learner_ref and an achievement that this learner has not attained, with something towards it."""
    last: dict[tuple[str, str], tuple[Verdict, int]] = {}
    for record in committed(installation.bootstrap_servers, DECIDED):
        decided: Any = decode(record.value, CompetencyDecided)
        if decided.learner_ref and not isinstance(decided.body, bytes):
            for o in decided.body.outcomes:
                last[decided.learner_ref, o.achievement] = (o.verdict, o.explanation.count('"met":true'))
    near = [(towards, key) for key, (verdict, towards) in last.items() if verdict is Verdict.NOT_YET]
    return max(near)[1] if near else None
