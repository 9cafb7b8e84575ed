"""How `credstream why` shows an answer: how things stand first, then every decision; as trees for people, or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any, Final

import msgspec
from rich.markup import escape
from rich.tree import Tree

from credstream.answering import Teller
from credstream.rules.explaining import names_of
from credstream.why import Answer, Decided, Shown, Situation
from credstream.zones import minute
from services.competency.progress import named
from services.competency.reasons import Line, lines
from services.competency.wording import Language

_MARKS: Final = {True: "[green]✓[/] ", False: "[red]✗[/] ", None: "[dim]·[/] "}
_DIGITS: Final = 12
_DEEPEST: Final = 1_000
_INNER: Final = {"digest", "retracted"}


def trees(answer: Answer, language: Language) -> Iterator[Tree]:
    """Yield a tree for each achievement."""
    teller = Teller(answer, language, names_of(answer.catalogue, language))
    for situation in answer.situations:
        yield _Shower(answer, teller, language).tree(situation)


class _Shower:
    """Draws one answer's trees."""

    def __init__(self, answer: Answer, teller: Teller, language: Language) -> None:
        self._answer, self._teller, self._language, self._words = answer, teller, language, teller.words

    def tree(self, situation: Situation) -> Tree:
        words, teller = self._words, self._teller
        colour = "green" if situation.is_held else "yellow"
        as_of = words["as_of"].format(minute(self._answer.now, self._answer.zone))
        tree = Tree(
            f"[bold]{escape(teller.name(situation.achievement))}[/] ({escape(situation.achievement)}): "
            f"[bold {colour}]{escape(teller.state(situation))}[/]  [dim]{as_of}[/]"
        )
        for award in situation.awards:
            said = f"{teller.award(award)}  [dim]{words['credential'].format(award.credential_id)}[/]"
            tree.add(said, highlight=False)
        if situation.explained is not None:
            rule = words["rule"].format(_short(situation.rule_digest))
            what = tree.add(f"{words['why' if situation.attained else 'missing']}  [dim]{rule}[/]")
            self._reasons(what, situation.explained)
        if situation.following is not None:
            self._reasons(tree.add(teller.next(situation)), situation.following)
        self._results(tree, words["evidence"], situation.evidence)
        self._results(tree, words["late"], situation.late)
        self._history(tree, situation)
        return tree

    def _results(self, tree: Tree, title: str, results: Sequence[Shown]) -> None:
        if results:
            branch = tree.add(title)
            for shown in results:
                branch.add(escape(self._teller.shown(shown)), highlight=False)

    def _reasons(self, tree: Tree, explained: str, *, in_short: bool = False) -> None:
        """Add the reasons; in short, of what is met no parts."""
        path, passed_over = [tree], _DEEPEST
        for line in self._lines(explained):
            if line.depth > passed_over:
                continue
            passed_over = line.depth if in_short and line.met and line.depth else _DEEPEST
            del path[line.depth + 1 :]
            path.append(path[-1].add(_MARKS[line.met] + escape(line.text), highlight=False))

    def _lines(self, explained: str) -> list[Line]:
        return lines(explained, self._language, self._teller.names, self._answer.zone)

    def _history(self, tree: Tree, situation: Situation) -> None:
        history = self._answer.history[situation.achievement]
        if not history:
            return
        count = len(history)
        branch = tree.add(self._words["one_decision"] if count == 1 else self._words["history"].format(f"{count:,}"))
        for _, group in groupby(history, key=_sameness):
            first, *again = group
            self._decision(branch, first, situation)
            if again:
                until = self._minute(again[-1])
                said = self._words["same_one"].format(until)
                if len(again) > 1:
                    said = self._words["same"].format(f"{len(again):,}", until)
                branch.add(f"[dim]{said}[/]")

    def _decision(self, branch: Tree, decision: Decided, situation: Situation) -> None:
        words, teller, outcome = self._words, self._teller, decision.outcome
        number = words["decision"].format(f"{decision.decided.lane}/{decision.decided.decision_no}")
        entry = branch.add(
            f"{self._minute(decision)}  [bold]{escape(teller.verdict(decision))}[/], {escape(teller.cause(decision))}  "
            f"[dim]{number}[/]",
            highlight=False,
        )
        if outcome is None:
            return
        if outcome.explanation == situation.explained:
            entry.add(f"[dim]{words['as_above']}[/]")
        else:
            self._reasons(entry, outcome.explanation, in_short=True)
            told = [teller.evidence(ref.provider, ref.result_id, ref.revision) for ref in outcome.evidence]
            counts = entry.add(f"[dim]{words['evidence']}[/]") if told else entry
            for said in told:
                counts.add(f"[dim]{escape(said)}[/]", highlight=False)
        if outcome.rule_digest != situation.rule_digest:
            entry.add(f"[dim]{words['rule'].format(_short(outcome.rule_digest))}[/]")

    def _minute(self, decision: Decided) -> str:
        return minute(decision.decided.decided_at, self._answer.zone)


