"""Byte layouts with holes: runs of fixed bytes, slot numbers and blank nodes, and how such runs compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Blank:
    """A node without a name, by the label that it had when the shape was compiled."""

    label: str


Piece: TypeAlias = bytes | int | Blank
"""Fixed bytes, the number of a slot, or a blank node still without its canonical label."""


def merge(pieces: Sequence[Piece]) -> list[Piece]:
    """Join neighbouring fixed bytes and drop empty ones."""
    out: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, bytes) and out and isinstance(out[-1], bytes):
            out[-1] += piece
        elif piece != b"":
            out.append(piece)
    return out


def compare(left: Sequence[Piece], right: Sequence[Piece]) -> int | None:
    """Return -1, 0 or 1 when two runs compare so for every value of their slots, and None when values decide.

    Bytes of UTF-8 compare as code points do, which is the order that RDFC-1.0 asks for.
    """
    a, b = list(left), list(right)
    i = j = 0
    while i < len(a) and j < len(b):
        x, y = a[i], b[j]
        if isinstance(x, bytes) and isinstance(y, bytes):
            shared = min(len(x), len(y))
            if x[:shared] != y[:shared]:
                return -1 if x[:shared] < y[:shared] else 1
            a[i], b[j] = x[shared:], y[shared:]
            i, j = i + (not a[i]), j + (not b[j])
        elif x == y:
            i, j = i + 1, j + 1
        else:
            return None
    if i == len(a) and j == len(b):
        return 0
    rest, order = (b[j], -1) if i == len(a) else (a[i], 1)
    return order if isinstance(rest, bytes) else None  # a slot may be empty


class Fill:
    """A run of pieces, ready to be filled: fixed bytes at even places, slots at odd ones."""

    __slots__ = ("_buffer", "_get")

    def __init__(self, pieces: Sequence[Piece]) -> None:
        """Prepare the run. It holds no blank nodes any more."""
        buffer, numbers = [b""], []
        for piece in merge(pieces):
            if isinstance(piece, int):
                numbers.append(piece)
                buffer += [b"", b""]
            elif isinstance(piece, bytes):
                buffer[-1] += piece
        self._buffer = buffer
        self._get: Callable[[Sequence[bytes]], Any] | None = None
        if len(numbers) == 1:
            only = numbers[0]
            self._get = lambda values: (values[only],)
        elif numbers:
            self._get = itemgetter(*numbers)

    def __call__(self, values: Sequence[bytes]) -> bytes:
        """Return the bytes with the slots' values in their places."""
        if self._get is None:
            return self._buffer[0]
        buffer = self._buffer.copy()
        buffer[1::2] = self._get(values)
        return b"".join(buffer)
