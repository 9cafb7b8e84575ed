"""`credstream review`: the queue of what waits for a person, with the reasons, and what a person decides."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from credstream.cli.console import (
    DEFAULT_FOLDER,
    Data,
    Exit,
    Json,
    Member,
    Programme,
    Yes,
    chosen_programme,
    confirmed,
    err,
    installation,
    out,
    write_json,
)
from credstream.cli.watching import counted, progress_bar
from credstream.staff import waiting
from credstream.staff.desk import Desk
from credstream.staff.waiting import ANSWERS, Consequence, Waiting
from credstream.zones import day
from schemas.errors import RefusedError
from schemas.events import ReviewAnswer, ReviewDecided
from services.competency.reasons import render
from streams.settings import Installation

Assessment = Annotated[str | None, Parameter(name="--assessment", help="Only late results of this assessment.")]
Achievement = Annotated[str | None, Parameter(name="--achievement", help="Only awards of this achievement.")]
_SHOWN = 20


def queue(
    *,
    assessment: Assessment = None,
    achievement: Achievement = None,
    programme: Programme = None,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """List what waits for a person, oldest first: results that came too late, and awards that lost their evidence.

    Example: credstream review list --assessment site-safety-test
    """
    place = installation(data)
    found = _found(place, chosen_programme(place, programme), assessment, achievement)
    if as_json:
        write_json([msgspec.to_builtins(one) for one in found])
    elif not found:
        out.print("nothing waits for a person")
    else:
        out.print(_table(found))
        out.print("next: credstream review show ID, credstream review decide ANSWER ID…")
    return Exit.DONE


def show(
    name: Annotated[str, Parameter(name="ID", help="As `credstream review list` names it.")],
    *,
    programme: Programme = None,
    as_json: Json = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Show one thing that waits: what it says, why it waits, and what each answer would do.

    Example: credstream review show late-3f9a1c2b4d5e
    """
    place = installation(data)
    [one] = _named(_found(place, chosen_programme(place, programme), None, None), [name])
    if as_json:
        write_json(msgspec.to_builtins(one))
    else:
        out.print(_tree(one))
    return Exit.DONE


def decide(
    answer: Annotated[
        ReviewAnswer, Parameter(help="Of late results accept or reject; of awards keep, suspend or revoke.")
    ],
    *names: Annotated[str, Parameter(name="ID", help="As `credstream review list` names them.")],
    every: Annotated[bool, Parameter(name="--all", negative=(), help="All that wait and can be answered so.")] = False,
    assessment: Assessment = None,
    achievement: Achievement = None,
    note: Annotated[str | None, Parameter(help="For the record, for good: why. Name nobody in it.")] = None,
    programme: Programme = None,
    member: Member = None,
    yes: Yes = False,
    data: Data = DEFAULT_FOLDER,
) -> Exit:
    """Decide what waits, on the record, signed by the member of staff who decides. What it does is shown first.

    Exit code 1 when competency refuses any of it.

    Example: credstream review decide accept late-3f9a1c2b4d5e --note "the college was closed"

    Example: credstream review decide accept --all --assessment site-safety-test
    """
    place = installation(data)
    chosen = chosen_programme(place, programme)
    if bool(names) == every:
        raise RefusedError("name what is decided, as `credstream review list` does, or say --all")
    found = _found(place, chosen, assessment, achievement)
    about = [one for one in found if answer in ANSWERS[one.kind]] if every else _named(found, names)
    for one in about:
        if answer not in ANSWERS[one.kind]:
            raise RefusedError(f"{one.id} is a {one.kind}: the answer is {' or '.join(ANSWERS[one.kind])}")
    if not about:
        out.print(f"nothing waits that could be answered with {answer}")
        return Exit.DONE
    _preview(about, answer)
    with Desk(place, chosen, member) as desk:
        if not confirmed(f"{answer.capitalize()} {len(about):,} as {desk.member}?", yes=yes):
            return Exit.NO
        requests = [
            desk.request(
                ReviewDecided,
                one.learner_ref,
                answer=answer,
                note=note.encode() if note else None,
                **one.names(),
            )
            for one in about
        ]
        refused = []
        with progress_bar("deciding", len(requests)) as advance:
            for reply in desk.ask_all(requests):
                advance(1)
                if not reply.granted:
                    refused.append(reply)
    for reply in refused:
        err.print(f"not decided: {reply.request.learner_ref}: {reply.detail}", markup=False)
    out.print(f"decided: {answer} {len(about) - len(refused):,}")
    return Exit.NO if refused else Exit.DONE


