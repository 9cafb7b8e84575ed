"""The badge image of an achievement, drawn from its catalogue: a seal in the programme's colour that names it in one language."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import cos, pi, sin, sqrt
from typing import Final
from xml.sax.saxutils import escape, quoteattr

import resvg_py

from schemas.catalogue import Achievement, Catalogue
from schemas.rules import achievements_in, criteria_of
from services.forms.colours import Palette, palette
from services.forms.lettering import face
from services.issuing.achievement import translation

_KINDS: Final = {
    "en": {"MicroCredential": "MICRO-CREDENTIAL", "Certificate": "CERTIFICATE", "Course": "COURSE", "": "ACHIEVEMENT"},
    "fr": {"MicroCredential": "MICROCERTIFICATION", "Certificate": "CERTIFICAT", "Course": "COURS", "": "RÉUSSITE"},
}
_SIZES: Final = (60, 56, 52, 48, 44, 40, 37, 34, 31, 28, 26)
_RING_SIZES: Final = (30, 28, 26, 24, 22, 20)
_OUTER: Final = 300
_INNER: Final = 216
_ROOM: Final = 194
_TURNS: Final = 7
PIXELS: Final = 600


def badge_svg(catalogue: Catalogue, achievement: Achievement, language: str) -> str:
    """Return the image as SVG: all text is outlines, and what it says is in its title and description too."""
    words = translation(achievement, language) or translation(achievement, achievement.language)
    name, spoken = (words.name, words.language) if words else (achievement.name, achievement.language)
    kinds = _KINDS.get(spoken, _KINDS["en"])
    kind = kinds.get(achievement.achievement_type, kinds[""])
    colours = palette(catalogue.issuer.colour)
    blocks = {name for criterion in criteria_of(achievement.rule) for name in achievements_in(criterion)}
    parts = [
        *_seal(colours, f"{catalogue.programme}/{achievement.id}"),
        *_ring(catalogue.issuer.name, kind, colours),
        *_title(name, colours),
        *_stack(len(blocks), colours),
    ]
    return _document(name, f"{catalogue.issuer.name} · {kind.capitalize()}", spoken, parts)


def emblem_svg(catalogue: Catalogue) -> str:
    """Return the programme's emblem: the same seal, with its initials."""
    colours = palette(catalogue.issuer.colour)
    words = [word for word in catalogue.issuer.name.replace("(", " ").split() if word[0].isupper()]
    initials = "".join(word[0] for word in words[:3]) or catalogue.programme[:2].upper()
    text, size = face("Bold").fitted(initials, (190, 160, 130), 2 * _ROOM * 0.8)
    parts = [
        *_seal(colours, catalogue.programme),
        *_ring(catalogue.issuer.name, catalogue.issuer.region or "", colours),
        _path(face("Bold").line(text, size, 0, size * 0.33), colours.dark),
    ]
    return _document(catalogue.issuer.name, catalogue.issuer.name, "en", parts)


def png(svg: str, pixels: int = PIXELS) -> bytes:
    """Return an image as PNG."""
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=pixels, height=pixels, skip_system_fonts=True))


def _document(title: str, about: str, language: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-320 -320 640 640" width="{PIXELS}" height="{PIXELS}" role="img" '
        f'xml:lang={quoteattr(language)} aria-labelledby="title about"><title id="title">{escape(title)}</title>'
        f'<desc id="about">{escape(about)}</desc>{"".join(parts)}</svg>'
    )


def _seal(colours: Palette, name: str) -> list[str]:
    """Return the ground: a scalloped edge, a ring, and a rosette whose form belongs to this achievement alone."""
    return [
        f'<path d="{_scallops(36, 312, 300)}" fill="{colours.dark}"/>',
        f'<circle r="{_OUTER - 8}" fill="{colours.base}"/>',
        f'<circle r="{_OUTER - 16}" fill="none" stroke="{colours.on_base}" stroke-opacity=".55" stroke-width="2"/>',
        f'<circle r="{_INNER + 6}" fill="{colours.on_base}"/>',
        f'<circle r="{_INNER}" fill="{colours.pale}"/>',
        f'<path d="{_rosette(name)}" fill="none" stroke="{colours.line}" stroke-opacity=".7" stroke-width="1"/>',
        f'<circle r="{_INNER - 10}" fill="none" stroke="{colours.base}" stroke-width="2.5"/>',
    ]


