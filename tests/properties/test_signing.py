"""Laws of signing: the compiled path is the standard's path, and a credential that is valid reads as it was signed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.badges import DOCUMENTS, NOW, badge, signed

from services.signing.contexts import UnknownContextError
from services.signing.generic import Canonicaliser
from services.signing.plain import UnsignableError
from services.signing.rdf import canonical
from services.signing.verifying import Verifier

GOOD = signed(badge())
FAST = Canonicaliser()
VERIFIER = Verifier(DOCUMENTS, now=NOW)

KEYWORDS = [
    "id",
    "type",
    "@context",
    "@id",
    "@type",
    "@value",
    "@language",
    "@list",
    "@set",
    "@index",
    "@graph",
    "@nest",
]
TERMS = [
    "name",
    "description",
    "image",
    "evidence",
    "result",
    "tag",
    "criteria",
    "validUntil",
    "allowedValue",
    "honours",
]
NAMES = st.sampled_from([*KEYWORDS, *TERMS, "", "https://www.w3.org/2018/credentials#validUntil"]) | st.text(max_size=4)
IRIS = ["urn:x:y", "https://a b", "https://a\u00a0b", "https://a\n", "_:b0", "_:b 0", "id:x", "name:x", "https:x"]
WORDS = ["x", "", "@id", "A", "\ud800", 'a\\b"c\x7f\ufffe', "Achievement", "Evidence", "https://issuer.example/e/1"]
TEXTS = st.sampled_from([*IRIS, *WORDS]) | st.text(max_size=6)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=5,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value below the root."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for name, value in inner for found in [(*path, name), *places(value, (*path, name))]]


def changed(document: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """Return the document with one to three changes: a value, a name, a member or element more or less, a part moved."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    for _ in range(data.draw(st.integers(1, 3))):
        if found := places(copy):
            *path, last = data.draw(st.sampled_from(found))
            change(copy, at(copy, path), last, data)
    return copy


def change(root: dict[str, Any], parent: Any, last: Any, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["replace", "remove", "wrap", "move", "add", "rename"]))
    if kind == "replace":
        parent[last] = data.draw(VALUES)
    elif kind == "remove":
        del parent[last]
    elif kind == "wrap":
        parent[last] = [parent[last]]
    elif kind == "move":
        part = parent.pop(last)
        objects = [path for path in [(), *places(root)] if isinstance(at(root, path), dict)]
        at(root, data.draw(st.sampled_from(objects)))[str(last)] = part
    elif isinstance(parent, list):
        parent.append(data.draw(VALUES))
    elif kind == "rename":
        parent[data.draw(NAMES)] = parent.pop(last)
    else:
        parent[data.draw(NAMES)] = data.draw(VALUES)


def at(node: Any, path: Iterable[Any]) -> Any:
    for step in path:
        node = node[step]
    return node


def form(canonicalise: Any, document: dict[str, Any]) -> bytes | str:
    """Return the canonical form, or that there is none."""
    try:
        made: bytes = canonicalise(document)
    except (UnsignableError, UnknownContextError):
        return "none"
    return made


def reading(node: Any, name: str = "") -> Any:
    """Return what a document says to a reader who knows that lists but `allowedValue` have no order (VCDM 2.0 §4)."""
    if isinstance(node, dict):
        members = {inner: reading(value, inner) for inner, value in node.items()}
        return {inner: value for inner, value in members.items() if value not in (None, [])}
    if isinstance(node, list):
        read = [value for value in (reading(value, name) for value in flat(node)) if value is not None]
        if name == "allowedValue":
            return read
        distinct = {json.dumps(value, sort_keys=True): value for value in read}
        ordered = [distinct[key] for key in sorted(distinct)]
        return ordered[0] if len(ordered) == 1 else ordered
    return node


def flat(node: list[Any]) -> list[Any]:
    return [leaf for value in node for leaf in (flat(value) if isinstance(value, list) else [value])]


@settings(max_examples=700, deadline=None)
@given(data=st.data())
def test_a_changed_document_has_one_canonical_form_or_none_on_both_paths(data: st.DataObject) -> None:
    document = changed(badge(), data)
    first = form(FAST.canonical, document)
    assert first == form(canonical, document)
    assert first == form(FAST.canonical, document)  # once its shape is known


@settings(max_examples=700, deadline=None)
@given(data=st.data())
def test_what_is_valid_reads_as_it_was_signed(data: st.DataObject) -> None:
    document = changed(GOOD, data)
    found = VERIFIER.verify(json.dumps(document).encode())
    if found.overall == "valid":
        assert reading(document) == reading(GOOD)


@settings(max_examples=300, deadline=None)
@given(data=st.one_of(st.binary(max_size=200), VALUES.map(lambda value: json.dumps(value).encode())))
def test_whatever_the_bytes_are_there_is_an_answer(data: bytes) -> None:
    assert VERIFIER.verify(data).overall != "valid"
