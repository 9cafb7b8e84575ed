"""What a stage makes of its input, without Kafka: the oracle of chaos and of the simulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from schemas.errors import MalformedError
from streams.stage import Overlay, Record


def replay(
    stage: Any, lanes: Mapping[int, list[Record]]
) -> tuple[Counter[tuple[str, int, Any, Any]], Counter[int], dict[Any, Any]]:
    """Return what a stage publishes of its input, how many records it sets aside, and the state it ends with. No Kafka."""
    published: Counter[tuple[str, int, Any, Any]] = Counter()
    set_aside: Counter[int] = Counter()
    state: dict[tuple[int, bytes], bytes] = {}
    for lane, lane_records in lanes.items():
        kept: dict[bytes, bytes] = {}
        own = stage.restored(lane, kept)
        for record in lane_records:
            try:
                steps = [stage.step(own, Overlay(kept), record)]
            except MalformedError:
                set_aside[lane] += 1
                continue
            while steps:
                step = steps.pop()
                published.update((out.topic.name, lane, out.key, out.value) for out in step.outputs)
                changes = dict(step.changes)
                if step.lane is not own:
                    changes |= stage.kept(own, step.lane)
                for key, value in changes.items():
                    kept.pop(key, None) if value is None else kept.__setitem__(key, value)
                own = step.lane
                if stage.has_idle_work and (due := stage.idle(own, Overlay(kept), record.appended_at)):
                    steps.append(due)  # what waited for its turn
        state |= {(lane, key): value for key, value in kept.items()}
    return published, set_aside, state