def _scallops(number: int, outer: float, inner: float) -> str:
    points = []
    for i in range(number * 2 + 1):
        angle = pi * i / number
        points.append((outer * sin(angle), -outer * cos(angle)) if i % 2 else (inner * sin(angle), -inner * cos(angle)))
    curves = [
        f"Q{points[i][0]:.1f} {points[i][1]:.1f} {points[i + 1][0]:.1f} {points[i + 1][1]:.1f}"
        for i in range(1, len(points) - 1, 2)
    ]
    return f"M{points[0][0]:.1f} {points[0][1]:.1f}{''.join(curves)}Z"


def _rosette(name: str) -> str:
    """Return a guilloche: a closed curve of waves about the middle, of numbers that the name decides."""
    digest = hashlib.sha256(name.encode()).digest()
    lobes, petals = 30 + digest[0] % 40, 8 + digest[1] % 9
    lobes += lobes % _TURNS == 0  # else every turn would run along the first
    points, steps = [], 150 * _TURNS
    for i in range(steps):
        angle = 2 * pi * _TURNS * i / steps
        radius = 148 + 40 * sin(lobes / _TURNS * angle) + 14 * cos(angle * petals)
        points.append(f"{radius * cos(angle):.0f} {radius * sin(angle):.0f}")
    return f"M{points[0]}L{' '.join(points[1:])}Z"


def _ring(above: str, below: str, colours: Palette) -> list[str]:
    font, middle = face("Semibold"), (_INNER + _OUTER) / 2
    upper, size = font.fitted(above, _RING_SIZES, 1.32 * pi * middle * 0.8, 1.5)
    lower, lower_size = font.fitted(below, _RING_SIZES[2:], 0.5 * pi * middle, 4)
    return [
        _path(font.arc(upper, size, middle - size * 0.34, spacing=1.5), colours.on_base),
        _path(font.arc(lower, lower_size, middle + lower_size * 0.34, below=True, spacing=4), colours.on_base),
    ]


def _title(name: str, colours: Palette) -> list[str]:
    """Return the name in the largest size at which it goes into the disc."""
    font = face("Bold")
    for size in _SIZES:
        for count in (1, 2, 3, 4, 5):
            step = size * 1.12
            baselines = [size * 0.33 + (i - (count - 1) / 2) * step for i in range(count)]
            lines = font.wrapped(name, size, [_chord(y, size) for y in baselines])
            if lines is not None:
                return [
                    _path(font.line(line, size, 0, y), colours.dark) for line, y in zip(lines, baselines, strict=True)
                ]
    text, smallest = font.fitted(name, _SIZES[-1:], 2 * _ROOM * 0.9)
    return [_path(font.line(text, smallest, 0, smallest * 0.33), colours.dark)]


def _chord(baseline: float, size: float) -> float:
    """Return the room for a line in the disc: that of its upper or lower edge, whichever is farther from the middle."""
    farthest = max(abs(baseline - size * 0.72), abs(baseline + size * 0.2))
    return 2 * sqrt(max(_ROOM**2 - farthest**2, 0)) - 16


def _stack(blocks: int, colours: Palette) -> list[str]:
    """Return one dot for each building block, joined: what is earned with other credentials shows them."""
    if not blocks:
        return []
    gap, y = 30, 158
    left = -(blocks - 1) * gap / 2
    line = f'<path d="M{left} {y}H{-left}" stroke="{colours.base}" stroke-width="4"/>'
    dots = [
        f'<circle cx="{left + i * gap}" cy="{y}" r="9" fill="{colours.base}" stroke="{colours.pale}" stroke-width="3"/>'
        for i in range(blocks)
    ]
    return [line, *dots]


def _path(data: str, fill: str) -> str:
    return f'<path d="{data}" fill="{fill}"/>'
