"""Why: what a rule asked, what there was, what is missing, as a small JSON tree that a person can be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from schemas.catalogue import WHOLE

MAX_BYTES: Final = 4_096
"""The longest explanation that a decision carries. Of a larger tree inner branches go first, then what is met."""
MAX_NAMES: Final = 12
_HUNDREDTHS: Final = WHOLE // 100

Kind: TypeAlias = Literal["result", "count", "weighted", "holds", "all", "any"]


class Node(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One criterion as it was judged. Shares are millionths, rounded down, so none reads as reached that was not.

    `about`: assessments, or the achievement held. `has` of `needs`: parts, results, or what is held; of a weighted mean, the share
    reached. `by`: "provider result_id" of what counted. `parts`: assessment, weight and best share of each part of a mean.
    `more`: how many names, parts or branches are left out here.
    """

    kind: Kind
    met: bool
    about: tuple[str, ...] = ()
    share: int | None = None
    passed: bool | None = None
    needs: int | None = None
    has: int | None = None
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
    return msgspec.structs.replace(node, about=node.about[:1], by=(), parts=(), of=(), more=left_out)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an explanation. `met` is None where nothing is asked."""

    depth: int
    met: bool | None
    text: str


def lines(explained: str) -> list[Line]:
    """Return an explanation as lines to show, each a branch of the tree, outermost first.

    Raises:
        ValueError: It is no explanation.
    """
    return list(_lines(_DECODER.decode(explained), 0))


def render(explained: str) -> list[str]:
    """Return an explanation as indented plain text.

    Raises:
        ValueError: It is no explanation.
    """
    marks = {True: "✓ ", False: "✗ ", None: "· "}
    return ["  " * line.depth + marks[line.met] + line.text for line in lines(explained)]


def _lines(node: Node, depth: int) -> Iterator[Line]:
    yield Line(depth, node.met, _sentence(node))
    for inner in node.of:
        yield from _lines(inner, depth + 1)
    for assessment, weight, share in node.parts:
        best = "nothing that counts yet" if share is None else percent(share)
        yield Line(depth + 1, None, f"{assessment}: {best}, with a weight of {percent(weight)}")
    if node.more:
        yield Line(depth + 1, None, f"and {node.more} more")


def _sentence(node: Node) -> str:
    match node.kind:
        case "all" | "any":
            asked = "all" if node.kind == "all" else "at least one"
            return f"{asked} of {node.needs}: {node.has} met" + _missing(node, "all" if node.kind == "all" else "any")
        case "count":
            return f"{node.has} of {node.needs} results of {_names(node.about)}{_asked(node)}{_missing(node, 'count')}"
        case "weighted":
            return f"a weighted mean of {percent(node.share or 0)}: reached {percent(node.has or 0)}"
        case "holds":
            return f"the achievement {_names(node.about)}" + (" is held" if node.met else " is still needed")
        case "result":
            best = "no result that counts yet" if node.has is None else f"best so far {percent(node.has)}"
            outcome = f": {', '.join(node.by)}" if node.met else f": {best}"
            return f"a result of {_names(node.about)}{_asked(node)}{outcome}"


def _missing(node: Node, kind: str) -> str:
    if node.met or node.needs is None or node.has is None:
        return ""
    return ", 1 still needed" if kind == "any" else f", {node.needs - node.has} still needed"


def _asked(node: Node) -> str:
    asked = [f"at least {percent(node.share)}"] if node.share is not None else []
    asked += ["passed"] if node.passed else []
    return f" ({', '.join(asked)})" if asked else ""


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)


def percent(millionths: int) -> str:
    """Return a share in per cent, exactly: 400,000 is "40 %", 399,999 is "39.9999 %"."""
    whole, rest = divmod(millionths, _HUNDREDTHS)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".") + " %"
