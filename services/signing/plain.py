"""What a document must look like so that its JSON and its signed meaning say the same.

A proof covers the quads, but people and programs read the JSON. JSON-LD can write the same quads in JSON that reads otherwise: a
member spelt as a full address or under a new alias is missed by whoever looks for its name, so a revoked credential would seem to
have no status. Credentials are compacted JSON-LD without contexts of their own (VCDM 2.0 §6.1), so all such spellings are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from services.signing.contexts import context

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 2_000
"""JSON values in a document. The cost of JSON-LD grows with their square; a badge has about a hundred."""
_MAX_INTEGER: Final = 2**53 - 1
_MAX_FLOAT: Final = 1e21
_OF_A_VALUE: Final = frozenset({"@value", "@type", "@language", "@direction"})
_XSD_DOUBLE: Final = "http://www.w3.org/2001/XMLSchema#double"
_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x20<>\"{}|^`\\\x7f]*")
_BLANK: Final = re.compile(r"_:[A-Za-z0-9]+")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")


class UnsignableError(ValueError):
    """The document's meaning is not fully covered by the contexts, or canonicalising it would take too long."""


def check_plain(document: Mapping[str, Any]) -> None:
    """Refuse a document that may read otherwise than it is signed, or that is too large to canonicalise.

    Raises:
        UnsignableError: A member is no term, a context stands in the document itself, or it is too deep, long or large a number.
        UnknownContextError: It names a context that is not pinned.
    """
    waiting: list[tuple[Any, int]] = [(document, 1)]
    seen = 0
    while waiting:
        node, depth = waiting.pop()
        seen += 1
        if depth > MAX_DEPTH or seen > MAX_VALUES:
            raise UnsignableError(f"more than {MAX_DEPTH} levels or {MAX_VALUES:,} values")
        if isinstance(node, dict):
            _check_members(node)
            waiting += [(inner, depth + 1) for name, inner in node.items() if name != "@context"]
        elif isinstance(node, list):
            waiting += [(inner, depth + 1) for inner in node]
        elif isinstance(node, str):
            _check_text(node)
        elif isinstance(node, int | float) and not abs(node) <= (_MAX_INTEGER if isinstance(node, int) else _MAX_FLOAT):
            raise UnsignableError("a number so large that readers of JSON disagree on it")


def _check_members(node: Mapping[str, Any]) -> None:
    for name in node:
        _check_text(name)
        if name.startswith("@") and name != "@context" and not ("@value" in node and name in _OF_A_VALUE):
            raise UnsignableError(f"the keyword {name} stands where a term should")
        if ":" in name:
            raise UnsignableError(f"a member is spelt as an address and not as a term: {name}")
    if "@value" in node and node["@value"] is None:
        raise UnsignableError("a value of null, which leaves what stands beside it unsigned")
    if "@context" in node:
        named = node["@context"]
        for url in named if isinstance(named, list) else [named]:
            if not isinstance(url, str):
                raise UnsignableError("a context of the document's own: its terms could mean anything")
            context(url)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnsignableError("half a surrogate pair, which is no text") from None


def check_expanded(nodes: Any) -> None:
    """Refuse, in expanded JSON-LD, what PyLD would leave out of the quads in silence or write in another way.

    Raises:
        UnsignableError: An address or a type is relative or malformed, or a literal's language or type is.
    """
    if isinstance(nodes, list):
        for node in nodes:
            check_expanded(node)
    elif isinstance(nodes, dict) and "@value" in nodes:
        _check_literal(nodes)
    elif isinstance(nodes, dict):
        kinds = nodes.get("@type", ())
        for name in [*([nodes["@id"]] if "@id" in nodes else []), *kinds]:
            if not isinstance(name, str) or not (_IRI.fullmatch(name) or _BLANK.fullmatch(name)):
                raise UnsignableError(f"an address or a type is relative or malformed: {name}")
        for name, inner in nodes.items():
            if name not in {"@id", "@type"}:
                check_expanded(inner)


def _check_literal(node: Mapping[str, Any]) -> None:
    datatype, language = node.get("@type"), node.get("@language")
    if datatype == "@json":
        return
    if datatype is not None and not _IRI.fullmatch(datatype):
        raise UnsignableError(f"a literal's type is relative or malformed: {datatype}")
    if datatype == _XSD_DOUBLE and isinstance(node["@value"], str):
        raise UnsignableError("a string typed as a double: libraries disagree on its form")
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise UnsignableError(f"no language tag: {language}")
