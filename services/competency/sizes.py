"""How large a catalogue may be, so that reading it and deciding by it stay cheap in every lane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

import msgspec

from schemas.catalogue import Catalogue
from schemas.rules import Rule, achievements_in, assessments_in, criteria_of
from schemas.text import text_fault

MAX_ACHIEVEMENTS: Final = 20_000
MAX_ASSESSMENTS: Final = 50_000
MAX_TEXT_CHARS: Final = 20_000
MAX_TOUCHED: Final = 200
"""One result decides at most so many achievements, stacks included: a decision is one record."""


def size_faults(catalogue: Catalogue) -> Iterator[str]:
    """Yield what there is too much of, before anything is looked at in detail."""
    for what, of, most in (
        ("achievements", catalogue.achievements, MAX_ACHIEVEMENTS),
        ("assessments", catalogue.assessments, MAX_ASSESSMENTS),
    ):
        if len(of) > most:
            yield f"{what}: {len(of)} of them; at most {most}"


def text_faults(catalogue: Catalogue) -> Iterator[str]:
    """Yield which texts are too long, or have characters that are not shown as they are read."""
    parts: dict[str, Sequence[msgspec.Struct]] = {
        "issuer": (catalogue.issuer,),
        "provider": catalogue.providers,
        "assessment": catalogue.assessments,
        "achievement": catalogue.achievements,
    }
    for kind, of in parts.items():
        for part in of:
            for field, text in _texts(part):
                if fault := _fault(text):
                    yield f"{kind} {str(getattr(part, 'id', ''))[:100]!a}: {field}: {fault}"
                    break


def touching_faults(catalogue: Catalogue) -> Iterator[str]:
    """Yield what would decide too many achievements at once. Circles are left to who puts achievements in order."""
    blocks: Mapping[str, set[str]] = {
        a.id: {name for criterion in criteria_of(a.rule) for name in achievements_in(criterion)}
        for a in catalogue.achievements
    }
    try:
        order = list(TopologicalSorter(blocks).static_order())
    except CycleError:
        return
    above: dict[str, set[str]] = {name: {name} for name in order}
    for name in reversed(order):  # what is built with it is complete
        for block in blocks.get(name, ()):
            above[block] |= above[name]
            if len(above[block]) > MAX_TOUCHED:
                yield f"achievement {block!a}: more than {MAX_TOUCHED - 1} others are built on it"
                return
    looking: dict[str, set[str]] = {}
    for a in catalogue.achievements:
        for assessment in {name for criterion in criteria_of(a.rule) for name in assessments_in(criterion)}:
            looking.setdefault(assessment, set()).update(above[a.id])
            if len(looking[assessment]) > MAX_TOUCHED:
                yield f"assessment {assessment!a}: more than {MAX_TOUCHED} achievements look at it"
                return


def _texts(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a part that people see, with its field's name."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, tuple):
        for inner in value:
            yield from _texts(inner, at)
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            inner = getattr(value, field)
            if isinstance(inner, Rule):
                yield from (("levels", level.name) for level in inner.levels)
            else:
                yield from _texts(inner, field)


def _fault(text: str) -> str | None:
    if len(text) > MAX_TEXT_CHARS:
        return f"{len(text)} characters; at most {MAX_TEXT_CHARS}"
    return next((fault for line in text.split("\n") if (fault := text_fault(line))), None)
