"""Made-up traffic taken through the gateway's reader into one lane of competency, without Kafka."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from support.competency import PROGRAMME, CompetencyLane

from credstream.audit.evaluator import Held
from credstream.gateway.completions import Refused, read
from credstream.gateway.keys import Sender
from credstream.rules.loader import Draft
from schemas.catalogue import Catalogue, Key
from schemas.codec import encode
from schemas.errors import MalformedError
from schemas.ids import learner_key, learner_ref
from schemas.topology import INBOX
from streams.stage import Record

SECRET = b"l" * 32


def published(draft: Draft, base_url: str = "https://badges.example") -> Catalogue:
    """The catalogue as the lane's programme adopts it."""
    keys = [
        Key(id="credentials-1", purpose="credentials", public_key_multibase="z6Mk1", active_from=0),
        Key(id="status-1", purpose="status", public_key_multibase="z6Mk2", active_from=0),
    ]
    return msgspec.structs.replace(draft.build(base_url=base_url, keys=keys), programme=PROGRAMME)


class Traffic:
    """A lane that has adopted a catalogue, and what became of the completions sent to it."""

    def __init__(self, catalogue: Catalogue, now: datetime) -> None:
        self.lane = CompetencyLane()
        self.now = round(now.timestamp() * 1_000_000)
        self.lane.now = self.now
        self.lane.adopt(catalogue)
        self.names = [a.id for a in catalogue.achievements]
        self.refused: Counter[str] = Counter()
        self.set_aside: Counter[str] = Counter()

    def send(self, sent: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Send completions, each by its provider."""
        for provider, completion in sent:
            line = json.dumps(completion, default=float).encode()
            event = read(line, Sender(PROGRAMME, provider), SECRET, self.now)
            if isinstance(event, Refused):
                self.refused[event.errors[0]["field"]] += 1
                continue
            try:
                self._take(encode(event), learner_key(PROGRAMME, event.learner_ref))
            except MalformedError as error:
                self.set_aside[error.reason.value] += 1

    def _take(self, value: bytes, key: bytes) -> None:
        """One record in, as `CompetencyLane.take`, without that method's restart after each record."""
        lane = self.lane
        record = Record(
            topic=INBOX.name,
            lane=lane.number,
            offset=lane.offset,
            appended_at=lane.now,
            key=key,
            value=value,
            headers=(),
        )
        step = lane.stage.step(lane.ledger, lane.state, record)
        lane.offset += 1
        for name, change in step.changes.items():
            if change is not None:
                lane.state[name] = change
        lane.ledger = step.lane

    def held(self, scheme: str, learner: str) -> dict[str, Held]:
        """What a learner holds, each time with its level."""
        progress = self.lane.progress(learner_ref(SECRET, PROGRAMME, scheme, learner))
        found = {}
        for name in self.names:
            times = [(a.attained_at, a.level) for a in progress.awards_of(name) if a.counts]
            if times:
                found[name] = Held(*times[0], tuple(times[1:]))
        return found
