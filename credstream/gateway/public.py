"""Routes for everyone: the documents that credentials point to, credentials as their holders share them, the schemas."""

from __future__ import annotations

import hmac
import json
import re
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.response import Template

from credstream.documents import catalogue_documents
from credstream.forms import credential_form
from credstream.gateway.keys import KeyRing
from credstream.gateway.problems import ProblemError
from credstream.gateway.providers import sender_of
from credstream.gateway.records import Records
from credstream.rules.explaining import renewal_in_words
from schemas.catalogue import Catalogue
from schemas.codec import PublishedSchema, latest_schema, published_schemas
from schemas.errors import UnavailableError
from schemas.events import CredentialStatus
from schemas.ids import achievement_url, derive, issuer_document_url, status_list_url
from schemas.topology import TOPICS
from services.competency.wording import span_in_words
from services.forms.badge_image import badge_svg, emblem_svg, png
from services.forms.words import LANGUAGES
from services.issuing.documents import CREDENTIALS_V2, OPEN_BADGES_V3, profile
from services.signing.schedule import DOCUMENT_CACHE_S
from streams.form_store import FORMS
from streams.settings import SHARE_SECRET, Installation

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME: Final = re.compile(r"[A-Za-z0-9.-]{1,200}")
_CREDENTIAL_TYPE: Final = "application/vc"
_JSON_TYPES: Final = ("application/vc", "application/ld+json", "application/json")
_HOUR: Final = {"Cache-Control": f"public, max-age={DOCUMENT_CACHE_S}"}


