"""Markdown as plain structure, for printing: paragraphs, headings and list items of runs. Raw HTML stays text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

_READER: Final = MarkdownIt("commonmark", {"html": False})
_STYLES: Final = {"strong": "strong", "em": "emphasis"}


def blocks(text: str) -> list[dict[str, Any]]:
    """Return the blocks of a text: each its `kind` (paragraph, heading, item) and its `runs` of text, strong or emphasised."""
    found: list[dict[str, Any]] = []
    kinds = ["paragraph"]
    for token in _READER.parse(text):
        if token.type in {"list_item_open", "heading_open"}:
            kinds.append("item" if token.type == "list_item_open" else "heading")
        elif token.type in {"list_item_close", "heading_close"}:
            kinds.pop()
        elif token.type == "inline":
            found.append({"kind": kinds[-1], "runs": _runs(token.children or [])})
        elif token.type in {"fence", "code_block"}:
            found.append({"kind": "paragraph", "runs": [{"text": token.content.strip()}]})
    return found


def _runs(tokens: Sequence[Token]) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = []
    styles: list[str] = []
    for token in tokens:
        name, _, end = token.type.rpartition("_")
        if name in _STYLES:
            if end == "open":
                styles.append(_STYLES[name])
            else:
                styles.pop()
        elif token.type in {"softbreak", "hardbreak"}:
            runs.append({"text": " "})
        elif token.content:
            runs.append({"text": token.content, **dict.fromkeys(styles, True)})
    return runs
