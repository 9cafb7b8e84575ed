"""What the topics of an installation hold, as a stage reads it."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from credstream.reading import committed
from schemas.topology import Topic
from streams.settings import Installation
from streams.stage import Record


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
