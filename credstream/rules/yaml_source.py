"""YAML with positions: every value knows its file, line and column, and every mistake in a file is told at once.

Only what a catalogue needs is read: mappings, lists and texts. Whatever could expand, run or hide is refused before it is built.
"""

from __future__ import annotations

import difflib
import re
import stat
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import yaml

from schemas.text import text_fault

MAX_FILE_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 30
MAX_VALUES: Final = 100_000
MAX_TEXT_CHARS: Final = 20_000
MAX_MISTAKES: Final = 1_000
_MAX_TOLD_CHARS: Final = 300
_MAX_HINTS: Final = 50  # looking for the nearest name is slow
_MAX_NAMES_SEARCHED: Final = 2_000
_MAX_NAMES_TOLD: Final = 30
_MAX_HIDDEN_TOLD: Final = 20
_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]"
)
_Loader: Final[type[yaml.SafeLoader]] = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # libyaml's parser: 15 times as fast


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


NOTHING: Final = Value(Place("", 0, 0), "")
"""Stands for what is missing or cannot be read; that it is has been noted already."""


@dataclass(slots=True)
class Mistakes:
    """What is wrong, in the order in which it was found: each in one line, and at most a thousand."""

    found: list[str] = field(default_factory=list)
    more: bool = False
    _hints: int = 0

    def add(self, place: Place, what: str) -> None:
        """Note a mistake. What a file says is shown short and without anything that a terminal would obey."""
        if not place.line:
            return  # of what is missing or cannot be read, which has been noted
        if len(self.found) >= MAX_MISTAKES:
            self.more = True
            return
        if len(what) > _MAX_TOLD_CHARS:
            what = f"{what[: _MAX_TOLD_CHARS * 2 // 3]} … {what[-_MAX_TOLD_CHARS // 3 :]}"
        self.found.append(f"{place}: {''.join(c if c.isprintable() else ' ' if c == chr(10) else '�' for c in what)}")

    def unknown(self, place: Place, name: str, known: Collection[str], kind: str) -> None:
        """Note a name that is not known, with the nearest that is."""
        near: Sequence[str] = ()
        if len(name) < _MAX_TOLD_CHARS and len(known) <= _MAX_NAMES_SEARCHED and self._hints < _MAX_HINTS:
            self._hints += 1
            near = difflib.get_close_matches(name, known, 1)
        told = sorted(known)[:_MAX_NAMES_TOLD] if not near and len(known) <= _MAX_NAMES_SEARCHED else ()
        names = ", ".join(told) + ", …" * (len(told) < len(known))
        hint = f"; did you mean {near[0]}?" if near else f"; known: {names or 'none'}"
        self.add(place, f"unknown {kind} {name if len(name) < _MAX_TOLD_CHARS else name[:40] + ' …'}{hint}")

    def told(self) -> Sequence[str]:
        """Return all that was found, and whether there was more."""
        return [*self.found, "and more mistakes; mend these first"] if self.more else self.found


def read(path: Path, mistakes: Mistakes) -> Value | None:
    """Read a YAML file; every scalar stays the text that it is, so 12.5 is exact. None when it cannot be read at all."""
    start = Place(path.name, 1, 1)
    text = _text(path, start, mistakes)
    if text is None:
        return None
    for found in islice(_HIDDEN.finditer(text), _MAX_HIDDEN_TOLD):
        mistakes.add(
            _place(path.name, text[: found.start()]), f"the character U+{ord(found.group()):04X} is not allowed"
        )
    try:
        return _Tree(path.name, mistakes).read(_HIDDEN.sub("�", text))
    except _TooMuchError as error:
        mistakes.add(error.place, str(error))
    except yaml.MarkedYAMLError as error:
        mark, context = error.problem_mark, error.context_mark
        where = f" ({error.context} that begins in line {context.line + 1})" if error.context and context else ""
        mistakes.add(Place(path.name, mark.line + 1, mark.column + 1) if mark else start, f"{error.problem}{where}")
    except yaml.YAMLError as error:
        mistakes.add(start, str(error).splitlines()[0])
    return None


