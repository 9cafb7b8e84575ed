"""Makes other forms of what was issued, and signs nothing that was not.

Each credential's own proof is verified first, with keys that this installation itself published, whatever the database says.
"""

from __future__ import annotations

import json
import re
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Engine, Row, desc, select

from schemas.catalogue import Catalogue, JwtKey, unpack
from schemas.errors import IntegrityError, UnavailableError
from schemas.ids import credential_url, issuer_did, jwk_url
from services.forms.badge_image import badge_svg, png
from services.forms.baking import bake_png, bake_svg
from services.forms.certificate import certificate_pdf
from services.forms.transcript import transcript_pdf
from services.forms.words import Language
from services.issuing.learner_record import learner_record, record_id
from services.signing.badge import parsed
from services.signing.data_integrity import CRYPTOSUITE, proof_fault
from services.signing.generic import Canonicaliser
from services.signing.rsa import RsaSigner
from services.signing.schedule import in_force
from services.signing.vc_jwt import sign_jwt
from streams.form_store import Form, FormName, FormStore, RecordForm
from streams.settings import Installation
from streams.tables import CATALOGUE, CREDENTIAL, CREDENTIAL_STATUS

_TYPES: Final = {
    "jwt": "text/plain; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
}
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_GONE: Final = frozenset({"revoked", "suspended"})