class Documents(Controller):
    """What credentials point to."""

    tags = ("documents",)

    @get("/programmes/{programme:str}/did.json", sync_to_thread=True, summary="The issuer's DID document (did:web)")
    def did(self, programme: str, records: Records, installation: Installation) -> Response[bytes]:
        """Return the keys with which the programme signs and has signed."""
        url = issuer_document_url(installation.base_url, programme)
        document = catalogue_documents(_catalogue(records, programme))[url]
        return Response(document, media_type="application/did+json", headers=_HOUR)

    @get("/programmes/{programme:str}", sync_to_thread=True, summary="The issuer's profile")
    def programme(self, programme: str, request: Request[Any, Any, Any], records: Records) -> Response[Any] | Template:
        """Return the issuer as an Open Badges profile, or as a page."""
        catalogue = _catalogue(records, programme)
        if _wants_page(request):
            return Template("programme.html", context={"catalogue": catalogue})
        about = {"@context": [CREDENTIALS_V2, OPEN_BADGES_V3], **profile(catalogue)}
        return Response(msgspec.json.encode(about), media_type="application/ld+json", headers=_HOUR)

    @get("/achievements/{programme:str}/{achievement:str}", sync_to_thread=True, summary="An achievement")
    def achievement(
        self, programme: str, achievement: str, request: Request[Any, Any, Any], records: Records
    ) -> Response[Any] | Template:
        """Return what may be earned, as Open Badges describe it, or as a page."""
        catalogue = _catalogue(records, programme)
        found = next((a for a in catalogue.achievements if a.id == achievement), None)
        if found is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"{programme} has no such achievement")
        if _wants_page(request):
            valid = None if found.rule.validity is None else span_in_words(found.rule.validity, "en")
            return Template("achievement.html", context={"catalogue": catalogue, "achievement": found, "valid": valid})
        document = catalogue_documents(catalogue)[achievement_url(catalogue.base_url, programme, achievement)]
        return Response(document, media_type="application/ld+json", headers=_HOUR)

    @get("/achievements/{programme:str}/{achievement:str}/{language:str}", sync_to_thread=True, summary="Its twin")
    def twin(self, programme: str, achievement: str, language: str, records: Records) -> Response[bytes]:
        """Return an achievement in another language."""
        return _named(_catalogue(records, programme), f"/achievements/{programme}/{achievement}/{language}")

    @get("/programmes/{programme:str}/providers/{provider:str}", sync_to_thread=True, summary="Who assesses")
    def provider(self, programme: str, provider: str, records: Records) -> Response[bytes]:
        """Return a provider's profile."""
        return _named(_catalogue(records, programme), f"/programmes/{programme}/providers/{provider}")

    @get("/programmes/{programme:str}/keys/{key:str}", sync_to_thread=True, summary="A public key for JWTs (JWK)")
    def key(self, programme: str, key: str, records: Records) -> Response[bytes]:
        """Return one bare JWK, to which the `kid` of a JWT leads."""
        path = f"/programmes/{programme}/keys/{key}"
        return _named(_catalogue(records, programme), path, "application/jwk+json")

    @get("/programmes/{programme:str}/keys", sync_to_thread=True, summary="Every key that the programme ever published")
    def keys(self, programme: str, records: Records) -> Response[bytes]:
        """Return the key history: did:web keeps none. Which key signed from when until when, and which is compromised."""
        return _named(_catalogue(records, programme), f"/programmes/{programme}/keys", "application/json")

    @get("/status/{programme:str}/{epoch:str}/{lane:int}/{number:int}", sync_to_thread=True, summary="A status list")
    def status_list(
        self,
        programme: str,
        epoch: str,
        lane: int,
        number: int,
        request: Request[Any, Any, Any],
        records: Records,
        installation: Installation,
    ) -> Response[bytes | None]:
        """Return the signed list; caches may keep it for as long as its `ttl` says."""
        row = records.status_list(status_list_url(installation.base_url, programme, epoch, lane, number))
        if row is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "no such status list")
        headers = {"Cache-Control": f"public, max-age={int(installation.status.cadence_s)}", "ETag": f'"{row.version}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(None, status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(row.document, media_type=_CREDENTIAL_TYPE, headers=headers)


class Credentials(Controller):
    """Credentials: whoever holds a share link sees all of one, everyone else its status."""

    tags = ("credentials",)

    @get("/credentials/{name:str}", sync_to_thread=True, summary="A credential, or another form of it")
    def credential(
        self,
        name: str,
        request: Request[Any, Any, Any],
        records: Records,
        installation: Installation,
        share: str | None = None,
        language: str = "en",
    ) -> Response[Any] | Template:
        """Return the credential's bytes as they were issued, or a page; without a share token the status alone.

        With a share token, `.jwt`, `.png`, `.svg`, `.pdf` after the id give its other forms, in `language` en or fr.
        """
        credential_id, dot, form = name.partition(".")
        row = records.credential(credential_id) if _UUID.fullmatch(credential_id) else None
        if row is None or (dot and form not in FORMS):
            raise ProblemError(HTTPStatus.NOT_FOUND, "no such credential")
        shared = share is not None and hmac.compare_digest(
            share.encode(), share_token(installation, credential_id).encode()
        )
        if dot:
            return _other_form(installation, credential_id, form, language, shared=shared)
        status = "valid" if row.status in {None, CredentialStatus.REINSTATED} else row.status
        if _wants_page(request):
            document = json.loads(row.document) if shared else None
            context = {"row": row, "status": status, "document": document, "share": share, "date": _date}
            context["renewal"] = _renewal(records.catalogue(row.programme), row)
            return Template("credential.html", context=context, headers={"Cache-Control": "no-store"})
        if not shared:
            return Response({"id": credential_id, "status": status}, headers={"Cache-Control": "no-store"})
        return Response(row.document, media_type=_CREDENTIAL_TYPE, headers={"Cache-Control": "private, no-store"})

    @post(
        "/v1/credentials/{credential_id:str}/share",
        status_code=HTTPStatus.OK,
        sync_to_thread=True,
        summary="A share link",
    )
    def share(
        self,
        credential_id: str,
        request: Request[Any, Any, Any],
        keys: KeyRing,
        records: Records,
        installation: Installation,
    ) -> dict[str, str]:
        """Return a link that shows all of a credential of the provider's programme, to pass on to its learner."""
        sender = sender_of(request, keys)
        row = records.credential(credential_id) if _UUID.fullmatch(credential_id) else None
        if row is None or row.programme != sender.programme:
            raise ProblemError(HTTPStatus.NOT_FOUND, "no such credential")
        token = share_token(installation, credential_id)
        return {"url": f"{installation.base_url}/credentials/{credential_id}?share={token}"}


class Badges(Controller):
    """The images of achievements and programmes, as drawn from their catalogues; no credential is baked into them."""

    tags = ("documents",)

    @get("/badges/{name:str}", sync_to_thread=True, summary="A programme's emblem")
    def emblem(self, name: str, records: Records) -> Response[bytes]:
        """Return it as `.png` or `.svg`."""
        programme, _, ending = name.rpartition(".")
        return _image(emblem_svg(_catalogue(records, programme)), ending)

    @get("/badges/{programme:str}/{name:str}", sync_to_thread=True, summary="An achievement's badge")
    def badge(self, programme: str, name: str, records: Records, language: str = "en") -> Response[bytes]:
        """Return it as `.png` or `.svg`, in `language` en or fr."""
        achievement, _, ending = name.rpartition(".")
        catalogue = _catalogue(records, programme)
        found = catalogue.achievement(achievement)
        if found is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"{programme} has no such achievement")
        return _image(badge_svg(catalogue, found, language), ending)


