"""Byte layouts with holes: runs of fixed bytes, slot numbers and blank nodes."""

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

    @property
    def is_fixed(self) -> bool:
        """Whether the run has no slots."""
        return self._get is None

    def __call__(self, values: Sequence[bytes]) -> bytes:
        """Return the bytes with the slots' values in their places."""
        if self._get is None:
            return self._buffer[0]
        buffer = self._buffer.copy()
        buffer[1::2] = self._get(values)
        return b"".join(buffer)


class FillAll:
    """Several runs of pieces, filled at once. NUL parts them: neither canonical N-Quads nor JSON hold one."""

    __slots__ = ("_fill", "_is_empty")

    def __init__(self, runs: Sequence[Sequence[Piece]]) -> None:
        """Prepare the runs."""
        self._fill = Fill([piece for run in runs for piece in (b"\0", *run)][1:])
        self._is_empty = not runs

    def __call__(self, values: Sequence[bytes]) -> list[bytes]:
        """Return the bytes of each run."""
        return [] if self._is_empty else self._fill(values).split(b"\0")