def _preview(about: Sequence[Waiting], answer: ReviewAnswer) -> None:
    """Show what an answer would do."""
    out.print(_table(about[:_SHOWN], answer))
    if len(about) > _SHOWN:
        out.print(f"and {len(about) - _SHOWN:,} more")
    effects = Counter((c.effect, c.achievement) for one in about for c in one.answers[answer])
    for (effect, name), count in sorted(effects.items()):
        out.print(f"  {effect} {escape(name)}: {count:,}")


def _found(place: Installation, programme: str, assessment: str | None, achievement: str | None) -> list[Waiting]:
    with counted("reading what competency keeps") as say:
        found = list(waiting.queue(place, programme, say))
    wanted = {("late result", assessment), ("lost evidence", achievement)} if assessment or achievement else None
    chosen = [one for one in found if wanted is None or (one.kind, one.about) in wanted]
    return sorted(chosen, key=lambda one: (one.shown_at, one.id))


def _named(found: Sequence[Waiting], names: Sequence[str]) -> list[Waiting]:
    by_name = {one.id: one for one in found}
    for name in names:
        if name not in by_name:
            raise RefusedError(f"{name} does not wait; see credstream review list")
    return [by_name[name] for name in dict.fromkeys(names)]


def _table(found: Sequence[Waiting], answer: ReviewAnswer | None = None) -> Table:
    table = Table(
        "id", "what", "learner", "shown", "why it waits", "accepting, or revoking" if answer is None else answer
    )
    table.columns[0].no_wrap = True  # to be copied
    for one in found:
        effects = one.answers[answer or (ReviewAnswer.ACCEPT if one.kind == "late result" else ReviewAnswer.REVOKE)]
        table.add_row(
            one.id,
            escape(one.about) + (f"\n{escape(one.says)}" if one.says else ""),
            one.learner_ref[:8],
            day(one.shown_at, "UTC"),
            _why(one),
            "\n".join(map(_effect, effects)) or "changes no award",
        )
    return table


def _why(one: Waiting) -> str:
    if one.kind == "late result":
        days = "any" if one.accepted_late_days is None else f"{one.accepted_late_days} days"
        return f"{one.days_old(time.time_ns() // 1000)} days old, accepted for {days}"
    lines = render(one.explanation) if one.explanation else []
    return escape(lines[0]) if lines else "its evidence fell away"


def _effect(consequence: Consequence) -> str:
    grade = f" ({consequence.level})" if consequence.level else ""
    return escape(f"{consequence.effect} {consequence.achievement}{grade}")


def _tree(one: Waiting) -> Tree:
    tree = Tree(f"[bold]{escape(one.about)}[/]: {one.kind}  ({one.id})")
    tree.add(f"learner {one.learner_ref}")
    if one.kind == "late result":
        said = f": {escape(one.says)}" if one.says else ""
        tree.add(f"{one.provider} {one.result_id}, revision {one.revision}{said}")
        tree.add(f"shown {day(one.shown_at, 'UTC')}; {_why(one)}")
    else:
        tree.add(f"award {one.award}, attained {day(one.shown_at, 'UTC')}; credential {one.credential_id}")
        lost = tree.add(f"what its rule asks ({one.rule_digest})")
        for line in render(one.explanation) if one.explanation else ():
            lost.add(escape(line))
    for answer, effects in one.answers.items():
        branch = tree.add(f"{answer}: {'' if effects else 'changes no award'}")
        for effect in effects:
            branch.add(_effect(effect))
    return tree
