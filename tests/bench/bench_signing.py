"""What signing one Open Badge costs: ours beside bare signatures, PyLD, openbadgeslib and npm's @digitalbazaar/vc, in one run."""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from openbadgeslib.ob3.ldp import add_data_integrity_proof
from rich.console import Console
from rich.table import Table
from support import npm
from support.issuing import LOCAL, IssuingLane, adoption, catalogue_of, claim, record

from services.signing.contexts import CREDENTIALS_V2, DIGESTS, OPEN_BADGES_V3, context
from services.signing.data_integrity import proof_fault, sign
from services.signing.generic import Canonicaliser
from services.signing.keys import seed_signer
from services.signing.multikey import base58
from services.signing.rdf import canonical
from services.signing.shape import Shape, Slot, Text
from services.signing.verifying import Verifier
from streams.batch import decide
from streams.issuing import IssuingStage
from streams.keystore import WatchedSigner

ROUNDS = 5
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
    """Return the median of the rounds, microseconds of CPU a call."""
    runs = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for n in range(count):
            call(n)
        runs.append((time.process_time() - began) / count * 1e6)
    return statistics.median(runs)


class OpenSsl:
    """The port on `cryptography`, to compare."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(bytes(32))
        self.public_multikey = SIGNER.public_multikey

    def sign(self, data: bytes, *, check: bool = True) -> bytes:
        return self._private.sign(data)


def ours(shape: Shape, signer: Any) -> Callable[[int], bytes]:
    """Fill, sign and encode, checked as issuing does: one in 64."""
    given = [values(shape, n) for n in range(1_000)]

    def signed(n: int) -> bytes:
        check = n % 64 == 0
        return sign(shape, given[n % 1_000], signer, verification_method=METHOD, created=CREATED, check=check)

    return signed


def openbadgeslib(badges: list[dict[str, Any]]) -> Callable[[int], str]:
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    at = datetime.fromisoformat(CREATED)
    return lambda n: json.dumps(add_data_integrity_proof(badges[n % len(badges)], pem, METHOD, created=at))


def in_node(badges: list[dict[str, Any]]) -> float | None:
    """Return what a badge costs @digitalbazaar/vc, warm, in its own process; None without node."""
    node = npm.node_with_packages()
    if node is None:
        return None
    asked = {
        "badges": badges[:50],
        "contexts": {url: context(url) for url in DIGESTS},
        "seed": bytes(32).hex(),
        "verificationMethod": METHOD,
        "created": CREATED,
        "rounds": ROUNDS,
    }
    command = [node, str(npm.EXTERNAL / "signing_speed.mjs")]
    done = subprocess.run(command, input=json.dumps(asked).encode(), capture_output=True, check=True)
    answer = json.loads(done.stdout)
    proof = answer["first"]["proof"]
    assert proof_fault(badges[0], proof, SIGNER.public_multikey, canonical(badges[0])) is None  # it signed the same
    return float(statistics.median(answer["micros"]))


def issuing_step(signer: Any) -> Callable[[int], object]:
    """The step from a claim's record to the credential's, with all that is remembered, without Kafka: 500 in a batch."""
    stage = IssuingStage({("one", "credentials-1"): WatchedSigner("one", "credentials-1", signer)})
    lane, catalogue = IssuingLane(stage), catalogue_of("one")
    lane.take(adoption(catalogue))
    records = [record(claim(catalogue, n), n) for n in range(500)]

    def batch(_: int) -> None:
        made = decide(stage, lane.progress, lane.state, records)
        assert made.position == 500
        stage.kept(lane.progress, made.lane)
        stage.idle(lane.progress, lane.state, 0)

    return batch


def first_of_a_shape() -> list[float]:
    """Milliseconds of wall time for the first credential of a new shape, its compilation included; warm contexts."""
    out = []
    for n in range(21):
        document = {**BADGE, "description": f"shape {n}"}
        began = time.perf_counter()
        shape = Shape(document)
        ours(shape, SIGNER)(0)
        out.append((time.perf_counter() - began) * 1e3)
    return out[1:]


def across_threads(signed: Callable[[int], bytes], threads: int) -> float:
    """Return credentials a second of wall time."""
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: [signed(n) for n in range(1_000)], range(6)))
    return 6_000 / (time.perf_counter() - began)


def main() -> None:
    shape, wide = Shape(BADGE), Shape(with_results(12))
    badges = [shape.document(values(shape, n)) for n in range(200)]
    fast, openssl = Canonicaliser(), OpenSsl()
    signed = [ours(shape, SIGNER)(n) for n in range(200)]
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
    bare = micros(lambda _: SIGNER.sign(b"x" * 64, check=False), 5_000)
    rows: list[tuple[str, float | None]] = [
        ("bare signature, libsodium", bare),
        ("bare signature, OpenSSL (cryptography)", micros(lambda _: openssl.sign(b"x" * 64), 5_000)),
        ("build, sign and encode, libsodium", micros(ours(shape, SIGNER), 3_000)),
        ("the same with OpenSSL", micros(ours(shape, openssl), 3_000)),
        ("the same with twelve results, libsodium", micros(ours(wide, SIGNER), 3_000)),
        ("issuing's whole step, claim record to credential record", micros(issuing_step(LOCAL), 4) / 500),
        ("PyLD and pyoxigraph, libsodium", micros(lambda n: full_path(badges[n % 200]), 40)),
        ("openbadgeslib", micros(openbadgeslib(badges), 40)),
        ("npm @digitalbazaar/vc on node", in_node(badges)),
        ("canonical form of anyone's badge, compiled", micros(lambda n: fast.canonical(badges[n % 200]), 2_000)),
        ("verify, all steps, compiled", micros(lambda n: verifier.verify(signed[n % 200]), 1_000)),
    ]
    table = Table("what", "µs of CPU", "a second", "bare signatures")
    table.title = f"one Open Badge of {len(signed[0]):,} bytes; medians of {ROUNDS} rounds"
    for what, cost in rows:
        table.add_row(what, *(["no node here", "", ""] if cost is None else figures(cost, bare)))
    console = Console(width=110)
    console.print(table)
    firsts = first_of_a_shape()
    console.print(
        f"first credential of a new shape: median {statistics.median(firsts):.1f} ms, worst {max(firsts):.1f} ms"
    )
    one, two = (across_threads(ours(shape, SIGNER), threads) for threads in (1, 2))
    console.print(f"wall time, one thread {one:,.0f}/s, two threads {two:,.0f}/s")


def full_path(badge: dict[str, Any]) -> str:
    """Sign without a compiled shape."""
    return json.dumps(add_proof(badge))


def add_proof(badge: dict[str, Any]) -> dict[str, Any]:
    proof = {
        "type": "DataIntegrityProof",
        "created": CREATED,
        "verificationMethod": METHOD,
        "cryptosuite": "eddsa-rdfc-2022",
        "proofPurpose": "assertionMethod",
    }
    configuration = canonical({"@context": badge["@context"], **proof})
    digests = hashlib.sha256(configuration).digest() + hashlib.sha256(canonical(badge)).digest()
    return {**badge, "proof": [{**proof, "proofValue": f"z{base58(SIGNER.sign(digests, check=False))}"}]}


def figures(cost: float, bare: float) -> list[str]:
    return [f"{cost:,.1f}", f"{1e6 / cost:,.0f}", f"{cost / bare:,.1f}"]


if __name__ == "__main__":
    main()
