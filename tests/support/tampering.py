"""Every string of a document, changed once: in the last of its letters or digits, so that it keeps its form."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

_LAST = re.compile(r"[A-Za-z0-9](?=[^A-Za-z0-9]*$)")

_FOLLOWING = {"z": "y", "Z": "Y", "H": "J", "N": "P", "k": "m"}
"""Letters whose successor is no letter, or none of base58."""


def changed(text: str) -> str:
    """Return a text that differs in one character and is still what it was: a date, an address, base58, a word."""
    found = _LAST.search(text)
    if found is None:
        return text + "x"
    at, character = found.start(), found.group()
    following = _FOLLOWING.get(character) or chr(ord(character) + 1)
    other = str(int(character) % 9 + 1) if character.isdigit() else following
    return text[:at] + other + text[at + 1 :]


def tampered(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield the document once for each string in it, with that one changed, and where it stands."""
    for path in _strings(document, ()):
        copied = copy.deepcopy(document)
        node = copied
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = changed(node[path[-1]])
        yield "/".join(map(str, path)), copied


def _strings(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, str):
        yield path
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in inner:
        yield from _strings(value, (*path, name))
