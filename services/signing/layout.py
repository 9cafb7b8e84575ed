"""The order of a shape's quads. Most of it is fixed text; the rest is met again and again, so each order is laid out once.

Canonical N-Quads are sorted. What values may change in their order is little:

1. Terms that begin alike up to a slot (two tags, two pieces of evidence): where those fall as they fell before, all else does too.
2. The names of blank nodes, by their hashes. Quads about one blank node stand together, after all others, in an order of their
   own: a block, put in its place by the node's name. Quads that differ in nothing but the blank node that they point to hold
   those names in order.

So a layout is laid out for one order of the first kind; the second kind is filled in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import Final, TypeAlias

from services.signing.pieces import Blank, Fill, FillAll, Piece, merge

Term: TypeAlias = tuple[Piece, ...]
Line: TypeAlias = tuple[Term, ...]
"""Subject, predicate, object and, outside the default graph, graph of a quad."""
_OBJECT: Final = 2
_END: Final = b".\n"


def pieces_of(line: Line, named: Callable[[Blank], bytes | int]) -> list[Piece]:
    """Return a quad's pieces, its blank nodes named."""
    return [*(named(p) if isinstance(p, Blank) else p for p in _spaced(line)), _END]


def _spaced(terms: Sequence[Term]) -> Term:
    return tuple(piece for term in terms for piece in (*term, b" "))


def is_open(a: Iterable[Piece], b: Iterable[Piece]) -> bool:
    """Say whether slot values decide which of two runs of pieces comes first. Ranks decide between blank nodes."""
    left, right = list(a)[::-1], list(b)[::-1]
    while left and right:
        x, y = left.pop(), right.pop()
        if isinstance(x, bytes) and isinstance(y, bytes):
            shared = min(len(x), len(y))
            if x[:shared] != y[:shared]:
                return False
            left += [x[shared:]] if x[shared:] else []
            right += [y[shared:]] if y[shared:] else []
        elif x != y:
            return isinstance(x, int) or isinstance(y, int)
    return False


def ranks(texts: Sequence[bytes]) -> tuple[int, ...]:
    """Return the numbers of the texts in the order of the texts."""
    return tuple(sorted(range(len(texts)), key=texts.__getitem__))


def rivals(lines: Sequence[Line]) -> list[Term]:
    """Return the terms whose order is open: subjects, and what follows one subject and predicate.

    Each begins with the number of its group, so that one sort of them all puts each group in order.
    """
    after: dict[Line, list[Term]] = {}
    for line in lines:
        after.setdefault(line[:2], []).append((*_spaced(line[2:]), _END))
    groups = [list(dict.fromkeys(_spaced(line[:1]) for line in lines)), *after.values()]
    found: list[Term] = []
    for number, group in enumerate(groups):
        open_ones = dict.fromkeys(term for a, b in combinations(group, 2) if is_open(a, b) for term in (a, b))
        found += [(b"%06d " % number, *term) for term in open_ones]
    return found


def entangled(lines: Sequence[Line]) -> set[Blank]:
    """Return the blank nodes whose names decide the order of quads that differ in more than the node that they point to."""
    found: set[Blank] = set()
    for a, b in combinations(lines, 2):
        at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), 0)
        if at and not (at == _OBJECT and a[at + 1 :] == b[at + 1 :]):
            both = {piece for term in (a[at], b[at]) for piece in term if isinstance(piece, Blank)}
            found |= both if len(both) > 1 else set()
    return found


