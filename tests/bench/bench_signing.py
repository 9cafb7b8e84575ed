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
from support import npm, shapes
from support.bench_badges import CREATED, SMALL, Kind, fullest, fullest_claims, small
from support.issuing import LOCAL, IssuingLane, adoption, catalogue_of, claim, record

from schemas.catalogue import Catalogue
from schemas.events import CredentialClaimed
from services.signing.contexts import DIGESTS, context
from services.signing.data_integrity import proof_fault, sign
from services.signing.did_web import document_url
from services.signing.generic import Canonicaliser
from services.signing.keys import seed_signer
from services.signing.multikey import base58
from services.signing.rdf import canonical
from services.signing.shape import Shape
from services.signing.verifying import Verifier
from streams.batch import decide
from streams.issuing import IssuingStage
from streams.keystore import WatchedSigner

ROUNDS = 15
SIGNER = seed_signer(bytes(32))


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


def method_of(kind: Kind) -> str:
    return f"{kind.issuer}#credentials-1"


def ours(kind: Kind, signer: Any = SIGNER) -> Callable[[int], bytes]:
    """Fill, sign and encode, checked as issuing does: one in 64."""
    shape, given, method = kind.shape, kind.values, method_of(kind)

    def signed(n: int) -> bytes:
        values = given[n % len(given)]
        return sign(shape, values, signer, verification_method=method, created=CREATED, check=n % 64 == 0)

    return signed


def with_pyld(kind: Kind) -> Callable[[int], str]:
    """Sign without a compiled shape."""
    badges = kind.documents()
    proof = {
        "type": "DataIntegrityProof",
        "created": CREATED,
        "verificationMethod": method_of(kind),
        "cryptosuite": "eddsa-rdfc-2022",
        "proofPurpose": "assertionMethod",
    }

    def signed(n: int) -> str:
        badge = badges[n % len(badges)]
        configuration = canonical({"@context": badge["@context"], **proof})
        digests = hashlib.sha256(configuration).digest() + hashlib.sha256(canonical(badge)).digest()
        value = f"z{base58(SIGNER.sign(digests, check=False))}"
        return json.dumps({**badge, "proof": [{**proof, "proofValue": value}]})

    return signed


def openbadgeslib(kind: Kind) -> Callable[[int], str]:
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    at, badges, method = datetime.fromisoformat(CREATED), kind.documents(), method_of(kind)
    return lambda n: json.dumps(add_data_integrity_proof(badges[n % len(badges)], pem, method, created=at))


def in_node(kind: Kind) -> float | None:
    """Return what a badge costs @digitalbazaar/vc, warm, in its own process; None without node."""
    node = npm.node_with_packages()
    if node is None:
        return None
    badges = kind.documents(50)
    asked = {
        "badges": badges,
        "contexts": {url: context(url) for url in DIGESTS},
        "seed": bytes(32).hex(),
        "verificationMethod": method_of(kind),
        "created": CREATED,
        "rounds": ROUNDS,
    }
    command = [node, str(npm.EXTERNAL / "signing_speed.mjs")]
    done = subprocess.run(command, input=json.dumps(asked).encode(), capture_output=True, check=True)
    answer = json.loads(done.stdout)
    proof = answer["first"]["proof"]
    assert proof_fault(badges[0], proof, SIGNER.public_multikey, canonical(badges[0])) is None  # it signed the same
    return float(statistics.median(answer["micros"]))


def issuing_step(catalogue: Catalogue, claims: list[CredentialClaimed]) -> Callable[[int], object]:
    """The step from 500 claims' records to the credentials', with all that is remembered, without Kafka."""
    signer = WatchedSigner(catalogue.programme, "credentials-1", LOCAL)
    stage = IssuingStage({(catalogue.programme, "credentials-1"): signer})
    lane = IssuingLane(stage)
    lane.take(adoption(catalogue))
    records = [record(one, n) for n, one in enumerate(claims)]

    def batch(_: int) -> None:
        made = decide(stage, lane.progress, lane.state, records)
        assert made.position == len(records)
        assert not made.lane.waiting
        stage.kept(lane.progress, made.lane)
        stage.idle(lane.progress, lane.state, 0)

    return batch


