"""Which text may enter the log: NFC, no controls, no bidirectional overrides, no piles of combining marks."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_ID_CHARS: Final = 200
_FORBIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]"
)
_ASCII: Final = re.compile("[\x00-\x7f]+")
_STREAM_SAFE_MARKS: Final = 30
"""UAX #15 §13: no real text has more combining marks in a row."""


def text_fault(text: str) -> str | None:
    """Say what is wrong with the text, or None. Emoji, joiners and every script are fine."""
    if text.isascii() and text.isprintable():
        return None
    if found := _FORBIDDEN.search(text):
        return f"the character U+{ord(found.group()):04X} is not allowed"
    if not unicodedata.is_normalized("NFC", text):
        return "the text is not in Unicode normal form C"
    others = _ASCII.sub("", text)
    marks = 0
    for character in text if len(others) > _STREAM_SAFE_MARKS else "":
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > _STREAM_SAFE_MARKS:
            return "more than 30 combining marks in a row"
    return None
