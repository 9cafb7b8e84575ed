"""Witnesses of a log that was made for a test: the sender's journal, logs, counters, and a gateway that answers from the log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.audited import LANES, MemoryLog
from support.competency import BASE_URL

from credstream.audit.public import Answer
from credstream.quarantine.cases import set_aside
from schemas.codec import decode, published_schemas
from schemas.errors import MalformedError
from schemas.events import (
    AssessmentCompleted,
    ClaimVoided,
    CompetencyDecided,
    CredentialIssued,
    CredentialStatusChanged,
    StatusListPublished,
)
from schemas.topology import DECIDED, INBOX, ISSUED, LIST_PUBLISHED, QUARANTINED, STATUS_CHANGED, Topic


def values(log: MemoryLog, topic: Topic) -> list[bytes | None]:
    return [record.value for lane in range(LANES) for record in log.records_of[topic.name, lane]]


def completions(log: MemoryLog) -> list[AssessmentCompleted]:
    found = []
    for value in values(log, INBOX):
        try:
            found.append(decode(value, AssessmentCompleted))
        except MalformedError:
            continue
    return found


def journal(log: MemoryLog, path: Path, **last: Any) -> Path:
    """What a sender writes down; the last line as told."""
    lines = [{"provider": c.provider, "event_id": c.event_id, "answer": "acknowledged"} for c in completions(log)]
    lines[-1] |= last
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def issued(log: MemoryLog) -> list[CredentialIssued]:
    """Return the credentials; claims that got none are passed over."""
    events = [decode(value, CredentialIssued, ClaimVoided) for value in values(log, ISSUED)]
    return [event for event in events if isinstance(event, CredentialIssued)]


def counts(log: MemoryLog) -> dict[str, Any]:
    """What an export counts."""
    decided = [decode(value, CompetencyDecided) for value in values(log, DECIDED)]
    aside = [one for value in values(log, QUARANTINED) if (one := set_aside(value)) is not None]
    return {
        "received": len(values(log, INBOX)),
        "credentials": len(issued(log)),
        "decisions": len(decided),
        "quarantined": len(aside),
        "dispositions": dict(Counter(str(one.disposition) for one in decided)),
        "quarantine_reasons": dict(Counter(one.reason for one in aside)),
    }


@dataclass
class FakeGateway:
    """Answers as the gateway does, from the log; what is spoiled it says wrongly."""

    log: MemoryLog
    spoiled: Mapping[str, Answer] = field(default_factory=dict)

    def get(self, path: str) -> Answer:
        if path in self.spoiled:
            return self.spoiled[path]
        if path == "/v1/flow":
            return Answer(200, {}, self._flow())
        if path.startswith("/credentials/"):
            return Answer(200, {}, {"status": self._status(path.rpartition("/")[2])})
        lists = [decode(value, StatusListPublished) for value in values(self.log, LIST_PUBLISHED)]
        newest = max((one for one in lists if one.status_list == BASE_URL + path), key=lambda one: one.version)
        return Answer(200, {"cache-control": "public, max-age=10"}, json.loads(newest.credential))

    def _status(self, credential: str) -> str:
        changes = [decode(value, CredentialStatusChanged) for value in values(self.log, STATUS_CHANGED)]
        return ([str(one.status) for one in changes if one.credential_id == credential] or ["valid"])[-1]

    def _flow(self) -> dict[str, Any]:
        decided = [decode(value, CompetencyDecided) for value in values(self.log, DECIDED)]
        outcomes = [outcome for one in decided if not isinstance(one.body, bytes) for outcome in one.body.outcomes]
        changed = [decode(value, CredentialStatusChanged) for value in values(self.log, STATUS_CHANGED)]
        tallies = {
            "decided": Counter(str(one.disposition) for one in decided),
            "verdict": Counter(str(outcome.verdict) for outcome in outcomes),
            "issued": Counter(f"{one.programme}/{one.achievement}" for one in issued(self.log)),
            "status": Counter(str(one.status) for one in changed),
            "quarantined": Counter(counts(self.log)["quarantine_reasons"]),
        }
        return {"inbox": len(values(self.log, INBOX)), "lag": {"competency": [0, 0]}, "tallies": tallies}


def kinds() -> set[str]:
    return {schema.record for schema in published_schemas().values()}
