"""Every error as an RFC 9457 problem document, with the field's name where one is at fault."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException

log = logging.getLogger(__name__)
MEDIA_TYPE: Final = "application/problem+json"


class ProblemError(Exception):
    """An answer that is a problem. `errors` has a field and a detail for each value that cannot stand."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer with this status."""
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, errors, dict(headers or {})


def _response(status: HTTPStatus, detail: str, errors: Any, headers: Mapping[str, str]) -> Response[Any]:
    body: dict[str, Any] = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    if errors:
        body["errors"] = errors
    return Response(body, status_code=status.value, media_type=MEDIA_TYPE, headers=dict(headers))


def of_problem(_request: Request[Any, Any, Any], error: ProblemError) -> Response[Any]:
    """Answer a problem of our own."""
    return _response(error.status, error.detail, list(error.errors), error.headers)


def of_http(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Answer what the framework refused: an unknown path, a wrong method, a parameter of another type."""
    errors = [
        {"field": str(about.get("key", "")), "detail": str(about.get("message", ""))}
        for about in error.extra or []
        if isinstance(about, dict)
    ]
    return _response(HTTPStatus(error.status_code), error.detail, errors, error.headers or {})


def of_anything(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer what nobody foresaw, without telling the caller more than that."""
    log.error("%s %s failed", request.method, request.route_handler.paths, exc_info=error)
    return _response(HTTPStatus.INTERNAL_SERVER_ERROR, "this is our fault, not yours; it has been logged", (), {})
