"""The order of a shape's quads. Most of it is fixed text; the rest is met again and again, so each order is laid out once.

Canonical N-Quads are sorted, and what may change the order of two quads of a shape is little: the ranks of the blank nodes'
hashes, and terms that begin alike up to a slot (two tags, two pieces of evidence). Where those fall as they fell before, the
bytes around the slots are the same as before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Final, TypeAlias

from services.signing.pieces import Blank, Fill, Piece, merge

Term: TypeAlias = tuple[Piece, ...]
Line: TypeAlias = tuple[Term, ...]
"""Subject, predicate, object and, outside the default graph, graph of a quad."""
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


class Layout:
    """The quads of a shape in one order, with their blank nodes' labels."""

    __slots__ = ("_begin", "_rest", "_start")

    def __init__(self, lines: Iterable[Line], labels: Mapping[str, bytes]) -> None:
        """Lay the lines out in the order given."""
        pieces = merge([piece for line in lines for piece in pieces_of(line, lambda blank: labels[blank.label])])
        fixed = pieces[0] if isinstance(pieces[0], bytes) else b""
        self._start, self._begin = fixed, hashlib.sha256(fixed)
        self._rest = Fill(pieces[1:] if fixed else pieces)

    def canonical(self, values: Sequence[bytes]) -> bytes:
        """Return the canonical N-Quads."""
        return self._start + self._rest(values)

    def digest(self, values: Sequence[bytes]) -> bytes:
        """Return their SHA-256; the fixed beginning, often more than half, was hashed when this was laid out."""
        state = self._begin.copy()
        state.update(self._rest(values))
        return state.digest()
