"""A learner record holds when its own proof does and each credential in it does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from support import shapes
from support.shapes import RSA, Signed, catalogues

from schemas.ids import jwk_url
from services.issuing.learner_record import learner_record
from services.signing.vc_jwt import sign_jwt
from services.signing.verdict import Verdict
from services.signing.verifying import Verifier

VERIFIER = Verifier(shapes.documents(), now=datetime.now(UTC), is_suspended=lambda _: False)
PILOTS = catalogues()[0]
HELD = [signed for signed in shapes.every_shape() if signed.name.startswith(PILOTS.programme)][:30:3]


def record(documents: Sequence[Any]) -> dict[str, Any]:
    return learner_record([json.dumps(d).encode() for d in documents], documents, PILOTS)


def verified(document: dict[str, Any]) -> Verdict:
    token = sign_jwt(document, RSA, jwk_url(PILOTS.base_url, PILOTS.programme, shapes.JWT_KEY.id))
    return VERIFIER.verify(token)


def failing(verdict: Verdict) -> dict[str, str]:
    return {step.name: step.outcome for step in verdict.steps if step.outcome != "pass"}


def documents_of(held: Sequence[Signed] = HELD) -> list[dict[str, Any]]:
    return [signed.document() for signed in held]


def test_a_record_of_valid_credentials_is_valid() -> None:
    found = verified(record(documents_of()))
    assert found.overall == "valid", found
    assert found.steps[-1].reason == "10, each of them valid"


def test_a_record_with_one_that_was_revoked_since_says_which() -> None:
    documents = [*documents_of(), json.loads(HELD[0].revoked)]
    found = verified(record(documents))
    assert failing(found) == {"credentials": "fail"}
    assert found.steps[-1].reason == f"{documents[-1]['name']}: revoked"


def test_what_nobody_signed_is_noticed_inside_a_record_that_its_issuer_signed() -> None:
    documents = documents_of()
    documents[3]["credentialSubject"]["achievement"]["name"] = "Brain surgery"
    assert failing(verified(record(documents))) == {"credentials": "fail"}


def test_what_is_by_nobody_known_here_leaves_the_record_unknown() -> None:
    known = {url: document for url, document in shapes.documents().items() if "oulad" not in url}
    other = next(signed for signed in shapes.every_shape() if "oulad" in signed.name)
    token = sign_jwt(
        record([*documents_of(), other.document()]),
        RSA,
        jwk_url(PILOTS.base_url, PILOTS.programme, shapes.JWT_KEY.id),
    )
    found = Verifier(known, now=datetime.now(UTC)).verify(token)
    assert (found.overall, failing(found)) == ("unknown", {"credentials": "unknown"})


def test_a_record_within_a_record_and_what_is_no_document_are_unknown() -> None:
    for other in (record(documents_of()), "data:application/vc+jwt,e30.e30.e30"):
        document = record(documents_of())
        document["credentialSubject"]["verifiableCredential"].append(other)
        assert failing(verified(document)) == {"credentials": "unknown"}


def test_the_credentials_of_a_record_that_nobody_signed_are_not_looked_at() -> None:
    found = VERIFIER.verify(json.dumps(record(documents_of())).encode())
    assert failing(found) == {"proof": "fail", "credentials": "unknown"}


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (("name",), "lacks name"),
        (("credentialSubject", "type"), "credentialSubject is not a ClrSubject"),
        (("credentialSubject", "id"), "credentialSubject names nobody"),
        (("credentialSubject", "verifiableCredential"), "it holds no list of credentials"),
    ],
)
def test_a_record_without_what_the_standard_requires_is_none(place: tuple[str, ...], reason: str) -> None:
    document = record(documents_of(HELD[:1]))
    document["credentialSubject"].pop("identifier", None)
    node = document
    for part in place[:-1]:
        node = node[part]
    del node[place[-1]]
    found = VERIFIER.verify(json.dumps(document).encode())
    assert [(step.name, step.reason) for step in found.steps if step.outcome == "fail"] == [("schema", reason)]
