"""A credential of every shape that the catalogues produce, signed as issuing signs, with all that a verifier needs."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from support import complete
from support.pipe import CATALOGUE

from credstream.demo.oulad import Oulad
from credstream.documents import catalogue_documents
from credstream.rules.loader import load
from schemas.catalogue import Achievement, Catalogue, JwtKey, Key, pack
from schemas.codec import decode, encode
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
from schemas.ids import issuer_did, jwk_url, status_list_url
from services.issuing.credential import FORM
from services.issuing.documents import verification_method
from services.issuing.formats import date_time
from services.signing.data_integrity import sign
from services.signing.keys import seed_signer
from services.signing.rsa import RsaSigner
from services.signing.shape import Shape
from services.signing.vc_jwt import sign_jwt
from services.status.credential import document as list_document
from services.status.credential import encoded
from services.status.ledger import Cadence, ListState
from streams.issuing import IssuingStage, Progress
from streams.stage import Record

SIGNER, LIST_SIGNER = seed_signer(bytes(32)), seed_signer(bytes([1] * 32))
RSA = RsaSigner(rsa.generate_private_key(65_537, 2048))
BASE = "https://credentials.pilots.example"
NOW = time.time_ns() // 1_000_000_000 * 1_000_000
"""Some of other people's verifiers have no clock but the machine's."""
HOUR, DAY = 3_600_000_000, 86_400_000_000
AT = NOW - HOUR
HOLDS, REVOKED = 7, 11
EXAMPLE = CATALOGUE.parents[1] / "examples" / "early-childhood"
EMAIL = "dana@example.ca"
KEYS = [
    Key(id="credentials-1", purpose="credentials", public_key_multibase=SIGNER.public_multikey, active_from=AT - DAY),
    Key(id="status-1", purpose="status", public_key_multibase=LIST_SIGNER.public_multikey, active_from=AT - DAY),
]
JWT_KEY = JwtKey(id="rsa-1", n=RSA.public_jwk["n"], e=RSA.public_jwk["e"], active_from=AT - DAY)
OULAD = {
    "assessments.csv": """code_module,code_presentation,id_assessment,assessment_type,date,weight
