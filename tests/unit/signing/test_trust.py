"""Keys in their time and for their purpose, suspensions, recipients, endorsements, several proofs: what else a verdict rests on."""

from __future__ import annotations

import copy
import hashlib
import json
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from support import complete, shapes
from support.badges import DID, DOCUMENTS, METHOD, NOW, REVOKED, SIGNER, badge, signed

from credstream.trust import Trust, key_terms
from schemas.catalogue import Key
from services.signing.endorsing import did_key, did_key_method
from services.signing.issuers import COMPROMISED, KeyTerm
from services.signing.keys import seed_signer
from services.signing.recipient import recipient_step
from services.signing.verdict import Verdict
from services.signing.verifying import Verifier

BEFORE, MADE, AFTER = (datetime(2026, 3, 1, 10, 0, second, tzinfo=UTC) for second in (0, 0, 1))


def told(found: Verdict) -> dict[str, str]:
    return {step.name: step.outcome for step in found.steps if step.outcome != "pass"}


def verdict(document: Any, **given: Any) -> Verdict:
    given.setdefault("is_suspended", lambda _: False)
    recipient = given.pop("recipient", None)
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Verifier(given.pop("documents", DOCUMENTS), now=NOW, **given).verify(data, recipient=recipient)


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"active_from": MADE}, True),
        ({"active_from": AFTER}, False),
        ({"active_until": AFTER}, True),
        ({"active_until": MADE}, False),
        ({"purpose": "status"}, False),
        ({"is_compromised": True}, False),
    ],
    ids=str,
)
def test_a_key_signs_in_its_time_and_for_its_purpose(changes: dict[str, Any], holds: bool) -> None:
    term = KeyTerm(**{"purpose": "credentials", "active_from": BEFORE, **changes})
    found = verdict(signed(badge()), terms={METHOD: term})
    assert (told(found).get("key") != "fail") == holds


def test_a_compromised_key_is_said_to_be_one_with_what_was_issued_anew_even_when_no_document_has_it_any_more() -> None:
    lost = {METHOD: KeyTerm(purpose="credentials", active_from=BEFORE, is_compromised=True)}
    given = signed(badge())
    anew = verdict(given, terms=lost, reissued_as={given["id"]: "https://a.example/credentials/2"}.get)
    assert {s.name: s.reason for s in anew.steps}[
        "key"
    ] == f"{COMPROMISED}; the credential was issued anew as https://a.example/credentials/2"
    assert anew.overall == "invalid"
    alone = verdict(given, terms=lost, reissued_as=lambda _: None)
    assert {s.name: s.reason for s in alone.steps}["key"] == COMPROMISED


def test_a_jwt_says_not_when_it_was_made_so_the_times_of_its_key_do_not_matter_and_a_compromise_does() -> None:
    [pilots, *_] = shapes.catalogues()
    late = msgspec.structs.replace(
        shapes.JWT_KEY, active_from=shapes.AT + shapes.DAY, active_until=shapes.AT + shapes.DAY
    )
    [term] = [t for name, t in key_terms([msgspec.structs.replace(pilots, jwt_keys=(late,))]).items() if "#rsa" in name]
    assert (term.active_from.year, term.active_until, term.is_compromised) == (1970, None, False)
    lost = msgspec.structs.replace(pilots, jwt_keys=(msgspec.structs.replace(late, compromised_at=1),))
    [term] = [t for name, t in key_terms([lost]).items() if "#rsa" in name]
    assert term.is_compromised


def test_terms_come_from_the_catalogue() -> None:
    [pilots, *_] = shapes.catalogues()
    term = key_terms([pilots])[f"did:web:credentials.pilots.example:programmes:{pilots.programme}#status-1"]
    assert (term.purpose, term.active_from) == ("status", datetime.fromtimestamp((shapes.AT - shapes.DAY) / 1e6, UTC))
    assert isinstance(pilots.keys[0], Key)


@pytest.mark.parametrize(("answer", "outcome"), [(True, "fail"), (False, None), (None, "unknown")])
def test_a_suspension_is_told_by_the_issuer_and_not_told_without_it(answer: bool | None, outcome: str | None) -> None:
    found = verdict(signed(badge()), is_suspended=lambda _: answer)
    assert told(found).get("suspension") == outcome
    assert found.overall == ("invalid" if answer else "valid")


def test_an_installation_tells_suspensions_of_its_own_credentials_alone() -> None:
    trust = Trust(
        documents={}, told_of="https://a.example/credentials/", suspended=frozenset({"https://a.example/credentials/1"})
    )
    asked = ["https://a.example/credentials/1", "https://a.example/credentials/2", "https://b.example/credentials/1"]
    assert [trust.is_suspended(name) for name in asked] == [True, False, None]


