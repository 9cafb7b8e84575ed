"""One lane's batch, decided without Kafka: what to publish, what changed, and where it stopped."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic

from schemas.codec import encode
from schemas.codec import headers as cloud_event
from schemas.errors import IntegrityError, MalformedError, UnavailableError
from schemas.events import Header, Micros, RecordQuarantined
from schemas.text import text_fault
from schemas.topology import QUARANTINED
from streams.stage import L, Output, Overlay, Record, Stage, Step


@dataclass(slots=True)
class Batch(Generic[L]):
    """What follows from a run of records. `position` is the next offset; None when not even the first could be taken."""

    lane: L
    outputs: list[Output] = field(default_factory=list)
    changes: Mapping[bytes, bytes | None] = field(default_factory=dict)
    position: int | None = None
    stopped: UnavailableError | IntegrityError | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    published: Counter[str] = field(default_factory=Counter)
    caused_at: list[Micros] = field(default_factory=list)

    def add(self, step: Step[L], state: Overlay, outcome: str) -> None:
        """Take one step in."""
        self.lane = step.lane
        self.outputs += step.outputs
        state.changes.update(step.changes)
        self.changes = state.changes
        self.outcomes[outcome] += 1
        self.published.update(out.topic.name for out in step.outputs)
        if step.caused_at is not None:
            self.caused_at.append(step.caused_at)

    def set_aside(self, stage: Stage[L], record: Record, error: MalformedError, state: Overlay) -> None:
        """Take in a record that breaks its contract, as a quarantined one."""
        self.quarantined[error.reason] += 1
        self.add(Step(self.lane, (quarantined(stage, record, error),)), state, "quarantined")


def decide(stage: Stage[L], lane: L, state: Mapping[bytes, bytes], records: Sequence[Record]) -> Batch[L]:
    """Run the records through the stage in order, up to the first that cannot be taken now.

    A record that breaks its contract becomes a quarantined one; an error that stops the lane keeps all before it.
    """
    batch, view = Batch(lane), Overlay(state)
    for record in records:
        try:
            batch.add(stage.step(batch.lane, view, record), view, "processed")
        except MalformedError as error:
            batch.set_aside(stage, record, error, view)
        except (UnavailableError, IntegrityError) as error:
            batch.stopped = error
            break
        batch.position = record.offset + 1
    return batch


def quarantined(stage: Stage[L], record: Record, error: MalformedError) -> Output:
    """Return the record that sets another aside, with its bytes and headers, where it stood, and why."""
    value = record.value or b""
    event = RecordQuarantined(
        stage=stage.processor,
        topic=record.topic,
        partition=record.lane,
        offset=record.offset,
        appended_at=record.appended_at,
        reason=error.reason,
        detail=_printable(error.detail),
        sha256=hashlib.sha256(value).hexdigest(),
        size=len(value),
        key=record.key,
        headers=tuple(Header(name=_printable(name), value=content) for name, content in record.headers),
        value=record.value,
    )
    event_id = f"{record.topic}/{record.lane}/{record.offset}"
    return Output(
        topic=QUARANTINED,
        key=record.key,
        value=encode(event),
        headers=cloud_event(event, source=f"/{stage.processor}", event_id=event_id),
    )


def _printable(text: str) -> str:
    """A sender may put anything into a header's name; what we write must pass our own decoder."""
    return text.encode("unicode_escape").decode("ascii") if text_fault(text) else text