class Schemas(Controller):
    """The read part of the Confluent schema registry's API, so that its standard deserializers work."""

    tags = ("schemas",)

    @get("/schemas/ids/{schema_id:int}", summary="A schema", sync_to_thread=False)
    def by_id(self, schema_id: int) -> Response[Any]:
        """Return a schema by its id."""
        found = published_schemas().get(schema_id)
        if found is None:
            return _registry_error(40403, "Schema not found")
        return Response({"schema": found.text, "schemaType": "AVRO"}, headers=_HOUR)

    @get("/subjects", summary="The subjects", sync_to_thread=False)
    def subjects(self) -> list[str]:
        """Return a subject for each record: `<record>` by the record name strategy."""
        return sorted({f"org.credstream.{schema.record}" for schema in published_schemas().values()})

    @get("/subjects/{subject:str}/versions/{version:str}", summary="A version", sync_to_thread=False)
    def by_subject(self, subject: str, version: str) -> Response[Any]:
        """Return a subject's version, or its `latest`."""
        record = subject.rpartition(".")[2]
        versions = [s for s in published_schemas().values() if s.record == record]
        wanted: PublishedSchema | None = latest_schema(record) if versions and version == "latest" else None
        wanted = wanted or next((s for s in versions if str(s.version) == version), None)
        if wanted is None:
            return _registry_error(40401, "Subject or version not found")
        about = {
            "subject": subject,
            "id": wanted.id,
            "version": wanted.version,
            "schema": wanted.text,
            "schemaType": "AVRO",
        }
        return Response(about, headers=_HOUR)

    @get("/associations/resources/-/{topic:str}", summary="No associations", sync_to_thread=False)
    def associations(self, topic: str) -> Response[Any]:
        """Answer as a registry without associations does: newer clients ask before they fall back."""
        known = topic in {t.name for t in TOPICS}
        return _registry_error(40401, "No associations" if known else "Topic not found")


def _registry_error(code: int, message: str) -> Response[Any]:
    return Response({"error_code": code, "message": message}, status_code=HTTPStatus.NOT_FOUND)


def _other_form(
    installation: Installation, credential_id: str, form: str, language: str, *, shared: bool
) -> Response[bytes]:
    if not shared:
        raise ProblemError(HTTPStatus.FORBIDDEN, "its holder decides who sees it: ask them for a share link")
    if language not in LANGUAGES:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"languages are {', '.join(LANGUAGES)}")
    try:
        found = credential_form(installation, credential_id, form, language)
    except UnavailableError as error:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
    if found is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "no such credential")
    headers = {
        "Cache-Control": "private, no-store",
        "ETag": f'"{found.digest}"',
        "Content-Disposition": f'inline; filename="{credential_id}.{form}"',
    }
    return Response(found.body, media_type=found.media_type, headers=headers)


def _image(drawn: str, ending: str) -> Response[bytes]:
    if ending == "svg":
        return Response(drawn.encode(), media_type="image/svg+xml", headers=_HOUR)
    if ending == "png":
        return Response(_png(drawn), media_type="image/png", headers=_HOUR)
    raise ProblemError(HTTPStatus.NOT_FOUND, "images are .png and .svg")


@lru_cache(maxsize=256)
def _png(drawn: str) -> bytes:
    return png(drawn)


def share_token(installation: Installation, credential_id: str) -> str:
    """Return the token of a credential's share link."""
    return derive(installation.secret(SHARE_SECRET), "share", credential_id).hex()[:32]


def _catalogue(records: Records, programme: str) -> Catalogue:
    found = records.catalogue(programme) if _NAME.fullmatch(programme) else None
    if found is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "no such programme")
    return found


def _renewal(catalogue: Catalogue | None, row: Any) -> str | None:
    """Return how the award of a credential is renewed, in words."""
    offered = {} if catalogue is None else {a.id: a for a in catalogue.achievements}
    if row.valid_until is None or row.achievement not in offered:
        return None
    return renewal_in_words(offered[row.achievement].rule)


def _named(catalogue: Catalogue, path: str, media_type: str = "application/ld+json") -> Response[bytes]:
    """Return a document that credentials name."""
    document = catalogue_documents(catalogue).get(f"{catalogue.base_url}{path}")
    if document is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"{catalogue.programme} has no such document")
    return Response(document, media_type=media_type, headers=_HOUR)


def _wants_page(request: Request[Any, Any, Any]) -> bool:
    """Say whether a browser asks: programs name a JSON type, or nothing in particular."""
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted and not any(kind in accepted.partition("text/html")[0] for kind in _JSON_TYPES)


def _date(instant: int | None) -> str:
    return datetime.fromtimestamp(instant / 1e6, UTC).strftime("%-d %B %Y") if instant else ""