def test_a_list_of_suspensions_is_read_as_one() -> None:
    suspended = badge(REVOKED)
    suspended["credentialStatus"]["statusPurpose"] = "suspension"
    assert told(verdict(signed(suspended))) == {"suspension": "unknown"}  # the list at hand is of revocations


SALT = "b7d1c0f2a94e4d7f"


def identity(kind: str = "emailAddress", text: str = "dana@example.ca", **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256((text + SALT).encode()).hexdigest()
    given = {
        "type": "IdentityObject",
        "hashed": True,
        "identityHash": f"sha256${digest}",
        "identityType": kind,
        "salt": SALT,
    }
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("identifiers", "claimed", "outcome"),
    [
        ([identity()], "email:dana@example.ca", "pass"),
        ([identity()], "email: Dana@Example.CA ", "pass"),
        ([identity()], "emailAddress:dana@example.ca", "pass"),
        ([identity()], "email:bob@example.ca", "fail"),
        ([identity()], "studentId:17", "unknown"),
        ([identity("systemId", "17"), identity()], "email:dana@example.ca", "pass"),
        (
            [identity(identityHash=identity()["identityHash"].upper().replace("SHA256", "sha256"))],
            "email:dana@example.ca",
            "pass",
        ),
        ([identity(hashed=False, salt=None, identityHash="dana@example.ca")], "email:dana@example.ca", "pass"),
        ([identity(hashed=False, salt=None, identityHash="bob@example.ca")], "email:dana@example.ca", "fail"),
        ([identity(identityHash="md5$" + "0" * 32)], "email:dana@example.ca", "unknown"),
        ([identity(salt=5)], "email:dana@example.ca", "unknown"),
        ([identity(hashed="yes")], "email:dana@example.ca", "unknown"),
        ([], "email:dana@example.ca", "unknown"),
        ([identity()], "dana@example.ca", "unknown"),
        ([identity()], "email:", "unknown"),
        ([identity()], "email:" + "x" * 5_000, "unknown"),
        ([identity()], "email:\ud800", "fail"),
        ([], "urn:uuid:1", "pass"),
        ([], "urn:uuid:2", "fail"),
    ],
)
def test_whose_it_is_is_told_by_id_or_salted_hash(identifiers: list[Any], claimed: str, outcome: str) -> None:
    subject = {"id": "urn:uuid:1", "identifier": identifiers}
    assert recipient_step(subject, claimed).outcome == outcome


def test_the_check_value_of_the_standard() -> None:
    """SHA-256 of a@example.com and the salt Kosher, as Open Badges print it."""
    known = {
        "type": "IdentityObject",
        "hashed": True,
        "identityType": "emailAddress",
        "salt": "Kosher",
        "identityHash": "sha256$b5809d8a92f8858436d7e6b87c12ebc0ae1eac4baecc2c0b913aee2c922ef399",
    }
    assert recipient_step({"identifier": [known]}, "email:a@example.com").outcome == "pass"


def test_another_person_is_no_holder_and_nobody_asked_is_no_step() -> None:
    document = badge()
    document["credentialSubject"]["identifier"] = [identity()]
    assert told(verdict(signed(document), recipient="email:bob@example.ca")) == {"recipient": "fail"}
    assert "recipient" not in {step.name for step in verdict(signed(document)).steps}


PARTNER = seed_signer(bytes([7] * 32))
ACHIEVEMENT = "https://issuer.example/achievements/spt"


def endorsed(*endorsements: Any, place: str = "achievement") -> dict[str, Any]:
    document = badge()
    where = {
        "achievement": document["credentialSubject"]["achievement"],
        "credential": document,
        "issuer": document["issuer"],
    }
    where[place]["endorsement"] = list(endorsements)
    return signed(document)


def endorsement(**given: Any) -> dict[str, Any]:
    return dict(json.loads(complete.endorsement(**{"endorsed": ACHIEVEMENT, **given})))


def test_an_endorsement_by_a_partners_own_key_holds() -> None:
    found = verdict(endorsed(endorsement()))
    assert found.overall == "valid"
    [step] = [step for step in found.steps if step.name == "endorsements"]
    assert (step.outcome, did_key(PARTNER.public_multikey) in step.reason) == ("pass", True)


@pytest.mark.parametrize(("place", "about"), [("credential", "https://issuer.example/credentials/1"), ("issuer", DID)])
def test_a_credential_and_an_issuer_can_be_endorsed(place: str, about: str) -> None:
    assert verdict(endorsed(endorsement(endorsed=about), place=place)).overall == "valid"