class Workshop:
    """Makes a form once; later ones are the kept bytes."""

    def __init__(
        self,
        installation: Installation,
        views: Engine,
        store: FormStore,
        published: Mapping[tuple[str, str], str],
        signers: Mapping[tuple[str, str], RsaSigner],
    ) -> None:
        """Read credentials from the views.

        Args:
            installation: Whose credentials these are.
            views: The database of the views.
            store: Where forms are kept.
            published: The public keys that sign credentials, by programme and key id: from this installation's own folder.
            signers: The keys that sign JWTs, by programme and key id.
        """
        self._installation, self._views, self._store = installation, views, store
        self._published, self._signers = published, signers
        self._canonicaliser = Canonicaliser()
        self._making = threading.Lock()

    def form(self, credential_id: str, form: FormName, language: Language) -> Form | None:
        """Return a form of a credential, or None when there is no such credential.

        Raises:
            IntegrityError: What stands in the database was not issued here.
            UnavailableError: No key signs JWTs yet.
        """
        language = "en" if form == "jwt" else language  # a JWT says what the credential says, in its language
        kept = self._kept(credential_id, form, language)
        if kept is not None or not _UUID.fullmatch(credential_id):
            return kept
        row = self._one(select(CREDENTIAL).where(CREDENTIAL.c.id == credential_id))
        if row is None:
            return None
        with self._making:
            document = self._issued(row)
            body = self._make(form, row, document, language)
        return self._store.keep(credential_id, form, language, Form(body, _TYPES[form]))

    def record(self, programme: str, learner_ref: str, form: RecordForm, language: Language) -> Form | None:
        """Return a learner's record of the credentials that hold now, or None when none does.

        Raises:
            IntegrityError: What stands in the database was not issued here.
            UnavailableError: No key signs JWTs yet.
        """
        joined = CREDENTIAL.outerjoin(CREDENTIAL_STATUS, CREDENTIAL.c.id == CREDENTIAL_STATUS.c.credential_id)
        mine = (CREDENTIAL.c.programme == programme) & (CREDENTIAL.c.learner_ref == learner_ref)
        found = self._all(
            select(CREDENTIAL, CREDENTIAL_STATUS.c.status)
            .select_from(joined)
            .where(mine)
            .order_by(CREDENTIAL.c.awarded_at, CREDENTIAL.c.id)
        )
        replaced = {row.supersedes for row in found}
        rows = [row for row in found if row.status not in _GONE and row.id not in replaced]
        if not rows:
            return None
        name = record_id([row.document for row in rows])
        language = "en" if form == "jwt" else language
        kept = self._kept(name, form, language)
        if kept is not None:
            return kept
        with self._making:
            documents = [self._issued(row) for row in rows]
            catalogue = self._newest(programme)
            record = learner_record([row.document for row in rows], documents, catalogue)
        signed = self._store.keep(name, "jwt", "en", Form(self._jwt(record, catalogue), _TYPES["jwt"]))
        if form == "jwt":
            return signed
        with self._making:
            printed = transcript_pdf(signed.body, documents, catalogue, record["id"], language)
        return self._store.keep(name, form, language, Form(printed, _TYPES[form]))

    def _kept(self, name: str, form: str, language: Language) -> Form | None:
        """Return what is kept; what a compromised key signed is forgotten, and so made anew with another one."""
        token = self._store.find(name, "jwt", "en")
        if token is not None and self._is_lost(token.body):
            self._store.forget([name])
        return self._store.find(name, form, language)

    def _is_lost(self, token: bytes) -> bool:
        """Say whether the key that signed a JWT of ours is compromised, by the newest catalogue."""
        kid = str(json.loads(urlsafe_b64decode(token.partition(b".")[0] + b"=="))["kid"])
        start, _, key_id = kid.rpartition("/keys/")
        catalogue = self._newest(start.rpartition("/")[2])
        return any(key.id == key_id and key.compromised_at is not None for key in catalogue.jwt_keys)

    def _make(self, form: FormName, row: Row[Any], document: Mapping[str, Any], language: Language) -> bytes:
        catalogue = self._catalogue(row.programme, row.catalogue_digest)
        said = document["credentialSubject"]["achievement"]
        achievement = catalogue.achievement(said["id"].rpartition("/")[2])
        if achievement is None or (achievement.name, catalogue.version) != (said["name"], said["version"]):
            raise IntegrityError(
                f"credential {row.id}: {row.catalogue_digest} is not the catalogue by which it was issued"
            )
        makers: Mapping[FormName, Callable[[], bytes]] = {
            "jwt": lambda: self._jwt(document, self._newest(row.programme)),
            "svg": lambda: bake_svg(badge_svg(catalogue, achievement, language), row.document),
            "png": lambda: bake_png(png(badge_svg(catalogue, achievement, language)), row.document),
            "pdf": lambda: certificate_pdf(row.document, document, catalogue, achievement, language),
        }
        return makers[form]()

    def _jwt(self, document: Mapping[str, Any], catalogue: Catalogue) -> bytes:
        """Sign with the published key that is in force: a key that verifiers cannot find signs nothing."""
        now = time.time_ns() // 1000
        held = [key for key in catalogue.jwt_keys if self._holds(catalogue.programme, key)]
        key = in_force(held, now)
        if key is None:
            raise UnavailableError(
                f"{catalogue.programme} publishes no JWT key that is at hand here and in force; "
                "make one with `credstream keys rotate --purpose jwt`"
            )
        kid = jwk_url(catalogue.base_url, catalogue.programme, key.id)
        return sign_jwt(document, self._signers[catalogue.programme, key.id], kid)

    def _holds(self, programme: str, key: JwtKey) -> bool:
        signer = self._signers.get((programme, key.id))
        return signer is not None and signer.public_jwk["n"] == key.n

    def _issued(self, row: Row[Any]) -> Mapping[str, Any]:
        """Return a credential's document once its own proof says that it was issued here.

        Raises:
            IntegrityError: It was not.
        """
        document = parsed(row.document)
        fault = document if isinstance(document, str) else self._fault(row, document)
        if fault is not None or isinstance(document, str):
            raise IntegrityError(f"credential {row.id} was not issued here: {fault}")
        return document

    def _fault(self, row: Row[Any], document: Mapping[str, Any]) -> str | None:
        base_url, programme = self._installation.base_url, row.programme
        did = issuer_did(base_url, programme)
        proofs = document.get("proof")
        if document.get("id") != credential_url(base_url, row.id) or document.get("issuer", {}).get("id") != did:
            return "another's id or issuer"
        if not isinstance(proofs, list) or len(proofs) != 1 or proofs[0].get("cryptosuite") != CRYPTOSUITE:
            return "no proof of ours"
        [proof] = proofs
        method_did, _, key_id = str(proof.get("verificationMethod")).partition("#")
        public = self._published.get((programme, key_id))
        if method_did != did or public is None:
            return "signed with a key that is not ours"
        unsecured = {name: member for name, member in document.items() if name != "proof"}
        try:
            return proof_fault(document, proof, public, self._canonicaliser.canonical(unsecured))
        except ValueError as error:
            return str(error)

    def _catalogue(self, programme: str, digest: str) -> Catalogue:
        row = self._one(select(CATALOGUE).where(CATALOGUE.c.programme == programme, CATALOGUE.c.digest == digest))
        if row is None:
            raise UnavailableError(f"the catalogue {digest} is not in the views yet")
        return unpack(row.packed, digest)

    def _newest(self, programme: str) -> Catalogue:
        row = self._one(
            select(CATALOGUE).where(CATALOGUE.c.programme == programme).order_by(desc(CATALOGUE.c.published_at))
        )
        if row is None:
            raise UnavailableError(f"no catalogue of {programme} is in the views yet")
        return unpack(row.packed, row.digest)

    def _one(self, query: Any) -> Row[Any] | None:
        with self._views.connect() as connection:
            return connection.execute(query).first()

    def _all(self, query: Any) -> Sequence[Row[Any]]:
        with self._views.connect() as connection:
            return connection.execute(query).all()
