"""Other people's signed documents: all of 1EdTech's validator, its example, and W3C's proof vectors from the JSON on."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from pyld import jsonld
from support.shared import shared

from services.signing import data_integrity
from services.signing.contexts import CREDENTIALS_V2
from services.signing.keys import seed_signer
from services.signing.rdf import canonical, rdfc10
from services.signing.shape import Shape
from services.signing.verifying import Verifier

VECTORS = "standards/data/vectors"
VALIDATOR = f"{VECTORS}/1edtech-validator-ob30"
VERDICTS = {
    "bit-string-list/credential-status-revoked-blank-nodes.json": "invalid: revocation",  # its index is a number
    "bit-string-list/credential-status-revoked.json": "invalid: revocation",
    "bit-string-list/testlist": "invalid: context",  # a status list is no badge
    "complete.json": "unknown: revocation",  # 1EdTechRevocationList
    "complete_v1.json": "unknown: context",  # VCDM 1.1
    "credential-status-revoked.json": "unknown: context",
    "docs-map.json": "invalid: context",  # no credential
    "endorsement-err-schema-status-refresh.json": "unknown: context",
    "endorsement-valid.json": "invalid: schema",  # an endorsement is no badge
    "sd/derivedcredential.json": "unknown: proof",  # ecdsa-sd-2023
    "simple-context-alias.json": "valid",
    "simple-context-version.json": "unknown: context",  # 3.0.1
    "simple-did-key-method.json": "unknown: issuer",
    "simple-did-web-method.json": "valid",
    "simple-eddsa-2022.json": "unknown: context",
    "simple-err-context.json": "invalid: context",
    "simple-err-credential-subject-achievement-result-description-type.json": "invalid: schema",
    "simple-err-credential-subject-identifier-type.json": "invalid: schema",
    "simple-err-credential-subject-profile-type.json": "invalid: schema",
    "simple-err-credential-subject-result-type.json": "invalid: schema",
    "simple-err-credential-subject-type.json": "invalid: schema",
    "simple-err-evidence-type.json": "invalid: schema",
    "simple-err-expired.json": "invalid: dates",
    "simple-err-issued.json": "invalid: schema",
    "simple-err-issuer-otheridentifier-type.json": "invalid: schema",
    "simple-err-issuer-parentorg-type.json": "invalid: schema",
    "simple-err-issuer-type.json": "invalid: schema",
    "simple-err-issuer.json": "invalid: schema",
    "simple-err-proof-method-no-scheme.json": "invalid: key",
    "simple-err-proof-method-unknown-did-method.json": "invalid: key",
    "simple-err-proof-method-unknown-scheme.json": "invalid: key",
    "simple-err-proof-method.json": "invalid: proof",
    "simple-err-proof-value.json": "invalid: proof",
    "simple-err-type.json": "invalid: schema",
    "simple-json.png": "valid",
    "simple-json.svg": "valid",
    "simple-jwt.png": "invalid: key",  # none that its issuer publishes
    "simple-jwt.svg": "invalid: key",
    "simple-jwt_v1.png": "unknown: context",
    "simple-jwt_v1.svg": "unknown: context",
    "simple-multiple-proofs.json": "valid",
    "simple-noproof.json": "unknown: context",
    "simple.1ob": "valid",
    "simple.json": "valid",
    "simple.jwt": "unknown: context",  # VCDM 1.1
    "simple_v1.json": "unknown: context",
    "velocity.jwt": "unknown: context",
}
"""What is read here of every file of 1EdTech's validator: the verdict, and the step for which it is not valid."""


def test_every_file_of_1edtechs_validator_has_its_verdict() -> None:
    folder = shared(VALIDATOR)
    known = json.loads((folder / "docs-map.json").read_bytes())
    documents = {url: json.dumps(document).encode() for url, document in known.items()}
    verifier = Verifier(documents, now=datetime(2026, 6, 1, tzinfo=UTC), is_suspended=lambda _: False)
    found = {}
    for path in (path for path in sorted(folder.rglob("*")) if path.is_file()):
        verdict = verifier.verify(path.read_bytes())
        step = f": {verdict.deciding.name}" if verdict.deciding else ""
        found[path.relative_to(folder).as_posix()] = verdict.overall + step
    assert found == VERDICTS


def test_1edtechs_example_has_its_canonical_form_hashes_and_proof() -> None:
    folder = shared(f"{VECTORS}/1edtech-ob30-impl")
    document = json.loads((folder / "signed-credential.json").read_bytes())
    expected = json.loads((folder / "expected.json").read_bytes())
    proof = document.pop("proof")
    form = canonical(document)
    assert form == (folder / "document-canon.txt").read_bytes()
    assert hashlib.sha256(form).hexdigest() == expected["documentHash"]
    signer = seed_signer(bytes.fromhex(expected["keys"]["privateKeyHex(seed||pub)"])[:32])
    assert signer.public_multikey == expected["keys"]["publicKeyMultibase"]
    method, created = proof["verificationMethod"], proof["created"]
    made = data_integrity.sign(Shape(document), [], signer, verification_method=method, created=created)
    assert json.loads(made)["proof"][0]["proofValue"] == expected["proofValue"]


def w3c_form(document: dict[str, Any]) -> bytes:
    """Return the canonical form of a document whose contexts are not pinned in the code, by PyLD's quads and our RDFC-1.0."""
    folder = shared("standards/data/contexts")
    index = json.loads((folder / "index.json").read_bytes())

    def load(url: str, _options: object = None) -> dict[str, Any]:
        return {
            "contextUrl": None,
            "documentUrl": url,
            "document": json.loads((folder / index[url]["file"]).read_bytes()),
        }

    quads = jsonld.to_rdf(document, {"documentLoader": load, "format": "application/n-quads", "base": None})
    return rdfc10(str(quads))


def test_w3cs_document_has_its_canonical_form_from_the_json_on() -> None:
    vectors = shared(f"{VECTORS}/w3c-vc-di-eddsa")
    document = json.loads((vectors / "unsigned.json").read_bytes())
    assert w3c_form(document) == (vectors / "eddsa-rdfc-2022" / "canonDocDataInt.txt").read_bytes()


def test_each_proof_of_w3cs_set_holds_alone() -> None:
    """Their proofs' terms are of the first context; the second is not pinned."""
    folder = shared(f"{VECTORS}/w3c-vc-di-eddsa/proof-set-chain")
    pairs = json.loads((folder / "multiKeyPairs.json").read_bytes()).values()
    document = json.loads((folder / "signedProofSet2.json").read_bytes())
    proofs = document.pop("proof")
    form = w3c_form(document)
    assert len(proofs) == 2
    for proof in proofs:
        of = {**document, "@context": [CREDENTIALS_V2]}
        faults = [data_integrity.proof_fault(of, proof, pair["publicKeyMultibase"], form) for pair in pairs]
        assert faults.count(None) == 1
