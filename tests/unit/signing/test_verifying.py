"""The verifier calls valid only what the issuer signed, reads as it was signed, and still holds; anything else is an answer too."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from support.badges import DID, DID_URL, DOCUMENTS, LIST, METHOD, NOW, REVOKED, SIGNER, badge, did_document, signed

from services.signing.data_integrity import sign
from services.signing.plain import MAX_DEPTH, MAX_VALUES, UnsignableError
from services.signing.rdf import canonical
from services.signing.shape import Shape
from services.signing.verdict import Verdict
from services.signing.verifying import Verifier

CREDENTIAL = "https://www.w3.org/2018/credentials#"
GOOD, GONE, PAST = signed(badge()), signed(badge(REVOKED)), signed(badge(until="2026-04-01T00:00:00Z"))


def copied(document: dict[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    return copy


def verdict(document: dict[str, Any] | bytes, documents: dict[str, bytes] = DOCUMENTS) -> Verdict:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Verifier(documents, now=NOW, is_suspended=lambda _: False).verify(data)


def outcomes(found: Verdict) -> dict[str, str]:
    return {step.name: step.outcome for step in found.steps if step.outcome != "pass"}


def test_a_good_one_is_valid_a_revoked_or_past_one_is_not() -> None:
    assert verdict(GOOD).overall == "valid"
    assert outcomes(verdict(GONE)) == {"revocation": "fail"}
    assert outcomes(verdict(PAST)) == {"dates": "fail"}


def under_its_address(document: dict[str, Any], name: str) -> None:
    document[CREDENTIAL + name] = document.pop(name)


def typed_address(document: dict[str, Any]) -> None:
    value = {"@value": document.pop("validUntil"), "@type": "http://www.w3.org/2001/XMLSchema#dateTime"}
    document[CREDENTIAL + "validUntil"] = value


def included(document: dict[str, Any]) -> None:
    moved = {"id": document["id"], "type": document["type"], "credentialStatus": document.pop("credentialStatus")}
    document["@included"] = [moved]


def aliased(document: dict[str, Any]) -> None:
    document["@context"].append({"x": CREDENTIAL + "credentialStatus"})
    document["x"] = document.pop("credentialStatus")


@pytest.mark.parametrize(
    ("document", "respell"),
    [
        (GONE, lambda d: under_its_address(d, "credentialStatus")),
        (PAST, typed_address),
        (GONE, included),
        (GONE, aliased),
    ],
    ids=["status as an address", "end as an address", "status in another object", "status under an alias"],
)
def test_the_same_quads_in_json_that_reads_otherwise_are_refused(
    document: dict[str, Any], respell: Callable[[dict[str, Any]], None]
) -> None:
    changed = copied(document)
    respell(changed)
    assert "fail" in outcomes(verdict(changed)).values()


def test_a_part_does_not_speak_for_the_whole() -> None:
    """The subject has the credential's id, so JSON-LD takes what the subject says of itself as the credential's."""
    document = badge(REVOKED)
    document["credentialSubject"]["id"] = document["id"]
    changed = signed(document)
    assert outcomes(verdict(changed)) == {"revocation": "fail"}
    subject = changed["credentialSubject"]
    subject["type"] = [*subject["type"], "VerifiableCredential", "OpenBadgeCredential"]
    changed["type"] = [*changed["type"], "AchievementSubject"]
    subject["credentialStatus"] = changed.pop("credentialStatus")
    assert outcomes(verdict(changed)) == {"schema": "fail"}


EXTRA: list[tuple[str, Any]] = [
    ("evidence", [*badge()["evidence"], {"id": "https://a b", "type": ["Evidence"], "name": "PhD"}]),
    ("evidence", [*badge()["evidence"], {"id": "https://a<b", "type": ["Evidence"], "name": "PhD"}]),
    ("evidence", [*badge()["evidence"], {"id": "https://a\u00a0b", "type": ["Evidence"], "name": "PhD"}]),
    ("evidence", [*badge()["evidence"], {"id": "https://a\n", "type": ["Evidence"], "name": "PhD"}]),
    ("evidence", [*badge()["evidence"], {"id": "relative", "type": ["Evidence"], "name": "PhD"}]),
    ("evidence", [*badge()["evidence"], "https://a b"]),
    ("description", {"@value": None, "@language": "cum-laude"}),
    ("honours", "summa cum laude"),
    ("@honours", "summa cum laude"),
    ("@index", "summa cum laude"),
    ("@graph", []),
    ("@reverse", {}),
    ("type", [*badge()["type"], "NoSuchType"]),
]


@pytest.mark.parametrize(("name", "value"), EXTRA, ids=lambda v: str(v)[-40:])
def test_what_was_added_unsigned_is_refused(name: str, value: Any) -> None:
    assert outcomes(verdict({**copied(GOOD), name: value})) == {"proof": "fail"}


def test_what_stands_as_a_proof_and_has_no_type_is_refused() -> None:
    document = signed(badge())
    assert verdict(document).overall == "valid"
    assert verdict({**document, "proof": [*document["proof"], {}]}).overall == "invalid"


def test_a_context_that_makes_terms_mean_nothing_is_refused() -> None:
    changed = copied(GOOD)
    changed["credentialSubject"] |= {"@context": {"honours": None}, "honours": "summa cum laude"}
    assert outcomes(verdict(changed)) == {"proof": "fail"}
    changed = copied(GOOD)
    changed["proof"][0]["@context"] = {"honours": None}
    assert outcomes(verdict(changed)) == {"proof": "fail"}


def test_quads_do_not_hide_in_a_language_tag() -> None:
    document = {**badge(), "name": "porter", "description": {"@value": "moves", "@language": "en"}}
    changed = signed(document)
    line = '<https://issuer.example/credentials/1> <https://schema.org/name> "porter"'
    assert f"{line} .\n".encode() in canonical(document)
    del changed["name"]
    changed["description"]["@language"] = f"en .\n{line}"
    assert outcomes(verdict(changed)) == {"proof": "fail"}
    with pytest.raises(UnsignableError, match="language"):
        canonical({name: value for name, value in changed.items() if name != "proof"})


@pytest.mark.parametrize("datatype", ["http://www.w3.org/2001/XMLSchema#double", "https://a<b"])
def test_a_literal_whose_type_libraries_read_in_other_ways_is_refused(datatype: str) -> None:
    with pytest.raises(UnsignableError, match="typ"):
        canonical({**badge(), "name": {"@value": "5.0", "@type": datatype}})


def nested(opening: str, inner: str, closing: str, depth: int) -> bytes:
    return json.dumps(GOOD).encode()[:-1] + f',"description":{opening * depth}{inner}{closing * depth}}}'.encode()


@pytest.mark.parametrize(
    "data",
    [
        nested("[", "", "]", MAX_DEPTH + 1),
        nested("[", "", "]", 900),
        nested("[", "", "]", 100_000),
        nested('{"description":', "1", "}", 900),
        nested('{"type":[', "", "]}", 400),
        json.dumps({**GOOD, "evidence": ["urn:x:y"] * MAX_VALUES}).encode(),
        json.dumps({**GOOD, "description": 10**400}).encode(),
        json.dumps(GOOD).encode()[:-1] + b',"description":1e999}',
        json.dumps({**GOOD, "description": {"@value": "x", "@language": "a b"}}).encode(),
        json.dumps(
            {**GOOD, "description": {"@value": "5", "@type": "http://www.w3.org/2001/XMLSchema#double"}}
        ).encode(),
        json.dumps({**GOOD, "description": "\ud800"}).encode(),
        json.dumps({**GOOD, "description": "\ud800"}).encode("utf-16"),
        json.dumps({**GOOD, "type": [{"a": 1}, *GOOD["type"]]}).encode(),
        json.dumps({**GOOD, "@context": [*GOOD["@context"], ["x"], None, 5]}).encode(),
        json.dumps({**GOOD, "credentialStatus": {**GOOD["credentialStatus"], "statusListIndex": "8" * 5_000}}).encode(),
        json.dumps({**GOOD, "credentialStatus": {**GOOD["credentialStatus"], "statusListIndex": "٨"}}).encode(),
        json.dumps({**GOOD, "proof": [{**GOOD["proof"][0], "created": 5}]}).encode(),
        json.dumps({**GOOD, "proof": ["x"]}).encode(),
        json.dumps({**GOOD, "id": 5}).encode(),
        b"",
        b"\xff",
        b"[]",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
    ],
    ids=range(24),
)
def test_whatever_the_bytes_are_the_answer_is_no(data: bytes) -> None:
    assert verdict(data).overall == "invalid"


def test_a_reason_can_be_shown_on_any_terminal() -> None:
    for text in ("did:web:\x1b[2Jissuer.example\n\u202e", "did:web:" + "x" * 10_000):
        found = verdict(signed({**badge(), "issuer": "urn:x:y"}) | {"issuer": text})
        assert all(step.reason.isprintable() and len(step.reason) <= 300 for step in found.steps)


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ({"expires": "2026-06-01T00:00:01Z"}, None),
        ({"expires": "2026-06-01T00:00:00Z"}, "fail"),
        ({"expires": "soon"}, "fail"),
        ({"created": None}, None),
        ({"created": "yesterday"}, "fail"),
        ({"created": "2026-02-30T10:00:00Z"}, "fail"),
        ({"proofPurpose": "authentication"}, "fail"),
        ({"previousProof": "urn:x:y"}, "unknown"),
        ({"cryptosuite": "ecdsa-rdfc-2019"}, "unknown"),
    ],
    ids=str,
)
def test_a_proof_holds_by_its_own_statements(options: dict[str, Any], outcome: str | None) -> None:
    assert outcomes(verdict(signed(badge(), **options))) == ({"proof": outcome} if outcome else {})


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"expires": "2027-01-01T00:00:00Z"}, True),
        ({"expires": "2026-03-01T10:00:01Z"}, True),
        ({"expires": "2026-03-01T10:00:00Z"}, False),
        ({"expires": True}, False),
        ({"revoked": "2027-01-01T00:00:00Z"}, True),
        ({"revoked": "2026-05-01T00:00:00Z"}, False),
        ({"revoked": True}, False),
        ({"type": "JsonWebKey"}, False),
        ({"controller": "did:web:other.example"}, False),
        ({"id": f"{DID}#key-2"}, False),
    ],
    ids=str,
)
def test_a_key_is_the_issuers_and_valid_when_it_signed(changes: dict[str, Any], holds: bool) -> None:
    found = outcomes(verdict(GOOD, {**DOCUMENTS, DID_URL: did_document(**changes)}))
    assert ("key" not in found) == holds


def test_a_key_embedded_in_the_document_is_judged_like_any_other() -> None:
    key = {"id": METHOD, "type": "Multikey", "controller": DID, "publicKeyMultibase": SIGNER.public_multikey}
    for changes, wanted in (({}, "valid"), ({"revoked": "2026-01-01T00:00:00Z"}, "invalid")):
        document = json.dumps({"id": DID, "assertionMethod": [{**key, **changes}]}).encode()
        assert verdict(GOOD, {**DOCUMENTS, DID_URL: document}).overall == wanted


def test_a_key_not_listed_for_assertions_or_listed_twice_is_not_the_issuers() -> None:
    entry = {"id": METHOD, "type": "Multikey", "controller": DID, "publicKeyMultibase": SIGNER.public_multikey}
    for document in (
        {"id": DID, "verificationMethod": [entry], "authentication": [METHOD]},
        {"id": DID, "verificationMethod": [entry], "assertionMethod": [f"{DID}#key-2"]},
        {
            "id": DID,
            "verificationMethod": [entry, {**entry, "revoked": "2026-01-01T00:00:00Z"}],
            "assertionMethod": [METHOD],
        },
    ):
        assert outcomes(verdict(GOOD, {**DOCUMENTS, DID_URL: json.dumps(document).encode()}))["key"] == "fail"


@pytest.mark.parametrize("created", ["yesterday", '2026-03-01T10:00:00Z"', "2026-03-01", "٢026-03-01T10:00:00Z", ""])
def test_nothing_is_signed_with_a_date_that_is_none(created: str) -> None:
    with pytest.raises(UnsignableError):
        sign(Shape(badge()), [], SIGNER, verification_method=METHOD, created=created)


@pytest.mark.parametrize("missing", [DID_URL, LIST])
def test_what_is_not_at_hand_is_unknown_and_not_invalid(missing: str) -> None:
    assert verdict(GOOD, {url: data for url, data in DOCUMENTS.items() if url != missing}).overall == "unknown"


def test_what_is_not_read_here_is_unknown_and_not_invalid() -> None:
    message = badge()
    message["credentialStatus"]["statusPurpose"] = "message"
    assert outcomes(verdict(signed(message))) == {"revocation": "unknown"}
    assert outcomes(verdict({**GOOD, "proof": GOOD["proof"] * 9})) == {"proof": "unknown"}
    further = copied(GOOD)
    further["@context"].append("https://elsewhere.example/context")
    assert outcomes(verdict(further)) == {"proof": "unknown"}
    older = copied(GOOD)
    older["@context"][1] = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.2.json"
    assert outcomes(verdict(older)) == {"context": "unknown"}


@pytest.mark.parametrize("days", [-2, 2])
def test_a_list_too_old_or_too_new_says_nothing(days: int) -> None:
    later = Verifier(DOCUMENTS, now=NOW + timedelta(days=days), is_suspended=lambda _: False)
    found = later.verify(json.dumps(GOOD).encode())
    assert outcomes(found) == {"revocation": "unknown"}
