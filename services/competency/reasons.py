"""Why: what a rule asked, what there was, what is missing, as a small JSON tree that a person can be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from schemas.events import Micros
from schemas.rules import Dimension
from services.competency.wording import (
    WORDS,
    Condition,
    Language,
    different,
    local_day,
    number_in_words,
    percent,
    phrases,
)

MAX_BYTES: Final = 4_096
"""The longest explanation that a decision carries. Of a larger tree inner branches go first, then what is met."""
MAX_NAMES: Final = 12

Kind: TypeAlias = Literal[
    "result", "count", "weighted", "holds", "all", "any", "at_least", "none", "expression", "recognised"
]


class Node(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One criterion as it was judged. Shares are millionths, rounded down, so none reads as reached that was not.

    `about`: assessments, or the achievement held. `asks`: conditions (see `services.competency.wording`). `has` of `needs`: parts,
    results, or what is held; of one result or a weighted mean, the share reached. `distinct`: in what results must differ, how many
    are needed, how many there are. `until`: when the first of those counted grows too old. `by`: "provider result_id" of what
    counted. `parts`: assessment, weight and share of each part of a mean. `more`: how many names, parts or branches are left out.
    """

    kind: Kind
    met: bool
    about: tuple[str, ...] = ()
    take: str = ""
    asks: tuple[Condition, ...] = ()
    share: int | None = None
    needs: int | None = None
    has: int | None = None
    distinct: tuple[tuple[Dimension, int, int], ...] = ()
    until: Micros | None = None
    by: tuple[str, ...] = ()
    parts: tuple[tuple[str, int, int | None], ...] = ()
    of: tuple[Node, ...] = ()
    more: int = 0


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Node)


def explanation(node: Node) -> str:
    """Return the tree as compact JSON of at most `MAX_BYTES`."""
    text = _ENCODER.encode(node)
    if len(text) > MAX_BYTES:
        shown = tuple(_bare(inner) for inner in sorted(node.of, key=lambda inner: inner.met)[:MAX_NAMES])
        text = _ENCODER.encode(msgspec.structs.replace(node, of=shown, more=node.more + len(node.of) - len(shown)))
    if len(text) > MAX_BYTES:
        text = _ENCODER.encode(_bare(node))
    return text.decode()


