"""The process that makes other forms of credentials: asked by id over a local socket that its owner alone may use.

It holds the keys, and whoever asks (the gateway, the command line) none: a request names what was issued, never content to sign.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import tempfile
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import Any, Final, get_args

import uvicorn
from prometheus_client import Counter, Histogram

from schemas.errors import PipelineError, RefusedError, UnavailableError
from services.forms.words import Language
from streams.form_store import FORMS, RECORD_FORMS, Form, FormStore
from streams.jwt_keys import rsa_signers
from streams.keystore import Rereading, published_keys
from streams.run import Exit, announced, log_json_lines, serve_metrics
from streams.settings import Installation
from streams.tables import open_database
from streams.workshop import Workshop

log = logging.getLogger(__name__)
NAME: Final = "forms"
_CREDENTIAL: Final = re.compile(r"/credentials/([0-9a-f-]{36})/([a-z]+)/([a-z]+)")
_RECORD: Final = re.compile(r"/records/([A-Za-z0-9.-]{1,200})/([0-9a-f]{32})/([a-z]+)/([a-z]+)")
_LONGEST_SOCKET_PATH: Final = 100
"""Unix has room for 107 bytes (unix(7))."""
SERVED: Final = Counter("credstream_forms_served", "Forms served.", ["form"])
SECONDS: Final = Histogram("credstream_forms_seconds", "Answering one request for a form.", ["form"])


class Answering:
    """An ASGI application: a path that names a form in, its bytes out."""

    def __init__(self, workshop: Workshop) -> None:
        """Ask this workshop."""
        self._workshop = workshop

    async def __call__(self, scope: Mapping[str, Any], _receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        status, form = await asyncio.to_thread(self._answer, str(scope["path"]))
        headers = [(b"content-type", form.media_type.encode()), (b"etag", f'"{form.digest}"'.encode())]
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        await send({"type": "http.response.body", "body": form.body})

    def _answer(self, path: str) -> tuple[HTTPStatus, Form]:
        try:
            found = self._found(path)
        except UnavailableError as error:
            return HTTPStatus.SERVICE_UNAVAILABLE, _said(str(error))
        except PipelineError as error:
            log.error("%s", error)  # noqa: TRY400  one line, and the operator is told
            return HTTPStatus.INTERNAL_SERVER_ERROR, _said("what is stored of this credential is not what was issued")
        return (HTTPStatus.NOT_FOUND, _said("nothing of that name")) if found is None else (HTTPStatus.OK, found)

    def _found(self, path: str) -> Form | None:
        asked = _CREDENTIAL.fullmatch(path) or _RECORD.fullmatch(path)
        if asked is None:
            return None
        *of, form, language = asked.groups()
        forms: tuple[str, ...] = FORMS if len(of) == 1 else RECORD_FORMS
        if form not in forms or language not in get_args(Language):
            return None
        make: Any = self._workshop.form if len(of) == 1 else self._workshop.record
        with SECONDS.labels(form).time():
            found: Form | None = make(*of, form, language)
        SERVED.labels(form).inc()
        return found


def _said(text: str) -> Form:
    return Form(text.encode(), "text/plain; charset=utf-8")


def workshop(installation: Installation) -> Workshop:
    """Return the workshop of an installation.

    Raises:
        RefusedError: A key cannot be used.
    """
    if installation.database_url.startswith("sqlite"):
        (installation.folder / "views").mkdir(exist_ok=True)
    return Workshop(
        installation,
        open_database(installation.database_url),
        FormStore(installation.folder / NAME / "forms.db"),
        _published(installation),
        rsa_signers(installation),
    )


def _published(installation: Installation) -> Mapping[tuple[str, str], str]:
    """Return the public keys of each programme, from the folder that is pinned and backed up with the private ones."""
    return Rereading(
        lambda _: {
            (programme, key.id): key.public_key_multibase
            for programme in installation.programmes
            for key in published_keys(installation, programme)
            if key.purpose == "credentials"
        }
    )


def main(installation: Installation) -> int:
    """Serve until told to stop; returns the exit code."""
    log_json_lines()
    try:
        asked = Answering(workshop(installation))
    except RefusedError as error:
        log.error("%s", error)  # noqa: TRY400  a refusal is one line
        return Exit.REFUSED
    path = _socket_path(installation)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # from its first moment nobody else may connect
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _told_to_stop)  # uvicorn raises it again once it has stopped
    config = uvicorn.Config(asked, log_config=None, access_log=False, lifespan="off")
    about = {"metrics": serve_metrics(installation), "socket": str(path)}
    with announced(installation, f"{NAME}-0", about):
        uvicorn.Server(config).run(sockets=[listener])
    path.unlink(missing_ok=True)
    return Exit.STOPPED


def _told_to_stop(_number: int, _frame: FrameType | None) -> None:
    """Let the process end by itself."""


def _socket_path(installation: Installation) -> Path:
    """Return where the socket lies: in the installation's folder, or where paths are shorter."""
    (installation.folder / "run").mkdir(exist_ok=True)
    path = installation.folder.absolute() / "run" / f"{NAME}.sock"
    if len(str(path).encode()) <= _LONGEST_SOCKET_PATH:
        return path
    return Path(tempfile.mkdtemp(prefix="credstream-")) / f"{NAME}.sock"


def socket_of(installation: Installation) -> str:
    """Return where the process listens.

    Raises:
        UnavailableError: It does not run.
    """
    try:
        about = json.loads((installation.folder / "run" / f"{NAME}-0.json").read_text("utf-8"))
        return str(about["socket"])
    except (OSError, ValueError, KeyError):
        raise UnavailableError(
            f"the process that makes other forms does not run in {installation.folder}; start it with `credstream up`"
        ) from None
