"""YAML with positions: every value knows its file, line and column, and every mistake in a file is told at once."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from schemas.text import text_fault

_MAX_BYTES: Final = 1_000_000
_MAX_DEPTH: Final = 30


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """Return it as editors know it."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a YAML file: text, a sequence or a mapping, and where it stands."""

    place: Place
    content: str | Sequence[Value] | Mapping[str, Value]


@dataclass(slots=True)
class Mistakes:
    """What is wrong, in the order in which it was found."""

    found: list[str] = field(default_factory=list)

    def add(self, place: Place, what: str) -> None:
        """Note a mistake."""
        self.found.append(f"{place}: {what}")

    def unknown(self, place: Place, name: str, known: Collection[str], kind: str) -> None:
        """Note a name that is not known, with the nearest that is."""
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(known)) or 'none'}"
        self.add(place, f"unknown {kind} {name}{hint}")


def read(path: Path, mistakes: Mistakes) -> Value | None:
    """Read a YAML file; every scalar stays the text that it is, so 12.5 is exact. None when it cannot be read at all."""
    start = Place(path.name, 1, 1)
    try:
        text = path.read_bytes()
    except OSError as error:
        mistakes.add(start, f"cannot be read: {error.strerror}")
        return None
    if len(text) > _MAX_BYTES:
        mistakes.add(start, f"{len(text):,} bytes; at most {_MAX_BYTES:,} are read")
        return None
    try:
        _check_depth(text, path.name)
        node = yaml.compose(text.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        mistakes.add(start, "not UTF-8")
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = Place(path.name, mark.line + 1, mark.column + 1) if mark else start
        mistakes.add(place, str(error.problem))
        return None
    except yaml.YAMLError as error:
        mistakes.add(start, str(error).splitlines()[0])
        return None
    return _value(node, path.name, mistakes) if node is not None else Value(start, {})


def _check_depth(text: bytes, name: str) -> None:
    """Refuse aliases (a few lines of them expand without end) and depth before any tree is built."""
    depth = 0
    for event in yaml.parse(text.decode("utf-8"), Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refused("anchors and aliases are not read", event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise _refused(f"{name} is nested too deep", event)


def _refused(what: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    error = yaml.MarkedYAMLError(problem=what)
    error.problem_mark = event.start_mark  # type: ignore[assignment]
    return error


def _value(node: yaml.Node, name: str, mistakes: Mistakes) -> Value:
    place = Place(name, node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.SequenceNode):
        return Value(place, [_value(inner, name, mistakes) for inner in node.value])
    if isinstance(node, yaml.MappingNode):
        return Value(place, dict(_members(node, name, mistakes)))
    text = str(node.value).strip()
    for line in text.splitlines():
        if fault := text_fault(line):
            mistakes.add(place, fault)
    return Value(place, text)


def _members(node: yaml.MappingNode, name: str, mistakes: Mistakes) -> Iterator[tuple[str, Value]]:
    seen: set[str] = set()
    for key, inner in node.value:
        value = _value(inner, name, mistakes)
        word = str(key.value)
        if word in seen:
            mistakes.add(Place(name, key.start_mark.line + 1, key.start_mark.column + 1), f"{word} stands twice")
        seen.add(word)
        yield word, value
