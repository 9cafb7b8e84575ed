"""A document's shape, compiled once, gives the canonical N-Quads of every document of that shape without JSON-LD.

JSON-LD expansion runs once, on a document with placeholders. After that only slot values are escaped and put into ready-made quads,
the few blank nodes that hold slots are hashed (RDFC-1.0 §4.6, Hash First Degree Quads), and the lines are sorted. Sound because

1. a slot is a whole or partial string literal or `@id` IRI: never a key, a type, a datatype, a language tag or a predicate;
2. an IRI slot follows a fixed scheme that no context defines as a term, and its value holds only IRI characters;
3. what is absent, and how long each list is, belongs to the shape;

and because the two things that values could upset are looked for in each document: blank nodes with equal first-degree hashes, and
quads that become equal. Those documents take the full path. (Two nodes that get one name upset nothing else: JSON-LD merges them,
as quads do by themselves, but for equal lists, and the heads of equal lists have equal hashes.)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import eq
from typing import Any, Final

import msgspec

from services.signing.contexts import terms
from services.signing.pieces import Blank, Fill, Piece, merge
from services.signing.rdf import RDF_LANG_STRING, XSD_STRING, Triple, canonical, escape, statements

_RDF_JSON: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON"
_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|^`\\\x7f]*")
_SCHEME: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*):")
_IRI_BYTES: Final = bytes(c for c in range(256) if c > 0x20 and c != 0x7F and c not in b'<>"{}|^`\\[]')  # noqa: PLR2004
_SPACE: Final = re.compile(r"\s")
"""Also the spaces beyond ASCII, which PyLD takes for the end of an address."""
_PLAIN_BYTES: Final = bytes(c for c in range(256) if c > 0x1F and c not in b'"\\\x7f' and c != 0xEF)  # noqa: PLR2004
"""Bytes that are the same in JSON and in canonical N-Quads; EF begins U+FFFE and U+FFFF, among others."""


class ShapeError(ValueError):
    """The shape cannot be compiled soundly: such a document takes the full path."""


class SlotError(ValueError):
    """A value does not fit its slot."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a document for a string, by name. One name may stand in several places."""

    name: str


class Text(tuple[str | Slot, ...]):
    """A string with slots in it: `Text(("https://badges.example/", Slot("id")))`."""

    __slots__ = ()


