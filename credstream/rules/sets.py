"""Sets of assessments: what ids, patterns and tags mean, found at a cost that has an end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from credstream.rules.values import Values
from credstream.rules.yaml_source import Mistakes, Value
from schemas.catalogue import Assessment

_MAX_PATTERN_CHARS: Final = 200
_MAX_COMPARED: Final = 1_000_000
_MAX_MEANT: Final = 200_000


class SetReader(Values):
    """Reads names of assessments, once they are known."""

    def __init__(self, mistakes: Mistakes) -> None:
        """Begin with no assessment known."""
        super().__init__(mistakes)
        self.assessments: Mapping[str, Assessment] = {}
        self._meant: dict[str, Sequence[str]] = {}
        self._compared = self._named = 0

    def set_of(self, value: Value | None) -> tuple[str, ...]:
        """Return the assessments that one or more names, patterns and tags mean together, each once."""
        return tuple(dict.fromkeys(name for v in self.one_or_more(value) for name in self.matching(v)))

    def matching(self, value: Value) -> Sequence[str]:
        """Return the assessments that a name, a pattern or a tag means."""
        text = self.text(value)
        if not (text.startswith("tag:") or "*" in text or "?" in text):
            return [self.known_assessment(value)]
        if len(text) > _MAX_PATTERN_CHARS:
            self.mistakes.add(value.place, f"a pattern has at most {_MAX_PATTERN_CHARS} characters")
            return []
        if text not in self._meant:
            self._compared += len(self.assessments) * (1 + text.count("*"))
            if self._compared > _MAX_COMPARED:
                self.mistakes.add(value.place, "too many different patterns for so many assessments")
                return []
            self._meant[text] = self._matched(text)
        found = self._meant[text]
        self._named += len(found)
        if self._named > _MAX_MEANT:
            self.mistakes.add(
                value.place, f"the patterns of the catalogue mean more than {_MAX_MEANT:,} assessments in all"
            )
            return []
        if not found:
            self.mistakes.add(value.place, f"{text}: no assessment is meant by this")
        return found

    def _matched(self, text: str) -> Sequence[str]:
        if text.startswith("tag:"):
            return [name for name, a in self.assessments.items() if text.removeprefix("tag:") in a.tags]
        return [name for name in self.assessments if fnmatchcase(name, text)]

    def known_assessment(self, value: Value) -> str:
        """Return an assessment that is known."""
        text = self.text(value)
        if text and text not in self.assessments:
            self.mistakes.unknown(value.place, text, self.assessments.keys(), "assessment")
        return text