AAA,2013J,1752,TMA,19,10
AAA,2013J,1753,TMA,54,90
AAA,2013J,1757,Exam,,100
GGG,2014B,37415,CMA,222,0
GGG,2014B,37416,TMA,60,0
""",
    "studentAssessment.csv": "id_assessment,id_student,date_submitted,is_banked,score\n1752,11391,18,0,78\n",
}


@dataclass(frozen=True)
class Signed:
    """A credential, and another of the same shape whose place in the list is set. `group` is its catalogue and sector."""

    name: str
    group: str
    issuer: str
    credential: bytes
    revoked: bytes

    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.credential))

    def bytes_of(self, *, revoked: bool) -> bytes:
        return self.revoked if revoked else self.credential

    def jwt(self) -> bytes:
        """Return the credential as a VC-JWT."""
        return jwt_of(self.document())


def jwt_of(document: Mapping[str, Any]) -> bytes:
    """Return a document as a VC-JWT."""
    issuer = document["issuer"]["id"]
    programme = issuer.rpartition(":")[2]
    base = complete.BASE if programme == "college" else BASE
    return sign_jwt(document, RSA, jwk_url(base, programme, JWT_KEY.id))


@cache
def every_shape() -> list[Signed]:
    """Return one credential of each shape."""
    return [signed for catalogue in catalogues() for signed in _of(catalogue)]


def samples() -> list[Signed]:
    """Return the fullest shape of each catalogue: the one with the most to tamper with."""
    of_issuer: dict[str, list[Signed]] = {}
    for signed in every_shape():
        of_issuer.setdefault(signed.issuer, []).append(signed)
    return [max(found, key=lambda signed: len(signed.credential)) for found in of_issuer.values()]


@cache
def catalogues() -> tuple[Catalogue, ...]:
    with TemporaryDirectory() as folder:
        for name, text in OULAD.items():
            (Path(folder) / name).write_text(text)
        oulad = Oulad(Path(folder)).catalogue().build(base_url=BASE, keys=KEYS)
    with TemporaryDirectory() as folder:
        college = complete.catalogue(Path(folder))
    pilots, example = (load(folder).build(base_url=BASE, keys=KEYS) for folder in (CATALOGUE, EXAMPLE))
    found = (pilots, example, oulad, college)
    return tuple(msgspec.structs.replace(c, keys=tuple(KEYS), jwt_keys=(JWT_KEY,)) for c in found)


@cache
def documents() -> Mapping[str, bytes]:
    """Return what the credentials point to, by URL: issuers, achievements, providers, signed status lists."""
    found: dict[str, bytes] = {}
    for catalogue in catalogues():
        found |= catalogue_documents(catalogue)
        found[_list(catalogue)] = status_list(catalogue)
    return found


def _list(catalogue: Catalogue) -> str:
    return status_list_url(catalogue.base_url, catalogue.programme, "e", 1, 0)


def status_list(catalogue: Catalogue, revoked: tuple[int, ...] = (REVOKED,)) -> bytes:
    state = ListState(1, catalogue.programme, issuer_of(catalogue), "status-1", 0, revoked=revoked)
    values = (date_time(NOW - HOUR), date_time(NOW + DAY), encoded(state))
    document = list_document(_list(catalogue), state, Cadence(every=10_000_000, valid=DAY), values)
    method = verification_method(catalogue, "status-1")
    return sign(Shape(document), [], LIST_SIGNER, verification_method=method, created=date_time(NOW - HOUR))


def _of(catalogue: Catalogue) -> Iterator[Signed]:
    stage = IssuingStage({(catalogue.programme, "credentials-1"): SIGNER}, clock=lambda: 0.0)
    digest, packed = pack(catalogue)
    adopted = CatalogueAdopted(programme=catalogue.programme, adoption_no=1, digest=digest, catalogue=packed)
    taken = stage.step(Progress(1, {}), {}, _record(adopted)).changes
    state = {key: value for key, value in taken.items() if value is not None}
    for name, achievement, claimed in claims(catalogue):
        pair = []
        for index in (HOLDS, REVOKED):
            one = msgspec.structs.replace(claimed, status_index=index)
            [output] = stage.step(Progress(1, {}), state, _record(one)).outputs
            pair.append(decode(output.value, CredentialIssued).credential)
        yield Signed(name, group_of(catalogue, achievement), issuer_of(catalogue), *pair)


def claims(catalogue: Catalogue) -> Iterator[tuple[str, Achievement, CredentialClaimed]]:
    """Yield a claim of each shape, with its name and what was attained."""
    digest, _ = pack(catalogue)
    for achievement in catalogue.achievements:
        for kind, changes in _variants(catalogue, achievement).items():
            name = f"{catalogue.programme}/{achievement.id}, {kind}"
            yield name, achievement, _claim(catalogue, achievement, digest, HOLDS, changes)


def issuer_of(catalogue: Catalogue) -> str:
    return issuer_did(catalogue.base_url, catalogue.programme)


def group_of(catalogue: Catalogue, achievement: Achievement) -> str:
    """Return where a shape stands in the table of `docs/conformance.md`."""
    return f"{catalogue.programme}: {achievement.sector}" if achievement.sector else catalogue.programme


def _record(event: Any) -> Record:
    return Record(topic="t", lane=1, offset=0, appended_at=AT, key=b"k", value=encode(event))


def _variants(catalogue: Catalogue, achievement: Achievement) -> dict[str, dict[str, Any]]:
    named = set(_assessments(msgspec.to_builtins(achievement.rule)))
    used = [a for a in catalogue.assessments if a.id in named][:6]
    subject = "urn:uuid:5b1c9a52-7d0e-8a4f-9c3b-2f6e8d1a0b47"
    salted = IdentityHash(
        identity_type="emailAddress", salt="b7d1c0f2a94e4d7f", identity_hash=_hash("b7d1c0f2a94e4d7f")
    )

    def results(**given: Any) -> tuple[ClaimedResult, ...]:
        return tuple(
            ClaimedResult(
                provider=a.providers[0],
                result_id=f"r{i}",
                revision=0,
                assessment=a.id,
                completed_at=AT - DAY * i,
                level=a.levels[-1] if a.levels and given else None,
                evidence_url=f"https://evidence.example/é?a={i}" if given else None,
                **given,
            )
            for i, a in enumerate(used)
        )

    names = (salted, msgspec.structs.replace(salted, identity_type="sisSourcedId"))
    recognised = RecognitionBody(narrative="Ten years on *her* ward, « vérifiés ».", evidence_url="https://e.example/r")
    scored = results(score=71 * POINT + 500_000, score_max=100 * POINT)
    variants: dict[str, dict[str, Any]] = {
        "scores, evidence, an end": {
            "valid_until": NOW + 365 * DAY,
            "body": ClaimBody(subject_id=subject, results=scored, identities=(salted,)),
        },
        "passed" if used else "no result": {"body": ClaimBody(subject_id=subject, results=results())},
        "for prior learning": {
            "body": ClaimBody(subject_id=subject, results=(), identities=names, recognition=recognised)
        },
    }
    if achievement.rule.levels:
        level = achievement.rule.levels[-1].name
        variants["at a level"] = {
            "level": level,
            "body": ClaimBody(subject_id=subject, results=scored, identities=names),
        }
    if not used:
        del variants["scores, evidence, an end"]
    return variants


def _hash(salt: str) -> str:
    return "sha256$" + hashlib.sha256((EMAIL + salt).encode()).hexdigest()


def _assessments(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, inner in node.items():
            if name == "assessment" and isinstance(inner, str):
                yield inner
            yield from _assessments(inner)
    elif isinstance(node, list | tuple):
        for inner in node:
            yield from _assessments(inner)


def _claim(
    catalogue: Catalogue, achievement: Achievement, digest: str, index: int, changes: Mapping[str, Any]
) -> CredentialClaimed:
    given: dict[str, Any] = {
        "claim_no": 0,
        "lane": 1,
        "programme": catalogue.programme,
        "learner_ref": "0" * 32,
        "achievement": achievement.id,
        "award": 1,
        "edition": 1,
        "credential_id": "0e3b3f6e-0000-8000-8000-0000000000aa",
        "catalogue_digest": digest,
        "rule_digest": "sha256-0",
        "key_id": "credentials-1",
        "form": FORM,
        "status_list": _list(catalogue),
        "status_index": index,
        "claimed_at": AT,
        "awarded_at": AT,
        "event_id": "e",
        "decision_no": 3,
        "caused_at": AT,
    }
    return CredentialClaimed(**(given | dict(changes)))