def verifying(kind: Kind) -> Callable[[int], object]:
    method, url = method_of(kind), document_url(kind.issuer)
    key = {
        "id": method,
        "type": "Multikey",
        "controller": kind.issuer,
        "publicKeyMultibase": SIGNER.public_multikey,
    }
    did = {"id": kind.issuer, "verificationMethod": [key], "assertionMethod": [method]}
    verifier = Verifier({str(url): json.dumps(did).encode()}, now=datetime.now(UTC))
    signed = [ours(kind)(n) for n in range(200)]
    return lambda n: verifier.verify(signed[n % 200])


def canonicalising(kind: Kind) -> Callable[[int], object]:
    fast, badges = Canonicaliser(), kind.documents()
    return lambda n: fast.canonical(badges[n % 200])


def rows(kind: Kind, step: Callable[[int], object]) -> dict[str, float | None]:
    """Return what each costs, µs of CPU."""
    return {
        "build, sign and encode, libsodium": micros(ours(kind), 3_000),
        "the same with OpenSSL": micros(ours(kind, OpenSsl()), 3_000),
        "issuing's whole step, claim record to credential record": micros(step, 4) / 500,
        "PyLD and pyoxigraph, libsodium": micros(with_pyld(kind), 40),
        "openbadgeslib": micros(openbadgeslib(kind), 40),
        "npm @digitalbazaar/vc on node": in_node(kind),
        "canonical form of anyone's badge, compiled": micros(canonicalising(kind), 2_000),
        "verify, all steps, compiled": micros(verifying(kind), 1_000),
    }


def first_of_a_shape() -> list[float]:
    """Milliseconds of wall time for the first credential of a new shape, its compilation included; warm contexts."""
    out = []
    for n in range(21):
        began = time.perf_counter()
        shape = Shape({**SMALL, "description": f"shape {n}"})
        ours(Kind("new", "did:web:issuer.example", shape, [["1"] * len(shape.slots)]))(0)
        out.append((time.perf_counter() - began) * 1e3)
    return out[1:]


def across_threads(signed: Callable[[int], bytes], threads: int) -> float:
    """Return credentials a second of wall time."""
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: [signed(n) for n in range(1_000)], range(6)))
    return 6_000 / (time.perf_counter() - began)


def main() -> None:
    openssl, console = OpenSsl(), Console(width=120)
    bare = micros(lambda _: SIGNER.sign(b"x" * 64, check=False), 5_000)
    also = micros(lambda _: openssl.sign(b"x" * 64), 5_000)
    console.print(f"a bare signature of 64 bytes: libsodium {bare:.1f} µs, OpenSSL (cryptography) {also:.1f} µs")
    pilots, one = shapes.catalogues()[0], catalogue_of("one")
    steps = {
        "small": issuing_step(one, [claim(one, n) for n in range(500)]),
        "fullest": issuing_step(pilots, fullest_claims(pilots)[:500]),
    }
    for kind in (small(), fullest()):
        table = Table("what", "µs of CPU", "a second", "bare signatures", title_justify="left")
        size, quads = (
            len(ours(kind)(0)),
            len(kind.shape.canonical(kind.values[0], kind.shape.escaped(kind.values[0])[1]).splitlines()),
        )
        table.title = f"{kind.name} badge, {quads} quads, {size:,} bytes; medians of {ROUNDS} rounds"
        for what, cost in rows(kind, steps[kind.name]).items():
            table.add_row(what, *(["no node here", "", ""] if cost is None else figures(cost, bare)))
        console.print(table)
    firsts = first_of_a_shape()
    console.print(
        f"first credential of a new shape: median {statistics.median(firsts):.1f} ms, worst {max(firsts):.1f} ms"
    )
    one_thread, two = (across_threads(ours(small()), threads) for threads in (1, 2))
    console.print(f"wall time, one thread {one_thread:,.0f}/s, two threads {two:,.0f}/s")


def figures(cost: float, bare: float) -> list[str]:
    return [f"{cost:,.1f}", f"{1e6 / cost:,.0f}", f"{cost / bare:,.1f}"]


if __name__ == "__main__":
    main()