def _bare(node: Node) -> Node:
    left_out = node.more + len(node.of) + len(node.parts)
    return msgspec.structs.replace(node, about=node.about[:1], asks=(), by=(), parts=(), of=(), more=left_out)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an explanation. `met` is None where nothing is asked."""

    depth: int
    met: bool | None
    text: str


def lines(
    explained: str, language: Language = "en", names: Mapping[str, str] | None = None, zone: str = "UTC"
) -> list[Line]:
    """Return an explanation as lines to show, each a branch of the tree, outermost first.

    ``names`` are those of assessments and achievements by their ids; what is not among them is shown by its id. ``zone`` is the
    time zone in which days are told.

    Raises:
        ValueError: It is no explanation.
    """
    return list(_Speaker(language, names or {}, zone).lines(_DECODER.decode(explained), 0, judged=True))


def asked(
    node: Node, language: Language = "en", names: Mapping[str, str] | None = None, zone: str = "UTC"
) -> list[Line]:
    """Return what a criterion asks, as lines to show, whatever there was."""
    return list(_Speaker(language, names or {}, zone).lines(node, 0, judged=False))


def render(
    explained: str, language: Language = "en", names: Mapping[str, str] | None = None, zone: str = "UTC"
) -> list[str]:
    """Return an explanation as indented plain text.

    Raises:
        ValueError: It is no explanation.
    """
    marks = {True: "✓ ", False: "✗ ", None: "· "}
    return ["  " * line.depth + marks[line.met] + line.text for line in lines(explained, language, names, zone)]


class _Speaker:
    """Says a tree in a language, with the names that people know."""

    def __init__(self, language: Language, names: Mapping[str, str], zone: str) -> None:
        self._language, self._known, self._words, self._zone = language, names, WORDS[language], zone

    def lines(self, node: Node, depth: int, *, judged: bool) -> Iterator[Line]:
        said = self._asked(node, counted=judged) + (self._found(node) if judged else "")
        yield Line(depth, node.met if judged else None, said)
        for inner in node.of:
            yield from self.lines(inner, depth + 1, judged=judged)
        for assessment, weight, share in node.parts:
            found = "" if not judged else self._words["no_part"] if share is None else self._percent(share)
            said = self._words["weight"].format(found, self._percent(weight)).removeprefix(", ")
            yield Line(depth + 1, None, f"{self._names([assessment])}{self._words['colon']} {said}")
        if node.more:
            yield Line(depth + 1, None, self._words["more"].format(node.more))

    def _asked(self, node: Node, *, counted: bool) -> str:  # noqa: PLR0911  one for each kind
        words, about, conditions = self._words, self._names(node.about), self._conditions(node)
        match node.kind:
            case "result":
                return words[f"result.{node.take}" if node.take else "result"].format(about) + conditions
            case "count":
                if counted:
                    counted_as = "counted.few" if (node.has or 0) <= 1 else "counted"
                    return words[counted_as].format(node.has, node.needs, about) + conditions
                return (
                    words["one"].format(about) if node.needs == 1 else words["count"].format(node.needs, about)
                ) + conditions
            case "weighted":
                return words["weighted"].format(self._percent(node.share or 0)) + conditions
            case "recognised":
                return words["recognised"]
            case "holds" | "expression":
                about = about if node.kind == "holds" else dict(node.asks).get("expression", "")
                return words[node.kind].format(about) + conditions
            case "all" | "any" | "at_least" | "none":
                if not counted:
                    return words[f"asked.{node.kind}"].format(node.needs)
                if node.kind == "at_least":
                    return words["at_least_of"].format(node.needs, len(node.of) + node.more)
                return words[f"{node.kind}.one" if node.needs == 1 else node.kind].format(node.needs)

    def _found(self, node: Node) -> str:  # noqa: PLR0911  one for each kind
        words = self._words
        match node.kind:
            case "result":
                if node.met:
                    return f"{words['colon']} {', '.join(node.by)}" if node.by else ""
                if node.has is None:
                    return f"{words['colon']} {words['nothing']}"
                return f"{words['colon']} {words['taken' if node.take else 'best'].format(self._percent(node.has))}"
            case "count":
                return self._counted(node)
            case "weighted":
                return words["reached"].format(self._percent(node.has or 0))
            case "holds" | "expression":
                return words[f"{node.kind}.{str(node.met).lower()}"]
            case "recognised":
                return ""
            case "none":
                return self._met(node) + ("" if node.met else words["excess"])
            case "all" | "any" | "at_least":
                needs = 1 if node.kind == "any" else node.needs or 0
                missing = "" if node.met else words["needed"].format(needs - (node.has or 0))
                return self._met(node) + missing

    def _met(self, node: Node) -> str:
        return self._words["met.few" if (node.has or 0) <= 1 else "met"].format(node.has)

    def _counted(self, node: Node) -> str:
        words = self._words
        lacking = "".join(
            words["different"].format(has, different(of, needs, words))
            for of, needs, has in node.distinct
            if has < needs
        )
        missing = (node.needs or 0) - (node.has or 0)
        if node.met or missing <= 0:
            return lacking
        if node.until is None:
            return words["needed"].format(missing) + lacking
        return words["needed_by"].format(missing, local_day(node.until, self._zone)) + lacking

    def _conditions(self, node: Node) -> str:
        asks = [ask for ask in node.asks if ask[0] != "expression"]
        said = phrases(asks, self._language, self._zone)
        said += [different(of, needs, self._words) for of, needs, _ in node.distinct]
        text = ", ".join(said)
        return f" ({text})" if said else ""

    def _percent(self, millionths: int) -> str:
        return number_in_words(percent(millionths), self._language)

    def _names(self, names: Sequence[str]) -> str:
        return ", ".join(self._known.get(name, name) for name in names)