def _sameness(decision: Decided) -> Any:
    """Return what must be equal for one decision to say the same as another."""
    outcome = decision.outcome
    if outcome is None:
        return decision.decided.decision_no
    return outcome.verdict, outcome.award, outcome.rule_digest, outcome.explanation, outcome.level, outcome.valid_until


def _short(digest: str | None) -> str:
    return (digest or "").removeprefix("sha256-")[:_DIGITS]


def plain(answer: Answer, language: Language) -> dict[str, Any]:
    """Return the answer for programs; instants are microseconds since 1970, UTC."""
    names = names_of(answer.catalogue, language)
    return {
        "programme": answer.programme,
        "learner_ref": answer.learner_ref,
        "time_zone": answer.zone,
        "as_of": answer.now,
        "achievements": [_plain(answer, one, language, names) for one in answer.situations],
    }


def _plain(answer: Answer, situation: Situation, language: Language, names: dict[str, str]) -> dict[str, Any]:
    def reasons(explained: str | None) -> dict[str, Any] | None:
        if explained is None:
            return None
        said = [asdict(line) for line in lines(explained, language, names, answer.zone)]
        return {"lines": said, "tree": msgspec.Raw(explained.encode())}

    return {
        "achievement": situation.achievement,
        "name": names.get(situation.achievement, situation.achievement),
        "held": situation.is_held,
        "attained": situation.attained,
        "awards": [msgspec.structs.asdict(award) for award in situation.awards],
        "rule_digest": situation.rule_digest,
        "reasons": reasons(situation.explained),
        "next_award": reasons(situation.following),
        "renewable": situation.renewable,
        "evidence": [_result(one) for one in situation.evidence],
        "awaiting_review": [_result(one) for one in situation.late],
        "decisions": [_decision(one, reasons) for one in answer.history[situation.achievement]],
    }


def _result(shown: Shown) -> dict[str, Any]:
    provider, result_id = named(shown.key)
    said = msgspec.structs.asdict(shown.standing)
    present = {name: value for name, value in said.items() if value is not None and name not in _INNER}
    return {"provider": provider, "result_id": result_id, **present}


def _decision(one: Decided, reasons: Callable[[str], dict[str, Any] | None]) -> dict[str, Any]:
    decided, outcome = one.decided, one.outcome
    said: dict[str, Any] = {
        "decision": f"{decided.lane}/{decided.decision_no}",
        "decided_at": decided.decided_at,
        "event_id": decided.event_id,
        "cause": None if one.cause is None else type(one.cause).__name__,
        "disposition": decided.disposition,
        "detail": one.detail,
    }
    if outcome is not None:
        said |= {**msgspec.structs.asdict(outcome), "reasons": reasons(outcome.explanation)}
        del said["explanation"]
    return said
