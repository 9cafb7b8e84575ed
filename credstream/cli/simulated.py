"""How `credstream rules simulate` shows people what it found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from credstream.rules.simulating import Effect, Trial
from credstream.rules.simulation import Summary
from schemas.catalogue import Catalogue

_REASONS_SHOWN: Final = 3
_MEANS: Final = {"revoke": "revoked", "suspend": "suspended", "keep": "kept", "ask": "for a person to decide"}
_TRANSITIONS: Final = {
    "keep": "what is held stays; the draft judges what is shown from then on, with all before it",
    "grandfather": "who has begun stays with the former rule for ever",
    "reevaluate": "all evidence is judged anew as the next result comes; what is lost is {}",
}
_CHANGES: Final = {
    "added": "all evidence that there is counts, as the learner's next result comes",
    "removed": "who holds it keeps it; nobody earns it any more",
    "unchanged": "it changes with what it is built on",
}
_COLOURS: Final = {Effect.GAINS: "green", Effect.LOSES: "red", Effect.LEVEL: "yellow", Effect.NEAR: "cyan"}
_SAID: Final = {
    Effect.GAINS: "gain it; the rules in force still ask",
    Effect.LOSES: "lose it; the draft asks",
    Effect.LEVEL: "hold it at another level",
    Effect.NEAR: "are near; by the draft one thing is missing",
}


def shown(
    title: str, draft: Catalogue, tried: Trial, summed: Sequence[Summary], *, as_published: bool
) -> Iterator[RenderableType]:
    """Yield a table, why for each achievement, and what publishing the draft would mean unless that was asked."""
    if not summed:
        yield f"{escape(title)}; it changes no rule that is in force"
        return
    yield _table(title, summed)
    yield from (_tree(one) for one in summed if any(one.effects[effect] for effect in _SAID))
    if not as_published:
        yield from _transitions(draft, tried, summed)


def _table(title: str, summed: Sequence[Summary]) -> Table:
    table = Table("achievement", "rule", title=title, title_justify="left")
    for column in ("hold it", "draft", "gain", "lose", "level", "dates", "near"):
        table.add_column(column, justify="right")
    for one in summed:
        counts = (one.effects[e] for e in (Effect.GAINS, Effect.LOSES, Effect.LEVEL, Effect.DATES, Effect.NEAR))
        gains, loses, level, dates, near = (f"{count:,}" if count else "·" for count in counts)
        table.add_row(
            escape(one.name),
            one.change,
            f"{one.holders_now:,}",
            f"{one.holders_draft:,}",
            f"[green]{gains}[/]",
            f"[red]{loses}[/]",
            f"[yellow]{level}[/]",
            dates,
            f"[cyan]{near}[/]",
        )
    return table


def _tree(one: Summary) -> Tree:
    """Return why, of one achievement: the commonest reasons, and a few learners to look at with `credstream why`."""
    tree = Tree(f"[bold]{escape(one.name)}[/]")
    for effect, said in _SAID.items():
        if not one.effects[effect]:
            continue
        colour = _COLOURS[effect]
        branch = tree.add(f"[{colour}]{one.effects[effect]:,}[/] {said}")
        counted = one.reasons.get(effect)
        for reason, count in counted.most_common(_REASONS_SHOWN) if counted else ():
            branch.add(escape(f"{count:,}: {reason}"))
        if counted and len(counted) > _REASONS_SHOWN:
            branch.add(f"[dim]… and {len(counted) - _REASONS_SHOWN:,} other reasons (--csv, --json)[/]")
        branch.add(f"[dim]such as {', '.join(one.examples[effect])}[/]", highlight=False)
    return tree


def _transitions(draft: Catalogue, tried: Trial, summed: Sequence[Summary]) -> Iterator[str]:
    """Yield what publishing the draft as it stands would do: who loses here may well keep what is held."""
    transitions = {a.id: a.transition for a in draft.achievements}
    said: dict[str, list[str]] = {}
    for one in summed:
        if one.change == "changed":
            words = _TRANSITIONS[transitions[one.achievement]].format(_MEANS[one.on_loss])
        elif one.change == "unchanged" and one.achievement not in tried.affected:
            continue
        else:
            words = _CHANGES[one.change]
        said.setdefault(words, []).append(one.name)
    yield "Published as it stands (--as-published simulates that):"
    for words, names in said.items():
        yield f"  {escape(', '.join(names))}: {words}"
