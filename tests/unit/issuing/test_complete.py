"""A credential with all that Open Badges 3.0 has room for: true to the schemas, verified elsewhere, endorsed by who signed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from openbadgeslib.ob3.ldp import OB3LdpVerifier
from support import complete
from support.shared import shared

from credstream.documents import catalogue_documents
from credstream.rules.loader import CatalogueError
from credstream.rules.publishing import publish
from schemas.catalogue import Catalogue, pack
from schemas.codec import decode, encode
from schemas.errors import RefusedError
from schemas.events import (
    POINT,
    CatalogueAdopted,
    ClaimBody,
    ClaimedResult,
    CredentialClaimed,
    CredentialIssued,
    IdentityHash,
    RecognitionBody,
)
from schemas.ids import issuer_did
from services.issuing.credential import FORM, document, slot_values
from services.signing.endorsing import endorsement_fault
from services.signing.keys import seed_signer
from services.signing.rdf import canonical
from services.signing.shape import Shape
from streams.issuing import IssuingStage, Progress
from streams.stage import Record
from streams.wording import MARKUP, endorsement_faults, wording

AT = 1_790_000_000_000_000
DAY = 86_400_000_000
SUBJECT = "urn:uuid:00000000-0000-8000-8000-000000000001"


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return complete.catalogue(tmp_path_factory.mktemp("complete"))


def result(assessment: str, **changes: Any) -> ClaimedResult:
    given: dict[str, Any] = {
        "provider": "clinic",
        "result_id": "r",
        "revision": 0,
        "assessment": assessment,
        "completed_at": AT,
    }
    return ClaimedResult(**(given | changes))


IDENTITIES = (
    IdentityHash(
        identity_type="emailAddress",
        salt="Kosher",
        identity_hash="sha256$b5809d8a92f8858436d7e6b87c12ebc0ae1eac4baecc2c0b913aee2c922ef399",
    ),
    IdentityHash(identity_type="ext:EmployeeNumber", salt="S", identity_hash=f"sha256${'0' * 64}"),
)
RECOGNITION = RecognitionBody(
    narrative='Six years on a *ward*: "at length".', evidence_url="https://clinic.example/rpl"
)
RESULTS = (
    result("theory", score=33 * POINT, score_max=40 * POINT, evidence_url="https://clinic.example/é/1"),
    result("theory", score=41 * POINT, score_max=50 * POINT, completed_at=AT - DAY),
    result("practical", level="strong", passed=True, attempt=2),
    result("attendance", evidence_url="https://clinic.example/2"),
)


def claim(catalogue: Catalogue, *results: ClaimedResult, **changes: Any) -> CredentialClaimed:
    given: dict[str, Any] = {
        "claim_no": 0,
        "lane": 1,
        "programme": "college",
        "learner_ref": "0" * 32,
        "achievement": "patient-transfer",
        "award": 1,
        "edition": 1,
        "credential_id": "0e3b3f6e-0000-8000-8000-0000000000aa",
        "catalogue_digest": pack(catalogue)[0],
        "rule_digest": "sha256-0",
        "key_id": "credentials-1",
        "form": FORM,
        "status_list": f"{complete.BASE}/status/college/e/1/0",
        "status_index": 7,
        "claimed_at": AT,
        "awarded_at": AT,
        "valid_until": AT + 365 * DAY,
        "event_id": "e",
        "decision_no": 3,
        "caused_at": AT,
        "body": ClaimBody(
            subject_id=SUBJECT, results=results or RESULTS, identities=IDENTITIES, recognition=RECOGNITION
        ),
        "level": "distinction",
    }
    return CredentialClaimed(**(given | changes))


def issued(catalogue: Catalogue, claimed: CredentialClaimed) -> bytes:
    stage = IssuingStage({("college", "credentials-1"): complete.SIGNER})
    digest, packed = pack(catalogue)
    adopted = CatalogueAdopted(programme="college", adoption_no=1, digest=digest, catalogue=packed)

    def record(event: Any) -> Record:
        return Record(topic="t", lane=1, offset=0, appended_at=AT, key=b"k", value=encode(event))

    state = {k: v for k, v in stage.step(Progress(1, {}), {}, record(adopted)).changes.items() if v is not None}
    [output] = stage.step(Progress(1, {}), state, record(claimed)).outputs
    return decode(output.value, CredentialIssued).credential


def faults(schema: str, about: Any) -> list[str]:
    text = json.loads(shared(f"standards/data/schemas/{schema}.json").read_bytes())
    validator = jsonschema_rs.validator_for(text, validate_formats=True)
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(about)]


def test_a_credential_with_everything_meets_1edtechs_schemas(catalogue: Catalogue) -> None:
    about = json.loads(issued(catalogue, claim(catalogue)))
    assert faults("ob_v3p0_achievementcredential_schema", about) == []
    assert faults("ob_v3p0_achievementcredential_strict.derived", about) == []
    [endorsement] = about["credentialSubject"]["achievement"]["endorsement"]
    assert faults("ob_v3p0_endorsementcredential.derived", endorsement) == []
    assert faults("ob_v3p0_profile_schema", about["issuer"]) == []


def test_a_credential_with_everything_verifies_with_another_library(catalogue: Catalogue) -> None:
    known = catalogue_documents(catalogue)
    elsewhere = OB3LdpVerifier.for_issuer_did(issuer_did(complete.BASE, "college"))
    elsewhere.verify(issued(catalogue, claim(catalogue)), download=lambda url, *_a, **_k: known[url])


def test_what_the_catalogue_says_stands_in_the_credential(catalogue: Catalogue) -> None:
    about = json.loads(issued(catalogue, claim(catalogue)))
    subject = about["credentialSubject"]
    achievement = subject["achievement"]
    assert about["credentialSchema"][0]["type"] == "1EdTechJsonSchemaValidator2019"
    assert about["issuer"]["image"] == {"id": "https://college.example/logo.svg", "type": "Image"}
    assert about["issuer"]["otherIdentifier"][0]["identifierType"] == "ext:CollegeCode"
    assert (subject["activityStartDate"], subject["activityEndDate"]) == (
        "2026-09-20T14:13:20Z",
        "2026-09-21T14:13:20Z",
    )
    assert (subject["role"], subject["source"]["name"]) == ("trainee", "Clinic (fictional)")
    assert (achievement["humanCode"], achievement["version"], achievement["inLanguage"]) == ("HC-204", "2026.2", "en")
    assert [r["id"].rpartition("/achievements/")[2] for r in achievement["related"]] == [
        "college/patient-transfer/fr",
        "college/first-aid",
    ]
    assert achievement["image"]["id"] == f"{complete.BASE}/badges/college/patient-transfer.png"
    assert achievement["alignment"][0]["targetDescription"] == "Assist in the care of patients."
    assert about["evidence"][0]["narrative"] == "Assessed by Clinic (fictional) on 2026-09-21."


def test_results_of_one_assessment_on_one_scale_share_a_description(catalogue: Catalogue) -> None:
    again = (*RESULTS, result("theory", score=32 * POINT, score_max=40 * POINT))
    subject = json.loads(issued(catalogue, claim(catalogue, *again)))["credentialSubject"]
    described = {d["id"].rpartition("#")[2]: d for d in subject["achievement"]["resultDescription"]}
    assert list(described) == ["award", "theory", "theory-2", "practical", "attendance"]
    assert [(d.get("valueMax"), d.get("requiredValue")) for d in described.values()][1:] == [
        ("40", "32"),
        ("50", "40"),
        (None, None),
        (None, None),
    ]
    assert [level["description"] for level in described["practical"]["rubricCriterionLevel"]][1] == "Safe without help."
    assert described["practical"]["requiredLevel"] == described["practical"]["rubricCriterionLevel"][1]["id"]
    shown = [(r["resultDescription"].rpartition("#")[2], r.get("value")) for r in subject["result"]]
    assert shown[1:] == [
        ("theory", "33"),
        ("theory-2", "41"),
        ("practical", None),
        ("attendance", None),
        ("theory", "32"),
    ]
    assert subject["result"][3]["achievedLevel"] == described["practical"]["rubricCriterionLevel"][2]["id"]


def test_the_level_of_the_award_is_a_result(catalogue: Catalogue) -> None:
    subject = json.loads(issued(catalogue, claim(catalogue)))["credentialSubject"]
    award, reached = subject["achievement"]["resultDescription"][0], subject["result"][0]
    assert [level["name"] for level in award["rubricCriterionLevel"]] == ["pass", "distinction"]
    assert (reached["resultDescription"], reached["achievedLevel"], reached["value"]) == (
        award["id"],
        award["rubricCriterionLevel"][1]["id"],
        "distinction",
    )
    unknown = json.loads(issued(catalogue, claim(catalogue, level="of an older rule")))["credentialSubject"]
    assert unknown["result"][0]["resultDescription"].endswith("#theory")


def test_who_it_is_about_and_prior_learning_stand_in_the_credential(catalogue: Catalogue) -> None:
    about = json.loads(issued(catalogue, claim(catalogue)))
    subject = about["credentialSubject"]
    assert [known["identityType"] for known in subject["identifier"]] == ["emailAddress", "ext:EmployeeNumber"]
    assert (
        hashlib.sha256(b"a@example.com" + subject["identifier"][0]["salt"].encode()).hexdigest()
        in (subject["identifier"][0]["identityHash"])
    )
    assert (subject["narrative"], subject["creditsEarned"]) == (RECOGNITION.narrative, 1.5)
    assert about["evidence"][-1] == {
        "id": "https://clinic.example/rpl",
        "type": ["Evidence"],
        "name": "Recognition of prior learning",
    }


def test_a_result_that_was_not_passed_says_so(catalogue: Catalogue) -> None:
    shown = json.loads(issued(catalogue, claim(catalogue, result("attendance", passed=False))))["credentialSubject"]
    assert shown["result"][1]["status"] == "Failed"


def test_what_an_older_catalogue_knew_is_shown_by_its_id(catalogue: Catalogue) -> None:
    about = json.loads(issued(catalogue, claim(catalogue, result("retired-test", provider="gone"))))
    subject = about["credentialSubject"]
    assert "source" not in subject
    assert subject["achievement"]["resultDescription"][1]["name"] == "retired-test"


def test_the_compiled_form_of_an_endorsed_credential_is_the_standard_one(catalogue: Catalogue) -> None:
    words, claimed = wording(catalogue), claim(catalogue)
    shape = Shape(document(claimed, words, MARKUP))
    values = [slot_values(claimed, words)[name] for name in shape.slots]
    assert shape.canonical(values, shape.escaped(values)[1]) == canonical(shape.document(values))


def test_an_endorsement_is_embedded_while_it_holds(tmp_path: Path) -> None:
    ends = complete.catalogue(tmp_path, complete.endorsement(until="2026-09-21T14:13:20Z"))
    late = json.loads(issued(ends, claim(ends)))["credentialSubject"]["achievement"]
    early = json.loads(issued(ends, claim(ends, claimed_at=AT - 1)))["credentialSubject"]["achievement"]
    assert ("endorsement" in late, "endorsement" in early) == (False, True)


OTHER = seed_signer(bytes([8] * 32))


@pytest.mark.parametrize(
    ("signed", "said"),
    [
        (complete.endorsement(OTHER), "no partner"),
        (complete.tampered(complete.endorsement()), "does not match"),
        (complete.endorsement(endorsed=f"{complete.BASE}/achievements/college/first-aid"), "not patient-transfer"),
        (b'{"issuer": 3}', "no signed endorsement"),
    ],
    ids=["another's key", "changed", "of something else", "no endorsement"],
)
def test_a_catalogue_with_an_endorsement_that_does_not_hold_is_refused(
    tmp_path: Path, signed: bytes, said: str
) -> None:
    with pytest.raises(CatalogueError, match=said):
        complete.catalogue(tmp_path, signed)


def test_an_endorsement_that_does_not_hold_is_neither_published_nor_embedded(catalogue: Catalogue) -> None:
    bad = msgspec.structs.replace(
        catalogue,
        achievements=tuple(
            msgspec.structs.replace(a, endorsements=(complete.tampered(complete.endorsement()).decode(),))
            for a in catalogue.achievements
        ),
    )
    assert len(list(endorsement_faults(bad))) == 2
    assert "endorsement" not in json.loads(issued(bad, claim(bad)))["credentialSubject"]["achievement"]
    with pytest.raises(RefusedError, match="endorsement 1"):
        publish(None, bad)  # type: ignore[arg-type]  # refused before anything is asked of the installation


def test_each_changed_string_of_an_endorsement_is_noticed() -> None:
    signed = json.loads(complete.endorsement())

    def leaves(node: Any, path: tuple[Any, ...] = ()) -> Any:
        if isinstance(node, str):
            yield path
        elif isinstance(node, dict | list):
            for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
                yield from leaves(inner, (*path, key))

    paths = list(leaves(signed))
    assert len(paths) > 15
    for path in paths:
        changed = json.loads(complete.endorsement())
        place: Any = changed
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] += "x"
        assert endorsement_fault(changed, complete.PARTNER.public_multikey) is not None, path
    assert endorsement_fault(signed, complete.PARTNER.public_multikey) is None


def test_the_french_twin_names_its_original(catalogue: Catalogue) -> None:
    twin = json.loads(catalogue_documents(catalogue)[f"{complete.ENDORSED}/fr"])
    assert (twin["inLanguage"], twin["name"]) == ("fr", "Transfert de patients")
    assert [(r["id"], r["inLanguage"]) for r in twin["related"]] == [(complete.ENDORSED, "en")]
