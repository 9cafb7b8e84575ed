"""A document's shape, compiled once, gives the canonical N-Quads of every document of that shape without JSON-LD.

JSON-LD expansion runs once, on a document with placeholders. After that only slot values are escaped, the few blank nodes
that hold slots are hashed (RDFC-1.0 §4.6, Hash First Degree Quads), and a ready-made layout is filled. This is sound because

1. a slot is a whole or partial string literal or `@id` IRI: never a key, a type, a datatype, a language tag or a predicate;
2. an IRI slot follows a fixed scheme that no context defines as a term, and its value holds only IRI characters;
3. what is absent, and how long each list is, belongs to the shape;

and because whatever values could upset is checked for each document: equal first-degree hashes, nodes that get one name, quads
that become equal. Those documents take the full path, as does any order that fixed text does not decide and no rule here covers.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any, Final

import msgspec

from services.signing.contexts import terms
from services.signing.pieces import Blank, Fill, Piece, compare, merge
from services.signing.rdf import RDF_LANG_STRING, XSD_STRING, Triple, canonical, escape, rdfc10, triples

_MAX_LAYOUTS: Final = 4096
_RDF_JSON: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON"
_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|^`\\\x7f]*")
_SCHEME: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*):")
_IRI_BYTES: Final = bytes(c for c in range(256) if c > 0x20 and c != 0x7F and c not in b'<>"{}|^`\\[]')  # noqa: PLR2004
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
        self._compile(triples(placed))

    # -- compiling -----------------------------------------------------------------------------------------------------

    def _split(self, text: bytes) -> list[Piece]:
        parts = re.split(rb"%bx(\d+)x" % self._nonce.encode(), text)
        return merge([int(part) if i % 2 else part for i, part in enumerate(parts)])

    def _compile(self, statements: Sequence[Triple]) -> None:
        self._iri_slots: set[int] = set()
        self._lines = [
            tuple(self._pieces(t[place], place) for place in ("subject", "predicate", "object")) for t in statements
        ]
        used = {piece for line in self._lines for part in line for piece in part if isinstance(piece, int)}
        if missing := set(range(len(self.slots))) - used:
            raise ShapeError(f"slots that would go unsigned: {', '.join(self.slots[i] for i in sorted(missing))}")
        self._hash_blanks()
        self._find_undecided_subjects()
        self._find_undecided_objects()
        self._layouts: dict[Any, Fill] = {}
        self._raw = Fill([p for line in self._lines for p in _statement(line, lambda b: b.label.encode())])

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
        if place == "predicate" or scheme is None or scheme[1].decode() in terms():
            raise ShapeError("an IRI slot needs a fixed scheme that is no term: urn:uuid:…, https://…")
        if any(isinstance(piece, bytes) and piece.translate(None, _IRI_BYTES) for piece in pieces):
            raise ShapeError(f"characters that an IRI must not hold: {value}")
        self._iri_slots |= slots
        return pieces

    def _hash_blanks(self) -> None:
        """Prepare the first-degree hash of each blank node: once for good where it holds no slot."""
        labels = sorted({p.label for line in self._lines for part in line for p in part if isinstance(p, Blank)})
        fixed: list[tuple[str, str]] = []
        self._varying: list[tuple[str, list[Fill], bool]] = []
        for label in labels:
            own = Blank(label)
            lines = [
                merge(_statement(line, lambda blank, own=own: b"_:a" if blank == own else b"_:z"))
                for line in self._lines
                if own in line[0] or own in line[2]
            ]
            if any(isinstance(piece, int) for line in lines for piece in line):
                decided = _ordered(lines)
                whole = [Fill([p for line in decided for p in line])] if decided else [Fill(line) for line in lines]
                self._varying.append((label, whole, decided is None))
            else:
                text = b"".join(sorted(b"".join(p for p in line if isinstance(p, bytes)) for line in lines))
                fixed.append((label, hashlib.sha256(text).hexdigest()))
        self._fixed_hashes = [digest for _, digest in fixed]
        self._blanks = [label for label, _ in fixed] + [label for label, _, _ in self._varying]

    def _find_undecided_subjects(self) -> None:
        """Note named subjects whose order, or being the same, depends on values."""
        self._subjects: list[list[Piece]] = []
        for subject, _, _ in self._lines:
            if subject not in self._subjects:
                self._subjects.append(subject)
        named = [i for i, subject in enumerate(self._subjects) if not isinstance(subject[0], Blank)]
        undecided = {
            i
            for a in named
            for b in named
            if a < b and compare(self._subjects[a], self._subjects[b]) is None
            for i in (a, b)
        }
        self._undecided = sorted(undecided)
        self._undecided_fill = [Fill(self._subjects[i]) for i in self._undecided]

    def _find_undecided_objects(self) -> None:
        """Note values of one property whose order, or being equal, depends on values."""
        groups: dict[tuple[int, bytes], list[int]] = {}
        for n, (subject, predicate, _) in enumerate(self._lines):
            groups.setdefault((self._subjects.index(subject), bytes(predicate[0])), []).append(n)  # type: ignore[arg-type]
        self._contested: list[tuple[list[int], list[Fill]]] = []
        for numbers in groups.values():
            lines = {n: [*self._lines[n][2], b" .\n"] for n in numbers if not isinstance(self._lines[n][2][0], Blank)}
            pairs = ((a, b) for a in lines for b in lines if a < b)
            if any(compare(lines[a], lines[b]) is None for a, b in pairs):
                self._contested.append((list(lines), [Fill(line) for line in lines.values()]))

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
            if in_json[i].translate(None, _IRI_BYTES):
                raise SlotError(f"{self.slots[i]}: a character that no IRI may hold")
        if not b"".join(in_json).translate(None, _PLAIN_BYTES):
            return in_json, in_json
        return in_json, [escape(value).encode() for value in values]

    def json(self, in_json: Sequence[bytes]) -> bytes:
        """Return the document's JSON without its closing brace, for a proof to follow."""
        return self._json(in_json)

    def canonical(self, values: Sequence[str], in_nquads: Sequence[bytes]) -> bytes:
        """Return the document's canonical N-Quads; `in_nquads` are the values from `escaped`."""
        hashes = self._fixed_hashes.copy()
        for _, fills, undecided in self._varying:
            text = b"".join(sorted(fill(in_nquads) for fill in fills)) if undecided else fills[0](in_nquads)
            hashes.append(hashlib.sha256(text).hexdigest())
        if len(set(hashes)) < len(hashes):
            return rdfc10(self._raw(in_nquads))
        names = [fill(in_nquads) for fill in self._undecided_fill]
        if len(set(names)) < len(names):
            return canonical(self.document(values))  # nodes that become one
        contested = []
        for _, fills in self._contested:
            objects = [fill(in_nquads) for fill in fills]
            if len(set(objects)) < len(objects):
                return rdfc10(self._raw(in_nquads))  # quads that become one
            contested.append(_ranks(objects))
        key = (_ranks(hashes), _ranks(names), tuple(contested))
        layout = self._layouts.get(key)
        if layout is None:
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            try:
                layout = self._layouts[key] = self._layout(*key)
            except ShapeError:
                return rdfc10(self._raw(in_nquads))
        return layout(in_nquads)

    def _layout(self, blanks: Sequence[int], names: Sequence[int], contested: Sequence[Sequence[int]]) -> Fill:
        """Arrange the quads for one order of blank nodes, undecided subjects and undecided objects."""
        labels = {self._blanks[i]: b"_:c14n%d" % rank for i, rank in enumerate(blanks)}
        subject_rank = dict(zip(self._undecided, names, strict=True))
        object_rank = {
            n: rank
            for (lines, _), ranks in zip(self._contested, contested, strict=True)
            for n, rank in zip(lines, ranks, strict=True)
        }
        lines = [merge(_statement(line, lambda blank: labels[blank.label])) for line in self._lines]
        subjects = [self._subjects.index(line[0]) for line in self._lines]

        def order(n: int, m: int) -> int:
            a, b = subjects[n], subjects[m]
            if a != b and a in subject_rank and b in subject_rank:
                return subject_rank[a] - subject_rank[b]
            if n in object_rank and m in object_rank and a == b and self._lines[n][1] == self._lines[m][1]:
                return object_rank[n] - object_rank[m]
            decided = compare(lines[n], lines[m])
            if decided is None:
                raise ShapeError("an order that nothing decides")
            return decided

        return Fill([piece for n in sorted(range(len(lines)), key=cmp_to_key(order)) for piece in lines[n]])

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
    subject, predicate, value = ([named(p) if isinstance(p, Blank) else p for p in part] for part in line)
    return [*subject, b" ", *predicate, b" ", *value, b" .\n"]


def _ordered(lines: Sequence[list[Piece]]) -> list[list[Piece]] | None:
    """Return the lines in code point order, or None when values decide it."""
    if any(compare(a, b) is None for i, a in enumerate(lines) for b in lines[i + 1 :]):
        return None

    def order(a: list[Piece], b: list[Piece]) -> int:
        return compare(a, b) or 0

    return sorted(lines, key=cmp_to_key(order))


def _ranks(texts: Sequence[Any]) -> tuple[int, ...]:
    """Return each text's place in code point order."""
    order = sorted(range(len(texts)), key=texts.__getitem__)
    ranks = [0] * len(texts)
    for rank, i in enumerate(order):
        ranks[i] = rank
    return tuple(ranks)
