"""Credentials issued without a pipe, in a views database, and the workshop that makes other forms of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, insert
from support import complete

from credstream import installation as installations
from schemas.catalogue import Catalogue, JwtKey, pack
from schemas.codec import decode, encode
from schemas.events import POINT, CatalogueAdopted, ClaimBody, ClaimedResult, CredentialClaimed, CredentialIssued
from services.issuing.credential import FORM
from services.signing.rsa import RsaSigner, generate_rsa_pem, load_rsa_signer
from streams.form_store import FormStore
from streams.issuing import IssuingStage, Progress
from streams.settings import Installation
from streams.stage import Record
from streams.tables import CATALOGUE, CREDENTIAL, open_database
from streams.workshop import Workshop

AT = 1_790_000_000_000_000
DAY = 86_400_000_000
LEARNER = "0" * 32


@cache
def rsa_signer(number: int = 0) -> RsaSigner:
    """Return a signer; another number has another key."""
    del number
    _, pem = generate_rsa_pem(b"secret")
    return load_rsa_signer(pem, b"secret")


def with_jwt_key(catalogue: Catalogue, signer: RsaSigner) -> Catalogue:
    """Return the catalogue with the key published."""
    key = JwtKey(id="jwt-1", n=signer.public_jwk["n"], e=signer.public_jwk["e"])
    return msgspec.structs.replace(catalogue, jwt_keys=(key,))


def claim(catalogue: Catalogue, number: int = 0, **changes: Any) -> CredentialClaimed:
    """Return a claim of the complete catalogue's patient transfer."""
    result = ClaimedResult(
        provider="clinic",
        result_id="r",
        revision=0,
        assessment="theory",
        completed_at=AT,
        score=33 * POINT,
        score_max=40 * POINT,
        evidence_url="https://clinic.example/é/1",
    )
    given: dict[str, Any] = {
        "claim_no": number,
        "lane": 1,
        "programme": "college",
        "learner_ref": LEARNER,
        "achievement": "patient-transfer",
        "award": 1,
        "edition": 1,
        "credential_id": f"0e3b3f6e-0000-8000-8000-0000000000{number:02d}",
        "catalogue_digest": pack(catalogue)[0],
        "rule_digest": "sha256-0",
        "key_id": "credentials-1",
        "form": FORM,
        "status_list": f"{complete.BASE}/status/college/e/1/0",
        "status_index": 7,
        "claimed_at": AT,
        "awarded_at": AT,
        "event_id": "e",
        "decision_no": 3,
        "caused_at": AT,
        "body": ClaimBody(subject_id=f"urn:uuid:00000000-0000-8000-8000-0000000000{number:02d}", results=(result,)),
    }
    return CredentialClaimed(**(given | changes))


def issue(catalogue: Catalogue, claimed: CredentialClaimed) -> CredentialIssued:
    """Return the credential that the issuing stage makes of a claim."""
    stage = IssuingStage({("college", "credentials-1"): complete.SIGNER})
    digest, packed = pack(catalogue)
    adopted = CatalogueAdopted(programme="college", adoption_no=1, digest=digest, catalogue=packed)

    def record(event: Any) -> Record:
        return Record(topic="t", lane=1, offset=0, appended_at=AT, key=b"k", value=encode(event))

    state = {k: v for k, v in stage.step(Progress(1, {}), {}, record(adopted)).changes.items() if v is not None}
    before = Progress(1, {"college": claimed.claim_no - 1}) if claimed.claim_no else Progress(1, {})
    [output] = stage.step(before, state, record(claimed)).outputs
    return decode(output.value, CredentialIssued)


class Issued:
    """An installation's folder with views and a workshop."""

    def __init__(self, folder: Path) -> None:
        """Make it; nothing is issued yet."""
        self.signer = rsa_signer()
        self.place: Installation = installations.create(
            folder / "place", base_url=complete.BASE, programmes=["college"], lanes=1
        )
        (folder / "catalogue").mkdir()
        self.catalogue = with_jwt_key(complete.catalogue(folder / "catalogue"), self.signer)
        self.views: Engine = open_database(f"sqlite:///{folder / 'views.db'}")
        self.store = FormStore(folder / "forms" / "forms.db")
        self._published = AT
        self.publish(self.catalogue)

    def publish(self, catalogue: Catalogue) -> None:
        """Put a newer catalogue into the views."""
        self.catalogue, self._published = catalogue, self._published + 1
        digest, packed = pack(catalogue)
        row = {"programme": "college", "digest": digest, "published_at": self._published, "packed": packed}
        with self.views.begin() as connection:
            connection.execute(insert(CATALOGUE), [row])

    def workshop(
        self,
        published: Mapping[tuple[str, str], str] | None = None,
        signers: Mapping[tuple[str, str], RsaSigner] | None = None,
    ) -> Workshop:
        """Return a workshop, by default with the keys that issued."""
        known = {("college", "credentials-1"): complete.SIGNER.public_multikey} if published is None else published
        held = {("college", "jwt-1"): self.signer} if signers is None else signers
        return Workshop(self.place, self.views, self.store, known, held)

    def add(self, claimed: CredentialClaimed, credential: bytes | None = None) -> dict[str, Any]:
        """Put a credential into the views, and return its document."""
        found = issue(self.catalogue, claimed)
        names = [column.name for column in CREDENTIAL.columns if column.name not in {"id", "document"}]
        row = {name: getattr(found, name) for name in names}
        row |= {"id": found.credential_id, "document": credential or found.credential}
        with self.views.begin() as connection:
            connection.execute(insert(CREDENTIAL), [row])
        document: dict[str, Any] = json.loads(row["document"])
        return document
