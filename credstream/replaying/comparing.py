"""What a lane published, in order and each once, held against what a replay says that it should have."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias

from msgspec.structs import replace

from schemas.codec import decode_any
from schemas.events import (
    CatalogueAdopted,
    ClaimVoided,
    CompetencyDecided,
    CredentialClaimed,
    CredentialIssued,
    DecisionBody,
    StatusDecided,
    StatusListOpened,
)
from schemas.topology import CLAIMED, DECIDED, ISSUED, STATUS_DECIDED, Processor, Topic

Fault: TypeAlias = tuple[str, str]
"""Where something differs, and how."""
_OUTPUTS: Final = {Processor.COMPETENCY: (DECIDED, CLAIMED, STATUS_DECIDED), Processor.ISSUING: (ISSUED,)}
_KINDS: Final = (
    CatalogueAdopted,
    ClaimVoided,
    CompetencyDecided,
    CredentialClaimed,
    CredentialIssued,
    StatusDecided,
    StatusListOpened,
)


Read: TypeAlias = Callable[[Topic, int], Iterator[Any]]


class Answers(Protocol):
    """What was published, asked record by record."""

    def fault(self, topic: Topic, value: bytes | None) -> Fault | None:
        """Return where and how what was published differs from this record, None when it does not."""

    def left(self) -> Iterator[Fault]:
        """Yield what was published and not asked about."""


class Published:
    """One lane of the topics that a processor writes, each read from the beginning."""

    def __init__(self, read: Read, processor: Processor, lane: int) -> None:
        """Take what this processor wrote in this lane; ``read`` yields the records of a topic and lane."""
        self._read, self._lane = read, lane
        self._found = {topic.name: self._numbered(topic) for topic in _OUTPUTS[processor]}
        self._off: set[str] = set()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the connections."""
        for found in self._found.values():
            found.close()

    def fault(self, topic: Topic, value: bytes | None) -> Fault | None:
        """Return where and how the next record of a topic differs from what it should be, None when it does not.

        After the first that differs, a topic is not compared any further: all that follows would differ with it.
        """
        if topic.name in self._off:
            return None
        wanted = decode_any(value, _KINDS)
        position, found = next(self._found[topic.name], (f"{topic.name}/{self._lane}@end", None))
        if found is not None and essence(found) == essence(wanted):
            return None
        self._off.add(topic.name)
        said = "there is no such record" if found is None else f"it is {_named(found)}"
        return position, f"{said}, and the replay says {_named(wanted)}{_fields(found, wanted)}"

    def left(self) -> Iterator[Fault]:
        """Yield, of each topic that was the same so far, the first record of which the replay knows nothing."""
        for name, found in self._found.items():
            if name not in self._off and (extra := next(found, None)) is not None:
                yield extra[0], f"the replay does not say {_named(extra[1])}"

    def next_issued(self) -> CredentialIssued | ClaimVoided | None:
        """Return the next credential of the lane, or word of a claim that got none."""
        found: Any = next(self._found[ISSUED.name], (None, None))[1]
        return found if isinstance(found, CredentialIssued | ClaimVoided) else None

    def _numbered(self, topic: Topic) -> Generator[tuple[str, Any], None, None]:
        """Yield the records of the lane without repeats, as every reader counts them: what is not above the last number is one."""
        last: dict[tuple[str, str], int] = {}
        for record in self._read(topic, self._lane):
            event = decode_any(record.value, _KINDS)
            series, number = _number(event)
            if number > last.get(series, -1):
                last[series] = number
                yield f"{topic.name}/{self._lane}@{record.offset}", event


def essence(event: Any) -> Any:
    """Return an event without prose, which another version of the program may word otherwise."""
    body = getattr(event, "body", None)
    if not isinstance(event, CompetencyDecided) or not isinstance(body, DecisionBody):
        return event
    return replace(event, body=DecisionBody(outcomes=tuple(replace(o, explanation="") for o in body.outcomes)))


def _number(event: Any) -> tuple[tuple[str, str], int]:
    match event:
        case CompetencyDecided():
            return ("decision", ""), event.decision_no
        case CatalogueAdopted():
            return ("adoption", event.programme), event.adoption_no
        case StatusDecided() | StatusListOpened():
            return ("list", event.status_list), event.decision_no
        case _:
            return ("claim", event.programme), event.claim_no


def _named(event: Any) -> str:
    (series, of), number = _number(event)
    return f"{series} {number}{f' of {of}' if of else ''}"


def _fields(found: Any, wanted: Any) -> str:
    """Return which fields differ, never what they say."""
    if type(found) is not type(wanted):
        return ""
    names = [n for n in wanted.__struct_fields__ if getattr(essence(found), n) != getattr(essence(wanted), n)]
    return f" with another {', '.join(names)}" if names and _number(found) == _number(wanted) else ""
