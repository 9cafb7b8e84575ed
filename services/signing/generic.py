"""The canonical form of anyone's document, fast: its strings become slots, and each shape met is compiled once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from services.signing.contexts import UnknownContextError
from services.signing.plain import MAX_DEPTH, MAX_VALUES, UnsignableError
from services.signing.rdf import canonical
from services.signing.shape import Shape, ShapeError, Slot, SlotError, Text

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_FIXED: Final = frozenset({"@context", "type", "@type", "proofPurpose"})
"""Members whose values decide how others are read, or are terms themselves: they belong to the shape."""
_MAX_SHAPES: Final = 256


class Canonicaliser:
    """Canonical N-Quads of documents; remembers the shapes that it has met. Threads may share one."""

    def __init__(self) -> None:
        """Know no shape yet."""
        self._shapes: dict[str, Shape | None] = {}

    def canonical(self, document: Mapping[str, Any]) -> bytes:
        """Return what `rdf.canonical` returns.

        Raises:
            UnsignableError: A term is defined in no context, canonicalising would take too long, or see `plain`.
            UnknownContextError: It names a context that is not pinned.
        """
        slots = _Slots()
        slotted = _slotted(document, slots, MAX_DEPTH)
        key = json.dumps(slotted, default=_marker)
        try:
            shape = self._shapes[key]  # looked up once: another thread may clear them
        except KeyError:
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()
            shape = self._shapes[key] = _compiled(slotted)
        if shape is None:
            return canonical(document)
        in_order = [slots.values[int(name)] for name in shape.slots]
        try:
            return shape.canonical(in_order, shape.escaped(in_order)[1])
        except (SlotError, UnicodeEncodeError):
            return canonical(document)  # which says what is wrong with the value


def _compiled(slotted: Any) -> Shape | None:
    try:
        return Shape(slotted, max_layouts=0)  # where every string is a slot, hardly any order comes again
    except (ShapeError, UnsignableError, UnknownContextError, UnicodeEncodeError):
        return None  # the full path says what is wrong with this document


class _Slots:
    """The strings of one document, in the order in which they are met."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._addresses: dict[str, Text] = {}

    def of(self, text: str) -> Slot | Text:
        """Return a slot for a string, after its fixed scheme if it has one.

        Equal addresses share a slot: what is said twice of one thing is one statement, whatever its address.
        """
        scheme = _SCHEME.match(text)
        if scheme is None:
            self.values.append(text)
            return Slot(str(len(self.values) - 1))
        if text not in self._addresses:
            self.values.append(text[scheme.end() :])
            self._addresses[text] = Text((scheme.group(), Slot(str(len(self.values) - 1))))
        return self._addresses[text]


def _slotted(node: Any, slots: _Slots, levels: int) -> Any:
    """Return the node with numbered slots for its strings.

    Raises:
        UnsignableError: It is nested deeper, or holds more strings, than any document that is read.
    """
    if not levels or len(slots.values) > MAX_VALUES:
        raise UnsignableError(f"more than {MAX_DEPTH} levels or {MAX_VALUES:,} values")
    if isinstance(node, str):
        return slots.of(node)
    if isinstance(node, dict):
        return {
            name: _names(inner) if name in _FIXED else _slotted(inner, slots, levels - 1)
            for name, inner in node.items()
        }
    if isinstance(node, list):
        return [_slotted(inner, slots, levels - 1) for inner in node]
    return node


def _names(node: Any) -> Any:
    if all(isinstance(name, str) for name in (node if isinstance(node, list) else [node])):
        return node
    raise UnsignableError("a type or a context is not a name")


def _marker(leaf: Any) -> Any:
    return {"slot": leaf.name}
