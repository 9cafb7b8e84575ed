"""The JSON-LD contexts that credentials name, pinned by digest. Nothing is ever fetched.

The files come from the installed packages that carry them; a package that carries another text is refused, since what was
signed under one text may not verify under another (Open Badges 3.0 errata).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

CREDENTIALS_V2: Final = "https://www.w3.org/ns/credentials/v2"
OPEN_BADGES_V3: Final = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
CLR_V2: Final = "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json"
OPEN_BADGES_EXTENSIONS: Final = "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json"

DIGESTS: Final[Mapping[str, str]] = {
    CREDENTIALS_V2: "59955ced6697d61e03f2b2556febe5308ab16842846f5b586d7f1f7adec92734",
    OPEN_BADGES_V3: "3d34f4d4ef1bce691106e63798beb5e7b862ba841423f5ee1e53ab7ddf3bca84",
    CLR_V2: "880f1902d4158f2f33ce06af41b90719977cd1ea337a9de2e41edb3ff5e543d6",
    OPEN_BADGES_EXTENSIONS: "87c06c81bc2317663bf288d740d94fddd2818c4342b186270ff6371dfaa63f93",
}
"""SHA-256 of each context's file."""
_FILES: Final = {
    CREDENTIALS_V2: "credentials-v2.json",
    OPEN_BADGES_V3: "ob-v3p0-context-3.0.3.json",
    CLR_V2: "clr_context_2.0.1.json",
    OPEN_BADGES_EXTENSIONS: "ob-v3p0-extensions.json",
}


class UnknownContextError(ValueError):
    """A document names a context that is not pinned here."""


@cache
def context(url: str) -> Any:
    """Return the context at a URL.

    Raises:
        UnknownContextError: It is not one of ours.
        RuntimeError: The installed package carries another text than the pinned one.
    """
    if url not in DIGESTS:
        raise UnknownContextError(f"the context {url} is not known here, and none is ever fetched")
    text = files("openbadgeslib").joinpath("ob3", "contexts", _FILES[url]).read_bytes()
    if (found := hashlib.sha256(text).hexdigest()) != DIGESTS[url]:
        raise RuntimeError(
            f"openbadgeslib carries another {_FILES[url]} ({found}); install the version in the lock file"
        )
    return json.loads(text)


def load(url: str, _options: object = None) -> dict[str, Any]:
    """PyLD's document loader. The tag tells it that a URL's document never changes, so that it prepares each one once.

    Raises:
        UnknownContextError: The context is not one of ours.
    """
    about = {"contextUrl": None, "documentUrl": url, "contentType": "application/ld+json", "tag": "static"}
    return {**about, "document": context(url)}


@cache
def terms() -> frozenset[str]:
    """Return every word that some pinned context defines; none may serve as the scheme of an IRI slot."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for name, inner in node.items():
                found.add(name)
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    for url in DIGESTS:
        walk(context(url))
    return frozenset(found)
