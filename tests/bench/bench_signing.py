"""Signing and verifying one Open Badge: the compiled shape beside PyLD's full path and a bare signature, in one run."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from services.signing.contexts import CREDENTIALS_V2, OPEN_BADGES_V3
from services.signing.data_integrity import sign
from services.signing.generic import Canonicaliser
from services.signing.keys import seed_signer
from services.signing.rdf import canonical
from services.signing.shape import Shape, Slot, Text
from services.signing.verifying import Verifier

SIGNER = seed_signer(bytes(32))
DID = "did:web:issuer.example"
METHOD, CREATED = f"{DID}#key-1", "2026-03-01T10:00:00Z"
BADGE: dict[str, Any] = {
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
            "id": "https://issuer.example/achievements/spt",
            "type": ["Achievement"],
            "name": "Safe patient transfer",
            "description": "Moves patients without harm.",
            "criteria": {"narrative": "Pass the theory and two practicals."},
            "tag": ["health", "safety"],
            "resultDescription": [
                {
                    "id": f"https://issuer.example/achievements/spt#{i}",
                    "type": ["ResultDescription"],
                    "name": f"Part {i}",
                    "resultType": "RawScore",
                }
                for i in range(3)
            ],
        },
        "result": [
            {
                "type": ["Result"],
                "resultDescription": f"https://issuer.example/achievements/spt#{i}",
                "value": Slot(f"value{i}"),
            }
            for i in range(3)
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


def values(shape: Shape, n: int) -> list[str]:
    given = {
        "id": f"{n:08x}-91f2-8c3b-9d50-1b8f6b0c7e21",
        "subject": f"{n:08x}",
        "index": str(n),
        "from": CREATED,
        "awarded": CREATED,
    }
    scores = {
        name: str((n * 7919 * (i + 1)) % 10_007) for i, name in enumerate(shape.slots)
    }  # so nodes come in any order
    return [given.get(name, scores[name]) for name in shape.slots]


def with_results(count: int) -> dict[str, Any]:
    """Return the badge with so many results: each is a node without a name, whose hash decides its place."""
    results = [
        {"type": ["Result"], "resultDescription": f"https://issuer.example/r#{i}", "value": Slot(f"value{i}")}
        for i in range(count)
    ]
    return {**BADGE, "credentialSubject": {**BADGE["credentialSubject"], "result": results}}


def micros(call: Callable[[int], object], count: int) -> float:
    """Return the median of five runs, microseconds of CPU a call."""
    runs = []
    for _ in range(5):
        began = time.process_time()
        for n in range(count):
            call(n)
        runs.append((time.process_time() - began) / count * 1e6)
    return statistics.median(runs)


def main() -> None:
    shape = Shape(BADGE)
    did = {
        "id": DID,
        "verificationMethod": [
            {"id": METHOD, "type": "Multikey", "controller": DID, "publicKeyMultibase": SIGNER.public_multikey}
        ],
        "assertionMethod": [METHOD],
    }
    verifier = Verifier(
        {"https://issuer.example/.well-known/did.json": json.dumps(did).encode()}, now=datetime.now(UTC)
    )
    signed = [sign(shape, values(shape, n), SIGNER, verification_method=METHOD, created=CREATED) for n in range(200)]
    wide = Shape(with_results(12))
    plain = [shape.document(values(shape, n)) for n in range(200)]
    fast = Canonicaliser()
    rows = [
        ("bare Ed25519 signature", micros(lambda _: SIGNER.sign(b"x" * 64), 5_000)),
        (
            "build, sign and encode, compiled",
            micros(lambda n: sign(shape, values(shape, n), SIGNER, verification_method=METHOD, created=CREATED), 3_000),
        ),
        (
            "the same with twelve results",
            micros(lambda n: sign(wide, values(wide, n), SIGNER, verification_method=METHOD, created=CREATED), 3_000),
        ),
        ("canonical form of anyone's badge, compiled", micros(lambda n: fast.canonical(plain[n % 200]), 2_000)),
        ("canonical form, PyLD and pyoxigraph", micros(lambda n: canonical(plain[n % 200]), 40)),
        ("verify, all steps, compiled", micros(lambda n: verifier.verify(signed[n % 200]), 1_000)),
        ("compile a shape", micros(lambda _: Shape(BADGE), 20)),
    ]
    table = Table(
        "what", "µs of CPU", "a second", title=f"one Open Badge of {len(signed[0]):,} bytes; medians of 5 runs"
    )
    for what, cost in rows:
        table.add_row(what, f"{cost:,.1f}", f"{1e6 / cost:,.0f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
