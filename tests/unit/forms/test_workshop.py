"""Other forms say what the signed credential says, are made once, and of nothing that was not issued here."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from defusedxml import ElementTree
from msgspec.structs import replace
from openbadgeslib.ob3.ldp import OB3LdpVerifier
from PIL import Image
from pypdf import PdfReader
from sqlalchemy import insert
from support import complete
from support.issued import AT, DAY, LEARNER, Issued, claim, rsa_signer
from support.pipe import CATALOGUE

from credstream.documents import catalogue_documents
from credstream.rules.loader import load
from schemas.errors import IntegrityError, UnavailableError
from schemas.ids import issuer_did
from services.issuing.learner_record import learner_record
from services.signing.keys import seed_signer
from streams.form_store import Form
from streams.tables import CREDENTIAL_STATUS

FIRST, SECOND = (f"0e3b3f6e-0000-8000-8000-0000000000{n:02d}" for n in (0, 1))


@pytest.fixture
def issued(tmp_path: Path) -> Iterator[Issued]:
    found = Issued(tmp_path)
    yield found
    found.views.dispose()


def body(form: Form | None) -> bytes:
    assert form is not None
    return form.body


def read_jwt(issued: Issued, token: bytes) -> dict[str, Any]:
    """Verify with another library, finding the key as verifiers do: the kid's URL gives one bare JWK."""
    header = jwt.get_unverified_header(token)
    assert header.keys() == {"alg", "kid", "typ"}
    key = jwt.PyJWK(json.loads(catalogue_documents(issued.catalogue)[header["kid"]]))
    payload: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        issuer=issuer_did(complete.BASE, "college"),
        options={"require": ["iss", "jti", "sub", "nbf"]},
    )
    return payload


