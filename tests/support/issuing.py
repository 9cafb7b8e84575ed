"""Claims of several programmes in one lane, and the issuing stage run on them record by record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from support.pipe import CATALOGUE

from credstream.rules.loader import load
from schemas.catalogue import Catalogue, Key, pack
from schemas.codec import decode, encode
from schemas.errors import UnavailableError
from schemas.events import (
    POINT,
    CatalogueAdopted,
    ClaimBody,
    ClaimedResult,
    ClaimVoided,
    CredentialClaimed,
    CredentialIssued,
    Event,
)
from services.issuing.credential import FORM
from services.signing.keys import seed_signer
from streams.issuing import IssuingStage, Progress
from streams.stage import Overlay, Record, Step

BASE = "https://credentials.pilots.example"
LOCAL = seed_signer(bytes(32))
KEY = Key(id="credentials-1", purpose="credentials", public_key_multibase=LOCAL.public_multikey, active_from=0)
AT = 1_790_000_000_000_000


class SwitchSigner:
    """Implements the port; can be away, and counts what it was asked."""

    def __init__(self) -> None:
        self.away, self.asked, self.checked = False, 0, 0
        self.public_multikey = LOCAL.public_multikey

    def sign(self, data: bytes, *, check: bool = True) -> bytes:
        self.asked += 1
        self.checked += check
        if self.away:
            raise UnavailableError("switched off")
        return LOCAL.sign(data, check=check)


@cache
def catalogue_of(programme: str, *keys: Key) -> Catalogue:
    made = load(CATALOGUE).build(base_url=BASE, keys=list(keys) or [KEY])
    return msgspec.structs.replace(made, programme=programme)


def adoption(catalogue: Catalogue, number: int = 1) -> CatalogueAdopted:
    digest, packed = pack(catalogue)
    return CatalogueAdopted(programme=catalogue.programme, adoption_no=number, digest=digest, catalogue=packed)


def claim(catalogue: Catalogue, number: int = 0, **changes: Any) -> CredentialClaimed:
    result = ClaimedResult(
        provider="great-river-training",
        result_id="r",
        revision=0,
        assessment="site-safety-test",
        completed_at=AT,
        score=71 * POINT + 500_000,
        score_max=100 * POINT,
        evidence_url="https://evidence.example/r?a=b",
    )
    given = CredentialClaimed(
        claim_no=number,
        lane=1,
        programme=catalogue.programme,
        learner_ref="0" * 32,
        achievement="site-safety",
        award=1,
        edition=1,
        credential_id=f"0e3b3f6e-0000-8000-8000-{number:012x}",
        catalogue_digest=pack(catalogue)[0],
        rule_digest="sha256-0",
        key_id="credentials-1",
        form=FORM,
        status_list=f"{BASE}/status/{catalogue.programme}/e/1/0",
        status_index=number,
        claimed_at=AT + 999_999,
        awarded_at=AT,
        event_id="e",
        decision_no=3,
        caused_at=AT,
        body=ClaimBody(subject_id=f"urn:uuid:00000000-0000-8000-8000-{number:012x}", results=(result,)),
    )
    return msgspec.structs.replace(given, **changes)


def record(event: Event, offset: int = 0) -> Record:
    return Record(topic="t", lane=1, offset=offset, appended_at=AT, key=b"k", value=encode(event))


class IssuingLane:
    """One lane of issuing. State is written and read back after each step, as after a crash."""

    def __init__(self, stage: IssuingStage) -> None:
        self.stage = stage
        self.state: dict[bytes, bytes] = {}
        self.progress = stage.restored(1, {})
        self.issued: list[CredentialIssued] = []
        self.voided: list[ClaimVoided] = []

    def take(self, *events: Event) -> None:
        for event in events:
            view = Overlay(self.state)
            self._apply(self.stage.step(self.progress, view, record(event)))

    def idle(self) -> bool:
        step = self.stage.idle(self.progress, Overlay(self.state), AT)
        if step is not None:
            self._apply(step)
        return step is not None

    def _apply(self, step: Step[Progress]) -> None:
        changes: Mapping[bytes, bytes | None] = {**step.changes, **self.stage.kept(self.progress, step.lane)}
        for name, change in changes.items():
            if change is None:
                del self.state[name]
            else:
                self.state[name] = change
        self.progress = self.stage.restored(1, self.state)
        for output in step.outputs:
            event = decode(output.value, CredentialIssued, ClaimVoided)
            (self.voided if isinstance(event, ClaimVoided) else self.issued).append(event)  # type: ignore[arg-type]

    def numbers(self, programme: str) -> Sequence[int]:
        return [issued.claim_no for issued in self.issued if issued.programme == programme]
