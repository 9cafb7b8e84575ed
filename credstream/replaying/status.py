"""Status lists, replayed: places and what is pending from the decisions, versions and dates from what was published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet

import msgspec
from msgspec.structs import replace

from credstream.audit.log import LogRecord
from credstream.reading import committed
from schemas.codec import decode
from schemas.events import (
    CatalogueAdopted,
    CredentialStatusChanged,
    StatusDecided,
    StatusListOpened,
    StatusListPublished,
)
from schemas.topology import LIST_PUBLISHED, STATUS_CHANGED, Topic
from services.status.ledger import ListState, decided, opened
from streams.gaps import accepted_key
from streams.settings import Installation
from streams.status import kept_keys


def replayed(
    installation: Installation,
    lane: int,
    records: Iterator[LogRecord],
    accepted: AbstractSet[bytes],
    advance: Callable[[int], None],
) -> dict[bytes, bytes]:
    """Return what the lane must keep of its lists; ``accepted`` are the keys under which it keeps accepted gaps.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    lists: dict[str, ListState] = {}
    keys: dict[bytes, bytes] = {}
    for record in records:
        advance(1)
        event = decode(record.value, StatusListOpened, StatusDecided, CatalogueAdopted)
        if isinstance(event, CatalogueAdopted):
            name, value = kept_keys(event)
            keys[name] = value
            continue
        before = lists.get(event.status_list)
        if isinstance(event, StatusListOpened):
            lists.setdefault(event.status_list, opened(event))
        elif before is not None and accepted_key(record.offset) in accepted:
            lists[event.status_list] = decided(replace(before, next_decision=event.decision_no), event)
        elif before is not None and event.decision_no == before.next_decision:
            lists[event.status_list] = decided(before, event)
    newest = _published(installation, lane)
    effective = _effective(installation, lane)
    return keys | {
        url.encode(): msgspec.msgpack.encode(_as_published(kept, newest.get(url), effective[url]))
        for url, kept in lists.items()
    }


def _as_published(kept: ListState, newest: StatusListPublished | None, effective: int) -> ListState:
    """Return a list with what was published of it: changes take effect in the order in which they were decided."""
    if newest is None:
        return kept
    return replace(
        kept,
        key_id=newest.key_id,
        pending=kept.pending[effective:],
        version=newest.version,
        published_at=newest.published_at,
        valid_until=newest.valid_until,
    )


def _published(installation: Installation, lane: int) -> Mapping[str, StatusListPublished]:
    found: dict[str, StatusListPublished] = {}
    for record in _of(installation, LIST_PUBLISHED, lane):
        event = decode(record, StatusListPublished)
        if event.version >= found.get(event.status_list, event).version:
            found[event.status_list] = event
    return found


def _effective(installation: Installation, lane: int) -> Counter[str]:
    """Return how many changes of each list took effect; a transaction that stands twice counts once."""
    seen = set[tuple[str, str, str, int]]()
    for record in _of(installation, STATUS_CHANGED, lane):
        event = decode(record, CredentialStatusChanged)
        seen.add((event.status_list, event.credential_id, event.status, event.decided_at))
    return Counter(url for url, *_ in seen)


def _of(installation: Installation, topic: Topic, lane: int) -> Iterator[bytes]:
    for record in committed(installation.bootstrap_servers, topic, lane=lane):
        if record.value is not None:
            yield record.value