def changed(path: str, value: Any) -> dict[str, Any]:
    document = endorsement()
    *parents, last = path.split("/")
    node: Any = document
    for name in parents:
        node = node[int(name)] if isinstance(node, list) else node[name]
    node[last] = value
    return document


@pytest.mark.parametrize(
    ("one", "outcome"),
    [
        (endorsement(), None),
        (changed("credentialSubject/endorsementComment", "We hire for this."), "fail"),
        (changed("issuer/name", "Another"), "fail"),
        (changed("proof/0/verificationMethod", METHOD), "fail"),
        (changed("credentialSubject/id", "https://issuer.example/achievements/other"), "fail"),
        (changed("type", ["VerifiableCredential", "OpenBadgeCredential"]), "fail"),
        (changed("proof", []), "fail"),
        (endorsement(endorsed="https://issuer.example/achievements/other"), "fail"),
        (endorsement(until="2026-05-01T00:00:00Z"), "unknown"),
        (changed("issuer/id", "did:web:partner.example"), "unknown"),
    ],
    ids=["good", "comment", "name", "key", "subject", "type", "unsigned", "of another", "ended", "unknown signer"],
)
def test_a_broken_endorsement_fails_one_that_ended_or_is_of_nobody_known_takes_nothing(
    one: Any, outcome: str | None
) -> None:
    found = verdict(endorsed(one))
    assert told(found).get("endorsements") == outcome
    assert found.overall == ("invalid" if outcome == "fail" else "valid")


def test_one_endorsement_twice_has_the_canonical_form_of_every_other_implementation() -> None:
    """Its proofs look alike, each in a graph of its own: the place where implementations of RDFC-1.0 were found to differ."""
    document = badge()
    twice = endorsement(endorsed="https://issuer.example/credentials/1")
    document["endorsement"] = [twice]
    document["credentialSubject"]["achievement"]["endorsement"] = [copy.deepcopy(twice)]
    assert verdict(signed(document)).overall == "valid"


def test_endorsements_that_nobody_signed_for_cost_nothing() -> None:
    heavy = {**endorsement(), "evidence": [{"id": f"urn:x:{n}", "type": ["Evidence"]} for n in range(500)]}
    document = {**endorsed(endorsement()), "endorsement": [{**heavy, "id": f"urn:y:{n}"} for n in range(20)]}
    began = time.process_time()
    assert told(verdict(document)) == {"proof": "fail", "endorsements": "unknown"}
    assert time.process_time() - began < 5


def test_each_proof_of_a_set_is_judged_alone_and_one_bad_one_spoils_all() -> None:
    good, other = signed(badge()), signed(badge(), created="2026-03-01T10:00:01Z")
    both = {**good, "proof": [*good["proof"], *other["proof"]]}
    assert verdict(both).overall == "valid"
    spoilt = copy.deepcopy(both)
    spoilt["proof"][1]["proofValue"] = good["proof"][0]["proofValue"]
    assert told(verdict(spoilt)) == {"proof": "fail"}
    foreign = {**good["proof"][0], "verificationMethod": did_key_method(PARTNER.public_multikey)}
    assert told(verdict({**good, "proof": [*good["proof"], foreign]})) == {"key": "fail"}
    unread = {"type": "DataIntegrityProof", "cryptosuite": "bbs-2023", "proofValue": "u0"}
    assert verdict({**good, "proof": [unread, *good["proof"]]}).overall == "valid"
    assert told(verdict({**good, "proof": [unread]})) == {"proof": "unknown"}


def test_an_issuer_that_is_a_key_is_known_by_nobody_yet_its_proof_is_judged() -> None:
    """The proof's own method is of the issuer that signs; whose key it is, a did:key does not say."""
    document = {**badge(), "issuer": {"id": did_key(SIGNER.public_multikey), "type": ["Profile"]}}
    del document["credentialStatus"]
    whole = signed(document, verificationMethod=did_key_method(SIGNER.public_multikey))
    assert told(verdict(whole)) == {"issuer": "unknown"}
    assert told(verdict({**whole, "name": "Another"})) == {"issuer": "unknown", "proof": "fail"}


@pytest.mark.parametrize("values", [1_900, 2_100, 60_000])
def test_the_cost_of_a_document_is_bounded(values: int) -> None:
    document = {**signed(badge()), "evidence": [{"id": f"urn:x:{n}", "type": ["Evidence"]} for n in range(values // 4)]}
    began = time.process_time()
    assert verdict(document).overall == "invalid"
    assert time.process_time() - began < 10
