"""What `tests/bench/bench_signing.py` signs: a small badge, and the fullest credential of the pilots' catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from support import shapes

from schemas.catalogue import Catalogue
from schemas.events import POINT, ClaimBody, CredentialClaimed
from services.issuing.credential import document, slot_values
from services.signing.contexts import CREDENTIALS_V2, OPEN_BADGES_V3
from services.signing.shape import Shape, Slot, Text
from streams.wording import MARKUP, wording

HOW_MANY = 1_000
DID = "did:web:issuer.example"
CREATED = "2026-03-01T10:00:00Z"
SPT = "https://issuer.example/achievements/spt"
SMALL: dict[str, Any] = {
    "@context": [CREDENTIALS_V2, OPEN_BADGES_V3],
    "id": Text(("https://issuer.example/credentials/", Slot("id"))),
    "type": ["VerifiableCredential", "OpenBadgeCredential"],
    "name": "Safe patient transfer",
    "issuer": {"id": DID, "type": ["Profile"], "name": "Issuer", "url": "https://issuer.example/"},
    "validFrom": Slot("from"),
    "awardedDate": Slot("awarded"),
    "credentialSubject": {
        "id": Text(("urn:uuid:", Slot("subject"))),
        "type": ["AchievementSubject"],
        "achievement": {
            "id": SPT,
            "type": ["Achievement"],
            "name": "Safe patient transfer",
            "description": "Moves patients without harm.",
            "criteria": {"narrative": "Pass the theory and two practicals."},
            "tag": ["health", "safety"],
            "resultDescription": [
                {"id": f"{SPT}#{i}", "type": ["ResultDescription"], "name": f"Part {i}", "resultType": "RawScore"}
                for i in range(3)
            ],
        },
        "result": [
            {"type": ["Result"], "resultDescription": f"{SPT}#{i}", "value": Slot(f"value{i}")} for i in range(3)
        ],
    },
    "credentialStatus": {
        "id": Text(("https://issuer.example/status/1#", Slot("index"))),
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": Slot("index"),
        "statusListCredential": "https://issuer.example/status/1",
    },
}


@dataclass(frozen=True)
class Kind:
    """Badges of one shape, by their values."""

    name: str
    issuer: str
    shape: Shape
    values: Sequence[Sequence[str]]

    def documents(self, count: int = 200) -> list[dict[str, Any]]:
        """Return some of them as documents."""
        return [self.shape.document(values) for values in self.values[:count]]


def small() -> Kind:
    """Return a badge of few words, with three scores."""
    shape = Shape(SMALL)

    def values(n: int) -> list[str]:
        named = {"id": f"{n:08x}-91f2-8c3b-9d50-1b8f6b0c7e21", "subject": f"{n:08x}", "index": str(n)}
        dates = {"from": CREATED, "awarded": CREATED}
        scores = {name: str((n * 7919 * (i + 1)) % 10_007) for i, name in enumerate(shape.slots)}  # in any order
        return [{**scores, **named, **dates}[name] for name in shape.slots]

    return Kind("small", DID, shape, [values(n) for n in range(HOW_MANY)])


def fullest() -> Kind:
    """Return the fullest credential of the pilots' catalogue: all that its shape can have, scores in any order."""
    catalogue = shapes.catalogues()[0]
    words = wording(catalogue)
    first = fullest_claims(catalogue)[0]
    shape = Shape(document(first, words, MARKUP))

    def values(claim: CredentialClaimed) -> list[str]:
        given = slot_values(claim, words)
        return [given[name] for name in shape.slots]

    return Kind("fullest", shapes.issuer_of(catalogue), shape, [values(c) for c in fullest_claims(catalogue)])


def fullest_claims(catalogue: Catalogue) -> list[CredentialClaimed]:
    """Return claims of the fullest shape, numbered from 0."""
    known = [(claim, claim.body) for _, _, claim in shapes.claims(catalogue) if isinstance(claim.body, ClaimBody)]
    claim, body = max(known, key=lambda pair: (len(pair[1].results), pair[0].level is not None, pair[0].achievement))

    def one(n: int) -> CredentialClaimed:
        scores = [(n * 7919 * (i + 1)) % 100 * POINT for i, _ in enumerate(body.results)]
        results = tuple(replace(r, score=score) for r, score in zip(body.results, scores, strict=True))
        name = f"{n:08x}-91f2-8c3b-9d50-1b8f6b0c7e21"
        mine = replace(body, results=results, subject_id=f"urn:uuid:{name[::-1]}")
        return replace(claim, claim_no=n, credential_id=name, status_index=n, body=mine)

    return [one(n) for n in range(HOW_MANY)]
