"""A programme's colour and what goes with it: lighter, darker, and the ink that can be read on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_WHITE: Final = (255, 255, 255)
_INK: Final = (22, 27, 34)
_BLACK: Final = (0, 0, 0)
_MIDDLE: Final = 0.183
"""Relative luminance up to which white has a contrast of 4.5 to 1, and beyond which black has it (WCAG 2.2 §1.4.3)."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one programme, as `#rrggbb`."""

    base: str
    dark: str
    pale: str
    line: str
    on_base: str


def palette(colour: str) -> Palette:
    """Return the palette of a programme's colour."""
    base = (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))
    light = _luminance(base) > _MIDDLE
    return Palette(
        base=colour.lower(),
        dark=_hex(_mix(base, _INK, 0.55 if not light else 0.75)),
        pale=_hex(_mix(base, _WHITE, 0.94)),
        line=_hex(_mix(base, _WHITE, 0.72)),
        on_base=_hex(_BLACK if light else _WHITE),
    )


def _mix(one: tuple[int, int, int], other: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    r, g, b = (round(a + (c - a) * share) for a, c in zip(one, other, strict=True))
    return r, g, b


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _luminance(colour: tuple[int, int, int]) -> float:
    r, g, b = (c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour)  # noqa: PLR2004
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
