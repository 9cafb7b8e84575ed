"""A simulation as a picture: who loses to the left, who gains to the right, who is near below, one row an achievement. SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from credstream.rules.simulating import Effect
from credstream.rules.simulation import Summary

_WIDTH, _LABEL, _MARGIN, _NUMBER = 960, 300, 24, 56
_TOP, _ROW, _BAR, _GAP = 96, 56, 16, 4
_LEGEND_X: Final = {Effect.LOSES: 24, Effect.GAINS: 124, Effect.NEAR: 224}
# Told apart without colour too: by side, and by the hatching of who is near (Okabe-Ito colours)
_FILL: Final = {Effect.LOSES: "#d55e00", Effect.GAINS: "#0072b2", Effect.NEAR: "url(#near)"}
_INK, _QUIET, _PAPER = "#1a1a1a", "#5a5a5a", "#ffffff"
_LONGEST_NAME: Final = 40
_HEAD: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
    'role="img" aria-labelledby="t d" font-family="system-ui, sans-serif">'
)
_HATCHING: Final = (
    '<defs><pattern id="near" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#e6e6e6"/><rect width="3" height="6" fill="#767676"/></pattern></defs>'
)


def picture(title: str, summed: Sequence[Summary]) -> str:
    """Return the picture's text; it loads nothing and names no learner."""
    height = _TOP + _ROW * max(1, len(summed)) + _MARGIN
    most = {effect: max((s.effects[effect] for s in summed), default=0) for effect in _FILL}
    left, right = most[Effect.LOSES], max(most[Effect.GAINS], most[Effect.NEAR])
    room = _WIDTH - _LABEL - 2 * _MARGIN - 2 * _NUMBER
    scale = room / max(1, left + right)
    zero = _LABEL + _MARGIN + _NUMBER + left * scale
    said = "; ".join(f"{s.name}: " + ", ".join(f"{s.effects[e]} {e.value}" for e in _FILL) for s in summed)
    drawn = [
        _HEAD.format(width=_WIDTH, height=height),
        f'<title id="t">{escape(title)}</title><desc id="d">{escape(said)}</desc>',
        _HATCHING,
        f'<rect width="{_WIDTH}" height="{height}" fill="{_PAPER}"/>',
        _text(_MARGIN, 34, title, size=18, weight="bold"),
        *_legend(),
        *(line for at, one in enumerate(summed) for line in _row(one, _TOP + at * _ROW, zero, scale)),
    ]
    if summed:
        bottom = height - _MARGIN + 4
        drawn.append(f'<line x1="{zero:.1f}" y1="{_TOP - 8}" x2="{zero:.1f}" y2="{bottom}" stroke="{_INK}"/>')
    else:
        drawn.append(_text(_MARGIN, _TOP + 24, "the draft changes no rule", colour=_QUIET))
    return "\n".join([*drawn, "</svg>\n"])


def _legend() -> Iterator[str]:
    words = {Effect.LOSES: "loses", Effect.GAINS: "gains", Effect.NEAR: "is near: one result or achievement is missing"}
    for effect, x in _LEGEND_X.items():
        yield f'<rect x="{x}" y="52" width="14" height="14" fill="{_FILL[effect]}"/>'
        yield _text(x + 20, 64, words[effect], colour=_QUIET)


def _row(one: Summary, y: int, zero: float, scale: float) -> Iterator[str]:
    name = one.name if len(one.name) <= _LONGEST_NAME else f"{one.name[: _LONGEST_NAME - 1]}…"
    yield _text(_MARGIN, y + 14, name, weight="600")
    yield _text(
        _MARGIN, y + 31, f"{one.holders_now:,} hold it, {one.holders_draft:,} by the draft", colour=_QUIET, size=12
    )
    for effect, line in ((Effect.LOSES, 0), (Effect.GAINS, 0), (Effect.NEAR, 1)):
        count = one.effects[effect]
        if not count:
            continue
        width, top = max(1.0, count * scale), y + line * (_BAR + _GAP)
        at_left = effect is Effect.LOSES
        yield (
            f'<rect x="{zero - width if at_left else zero:.1f}" y="{top}" width="{width:.1f}" height="{_BAR}" '
            f'fill="{_FILL[effect]}"/>'
        )
        x = zero - width - 6 if at_left else zero + width + 6
        yield _text(x, top + 13, f"{count:,}", anchor="end" if at_left else "start", size=12)


def _text(
    x: float, y: float, text: str, *, size: int = 13, colour: str = _INK, weight: str = "normal", anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
