"""Binding an installation to a log whose topics are other ones than those it was made with: made anew, or restored elsewhere.

Each lane keeps the ids of the topics with which it was made, and refuses to start with others. A topic that was made anew it reads
from the beginning: numbers tell repeats, so nothing is counted twice. The inbox is not like the others: decisions name positions in
it, so it must be there whole, as a mirror or backup has it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import delete, func, select

from credstream.lanes.state import Kept, check_unheld, input_of, kept, position_of, state_topic_of, write
from credstream.replaying.lanes import replay
from schemas.errors import RefusedError, UnavailableError
from schemas.topology import INBOX, TOPICS, Processor, Topic
from streams.lane import IDENTITY_KEY
from streams.settings import Installation
from streams.tables import COMPLETION, POSITION, open_database
from streams.topics import create_missing, describe, ends, identity, secret_checks

ON_LANES: Final = (Processor.COMPETENCY, Processor.ISSUING, Processor.STATUS)


class Changed(Struct, frozen=True, kw_only=True):
    """A topic that is another one than before; `now` is None where it is missing."""

    topic: Topic
    before: str | None
    now: str | None


class Binding(Struct, frozen=True, kw_only=True):
    """A lane that must be bound, to go on at `position`. `restarts`: its input is new; `rebuilt`: what it kept is gone."""

    processor: Processor
    lane: int
    position: int
    restarts: bool
    rebuilt: bool


class Plan(Struct, frozen=True, kw_only=True):
    """What is other than before, and what is to be done about it."""

    changed: tuple[Changed, ...]
    bindings: tuple[Binding, ...]

    @property
    def is_empty(self) -> bool:
        """Say whether the installation is bound to its log already."""
        return not self.changed and not self.bindings


def plan(installation: Installation) -> Plan:
    """Return what binding the installation to the log as it is now takes. Nothing is changed.

    Raises:
        UnavailableError: Kafka does not answer.
        RefusedError: Secrets or epoch are others: that is another installation, whatever its topics are.
    """
    now = {state.topic.name: state.id for state in describe(installation)}
    lanes = [_kept(installation, one, lane, now) for one in ON_LANES for lane in range(installation.kafka.lanes)]
    before: dict[str, str] = {}
    for found in lanes:
        said = _said(found)
        if said is not None:
            _check_same(installation, found, said)
            before |= {name: one for name, one in said["topics"].items() if now.get(name) != one}
    lost = {state_topic_of(found.processor).name for found in lanes if not found.state and found.position > 0}
    names = [t for t in TOPICS if t.name in before or now[t.name] is None or t.name in lost]
    changed = tuple(Changed(topic=t, before=before.get(t.name), now=now[t.name]) for t in names)
    anew = {one.topic.name for one in changed}
    bindings = (_binding(found, now, anew) for found in lanes)
    return Plan(changed=changed, bindings=tuple(one for one in bindings if one is not None))


def bind(installation: Installation, chosen: Plan, advance: Callable[[int], None] = lambda _: None) -> None:
    """Do what the plan says: missing topics are made, and each lane is bound in a transaction of its own. Doing it again is safe.

    Raises:
        RefusedError: A processor runs, or what a lane kept cannot be rebuilt.
        UnavailableError: Kafka does not answer.
    """
    for processor in (*ON_LANES, Processor.VIEWS):
        check_unheld(installation, processor)
    if INBOX.name in {one.topic.name for one in chosen.changed}:
        chosen = replace(chosen, bindings=tuple(_with_inbox(installation, chosen.bindings)))
    create_missing(installation)
    now = identity(installation)
    _reset_views(installation, [one.topic.name for one in chosen.changed])
    for one in chosen.bindings:
        changes: dict[bytes, bytes | None] = {}
        if one.rebuilt and not one.restarts:
            changes |= replay(installation, one.processor, one.lane).changes
        changes[IDENTITY_KEY] = now
        write(installation, one.processor, one.lane, changes, position=one.position)
        advance(1)


def _binding(found: Kept, now: Mapping[str, str | None], anew: set[str]) -> Binding | None:
    said = _said(found)
    bound = said is not None and all(now.get(name) == one for name, one in said["topics"].items())
    if bound or (not found.state and found.position <= 0):  # or it never began
        return None
    restarts = input_of(found.processor).name in anew - {INBOX.name}
    return Binding(
        processor=found.processor,
        lane=found.lane,
        position=0 if restarts else found.position,
        restarts=restarts,
        rebuilt=not found.state,
    )


def _kept(installation: Installation, processor: Processor, lane: int, now: Mapping[str, str | None]) -> Kept:
    if now[state_topic_of(processor).name] is not None:
        return kept(installation, processor, lane)
    position = position_of(installation, processor, lane)
    return Kept(processor=processor, lane=lane, position=position, state={})


def _with_inbox(installation: Installation, bindings: Sequence[Binding]) -> Iterator[Binding]:
    """Yield the bindings, those of competency where it had come to: Kafka forgets that with the topic, the views have it."""
    try:
        there = ends(installation, [INBOX])
    except UnavailableError:
        there = {}
    with open_database(installation.database_url).connect() as connection:
        for one in bindings:
            if one.processor is not Processor.COMPETENCY:
                yield one
                continue
            last = connection.execute(select(func.max(COMPLETION.c.inbox_offset)).where(COMPLETION.c.lane == one.lane))
            position = (last.scalar_one() or -1) + 1
            if there.get((INBOX.name, one.lane), 0) < position:
                raise RefusedError(
                    f"lane {one.lane} of {INBOX.name} was read up to {position}, and what is there now does not reach as far: "
                    "restore it whole, from a mirror or backup, since decisions name positions in it; no rebinding makes up for it"
                )
            yield replace(one, position=position, restarts=False)


def _said(found: Kept) -> Mapping[str, Any] | None:
    value = found.state.get(IDENTITY_KEY)
    said: Mapping[str, Any] | None = None if value is None else json.loads(value)
    return said


def _check_same(installation: Installation, found: Kept, said: Mapping[str, Any]) -> None:
    if said["epoch"] != installation.epoch:
        raise RefusedError(
            f"lane {found.lane} of {found.processor} is of the log epoch {said['epoch']}, this installation of "
            f"{installation.epoch}: it is another installation's; restore credstream.toml from the backup"
        )
    secrets = secret_checks(installation)
    if wrong := sorted(name for name, check in said["secrets"].items() if secrets.get(name) != check):
        raise RefusedError(
            f"{', '.join(wrong)}: not the secrets with which lane {found.lane} of {found.processor} was made; restore them from "
            "the backup. No rebinding mends that: credentials and learners would get other ids"
        )


def _reset_views(installation: Installation, names: Sequence[str]) -> None:
    """Have the views read topics that were made anew from the beginning; the rows that they have stay."""
    with open_database(installation.database_url).begin() as connection:
        connection.execute(delete(POSITION).where(POSITION.c.topic.in_(names)))