def test_a_jwt_says_what_the_credential_says_and_verifies_with_another_library(issued: Issued) -> None:
    document = issued.add(claim(issued.catalogue, valid_until=AT + 10_000 * DAY))
    payload = read_jwt(issued, body(issued.workshop().form(FIRST, "jwt", "en")))
    claims = {name: payload.pop(name) for name in ("iss", "jti", "sub", "nbf", "exp")}
    document.pop("proof")
    assert payload == document
    assert claims["jti"] == document["id"]
    assert claims["sub"] == document["credentialSubject"]["id"]
    assert (claims["nbf"], claims["exp"]) == (AT // 1_000_000, (AT + 10_000 * DAY) // 1_000_000)


def test_the_jwk_stands_in_the_did_document_too(issued: Issued) -> None:
    known = catalogue_documents(issued.catalogue)
    did = json.loads(known[f"{complete.BASE}/programmes/college/did.json"])
    method = next(m for m in did["verificationMethod"] if m["type"] == "JsonWebKey")
    assert method["publicKeyJwk"] == json.loads(known[method["publicKeyJwk"]["kid"]])
    assert method["id"] in did["assertionMethod"]


def test_a_baked_png_gives_the_credential_back_to_other_readers(issued: Issued) -> None:
    document = issued.add(claim(issued.catalogue))
    baked = body(issued.workshop().form(FIRST, "png", "fr"))
    image: Any = Image.open(io.BytesIO(baked))
    image.load()
    text = image.text["openbadgecredential"]
    assert (image.size, text.lang, text.tkey) == ((600, 600), "", "")
    assert json.loads(text) == document
    verifier = OB3LdpVerifier.for_issuer_did(issuer_did(complete.BASE, "college"))
    known = catalogue_documents(issued.catalogue)
    verifier.verify(str(text).encode(), download=lambda url, *_a, **_k: known[url])


def test_a_baked_svg_gives_the_credential_back_to_other_readers(issued: Issued) -> None:
    document = issued.add(claim(issued.catalogue))
    root = ElementTree.fromstring(body(issued.workshop().form(FIRST, "svg", "en")))
    [element] = root.findall("{https://purl.imsglobal.org/ob/v3p0}credential")
    assert root[0] is element
    assert json.loads(element.text or "") == document
    assert root.attrib["{http://www.w3.org/XML/1998/namespace}lang"] == "en"


@pytest.mark.parametrize(("language", "title"), [("en", "Patient transfer"), ("fr", "Transfert de patients")])
def test_a_certificate_is_accessible_and_carries_the_credential(issued: Issued, language: Any, title: str) -> None:
    document = issued.add(claim(issued.catalogue))
    printed = PdfReader(io.BytesIO(body(issued.workshop().form(FIRST, "pdf", language))))
    assert printed.metadata is not None
    assert printed.metadata.title == title
    root: Any = printed.trailer["/Root"]
    assert (root["/Lang"], root["/MarkInfo"]["/Marked"]) == (f"{language}-CA", True)
    assert "pdfuaid:part" in root["/Metadata"].get_data().decode()
    [attached] = printed.attachments["credential.json"]
    assert json.loads(attached) == document
    text = " ".join(page.extract_text() for page in printed.pages)
    assert document["id"].rpartition("/")[2] in text
    assert ("33 of 40" if language == "en" else "33 sur 40") in text


def test_the_first_bytes_are_kept(issued: Issued) -> None:
    issued.add(claim(issued.catalogue))
    first = issued.workshop().form(FIRST, "jwt", "en")
    assert first == issued.workshop(signers={}).form(FIRST, "jwt", "en")
    issued.store.forget([FIRST])
    with pytest.raises(UnavailableError):
        issued.workshop(signers={}).form(FIRST, "jwt", "en")


def test_nothing_is_made_of_what_was_not_issued_here(issued: Issued) -> None:
    document = issued.add(claim(issued.catalogue))
    document["credentialSubject"]["achievement"]["name"] = "Brain surgery"
    forged = json.dumps(document).encode()
    issued.add(claim(issued.catalogue, 1), credential=forged)
    with pytest.raises(IntegrityError, match="another's id"):
        issued.workshop().form(SECOND, "jwt", "en")
    changed = json.dumps({**json.loads(forged), "id": f"{complete.BASE}/credentials/{SECOND}"}).encode()
    issued.add(claim(issued.catalogue, 2), credential=changed.replace(SECOND.encode(), SECOND[:-1].encode() + b"2"))
    with pytest.raises(IntegrityError, match="does not match"):
        issued.workshop().form(SECOND[:-1] + "2", "jwt", "en")
    stranger = {("college", "credentials-1"): seed_signer(bytes([9] * 32)).public_multikey}
    for published in ({}, stranger):
        with pytest.raises(IntegrityError):
            issued.workshop(published=published).form(FIRST, "png", "en")


def test_without_a_published_jwt_key_at_hand_none_is_made(issued: Issued) -> None:
    issued.add(claim(issued.catalogue))
    for signers in ({}, {("college", "jwt-1"): rsa_signer(1)}, {("college", "jwt-2"): issued.signer}):
        with pytest.raises(UnavailableError, match="keys rotate --purpose jwt"):
            issued.workshop(signers=signers).form(FIRST, "jwt", "en")


def test_what_a_compromised_jwt_key_signed_is_made_anew_with_the_key_in_force(issued: Issued) -> None:
    issued.add(claim(issued.catalogue))
    before = body(issued.workshop().form(FIRST, "jwt", "en"))
    record = body(issued.workshop().record("college", LEARNER, "jwt", "en"))
    other = rsa_signer(1)
    [old] = issued.catalogue.jwt_keys
    ahead = replace(old, id="jwt-3", active_from=1 << 51)  # published, and not to sign yet
    new = replace(old, id="jwt-2", n=other.public_jwk["n"])
    issued.publish(replace(issued.catalogue, jwt_keys=(replace(old, compromised_at=1), new, ahead)))
    signers = {("college", "jwt-1"): issued.signer, ("college", "jwt-2"): other, ("college", "jwt-3"): issued.signer}
    workshop = issued.workshop(signers=signers)
    after = body(workshop.form(FIRST, "jwt", "en"))
    assert jwt.get_unverified_header(before)["kid"].endswith("/keys/jwt-1")
    assert jwt.get_unverified_header(after)["kid"].endswith("/keys/jwt-2")
    assert read_jwt(issued, after)["id"] == jwt.decode(before, options={"verify_signature": False})["id"]
    assert body(workshop.form(FIRST, "jwt", "en")) == after
    assert body(workshop.record("college", LEARNER, "jwt", "en")) != record


def test_what_is_unknown_has_no_form(issued: Issued) -> None:
    assert issued.workshop().form(FIRST, "pdf", "en") is None
    assert issued.workshop().form("../" * 12, "pdf", "en") is None
    assert issued.workshop().record("college", LEARNER, "jwt", "en") is None


def test_a_learner_record_holds_the_credentials_that_hold_and_nothing_else(issued: Issued) -> None:
    documents = [
        issued.add(claim(issued.catalogue, n, achievement=a, supersedes=old))
        for n, a, old in [
            (0, "patient-transfer", None),
            (1, "first-aid", None),
            (2, "patient-transfer", FIRST),
            (3, "first-aid", None),
        ]
    ]
    issued.add(claim(issued.catalogue, 4, learner_ref="1" * 32))
    status = {"credential_id": f"{FIRST[:-1]}3", "status": "revoked", "reason": "misconduct", "list_version": 1}
    with issued.views.begin() as connection:
        connection.execute(insert(CREDENTIAL_STATUS), [{**status, "decided_at": AT, "effective_at": AT}])
    record = read_jwt(issued, body(issued.workshop().record("college", LEARNER, "jwt", "en")))
    assert record["type"] == ["VerifiableCredential", "ClrCredential"]
    assert record["credentialSubject"]["verifiableCredential"] == documents[1:3]
    assert read_jwt(issued, body(issued.workshop().record("college", LEARNER, "jwt", "en"))) == record


def test_a_transcript_is_accessible_and_carries_the_record(issued: Issued) -> None:
    issued.add(claim(issued.catalogue))
    record = body(issued.workshop().record("college", LEARNER, "jwt", "en"))
    printed = PdfReader(io.BytesIO(body(issued.workshop().record("college", LEARNER, "pdf", "fr"))))
    [attached] = printed.attachments["learner-record.jwt"]
    assert attached == record
    assert "Transfert de patients" in printed.pages[0].extract_text()


def test_building_blocks_are_part_of_their_stack() -> None:
    catalogue = load(CATALOGUE).build(base_url=complete.BASE, keys=[complete.KEY])

    def held(name: str) -> dict[str, Any]:
        url = f"{complete.BASE}/achievements/{catalogue.programme}/{name}"
        return {"validFrom": "2026-01-01T00:00:00Z", "credentialSubject": {"achievement": {"id": url}}}

    documents = [held(name) for name in ("site-safety", "trade-foundation")]
    about = learner_record([b"1", b"2"], documents, catalogue)["credentialSubject"]["association"]
    assert [
        (a["sourceId"].rpartition("/")[2], a["associationType"], a["targetId"].rpartition("/")[2]) for a in about
    ] == [("site-safety", "isPartOf", "trade-foundation")]