def _text(path: Path, start: Place, mistakes: Mistakes) -> str | None:
    data = b""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            mistakes.add(start, "cannot be read: not a file")
            return None
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            mistakes.add(start, f"{path.stat().st_size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
            return None
        return data.decode("utf-8").removeprefix("\ufeff")
    except OSError as error:
        mistakes.add(start, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        mistakes.add(_place(path.name, data[: error.start].decode("utf-8")), "not UTF-8")
    return None


def _place(name: str, before: str) -> Place:
    return Place(name, before.count("\n") + 1, len(before) - before.rfind("\n"))


class _TooMuchError(Exception):
    """What stands here is more than is read."""

    def __init__(self, place: Place, what: str) -> None:
        super().__init__(what)
        self.place = place


class _Tree:
    """Builds values from the parser's events. Tags, anchors and aliases are noted, not followed."""

    def __init__(self, name: str, mistakes: Mistakes) -> None:
        self._name, self._mistakes = name, mistakes
        self._values = 0

    def read(self, text: str) -> Value:
        events: Iterator[yaml.Event] = yaml.parse(text, Loader=_Loader)
        root: Value | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise _TooMuchError(self._place(event), "a file holds one document; here begins another")
            if isinstance(event, yaml.NodeEvent):
                root = self._value(event, events, MAX_DEPTH)
        return root or Value(Place(self._name, 1, 1), {})

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Value:
        place = self._place(event)
        self._values += 1
        if self._values > MAX_VALUES:
            raise _TooMuchError(place, f"more than {MAX_VALUES:,} values")
        if self._mistakes.more:
            raise _TooMuchError(place, "more mistakes than are told")
        if not depth:
            raise _TooMuchError(place, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            self._mistakes.add(place, "anchors and aliases are not read")
            return NOTHING
        if getattr(event, "anchor", None):
            self._mistakes.add(place, "anchors and aliases are not read")
        if getattr(event, "tag", None):
            self._mistakes.add(place, "tags are not read: write the value alone")
        if isinstance(event, yaml.SequenceStartEvent):
            return Value(place, [self._value(inner, events, depth - 1) for inner in _until_end(events)])
        if isinstance(event, yaml.MappingStartEvent):
            return Value(place, dict(self._members(events, depth)))
        text = event.value if isinstance(event, yaml.ScalarEvent) else ""
        return Value(place, self._scalar(place, text.strip()))

    def _members(self, events: Iterator[yaml.Event], depth: int) -> Iterator[tuple[str, Value]]:
        seen: set[str] = set()
        for event in _until_end(events):
            key = self._value(event, events, depth - 1)
            inner = self._value(next(events), events, depth - 1)
            if not isinstance(key.content, str):
                self._mistakes.add(key.place, "a name is wanted here")
            elif key.content == "<<":
                self._mistakes.add(key.place, "merge keys are not read")
            elif key.content in seen:
                self._mistakes.add(key.place, f"{key.content} stands twice")
            elif key is not NOTHING:
                seen.add(key.content)
                yield key.content, inner

    def _scalar(self, place: Place, text: str) -> str:
        if len(text) > MAX_TEXT_CHARS:
            self._mistakes.add(place, f"a text of {len(text):,} characters; at most {MAX_TEXT_CHARS:,} are read")
            return text[:MAX_TEXT_CHARS]
        for line in text.split("\n"):
            if fault := text_fault(line):
                self._mistakes.add(place, fault)
                break
        return sys.intern(
            text
        )  # so that a default that is written out is the default: msgspec leaves it out by identity

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self._name, mark.line + 1, mark.column + 1) if mark else Place(self._name, 1, 1)


def _until_end(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    """Yield what begins each value of a collection, until the collection ends."""
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            return
        yield event
