"""Other people's verifiers on every shape that the catalogues produce: what we sign verifies, and what was changed does not."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import png
import pytest
from defusedxml import ElementTree
from lxml import etree
from openbadgeslib.baking import ITXT_KEYWORD_OB3, SVG_ELEMENT_OB3, extract_png, extract_svg
from PIL import Image
from support import conformance, elsewhere, shapes
from support.conformance import sample_name
from support.elsewhere import Elsewhere
from support.others import OURS, VERIFIERS
from support.shapes import HOLDS, REVOKED, Signed
from support.shared import shared
from support.tampering import tampered

from schemas.bitstring import decode_bits, encode_bits, is_set
from services.forms.baking import bake_png, bake_svg
from services.issuing.learner_record import learner_record
from services.signing.opening import opened
from services.signing.verifying import Verifier

VALIDATOR = "standards/data/vectors/1edtech-validator-ob30"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    with elsewhere.knowing(tmp_path_factory.mktemp("node") / "errors.log") as running:
        yield running


@pytest.mark.parametrize("name", VERIFIERS)
def test_every_shape_verifies_and_who_reads_status_lists_sees_a_revocation(name: str, node: Elsewhere) -> None:
    counts, wrong = conformance.verified(VERIFIERS[name](node))
    assert wrong == []
    assert {row: cells[name] for row, cells in conformance.written(conformance.SHAPES).items()} == counts


@pytest.mark.parametrize("signed", shapes.samples(), ids=sample_name)
@pytest.mark.parametrize("name", VERIFIERS)
def test_no_string_of_a_credential_can_be_changed(name: str, signed: Signed, node: Elsewhere) -> None:
    verify = VERIFIERS[name](node)
    assert verify(signed, signed.document()).holds
    count, let_pass = conformance.refused(name, verify, signed)
    assert let_pass == []
    assert count == conformance.written(conformance.STRINGS)[sample_name(signed)][name]
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
        for signed in shapes.every_shape()
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


def baked_png(text: bytes) -> bytes:
    file = io.BytesIO()
    png.Writer(2, 2, greyscale=True).write(file, [[0, 255], [255, 0]])
    return bake_png(file.getvalue(), text)


PNG_READERS: dict[str, Callable[[bytes], Any]] = {
    "Pillow": lambda baked: Image.open(io.BytesIO(baked)).text["openbadgecredential"],  # type: ignore[attr-defined]
    "openbadgeslib": lambda baked: extract_png(baked, keyword=ITXT_KEYWORD_OB3),
    "credstream": lambda baked: opened(baked).document,
}
SVG_READERS: dict[str, Callable[[bytes], Any]] = {
    "lxml": lambda baked: svg_text(etree.fromstring(baked)),
    "defusedxml": lambda baked: svg_text(ElementTree.fromstring(baked)),
    "openbadgeslib": lambda baked: extract_svg(baked, element=SVG_ELEMENT_OB3, text_fallback=True),
    "credstream": lambda baked: opened(baked).document,
}


def svg_text(root: Any) -> str:
    [element] = root.findall("{https://purl.imsglobal.org/ob/v3p0}credential")
    return str(element.get("verify") or element.text)


def said(found: Any) -> Any:
    """Return the document that a reader found, in whatever form it gave it; of a token, its payload."""
    if isinstance(found, Mapping):
        return found
    text = str(found)
    if text.startswith("{"):
        return json.loads(text)
    payload = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@pytest.mark.parametrize("reader", PNG_READERS)
def test_every_shape_comes_out_of_a_png_as_it_went_in(reader: str) -> None:
    for signed in shapes.every_shape():
        for text in (signed.credential, signed.jwt()):
            assert said(PNG_READERS[reader](baked_png(text))) == said(text.decode()), signed.name


@pytest.mark.parametrize("reader", SVG_READERS)
def test_every_shape_comes_out_of_an_svg_as_it_went_in(reader: str) -> None:
    image = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><title>a</title></svg>'
    for signed in shapes.every_shape():
        for text in (signed.credential, signed.jwt()):
            assert said(SVG_READERS[reader](bake_svg(image, text))) == said(text.decode()), signed.name


def test_a_learner_record_of_every_shape_holds_elsewhere_and_no_string_of_it_can_be_changed(node: Elsewhere) -> None:
    """The token's signature covers the record; each credential in it holds by its own proof too."""
    catalogue = shapes.catalogues()[0]
    held = [signed.document() for signed in shapes.every_shape() if signed.issuer == shapes.issuer_of(catalogue)][::12]
    record = learner_record([json.dumps(document).encode() for document in held], held, catalogue)
    token = shapes.jwt_of(record).decode()
    header, _, signature = token.split(".")

    def holds(document: Any) -> bool:
        content = base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
        jwt = token if document == record else f"{header}.{content}.{signature}"
        answer = node.ask("jose", jwt=jwt, jwk={**shapes.RSA.public_jwk}, issuer=record["issuer"]["id"])
        return bool(answer["verified"]) or OURS.verify(jwt.encode()).overall == "valid"

    assert holds(record)
    assert OURS.verify(token.encode()).overall == "valid"
    assert all(node.ask("digitalbazaar", credential=document)["verified"] for document in held)
    changed = list(tampered(record))
    assert [path for path, other in changed[:: len(changed) // 150] if holds(other)] == []


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
