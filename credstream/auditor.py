"""An installation as its auditor sees it: what it may know beforehand, and the gateway that it may ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

from credstream.audit.public import Answer
from credstream.audit.trust import Pinned, Trust
from schemas.errors import RefusedError, UnavailableError
from streams.settings import CREDENTIAL_SECRET, LEARNER_SECRET, SHARE_SECRET, STATUS_SECRET, Installation

_TIMEOUT_S: Final = 10.0


def trust_of(installation: Installation, *, with_secrets: bool = True, planted: Path | None = None) -> Trust:
    """Return what the auditor is told. With secrets, it also checks what derives from them, and that they stand nowhere.

    ``planted`` holds words, one a line, that must stand nowhere either.

    Raises:
        RefusedError: The file with planted words cannot be read.
    """
    programmes = {
        name: Pinned(pinned.catalogue_keys, pinned.catalogue_signatures, pinned.staff_keys)
        for name, pinned in installation.programmes.items()
    }
    words = tuple(_planted(planted)) if planted is not None else ()
    if not with_secrets:
        return Trust(installation.base_url, installation.epoch, programmes, planted=words)
    found = {name: _secret(installation, name) for name in (CREDENTIAL_SECRET, STATUS_SECRET)}
    others = [_secret(installation, name) for name in (LEARNER_SECRET, SHARE_SECRET)]
    keys = [path.read_bytes().strip() for path in installation.secret_path("providers").rglob("*.key")]
    return Trust(
        installation.base_url,
        installation.epoch,
        programmes,
        credential_secret=found[CREDENTIAL_SECRET],
        status_secret=found[STATUS_SECRET],
        planted=(*words, *keys, *filter(None, (*found.values(), *others))),
    )


def _secret(installation: Installation, name: str) -> bytes | None:
    """Return a secret if it is at hand; an auditor may do without."""
    try:
        return installation.secret(name)
    except RefusedError:
        return None


def _planted(path: Path) -> Iterator[bytes]:
    try:
        yield from filter(None, path.read_bytes().splitlines())
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}; it holds words that must stand nowhere, one a line") from None


class Gateway:
    """The public routes of a gateway."""

    def __init__(self, url: str) -> None:
        """Ask at this address."""
        self._url = url
        self._http = httpx.Client(base_url=url, timeout=_TIMEOUT_S, headers={"Accept": "application/json"})

    def get(self, path: str) -> Answer:
        """Return the answer to a GET for JSON.

        Raises:
            UnavailableError: The gateway does not answer.
        """
        try:
            answer = self._http.get(path)
        except httpx.HTTPError as error:
            raise UnavailableError(f"the gateway at {self._url} does not answer ({error})") from None
        try:
            body = answer.json()
        except ValueError:
            body = None
        return Answer(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()