class Shape:
    """A compiled shape. `slots` names its slots in the order in which values are given."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Compile a document whose leaves may be `Slot` or `Text`.

        Raises:
            ShapeError: It cannot be done soundly; the message says which condition fails.
            UnsignableError: A term is defined in no context.
            UnknownContextError: A context is not pinned.
        """
        self._document = document
        names: dict[str, int] = {}
        text = json.dumps(_substituted(document, lambda name: f"{{{name}}}"), sort_keys=True)
        self._nonce = f"zq{hashlib.sha256(text.encode()).hexdigest()[:24]}"
        if self._nonce in text:
            raise ShapeError("the placeholder stands in the document")
        placed = _substituted(document, lambda name: f"{self._nonce}x{names.setdefault(name, len(names))}x")
        self.slots: tuple[str, ...] = tuple(names)
        self._json = Fill(self._split(msgspec.json.encode(placed)[:-1]))
        self._compile(statements(placed))

    # -- compiling -----------------------------------------------------------------------------------------------------

    def _split(self, text: bytes) -> list[Piece]:
        parts = re.split(rb"%bx(\d+)x" % self._nonce.encode(), text)
        return merge([int(part) if i % 2 else part for i, part in enumerate(parts)])

    def _compile(self, stated: Sequence[Triple]) -> None:
        self._iri_slots: set[int] = set()
        self._lines = [
            tuple(self._pieces(t[place], place) for place in ("subject", "predicate", "object", "graph") if place in t)
            for t in stated
        ]
        used = {piece for line in self._lines for part in line for piece in part if isinstance(piece, int)}
        if missing := set(range(len(self.slots))) - used:
            raise ShapeError(f"slots that would go unsigned: {', '.join(self.slots[i] for i in sorted(missing))}")
        blanks = sorted({p.label for line in self._lines for part in line for p in part if isinstance(p, Blank)})
        self._hash_blanks(blanks)
        places = {label: len(self.slots) + i for i, label in enumerate(self._blanks)}
        quads = [_statement(line, lambda blank: places[blank.label]) for line in self._lines]
        nearly_sorted = sorted(quads, key=lambda quad: [p if isinstance(p, bytes) else b"5" for p in quad])
        self._quads = Fill([piece for quad in nearly_sorted for piece in quad])
        self._labels = [b"_:c14n%d" % i for i in range(len(blanks))]

    def _pieces(self, node: Triple, place: str) -> list[Piece]:
        if node["type"] == "blank node":
            return [Blank(node["value"])]
        if node["type"] == "IRI":
            return merge([b"<", *self._iri(node["value"], place), b">"])
        datatype, language = node["datatype"], node.get("language", "")
        if self._nonce in datatype + language or (datatype == _RDF_JSON and self._nonce in node["value"]):
            raise ShapeError("a slot in a datatype, a language tag or a JSON literal")
        tail = "" if datatype == XSD_STRING else f"^^<{datatype}>"
        tail = f"@{language}" if datatype == RDF_LANG_STRING else tail
        return merge([b'"', *self._split(escape(node["value"]).encode()), f'"{tail}'.encode()])

    def _iri(self, value: str, place: str) -> list[Piece]:
        pieces = self._split(value.encode())
        slots = {piece for piece in pieces if isinstance(piece, int)}
        if not slots:
            if not _IRI.fullmatch(value):
                raise ShapeError(f"not an absolute IRI: {value}")
            return pieces
        scheme = _SCHEME.match(pieces[0]) if isinstance(pieces[0], bytes) else None
        if place in {"predicate", "graph"} or scheme is None or scheme[1].decode() in terms():
            raise ShapeError("an IRI slot needs a fixed scheme that is no term: urn:uuid:…, https://…")
        if any(isinstance(piece, bytes) and piece.translate(None, _IRI_BYTES) for piece in pieces):
            raise ShapeError(f"characters that an IRI must not hold: {value}")
        self._iri_slots |= slots
        return pieces

    def _hash_blanks(self, labels: Sequence[str]) -> None:
        """Prepare the first-degree hash of each blank node: once for good where it holds no slot."""
        fixed: list[tuple[str, bytes]] = []
        varying: list[tuple[str, Fill]] = []
        for label in labels:
            own = Blank(label)
            around = Fill(
                [
                    piece
                    for line in self._lines
                    if any(own in part for part in line)
                    for piece in _statement(line, lambda blank, own=own: b"_:a" if blank == own else b"_:z")
                ]
            )
            if around.is_fixed:
                fixed.append((label, _first_degree_hash(around(()))))
            else:
                varying.append((label, around))
        self._fixed_hashes = [digest for _, digest in fixed]
        self._varying = [around for _, around in varying]
        self._blanks = [label for label, _ in (*fixed, *varying)]

    # -- filling -------------------------------------------------------------------------------------------------------

    def escaped(self, values: Sequence[str]) -> tuple[list[bytes], list[bytes]]:
        """Return the values as JSON and as N-Quads write them, without quotes.

        Raises:
            SlotError: There are too few or too many, or an IRI slot's value holds what no IRI may.
        """
        if len(values) != len(self.slots):
            raise SlotError(f"{len(values)} values for {len(self.slots)} slots")
        in_json = [msgspec.json.encode(value)[1:-1] for value in values]
        for i in self._iri_slots:
            if in_json[i].translate(None, _IRI_BYTES) or _SPACE.search(values[i]):
                raise SlotError(f"{self.slots[i]}: a character that no IRI may hold")
        if not b"".join(in_json).translate(None, _PLAIN_BYTES):
            return in_json, in_json
        return in_json, [escape(value).encode() for value in values]

    def json(self, in_json: Sequence[bytes]) -> bytes:
        """Return the document's JSON without its closing brace, for a proof to follow."""
        return self._json(in_json)

    def canonical(self, values: Sequence[str], in_nquads: Sequence[bytes]) -> bytes:
        """Return the document's canonical N-Quads; `in_nquads` are the values from `escaped`."""
        hashes = self._fixed_hashes + [_first_degree_hash(around(in_nquads)) for around in self._varying]
        labels = dict(zip(sorted(hashes), self._labels, strict=True))
        lines = _lines(self._quads([*in_nquads, *(labels[digest] for digest in hashes)]))
        if len(labels) < len(hashes) or any(map(eq, lines, lines[1:])):
            return canonical(self.document(values))
        return b"\n".join((*lines, b""))

    def document(self, values: Sequence[str]) -> dict[str, Any]:
        """Return the plain document with the values in it."""
        by_name = dict(zip(self.slots, values, strict=True))
        filled: dict[str, Any] = _substituted(self._document, by_name.__getitem__)
        return filled


def _substituted(node: Any, value_of: Any) -> Any:
    if isinstance(node, Slot):
        return value_of(node.name)
    if isinstance(node, Text):
        return "".join(value_of(part.name) if isinstance(part, Slot) else part for part in node)
    if isinstance(node, Mapping):
        return {name: _substituted(inner, value_of) for name, inner in node.items()}
    if isinstance(node, list | tuple):
        return [_substituted(inner, value_of) for inner in node]
    return node


def _statement(line: Sequence[Sequence[Piece]], named: Any) -> list[Piece]:
    parts = ([named(piece) if isinstance(piece, Blank) else piece for piece in part] + [b" "] for part in line)
    return [*(piece for part in parts for piece in part), b".\n"]


def _lines(text: bytes) -> list[bytes]:
    """Return the lines of N-Quads in code point order, which is that of UTF-8's bytes; literals hold no raw line feed."""
    lines = text.split(b"\n")
    lines.pop()
    lines.sort()
    return lines


def _first_degree_hash(around: bytes) -> bytes:
    return hashlib.sha256(b"\n".join((*_lines(around), b""))).digest()
