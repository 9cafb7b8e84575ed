"""Anyone may ask whether a credential of this installation's issuers holds. Nothing that it points to is ever fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import anyio
import msgspec
from anyio.to_thread import run_sync
from litestar import Controller, Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import HTTPException
from litestar.params import QueryParameter
from litestar.response import Template

from credstream.gateway.problems import ProblemError
from credstream.gateway.records import Records
from credstream.gateway.verify_words import words
from credstream.trust import key_terms
from schemas.catalogue import Catalogue
from schemas.ids import credential_url, issuer_document_url
from services.issuing.documents import did_document
from services.signing.generic import Canonicaliser
from services.signing.opening import MAX_IMAGE_BYTES
from services.signing.verdict import Verdict
from services.signing.verifying import Verifier
from streams.settings import Installation

_MAX_BODY: Final = MAX_IMAGE_BYTES + 100_000
_AT_A_TIME: Final = 2
"""Verifying is work for a processor: more at a time would only hold up everyone else."""
_UPLOADS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


Language = Annotated[str | None, QueryParameter(description="en or fr; by default what the browser prefers")]


class Checker:
    """Verifies with what the views say now: every programme's keys, the newest lists, suspensions."""

    def __init__(self, records: Records, installation: Installation) -> None:
        """Read these views."""
        self._records, self._installation = records, installation
        self._canonicaliser = Canonicaliser()
        self.limiter = anyio.CapacityLimiter(_AT_A_TIME)

    def verify(self, credential: bytes, recipient: str | None = None) -> Verdict:
        """Return the verdict of this instant."""
        catalogues = [c for name in self._records.programmes() if (c := self._records.catalogue(name)) is not None]
        verifier = Verifier(
            _Documents(catalogues, self._records),
            now=datetime.now(UTC),
            terms=key_terms(catalogues),
            is_suspended=self._is_suspended,
            reissued_as=self._reissued_as,
            canonicaliser=self._canonicaliser,
        )
        return verifier.verify(credential, recipient=recipient)

    def _is_suspended(self, credential: str) -> bool | None:
        start = credential_url(self._installation.base_url, "")
        row = self._records.credential(credential.removeprefix(start)) if credential.startswith(start) else None
        return None if row is None else row.status == "suspended"

    def _reissued_as(self, credential: str) -> str | None:
        start = credential_url(self._installation.base_url, "")
        newer = self._records.superseding(credential.removeprefix(start)) if credential.startswith(start) else None
        return None if newer is None else credential_url(self._installation.base_url, newer)


class _Documents(Mapping[str, bytes]):
    """What verifiers need, by URL: DID documents made from the catalogues, and signed lists looked up when asked for."""

    def __init__(self, catalogues: list[Catalogue], records: Records) -> None:
        self._catalogues = {issuer_document_url(c.base_url, c.programme): c for c in catalogues}
        self._records = records

    def __getitem__(self, url: str) -> bytes:
        if url in self._catalogues:
            return msgspec.json.encode(did_document(self._catalogues[url]))
        row = self._records.status_list(url)
        if row is None:
            raise KeyError(url)
        return bytes(row.document)

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalogues)

    def __len__(self) -> int:
        return len(self._catalogues)


class Verification(Controller):
    """Does this credential hold, and is it this person's?"""

    tags = ("verification",)

    @post(
        "/v1/verify",
        status_code=HTTPStatus.OK,
        request_max_body_size=_MAX_BODY,
        summary="Verify a credential",
        description=(
            "The body is the credential as it is: JSON with a proof, a VC-JWT, or a PNG or SVG into which either is baked; or "
            "multipart/form-data with `credential` (a file or text) and, to ask whose it is, `recipient` "
            "(`email:dana@example.ca`). Answers `overall` (valid, invalid, unknown) and `steps`, each with `name`, `outcome` "
            "(pass, fail, unknown) and `reason`. Issuers that are not of this installation are unknown, never invalid."
        ),
    )
    async def verify(self, request: Request[Any, Any, Any], checker: Checker) -> Response[dict[str, Any]]:
        """Return the verdict, step by step."""
        verdict = await _judged(request, checker)
        if verdict is None:
            raise ProblemError(
                HTTPStatus.BAD_REQUEST, "no credential: send it as the body, or as `credential` of a form"
            )
        return Response(verdict.told(), headers={"Cache-Control": "no-store"})

    @get("/verify", include_in_schema=False, sync_to_thread=False)
    def page(self, request: Request[Any, Any, Any], language: Language = None) -> Template:
        """Return the page on which anyone can do it."""
        return _page(request, language, None)

    @post("/verify", status_code=HTTPStatus.OK, include_in_schema=False, request_max_body_size=_MAX_BODY)
    async def answer(self, request: Request[Any, Any, Any], checker: Checker, language: Language = None) -> Template:
        """Return the page with the verdict on it."""
        return _page(request, language, await _judged(request, checker))


async def _judged(request: Request[Any, Any, Any], checker: Checker) -> Verdict | None:
    credential, recipient = await _asked(request)
    if not credential.strip():
        return None
    return await run_sync(checker.verify, credential, recipient, limiter=checker.limiter)


async def _asked(request: Request[Any, Any, Any]) -> tuple[bytes, str | None]:
    """Return the credential's bytes and who it is said to be of."""
    kind = request.content_type[0]
    if kind not in {RequestEncodingType.MULTI_PART, RequestEncodingType.URL_ENCODED}:
        return await request.body(), None
    try:
        form = await request.form()
    except HTTPException:
        raise
    except Exception as error:  # the parser's own errors have no common ancestor
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the form cannot be read") from error
    recipient = form.get("recipient")
    asked = recipient.strip() if isinstance(recipient, str) else ""
    for name in ("credential", "text"):
        for held in form.getall(name, []):
            data = await held.read() if isinstance(held, UploadFile) else str(held).encode(errors="replace")
            if data.strip():
                return data, asked or None
    return b"", asked or None


def _page(request: Request[Any, Any, Any], language: str | None, verdict: Verdict | None) -> Template:
    accepted = request.headers.get("accept-language", "")
    chosen = language if language in {"en", "fr"} else "fr" if accepted.lower().startswith("fr") else "en"
    asked = request.method == "POST"
    context = {"verdict": verdict, "words": words(chosen), "language": chosen, "asked": asked}
    return Template("verify.html", context=context, headers=_UPLOADS)
