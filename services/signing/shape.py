"""A document's shape, compiled once, gives the canonical N-Quads of every document of that shape without JSON-LD.

JSON-LD expansion runs once, on a document with placeholders. After that only slot values are escaped and put into ready-made quads,
the few blank nodes that hold slots are hashed (RDFC-1.0 §4.6, Hash First Degree Quads), and the quads are put in order, which
costs nothing where that order was met before (`layout.py`). Sound because

1. a slot is a whole or partial string literal or `@id` IRI: never a key, a type, a datatype, a language tag or a predicate;
2. an IRI slot follows a fixed scheme that no context defines as a term, and its value holds only IRI characters;
3. what is absent, and how long each list is, belongs to the shape;

and because the two things that values could upset are looked for in each document: blank nodes with equal first-degree hashes, and
quads that become equal. Those documents take the full path. (Two nodes that get one name upset nothing else: JSON-LD merges them,
as quads do by themselves, but for equal lists, and the heads of equal lists have equal hashes.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from operator import eq
from typing import Any, Final

import msgspec

from services.signing.contexts import terms
from services.signing.layout import Layout, Line, entangled, is_open, pieces_of, ranks, rivals
from services.signing.pieces import Blank, Fill, FillAll, Piece, merge
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

    def __init__(self, document: Mapping[str, Any], *, max_layouts: int = 32) -> None:
        """Compile a document whose leaves may be `Slot` or `Text`; remember so many orders of its quads.

        Raises:
            ShapeError: It cannot be done soundly; the message says which condition fails.
            UnsignableError: A term is defined in no context.
            UnknownContextError: A context is not pinned.
        """
        self._document, self._max_layouts = document, max_layouts
        names: dict[str, int] = {}
        text = json.dumps(_substituted(document, lambda name: f"{{{name}}}"), sort_keys=True)
        self._nonce = f"zq{sha256(text.encode()).hexdigest()[:24]}"
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
        places = ("subject", "predicate", "object", "graph")
        lines = (tuple(self._pieces(t[place], place) for place in places if place in t) for t in stated)
        self._lines: list[Line] = list(dict.fromkeys(lines))
        used = {piece for line in self._lines for term in line for piece in term if isinstance(piece, int)}
        if missing := set(range(len(self.slots))) - used:
            raise ShapeError(f"slots that would go unsigned: {', '.join(self.slots[i] for i in sorted(missing))}")
        blanks = sorted({p.label for line in self._lines for term in line for p in term if isinstance(p, Blank)})
        self._hash_blanks(blanks)
        self._labels = [b"_:c14n%d" % i for i in range(len(blanks))]
        numbers = {blank: len(self.slots) + i for i, blank in enumerate(self._blanks)}
        self._quads = Fill([p for line in self._lines for p in pieces_of(line, numbers.__getitem__)])
        self._entangled = [numbers[blank] - len(self.slots) for blank in entangled(self._lines)]
        self._addresses = Fill(sorted(self._iri_slots))
        self._quotes = b'"' * (2 * len(self.slots))
        self._layouts: dict[tuple[tuple[int, ...], tuple[int, ...]], Layout] = {}

    def _pieces(self, node: Triple, place: str) -> tuple[Piece, ...]:
        if node["type"] == "blank node":
            return (Blank(node["value"]),)
        if node["type"] == "IRI":
            return tuple(merge([b"<", *self._iri(node["value"], place), b">"]))
        datatype, language = node["datatype"], node.get("language", "")
        if self._nonce in datatype + language or (datatype == _RDF_JSON and self._nonce in node["value"]):
            raise ShapeError("a slot in a datatype, a language tag or a JSON literal")
        tail = "" if datatype == XSD_STRING else f"^^<{datatype}>"
        tail = f"@{language}" if datatype == RDF_LANG_STRING else tail
        return tuple(merge([b'"', *self._split(escape(node["value"]).encode()), f'"{tail}'.encode()]))

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
        varying: list[tuple[str, list[Piece]]] = []
        self._unsorted: list[int] = []
        for label in labels:
            own = Blank(label)
            around = [
                pieces_of(line, lambda blank, own=own: b"_:a" if blank == own else b"_:z")  # type: ignore[misc]
                for line in self._lines
                if any(own in term for term in line)
            ]
            if any(is_open(a, b) for a, b in combinations(around, 2)):
                self._unsorted.append(len(varying))
            filled = [Fill(line)([b""] * len(self.slots)) for line in around]
            text = merge([piece for i in ranks(filled) for piece in around[i]])
            if any(isinstance(piece, int) for piece in text):
                varying.append((label, text))
            else:
                fixed.append((label, sha256(Fill(text)(())).digest()))
        self._fixed_hashes = [digest for _, digest in fixed]
        self._varying = len(varying)
        self._blanks = [Blank(label) for label, _ in (*fixed, *varying)]
        self._deciding = FillAll([*(text for _, text in varying), *(rivals(self._lines) if self._max_layouts else ())])

    # -- filling -------------------------------------------------------------------------------------------------------

    def escaped(self, values: Sequence[str]) -> tuple[list[bytes], list[bytes]]:
        """Return the values as JSON and as N-Quads write them, without quotes.

        Raises:
            SlotError: There are too few or too many, or an IRI slot's value holds what no IRI may.
        """
        if len(values) != len(self.slots):
            raise SlotError(f"{len(values)} values for {len(self.slots)} slots")
        text = msgspec.json.encode(values)
        # Within a string each quote follows a backslash, so only the strings' own ends read `","`.
        in_json = text[2:-2].split(b'","') if values else []
        addresses = self._addresses(in_json)
        if addresses.translate(None, _IRI_BYTES) or (not addresses.isascii() and _SPACE.search(addresses.decode())):
            self._refuse_address(values, in_json)
        if text.translate(None, _PLAIN_BYTES) == self._quotes:
            return in_json, in_json
        return in_json, [escape(value).encode() for value in values]

    def _refuse_address(self, values: Sequence[str], in_json: Sequence[bytes]) -> None:
        for i in self._iri_slots:
            if in_json[i].translate(None, _IRI_BYTES) or _SPACE.search(values[i]):
                raise SlotError(f"{self.slots[i]}: a character that no IRI may hold")

    def json(self, in_json: Sequence[bytes]) -> bytes:
        """Return the document's JSON without its closing brace, for a proof to follow."""
        return self._json(in_json)

    def canonical(self, values: Sequence[str], in_nquads: Sequence[bytes]) -> bytes:
        """Return the document's canonical N-Quads; `in_nquads` are the values from `escaped`."""
        hashes, terms = self._decided(in_nquads)
        order = ranks(hashes)
        layout = self._layout(hashes, order, terms, in_nquads)
        return layout.canonical(in_nquads, order) if layout else self._sorted(values, in_nquads, hashes)

    def digest(self, values: Sequence[str], in_nquads: Sequence[bytes]) -> bytes:
        """Return the SHA-256 of the canonical N-Quads."""
        hashes, terms = self._decided(in_nquads)
        order = ranks(hashes)
        layout = self._layout(hashes, order, terms, in_nquads)
        return layout.digest(in_nquads, order) if layout else sha256(self._sorted(values, in_nquads, hashes)).digest()

    def is_laid_out(self, in_nquads: Sequence[bytes]) -> bool:
        """Say whether these values' order has a layout, or now gets one; others are sorted, or take the full path."""
        hashes, terms = self._decided(in_nquads)
        return self._layout(hashes, ranks(hashes), terms, in_nquads) is not None

    def _decided(self, in_nquads: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Return what decides the order of the quads: the blank nodes' hashes, and the terms whose order is open."""
        texts = self._deciding(in_nquads)
        for i in self._unsorted:
            texts[i] = b"".join(sorted(texts[i].splitlines(keepends=True)))
        return self._fixed_hashes + [sha256(text).digest() for text in texts[: self._varying]], texts[self._varying :]

    def _layout(
        self, hashes: Sequence[bytes], order: tuple[int, ...], terms: Sequence[bytes], in_nquads: Sequence[bytes]
    ) -> Layout | None:
        """Return the layout of these values' order, or None where there is none: equal hashes or terms, or too many orders."""
        if not self._max_layouts or len(set(hashes)) < len(hashes) or len(set(terms)) < len(terms):
            return None
        key = ranks(terms), self._names_in_order(order) if self._entangled else ()
        found = self._layouts.get(key)
        if found is None and len(self._layouts) < self._max_layouts:
            most = self._max_layouts // (len(self._layouts) + 1)  # in all some hundred, whatever the values
            in_order = [self._lines[i] for i in ranks(self._filled(in_nquads, hashes))]
            found = self._layouts[key] = Layout(in_order, self._blanks, len(self.slots), most=most)
        return found

    def _names_in_order(self, order: Sequence[int]) -> tuple[int, ...]:
        names = dict(zip(order, self._labels, strict=True))
        return ranks([names[blank] for blank in self._entangled])

    def _sorted(self, values: Sequence[str], in_nquads: Sequence[bytes], hashes: Sequence[bytes]) -> bytes:
        lines = sorted(self._filled(in_nquads, hashes))
        if len(set(hashes)) < len(hashes) or any(map(eq, lines, lines[1:])):
            return canonical(self.document(values))
        return b"\n".join((*lines, b""))

    def _filled(self, in_nquads: Sequence[bytes], hashes: Sequence[bytes]) -> list[bytes]:
        """Return the quads in the order of `_lines`; literals hold no raw line feed."""
        labels = dict(zip(sorted(hashes), self._labels, strict=True))
        return self._quads([*in_nquads, *(labels[digest] for digest in hashes)]).split(b"\n")[:-1]

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