class Layout:
    """The quads of a shape in one order of their terms, wherever their blank nodes fall."""

    __slots__ = ("_by_name", "_exact", "_labels", "_most", "_parts", "_runs", "_sets", "_slots")

    def __init__(self, lines: Sequence[Line], blanks: Sequence[Blank], slots: int, most: int) -> None:
        """Lay the lines out.

        Args:
            lines: In an order that they have for some values.
            blanks: The blank nodes, as they are numbered.
            slots: How many slots there are.
            most: How many orders of the blank nodes to keep with the names in them.
        """
        self._labels = [b"_:c14n%d" % i for i in range(len(blanks))]
        self._by_name = ranks(self._labels)
        numbers = {blank: slots + i for i, blank in enumerate(blanks)}
        pointing: dict[Line, list[Blank]] = {}
        for line in lines:
            if isinstance(pointed := line[_OBJECT][0], Blank):
                pointing.setdefault(_but_object(line), []).append(pointed)
        self._sets: list[list[int]] = []
        places: dict[Line, Iterator[int]] = {}
        taken = slots + len(blanks)
        for key, members in pointing.items():
            if len(members) > 1:
                self._sets.append([numbers[blank] - slots for blank in members])
                places[key] = iter(range(taken, taken := taken + len(members)))
        head: list[Piece] = []
        blocks: dict[Piece, list[Piece]] = {blank: [] for blank in blanks}
        for line in lines:
            pieces = pieces_of(line, numbers.__getitem__)
            if _but_object(line) in places and isinstance(line[_OBJECT][0], Blank):
                pieces = pieces_of(
                    (*line[:_OBJECT], (next(places[_but_object(line)]),), *line[_OBJECT + 1 :]), numbers.__getitem__
                )
            blocks.get(line[0][0], head).extend(pieces)
        self._slots, self._runs = slots, [head, *blocks.values()]
        self._parts = FillAll(self._runs)
        self._exact: dict[Sequence[int], _Exact] = {}
        self._most = most

    def canonical(self, values: Sequence[bytes], order: tuple[int, ...]) -> bytes:
        """Return the canonical N-Quads; `order` are the blank nodes' numbers in the order of their hashes."""
        exact = self._of(order)
        return exact.start + exact.rest(values) if exact else self._filled(values, order)

    def digest(self, values: Sequence[bytes], order: tuple[int, ...]) -> bytes:
        """Return their SHA-256."""
        exact = self._of(order)
        if exact is None:
            return hashlib.sha256(self._filled(values, order)).digest()
        state = exact.begin.copy()
        state.update(exact.rest(values))
        return state.digest()

    def _of(self, order: tuple[int, ...]) -> _Exact | None:
        """Return the quads with the names of this order in them: of the first orders met, since a few are most of them."""
        found = self._exact.get(order)
        if found is None and len(self._exact) < self._most:
            names = self._names(order)
            runs = [self._runs[0], *(self._runs[order[place] + 1] for place in self._by_name)]
            named = [
                names[p - self._slots] if isinstance(p, int) and p >= self._slots else p for run in runs for p in run
            ]
            found = self._exact[order] = _Exact(named)
        return found

    def _filled(self, values: Sequence[bytes], order: Sequence[int]) -> bytes:
        parts = self._parts([*values, *self._names(order)])
        return b"".join([parts[0], *[parts[order[place] + 1] for place in self._by_name]])

    def _names(self, order: Sequence[int]) -> list[bytes]:
        """Return the names of the blank nodes, and after them those of each set in order."""
        labels = self._labels.copy()
        for label, blank in zip(self._labels, order, strict=True):
            labels[blank] = label
        return labels + [name for members in self._sets for name in sorted([labels[blank] for blank in members])]


class _Exact:
    """Quads in which slots alone are open. Their fixed beginning, often more than half, is hashed once."""

    __slots__ = ("begin", "rest", "start")

    def __init__(self, pieces: Sequence[Piece]) -> None:
        merged = merge(pieces)
        self.start = merged[0] if merged and isinstance(merged[0], bytes) else b""
        self.begin = hashlib.sha256(self.start)
        self.rest = Fill(merged[1:] if self.start else merged)


def _but_object(line: Line) -> Line:
    return (*line[:_OBJECT], *line[_OBJECT + 1 :])
