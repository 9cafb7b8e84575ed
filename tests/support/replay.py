"""What a stage makes of its input without Kafka, and what its topics hold, to be compared byte for byte."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from credstream.reading import committed
from schemas.errors import MalformedError
from schemas.topology import Topic
from streams.settings import Installation
from streams.stage import Overlay, Record


def records(place: Installation, topic: Topic) -> dict[int, list[Record]]:
    """Return a topic's committed records by lane, as a stage reads them."""
    lanes: dict[int, list[Record]] = defaultdict(list)
    for r in committed(place.bootstrap_servers, topic):
        lanes[r.partition].append(
            Record(
                topic=r.topic,
                lane=r.partition,
                offset=r.offset,
                appended_at=r.timestamp * 1000,
                key=r.key,
                value=r.value,
                headers=tuple(r.headers),
            )
        )
    return lanes


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
            view = Overlay(kept)
            try:
                step = stage.step(own, view, record)
            except MalformedError:
                set_aside[lane] += 1
                continue
            published.update((out.topic.name, lane, out.key, out.value) for out in step.outputs)
            changes = dict(step.changes)
            if step.lane is not own:
                changes |= stage.kept(own, step.lane)
            for key, value in changes.items():
                kept.pop(key, None) if value is None else kept.__setitem__(key, value)
            own = step.lane
        state |= {(lane, key): value for key, value in kept.items()}
    return published, set_aside, state


def found(place: Installation, *topics: Topic) -> Counter[tuple[str, int, Any, Any]]:
    return Counter(
        (r.topic, r.lane, r.key, r.value) for t in topics for lane in records(place, t).values() for r in lane
    )


def latest(place: Installation, topic: Topic) -> dict[tuple[int, bytes], bytes]:
    """Return the state that a topic holds."""
    kept: dict[tuple[int, bytes], bytes] = {}
    for lane, lane_records in records(place, topic).items():
        for r in lane_records:
            kept.pop((lane, r.key or b""), None) if r.value is None else kept.__setitem__((lane, r.key or b""), r.value)
    return {key: value for key, value in kept.items() if key[1] != b"\x00identity"}
