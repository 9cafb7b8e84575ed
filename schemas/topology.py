"""The map of the pipe: every topic, who writes it, who reads it. No other place names a topic.

The README's picture, the broker's topics and the processors' subscriptions are made from this table or tested against it.
`assessment.submitted` (providers who write Kafka themselves) joins it together with its reader, `intake`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

DEFAULT_LANES: Final = 4
MAX_CATALOGUE_BYTES: Final = 900_000
"""A compressed catalogue travels inside an adoption record, so it must fit in one (DESIGN §4)."""
MAX_COMPLETION_BYTES: Final = 16_384
"""The largest encoded completion that competency decodes; longer ones are quarantined as `too_large`."""
MAX_RECORD_BYTES: Final = 1_000_000
"""The largest record of any kind; the quarantine takes four times as much."""


class Cleanup(StrEnum):
    """What the broker does with old records."""

    KEEP = "keep"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic. Lane *p* is partition *p* of each; all have the same number of partitions."""

    name: str
    key: str  # what the record key holds
    holds: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    cleanup: Cleanup
    max_bytes: int = MAX_RECORD_BYTES
    config: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> dict[str, str]:
        """The topic's configuration on the broker."""
        cleanup = {"cleanup.policy": "compact"} if self.cleanup is Cleanup.COMPACT else {"retention.ms": "-1"}
        # A little over the record: the broker counts the batch's own header and the record's headers too.
        return {**cleanup, "max.message.bytes": str(self.max_bytes + 65_536), **self.config}


LEARNER_KEY: Final = "programme:learner_ref"

INBOX: Final = Topic(
    name="learner.inbox.v1",
    key=LEARNER_KEY,
    holds="all that counts, in the order in which it counts",
    writers=("gateway", "staff", "publisher"),
    readers=("competency",),
    cleanup=Cleanup.KEEP,
    config={"message.timestamp.type": "LogAppendTime"},
)
PROGRESS: Final = Topic(
    name="competency.progress.v1",
    key="learner, lane or catalogue",
    holds="a learner's evidence and awards; the lane's numbers and catalogues",
    writers=("competency",),
    readers=("competency",),
    cleanup=Cleanup.COMPACT,
)
DECIDED: Final = Topic(
    name="competency.decided.v1",
    key=LEARNER_KEY,
    holds="one decision for each inbox record, with its reasons",
    writers=("competency",),
    readers=("views",),
    cleanup=Cleanup.KEEP,
)
CLAIMED: Final = Topic(
    name="credential.claimed.v1",
    key=LEARNER_KEY,
    holds="claims, and the catalogues that they name",
    writers=("competency",),
    readers=("issuing",),
    cleanup=Cleanup.KEEP,
)
ISSUED: Final = Topic(
    name="credential.issued.v1",
    key=LEARNER_KEY,
    holds="signed credentials, and word of claims that get none",
    writers=("issuing",),
    readers=("views", "subscribers"),
    cleanup=Cleanup.KEEP,
)
ISSUING_PROGRESS: Final = Topic(
    name="issuing.progress.v1",
    key="lane, catalogue or claim slot",
    holds="the last claim numbers done and their digests",
    writers=("issuing",),
    readers=("issuing",),
    cleanup=Cleanup.COMPACT,
)
STATUS_DECIDED: Final = Topic(
    name="credential.status-decided.v1",
    key="status list",
    holds="lists to open; revocations that take effect, each with its place; the catalogues whose keys sign the lists",
    writers=("competency",),
    readers=("status",),
    cleanup=Cleanup.KEEP,
)
STATUS_PROGRESS: Final = Topic(
    name="status.progress.v1",
    key="lane or status list",
    holds="each list's bits, what is pending, version, last signed",
    writers=("status",),
    readers=("status",),
    cleanup=Cleanup.COMPACT,
)
LIST_PUBLISHED: Final = Topic(
    name="status-list.published.v1",
    key="status list",
    holds="the signed status list",
    writers=("status",),
    readers=("views", "subscribers"),
    cleanup=Cleanup.COMPACT,
)
STATUS_CHANGED: Final = Topic(
    name="credential.status-changed.v1",
    key=LEARNER_KEY,
    holds="what took effect, and in which version of its list",
    writers=("status",),
    readers=("views", "subscribers"),
    cleanup=Cleanup.KEEP,
)
CATALOGUE_PUBLISHED: Final = Topic(
    name="catalogue.published.v1",
    key="programme:digest",
    holds="immutable catalogue versions, signed",
    writers=("publisher",),
    readers=("views",),
    cleanup=Cleanup.KEEP,
)
QUARANTINED: Final = Topic(
    name="record.quarantined.v1",
    key="the key that the record had",
    holds="original bytes and headers, position, reason; what was redriven, dismissed, accepted as a gap",
    writers=("competency", "issuing", "status", "staff", "publisher"),
    readers=("views",),
    cleanup=Cleanup.KEEP,
    max_bytes=4 * MAX_RECORD_BYTES,
)

TOPICS: Final[tuple[Topic, ...]] = (
    INBOX,
    PROGRESS,
    DECIDED,
    CLAIMED,
    ISSUED,
    ISSUING_PROGRESS,
    STATUS_DECIDED,
    STATUS_PROGRESS,
    LIST_PUBLISHED,
    STATUS_CHANGED,
    CATALOGUE_PUBLISHED,
    QUARANTINED,
)


class Processor(StrEnum):
    """A process that reads topics. Its name is its module, consumer group, container, runbook and dashboard."""

    COMPETENCY = "competency"
    ISSUING = "issuing"
    STATUS = "status"
    VIEWS = "views"


def inputs(processor: Processor) -> tuple[Topic, ...]:
    """What a processor subscribes to: the topics that it reads and does not itself write."""
    return tuple(t for t in TOPICS if processor in t.readers and processor not in t.writers)
