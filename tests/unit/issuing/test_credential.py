"""What is signed is an Open Badge by 1EdTech's own schema and by an independent verifier, the same bytes each time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from openbadgeslib.ob3.ldp import OB3LdpVerifier
from openbadgeslib.ob3.verifier import OB3VerificationError
from support.pipe import CATALOGUE
from support.shared import shared

from credstream.documents import catalogue_documents
from credstream.rules.loader import load
from schemas.catalogue import Catalogue, Key, pack
from schemas.codec import decode, encode
from schemas.errors import IntegrityError
from schemas.events import POINT, CatalogueAdopted, ClaimBody, ClaimedResult, CredentialClaimed, CredentialIssued
from schemas.ids import issuer_did
from services.issuing.credential import FORM
from services.issuing.formats import date_time, decimal
from services.signing.keys import seed_signer
from services.signing.verifying import Verifier
from streams.issuing import IssuingStage, Progress
from streams.stage import Record

BASE = "https://credentials.pilots.example"
SIGNER = seed_signer(bytes(32))
KEY = Key(id="credentials-1", purpose="credentials", public_key_multibase=SIGNER.public_multikey, active_from=0)
AT = 1_790_000_000_000_000


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load(CATALOGUE).build(base_url=BASE, keys=[KEY])


def claim(catalogue: Catalogue, number: int = 0, **changes: Any) -> CredentialClaimed:
    result = ClaimedResult(
        provider="great-river-training",
        result_id="r",
        revision=0,
        assessment="site-safety-test",
        completed_at=AT,
        score=71 * POINT + 500_000,
        score_max=100 * POINT,
        evidence_url="https://evidence.example/r?a=é",
    )
    given = CredentialClaimed(
        claim_no=number,
        lane=1,
        programme="ontario-pilots",
        learner_ref="0" * 32,
        achievement="site-safety",
        award=1,
        edition=1,
        credential_id="0e3b3f6e-0000-8000-8000-0000000000aa",
        catalogue_digest=pack(catalogue)[0],
        rule_digest="sha256-0",
        key_id="credentials-1",
        form=FORM,
        status_list=f"{BASE}/status/ontario-pilots/e/1/0",
        status_index=7,
        claimed_at=AT + 999_999,
        awarded_at=AT,
        event_id="e",
        decision_no=3,
        caused_at=AT,
        body=ClaimBody(subject_id="urn:uuid:00000000-0000-8000-8000-000000000001", results=(result,)),
    )
    return msgspec.structs.replace(given, **changes)


def record(event: Any) -> Record:
    return Record(topic="t", lane=1, offset=0, appended_at=AT, key=b"k", value=encode(event))


def state_with(catalogue: Catalogue) -> dict[bytes, bytes]:
    digest, packed = pack(catalogue)
    step = STAGE.step(
        Progress(1, {}),
        {},
        record(CatalogueAdopted(programme="ontario-pilots", adoption_no=1, digest=digest, catalogue=packed)),
    )
    return {key: value for key, value in step.changes.items() if value is not None}


STAGE = IssuingStage({("ontario-pilots", "credentials-1"): SIGNER})


def issue(catalogue: Catalogue, **changes: Any) -> CredentialIssued:
    step = STAGE.step(Progress(1, {}), state_with(catalogue), record(claim(catalogue, **changes)))
    [output] = step.outputs
    return decode(output.value, CredentialIssued)


SHAPES: list[dict[str, Any]] = [
    {},
    {"valid_until": AT + 10**15},
    {"body": ClaimBody(subject_id="urn:uuid:00000000-0000-8000-8000-000000000001", results=())},
    {
        "achievement": "warehouse-safety",
        "body": ClaimBody(
            subject_id="urn:uuid:00000000-0000-8000-8000-000000000001",
            results=tuple(
                ClaimedResult(
                    provider="p",
                    result_id=f"r{i}",
                    revision=0,
                    assessment=a,
                    completed_at=AT,
                    score=s,
                    score_max=s and 40 * POINT,
                )
                for i, (a, s) in enumerate(
                    [("warehouse-safety-test", 40 * POINT), ("forklift-inspection", None), ("load-handling", None)]
                )
            ),
        ),
    },
]


@pytest.mark.parametrize("changes", SHAPES, ids=["one result", "an end", "no result", "three results"])
def test_each_shape_meets_1edtechs_schemas_and_verifies_with_two_verifiers(
    catalogue: Catalogue, changes: dict[str, Any]
) -> None:
    issued = issue(catalogue, **changes)
    document = json.loads(issued.credential)
    known = catalogue_documents(catalogue)
    verdict = Verifier(known, now=datetime.fromtimestamp(AT / 1e6 + 60, UTC)).verify(issued.credential)
    untold = {step.name for step in verdict.steps if step.outcome != "pass"}
    assert untold == {"revocation", "suspension"}  # neither the list nor the events are at hand here
    elsewhere = OB3LdpVerifier.for_issuer_did(issuer_did(BASE, "ontario-pilots"))
    elsewhere.verify(issued.credential, download=lambda url, *_a, **_k: known[url])
    for name in ("ob_v3p0_achievementcredential_schema", "ob_v3p0_achievementcredential_strict.derived"):
        schema = json.loads(shared(f"standards/data/schemas/{name}.json").read_bytes())
        faults = [
            f"{e.instance_path}: {e.message}"
            for e in jsonschema_rs.validator_for(schema, validate_formats=True).iter_errors(document)
        ]
        assert faults == []


def test_the_same_claim_gives_the_same_bytes(catalogue: Catalogue) -> None:
    again = IssuingStage({("ontario-pilots", "credentials-1"): seed_signer(bytes(32))})
    step = again.step(Progress(1, {}), state_with(catalogue), record(claim(catalogue)))
    assert decode(step.outputs[0].value, CredentialIssued) == issue(catalogue)


def test_every_changed_string_breaks_the_proof(catalogue: Catalogue) -> None:
    issued = issue(catalogue)
    document = json.loads(issued.credential)
    known = catalogue_documents(catalogue)
    ours = Verifier(known, now=datetime.fromtimestamp(AT / 1e6 + 60, UTC))
    theirs = OB3LdpVerifier.for_issuer_did(issuer_did(BASE, "ontario-pilots"))
    paths = list(leaves(document))
    assert len(paths) > 40
    for path in paths:
        changed = json.loads(issued.credential)
        place: Any = changed
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] += "x"
        text = json.dumps(changed).encode()
        assert ours.verify(text).overall != "valid", path
        untold = (
            path in {("@context", 2), ("issuer", "id")} or path[-1] == "cryptosuite" or path[0::2] == ("proof", "type")
        )
        assert "fail" in {s.outcome for s in ours.verify(text).steps} or untold, path
        with pytest.raises(OB3VerificationError):
            theirs.verify(text, download=lambda url, *_a, **_k: known[url])


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Any:
    if isinstance(node, str):
        yield path
    elif isinstance(node, dict | list):
        for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(inner, (*path, key))


def test_numbers_follow_each_other_and_repeats_are_known(catalogue: Catalogue) -> None:
    state = state_with(catalogue)
    first = STAGE.step(Progress(1, {}), state, record(claim(catalogue)))
    state |= {k: v for k, v in first.changes.items() if v is not None}
    assert STAGE.step(first.lane, state, record(claim(catalogue))).outputs == ()
    with pytest.raises(IntegrityError, match="another content"):
        STAGE.step(first.lane, state, record(claim(catalogue, status_index=8)))
    with pytest.raises(IntegrityError, match="claims are missing"):
        STAGE.step(first.lane, state, record(claim(catalogue, 2)))
    second = STAGE.step(first.lane, state, record(claim(catalogue, 1)))
    again = STAGE.restored(1, {k: v for k, v in STAGE.kept(first.lane, second.lane).items() if v})
    assert again.last == second.lane.last


def test_scores_and_dates_are_exact() -> None:
    assert [decimal(n) for n in (0, 1, 500_000, 71_500_000, 100 * POINT)] == ["0", "0.000001", "0.5", "71.5", "100"]
    assert date_time(AT + 999_999) == "2026-09-21T14:13:20Z"
