"""Verifiers that are not ours, and ours on each form, behind one question: does this document hold?"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from openbadgeslib.ob3.ldp import OB3LdpVerifier
from openbadgeslib.ob3.verifier import OB3VerificationError
from support import shapes
from support.elsewhere import Elsewhere
from support.shapes import Signed

from services.signing.verifying import Verifier

OURS: Final = Verifier(shapes.documents(), now=datetime.now(UTC), is_suspended=lambda _: False)


@dataclass(frozen=True)
class Answer:
    """What a verifier says: that it holds, and of its status, where it looks at that."""

    holds: bool
    revoked: bool | None
    why: str


Verify: TypeAlias = Callable[[Signed, Any], Answer]


def credstream(_signed: Signed, document: Any) -> Answer:
    verdict = OURS.verify(json.dumps(document).encode())
    failed = {step.name for step in verdict.steps if step.outcome != "pass"}
    return Answer(not failed - {"revocation"}, "revocation" in failed, str(verdict.deciding))


def openbadgeslib(signed: Signed, document: Any) -> Answer:
    known = shapes.documents()
    try:
        OB3LdpVerifier.for_issuer_did(signed.issuer).verify(
            json.dumps(document).encode(), download=lambda url, *_a, **_k: known[url]
        )
    except (OB3VerificationError, KeyError) as error:
        return Answer(holds=False, revoked=None, why=str(error))
    return Answer(holds=True, revoked=None, why="")


def in_node(node: Elsewhere, verifier: str) -> Verify:
    def verify(_signed: Signed, document: Any) -> Answer:
        answer = node.ask(verifier, credential=document)
        schema = answer.get("schema", [True])
        holds = answer["verified"] and schema == [True] and answer.get("status", True)
        return Answer(bool(holds), answer.get("revoked"), f"{answer['error']} {schema}")

    return verify


def jwt_in_node(node: Elsewhere) -> Verify:
    """Return jose on the VC-JWT of a document: one that was changed keeps the signature that it had."""

    def verify(signed: Signed, document: Any) -> Answer:
        token = _resealed(signed, document)
        answer = node.ask("jose", jwt=token, jwk={**shapes.RSA.public_jwk}, issuer=signed.issuer)
        return Answer(answer["verified"], None, str(answer.get("error")))

    return verify


def credstream_on_jwt(signed: Signed, document: Any) -> Answer:
    verdict = OURS.verify(_resealed(signed, document).encode())
    failed = {step.name for step in verdict.steps if step.outcome != "pass"}
    return Answer(not failed - {"revocation"}, "revocation" in failed, str(verdict.deciding))


def _resealed(signed: Signed, document: Any) -> str:
    """Return the token of a credential with another payload, if the document is not the one that was signed."""
    if document in (signed.document(), json.loads(signed.revoked)):
        return shapes.jwt_of(document).decode()
    header, payload, signature = signed.jwt().decode().split(".")
    text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    claims = {name: value for name, value in json.loads(text).items() if name in {"iss", "jti", "sub", "nbf", "exp"}}
    content = {**{name: value for name, value in document.items() if name != "proof"}, **claims}
    packed = base64.urlsafe_b64encode(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
    return f"{header}.{packed.rstrip(b'=').decode()}.{signature}"


VERIFIERS: Final[Mapping[str, Callable[[Elsewhere], Verify]]] = {
    "credstream": lambda _: credstream,
    "credstream on VC-JWT": lambda _: credstream_on_jwt,
    "openbadgeslib": lambda _: openbadgeslib,
    "@digitalbazaar/vc": lambda node: in_node(node, "digitalbazaar"),
    "@digitalcredentials/verifier-core": lambda node: in_node(node, "verifier-core"),
    "jose on VC-JWT": jwt_in_node,
}
