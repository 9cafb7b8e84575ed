"""Asks the forms process for a form of what was issued, by id alone."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import httpx

from schemas.errors import IntegrityError, UnavailableError
from streams.form_store import Form
from streams.forms import socket_of
from streams.settings import Installation

_WAIT_S: Final = 60.0


def credential_form(installation: Installation, credential_id: str, form: str, language: str) -> Form | None:
    """Return a form of a credential, or None when there is none.

    Raises:
        UnavailableError: The process does not run, or has no key for it yet.
        IntegrityError: What is stored of the credential is not what was issued.
    """
    return _ask(installation, f"/credentials/{credential_id}/{form}/{language}")


def learner_form(installation: Installation, programme: str, learner_ref: str, form: str, language: str) -> Form | None:
    """Return a form of a learner's record, or None when no credential of theirs holds.

    Raises:
        UnavailableError: The process does not run, or has no key for it yet.
        IntegrityError: What is stored of a credential is not what was issued.
    """
    return _ask(installation, f"/records/{programme}/{learner_ref}/{form}/{language}")


def _ask(installation: Installation, path: str) -> Form | None:
    transport = httpx.HTTPTransport(uds=socket_of(installation))
    try:
        with httpx.Client(transport=transport, base_url="http://forms", timeout=_WAIT_S) as http:
            answer = http.get(path)
    except httpx.HTTPError as error:
        raise UnavailableError(f"the forms process does not answer ({error}); is `credstream up` running?") from None
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        raise UnavailableError(answer.text)
    if not answer.is_success:
        raise IntegrityError(answer.text)
    return Form(answer.content, answer.headers["content-type"])
