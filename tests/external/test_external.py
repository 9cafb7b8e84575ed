"""Other people's verifiers on every shape that the catalogues produce: what we sign verifies, and what was changed does not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import jsonschema_rs
import pytest
from openbadgeslib.ob3.ldp import OB3LdpVerifier
from openbadgeslib.ob3.verifier import OB3VerificationError
from support import elsewhere, shapes
from support.elsewhere import Elsewhere
from support.shapes import HOLDS, REVOKED, Signed
from support.shared import shared
from support.tampering import tampered

from schemas.bitstring import decode_bits, encode_bits, is_set
from services.signing.verifying import Verifier

SCHEMA = "https://purl.imsglobal.org/spec/ob/v3p0/schema/json/ob_v3p0_achievementcredential_schema.json"
SCHEMA_FILE = "standards/data/schemas/ob_v3p0_achievementcredential_schema.json"
VALIDATOR = "standards/data/vectors/1edtech-validator-ob30"
SHAPES = shapes.every_shape()
OURS = Verifier(shapes.documents(), now=datetime.now(UTC), is_suspended=lambda _: False)


@dataclass(frozen=True)
class Answer:
    """What a verifier says: that it holds, and of its status, where it looks at that."""

    holds: bool
    revoked: bool | None
    why: str


Verify: TypeAlias = Callable[[Signed, Any], Answer]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    with elsewhere.running(tmp_path_factory.mktemp("node") / "errors.log") as running:
        running.know({url: json.loads(document) for url, document in shapes.documents().items()})
        running.know({SCHEMA: json.loads(shared(SCHEMA_FILE).read_bytes())})
        yield running


def credstream(_signed: Signed, document: Any) -> Answer:
    verdict = OURS.verify(json.dumps(document).encode())
    failed = {step.name for step in verdict.steps if step.outcome != "pass"}
    return Answer(not failed - {"revocation"}, "revocation" in failed, str(verdict.deciding))


def openbadgeslib(signed: Signed, document: Any) -> Answer:
    known = shapes.documents()
    try:
        OB3LdpVerifier.for_issuer_did(signed.issuer).verify(
            json.dumps(document).encode(), download=lambda url, *_a, **_k: known[url]
        )
    except (OB3VerificationError, KeyError) as error:
        return Answer(holds=False, revoked=None, why=str(error))
    return Answer(holds=True, revoked=None, why="")


def in_node(node: Elsewhere, verifier: str) -> Verify:
    def verify(_signed: Signed, document: Any) -> Answer:
        answer = node.ask(verifier, credential=document)
        schema = answer.get("schema", [True])
        holds = answer["verified"] and schema == [True] and answer.get("status", True)
        return Answer(bool(holds), answer.get("revoked"), f"{answer['error']} {schema}")

    return verify


def jwt_in_node(node: Elsewhere) -> Verify:
    """Return jose on the VC-JWT of a document: one that was changed keeps the signature that it had."""

    def verify(signed: Signed, document: Any) -> Answer:
        token = _resealed(signed, document)
        answer = node.ask("jose", jwt=token, jwk={**shapes.RSA.public_jwk}, issuer=signed.issuer)
        return Answer(answer["verified"], None, str(answer.get("error")))

    return verify


def credstream_on_jwt(signed: Signed, document: Any) -> Answer:
    verdict = OURS.verify(_resealed(signed, document).encode())
    failed = {step.name for step in verdict.steps if step.outcome != "pass"}
    return Answer(not failed - {"revocation"}, "revocation" in failed, str(verdict.deciding))


def _resealed(signed: Signed, document: Any) -> str:
    """Return the token of a credential with another payload, if the document is not the one that was signed."""
    if document in (signed.document(), json.loads(signed.revoked)):
        return shapes.jwt_of(document).decode()
    header, payload, signature = signed.jwt().decode().split(".")
    text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    claims = {name: value for name, value in json.loads(text).items() if name in {"iss", "jti", "sub", "nbf", "exp"}}
    content = {**{name: value for name, value in document.items() if name != "proof"}, **claims}
    packed = base64.urlsafe_b64encode(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
    return f"{header}.{packed.rstrip(b'=').decode()}.{signature}"


VERIFIERS = {
    "credstream": lambda _: credstream,
    "credstream on VC-JWT": lambda _: credstream_on_jwt,
    "openbadgeslib": lambda _: openbadgeslib,
    "@digitalbazaar/vc": lambda node: in_node(node, "digitalbazaar"),
    "@digitalcredentials/verifier-core": lambda node: in_node(node, "verifier-core"),
    "jose on VC-JWT": jwt_in_node,
}


@pytest.mark.parametrize("name", VERIFIERS)
def test_every_shape_verifies_and_who_reads_status_lists_sees_a_revocation(name: str, node: Elsewhere) -> None:
    verify = VERIFIERS[name](node)
    wrong = []
    for signed in SHAPES:
        for revoked, credential in ((False, signed.credential), (True, signed.revoked)):
            answer = verify(signed, json.loads(credential))
            if not answer.holds or answer.revoked not in {None, revoked}:
                wrong.append(f"{signed.name}, revoked {revoked}: {answer}")
    assert wrong == []


@pytest.mark.parametrize("signed", shapes.samples(), ids=lambda s: s.name.partition(",")[0])
@pytest.mark.parametrize("name", VERIFIERS)
def test_no_string_of_a_credential_can_be_changed(name: str, signed: Signed, node: Elsewhere) -> None:
    verify = VERIFIERS[name](node)
    document = signed.document()
    if name.endswith("JWT"):
        del document["proof"]
    assert verify(signed, signed.document()).holds
    count, let_pass = 0, []
    for count, (path, other) in enumerate(tampered(document), 1):  # noqa: B007  the last one is the count
        if verify(signed, other).holds:
            let_pass.append(path)
    assert let_pass == []
    assert count > 50


@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "payload", "signature"])
def test_no_character_of_a_token_can_be_changed(part: int, node: Elsewhere) -> None:
    """Of a signature's last character some bits do not count; jose lets them be anything, and we do not."""
    signed = shapes.samples()[0]
    parts = signed.jwt().decode().split(".")
    for at in range(0, len(parts[part]), max(1, len(parts[part]) // 60)):
        text = parts[part]
        other = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        token = ".".join([*parts[:part], other, *parts[part + 1 :]])
        assert OURS.verify(token.encode()).overall != "valid", at  # another issuer or key reads as unknown
        answer = node.ask("jose", jwt=token, jwk={**shapes.RSA.public_jwk}, issuer=signed.issuer)
        assert not answer["verified"] or at == len(parts[2]) - 1, at


@pytest.mark.parametrize("name", ["achievementcredential_schema", "achievementcredential_strict.derived"])
def test_every_shape_meets_1edtechs_schemas(name: str) -> None:
    schema = json.loads(shared(f"standards/data/schemas/ob_v3p0_{name}.json").read_bytes())
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    faults = [
        f"{signed.name}: {error.instance_path} {error.message}"
        for signed in SHAPES
        for error in validator.iter_errors(signed.document())
    ]
    assert faults == []


def test_every_signed_list_is_read_by_the_other_implementation_bit_by_bit(node: Elsewhere) -> None:
    places = [0, HOLDS, REVOKED, 8, 131_071]
    lists = [json.loads(d) for url, d in shapes.documents().items() if "/status/" in url]
    assert lists
    for document in lists:
        answer = node.ask("bitstring", encodedList=document["credentialSubject"]["encodedList"], indexes=places)
        assert answer == {"length": 131_072, "set": [place == REVOKED for place in places]}


def test_lists_of_either_implementation_say_the_same_in_the_other(node: Elsewhere) -> None:
    places = [0, 1, 7, 8, 4_095, 65_536, 131_071]
    theirs = decode_bits(node.ask("bitstring-encode", length=131_072, indexes=places)["encodedList"])
    assert theirs == decode_bits(encode_bits(places))
    assert [place for place in range(131_072) if is_set(theirs, place)] == places


def fixtures() -> list[str]:
    """Return 1EdTech's own badges with an eddsa-rdfc-2022 proof in contexts that are pinned here."""
    return [
        "simple",
        "complete",
        "simple-did-web-method",
        "simple-err-proof-value",
        "simple-err-evidence-type",
        "simple-err-expired",
        "simple-err-credential-subject-type",
        "bit-string-list/credential-status-revoked",
        "bit-string-list/credential-status-revoked-blank-nodes",
    ]


@pytest.mark.parametrize("name", fixtures())
def test_of_1edtechs_badges_the_proofs_hold_here_where_they_hold_elsewhere(name: str, node: Elsewhere) -> None:
    known: Mapping[str, Any] = json.loads(shared(f"{VALIDATOR}/docs-map.json").read_bytes())
    node.know(known)
    document = json.loads(shared(f"{VALIDATOR}/{name}.json").read_bytes())
    there = node.ask("jsonld-signatures", credential=document)
    verifier = Verifier({url: json.dumps(about).encode() for url, about in known.items()}, now=datetime.now(UTC))
    about = verifier._issuers.document(document["issuer"]["id"])
    assert about is not None
    proofs = document["proof"] if isinstance(document["proof"], list) else [document["proof"]]
    _, here = verifier._proof_steps(document, proofs[0], about, "credentials")
    assert there["verified"] == (here is not None and here.outcome == "pass"), (there, here)
