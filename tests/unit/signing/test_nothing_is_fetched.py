"""No address in a credential is ever looked up, connected to or opened, whatever it says and wherever it stands."""

from __future__ import annotations

import json
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.badges import DID, DOCUMENTS, NOW, badge, signed

from services.forms.baking import bake_svg
from services.signing.rsa import RsaSigner, generate_rsa_pem, load_rsa_signer
from services.signing.vc_jwt import sign_jwt
from services.signing.verifying import Verifier

ADDRESSES = [
    "http://127.0.0.1:9/x",
    "http://[::ffff:127.0.0.1]/x",
    "http://2130706433/x",
    "http://169.254.169.254/latest/meta-data/",
    "http://localhost/x",
    "https://rebinding.example/x",
    "file:///etc/passwd",
    "did:web:127.0.0.1%3A9",
    "did:web:localhost:a",
]
PLACES: list[tuple[str | int, ...]] = [
    ("issuer", "id"),
    ("@context", 1),
    ("@context", 2),
    ("id",),
    ("credentialStatus", "statusListCredential"),
    ("credentialStatus", "id"),
    ("credentialSchema", 0, "id"),
    ("refreshService", "id"),
    ("termsOfUse", 0, "id"),
    ("evidence", 0, "id"),
    ("image", "id"),
    ("credentialSubject", "id"),
    ("credentialSubject", "achievement", "id"),
    ("credentialSubject", "achievement", "image", "id"),
    ("credentialSubject", "achievement", "criteria", "id"),
    ("proof", 0, "verificationMethod"),
]
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><title>a</title></svg>'
_REACHING_OUT = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request")
_seen: list[str] | None = None


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if _seen is not None and (event in _REACHING_OUT or (event == "open" and "passwd" in str(args[0]))):
        _seen.append(f"{event} {args}")


sys.addaudithook(_watch)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Note whatever is looked up, connected to, or opened of what the addresses name, by any library of this process."""
    global _seen  # noqa: PLW0603  an audit hook cannot be taken away again
    found: list[str] = []
    _seen = found
    try:
        yield found
    finally:
        _seen = None


def placed(document: dict[str, Any], place: tuple[str | int, ...], address: str) -> dict[str, Any]:
    """Return the document with an address at a place, made if it is not there."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    node: Any = copy
    for part, following in zip(place, [*place[1:], None], strict=True):
        empty: Any = [] if isinstance(following, int) else {}
        if following is None:
            empty = address
        if isinstance(part, int):
            node += [empty] * (part + 1 - len(node))
        if following is None:
            node[part] = address
        elif isinstance(part, int):
            node = node[part]
        else:
            node = node.setdefault(part, empty)
    return copy


@pytest.fixture(scope="module")
def rsa() -> RsaSigner:
    _, pem = generate_rsa_pem(b"secret")
    return load_rsa_signer(pem, b"secret")


def test_the_watch_sees_who_reaches_out() -> None:
    with watched() as seen:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.1)
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen("http://127.0.0.1:9/x", timeout=0.1)
        Path("/etc/passwd").read_bytes()
    assert {line.partition(" ")[0] for line in seen} == {
        "socket.getaddrinfo",
        "socket.connect",
        "urllib.Request",
        "open",
    }


@pytest.mark.parametrize("place", PLACES, ids=lambda place: "/".join(map(str, place)))
def test_an_address_in_a_credential_is_never_visited(place: tuple[str | int, ...], rsa: RsaSigner) -> None:
    verifier = Verifier(DOCUMENTS, now=NOW)
    verdicts = {}
    for address in ADDRESSES:
        document = placed(signed(badge()), place, address)
        unsecured = {name: member for name, member in document.items() if name != "proof"}
        try:
            token = sign_jwt(unsecured, rsa, address)
        except (TypeError, ValueError, KeyError, AttributeError):
            token = b""
        forms = [json.dumps(document).encode(), bake_svg(SVG, json.dumps(document).encode()), token]
        with watched() as seen:
            verdicts[address] = [verifier.verify(form).overall for form in forms]
        assert seen == []
    assert all("valid" not in found for found in verdicts.values())


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_issuer_that_is_not_known_is_unknown_and_not_invalid(address: str) -> None:
    document = placed(badge(), ("issuer", "id"), address)
    with watched() as seen:
        found = Verifier(DOCUMENTS, now=NOW).verify(
            json.dumps({**document, "proof": signed(badge())["proof"]}).encode()
        )
    assert (found.overall, found.deciding and found.deciding.name, seen) == ("unknown", "issuer", [])
    assert DID not in address
