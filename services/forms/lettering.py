"""Text as outlines, so that an image looks the same wherever it is shown and no viewer needs the font."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from math import cos, radians, sin
from typing import Any, Final, Literal

from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont

Weight = Literal["Regular", "Semibold", "Bold"]
FONTS: Final = files("font_source_sans_pro") / "files"
_ELLIPSIS: Final = "…"


class Face:
    """One weight of the typeface."""

    def __init__(self, weight: Weight) -> None:
        """Read the font."""
        with as_file(FONTS / f"SourceSansPro-{weight}.ttf") as path:
            font = TTFont(path)
        self._glyphs = font.getGlyphSet()
        self._names: dict[int, str] = font.getBestCmap()
        self._units: int = font["head"].unitsPerEm

    def _glyph(self, character: str) -> Any:
        return self._glyphs[self._names.get(ord(character), ".notdef")]

    def width(self, text: str, size: float, spacing: float = 0) -> float:
        """Return how wide a text is set."""
        return float(sum(self._glyph(c).width * size / self._units + spacing for c in text))

    def line(self, text: str, size: float, x: float, y: float) -> str:
        """Return a text's outlines as SVG path data, centred on x, its baseline at y."""
        pen = _pen(self._glyphs)
        at = x - self.width(text, size) / 2
        scale = size / self._units
        for character in text:
            glyph = self._glyph(character)
            glyph.draw(TransformPen(pen, (scale, 0, 0, -scale, at, y)))
            at += glyph.width * scale
        return str(pen.getCommands())

    def arc(self, text: str, size: float, radius: float, *, below: bool = False, spacing: float = 0) -> str:
        """Return a text's outlines along a circle about the origin, its middle at the top; or at the bottom, to be read there."""
        pen = _pen(self._glyphs)
        scale, turn = size / self._units, -1 if below else 1
        at = -self.width(text, size, spacing) / 2
        for character in text:
            glyph = self._glyph(character)
            advance = glyph.width * scale + spacing
            angle = turn * (at + advance / 2) / radius + (radians(180) if below else 0)
            x, y = radius * sin(angle), -radius * cos(angle)
            along = angle + (radians(180) if below else 0)
            c, s = cos(along), sin(along)
            left = -glyph.width * scale / 2
            glyph.draw(TransformPen(pen, (c * scale, s * scale, s * scale, -c * scale, x + c * left, y + s * left)))
            at += advance
        return str(pen.getCommands())

    def fitted(self, text: str, sizes: Sequence[float], room: float, spacing: float = 0) -> tuple[str, float]:
        """Return the text and the largest of these sizes at which it has room; at the smallest it is cut short."""
        for size in sizes:
            if self.width(text, size, spacing) <= room:
                return text, size
        cut = text
        while cut and self.width(cut + _ELLIPSIS, sizes[-1], spacing) > room:
            cut = cut[:-1].rstrip()
        return cut + _ELLIPSIS, sizes[-1]

    def wrapped(self, text: str, size: float, widths: Sequence[float]) -> Sequence[str] | None:
        """Return the text in as many lines as there are widths, or None when it does not go into them."""
        lines: list[str] = []
        words = text.split()
        for room in widths:
            line = ""
            while words and self.width(f"{line} {words[0]}".strip(), size) <= room:
                line = f"{line} {words.pop(0)}".strip()
            if not line:
                return None
            lines.append(line)
        return None if words else lines


def _pen(glyphs: Any) -> Any:
    return SVGPathPen(glyphs, ntos=lambda number: f"{number:.1f}".removesuffix(".0"))


@cache
def face(weight: Weight) -> Face:
    """Return a weight of the typeface."""
    return Face(weight)
