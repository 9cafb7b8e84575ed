"""A processor's lane, worked through again from the first record of its input, and compared with what it kept and published.

What was set aside stays set aside: quarantine positions are facts. Nothing is signed anew: issuing finds each signature in what
was issued, and it must fit what would be signed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from credstream.audit.broker import KafkaLog
from credstream.audit.log import LogRecord
from credstream.lanes.state import Kept, as_read, input_of, kept
from credstream.quarantine.cases import cases
from credstream.reading import committed
from credstream.replaying.comparing import Answers, Published
from credstream.replaying.issuing import ReplayedIssuing
from credstream.replaying.status import replayed as status_replayed
from schemas.errors import IntegrityError, MalformedError, PipelineError, RefusedError, UnavailableError
from schemas.topology import Processor, Topic
from services.competency import ledger as ledgers
from services.competency import progress as learners
from streams import competency
from streams.gaps import ACCEPTED
from streams.lane import IDENTITY_KEY
from streams.settings import Installation
from streams.stage import Overlay, Stage
from streams.topics import identity

FIRST: Final = 10
"""How many differences are named."""
Advance = Callable[[int], None]


class Differs(Struct, frozen=True, kw_only=True):
    """Where a replay says something else. A learner is named by the opaque reference alone."""

    where: str
    what: str


class Replayed(Struct, kw_only=True):
    """One lane worked through again. `changes` turn what it keeps into what the replay says; None forgets a key."""

    processor: Processor
    lane: int
    position: int
    records: int = 0
    set_aside: int = 0
    outputs: int = 0
    digest: str = ""
    replayed_digest: str = ""
    changes: dict[bytes, bytes | None] = {}
    output_faults: list[Differs] = []
    counted: Counter[str] = Counter()

    @property
    def same(self) -> bool:
        """Say whether state and outputs are what the replay says."""
        return not self.changes and not self.counted

    def differs(self, where: str, what: str) -> None:
        """Note an output that the replay does not make, or makes otherwise."""
        self.counted[where.partition("@")[0]] += 1
        if len(self.output_faults) < FIRST:
            self.output_faults.append(Differs(where=where, what=what))


def replay(installation: Installation, processor: Processor, lane: int, advance: Advance = lambda _: None) -> Replayed:
    """Work through one lane again, up to where it has come, and compare.

    Raises:
        UnavailableError: Kafka does not answer, or the lane does not come to rest.
        RefusedError: The log does not begin at its beginning any more.
    """
    found = kept(installation, processor, lane)
    log = KafkaLog(installation.bootstrap_servers, installation.kafka.lanes)
    try:
        if begin := log.cut().begin(input_of(processor), lane):
            raise RefusedError(f"{input_of(processor).name}, lane {lane}, begins at {begin}: what came before is gone")
        facts = {
            case.position.offset
            for case in cases(installation)
            if (case.position.stage, case.position.lane) == (processor, lane)
        }
        accepted = {key: value for key, value in found.state.items() if key.startswith(ACCEPTED)}
        out = Replayed(
            processor=processor, lane=lane, position=found.position, changes={}, output_faults=[], counted=Counter()
        )
        records = log.records(input_of(processor), lane, 0, max(0, found.position))
        if processor is Processor.STATUS:
            state = {**accepted, **status_replayed(installation, lane, records, set(accepted), advance)}
        else:
            with Published(_reader(installation), processor, lane) as published:
                if processor is Processor.ISSUING:
                    signed = ReplayedIssuing(published)
                    state = work_through(signed, lane, records, facts, accepted, signed, out, advance)
                else:
                    stage = competency.stage(installation)
                    state = work_through(stage, lane, records, facts, accepted, published, out, advance)
        _compare(installation, found, state, out)
    finally:
        log.close()
    return out


def _reader(installation: Installation) -> Callable[[Topic, int], Iterator[Any]]:
    return lambda topic, lane: committed(installation.bootstrap_servers, topic, lane=lane)


def work_through(
    stage: Stage[Any],
    lane: int,
    records: Iterator[LogRecord],
    facts: set[int],
    accepted: Mapping[bytes, bytes],
    published: Answers,
    out: Replayed,
    advance: Advance,
) -> dict[bytes, bytes]:
    """Return what a lane keeps after these records, of which those at the offsets of ``facts`` stay set aside.

    ``accepted`` is what people have accepted of the lane.

    Raises:
        RefusedError: The lane would be parked, or would wait.
    """
    state = dict(accepted)
    own = first = stage.restored(lane, state)
    for record in records:
        advance(1)
        out.records += 1
        if record.offset in facts:
            out.set_aside += 1
            continue
        view = Overlay(state)
        try:
            step = stage.step(own, view, as_read(record))
        except MalformedError as error:
            out.differs(record.position, f"it would be set aside now: {error.reason}")
            continue
        except (IntegrityError, UnavailableError) as error:
            raise RefusedError(f"{record.position}: the replay stops: {error}") from None
        own = step.lane
        _apply(state, step.changes)
        for output in step.outputs:
            out.outputs += 1
            fault = published.fault(output.topic, output.value)
            if fault is not None:
                out.differs(fault[0], fault[1])
    for where, what in published.left():
        out.differs(where, what)
    _apply(state, stage.kept(first, own) if own is not first else {})
    return state


def _compare(installation: Installation, found: Kept, state: dict[bytes, bytes], out: Replayed) -> None:
    if state or found.state:
        state[IDENTITY_KEY] = identity(installation)
    for key, value in state.items():
        if not _same(out.processor, key, found.state.get(key), value):
            out.changes[key] = value
        else:
            state[key] = found.state[key]  # the same, as an earlier version of the program wrote it
    out.changes |= dict.fromkeys(found.state.keys() - state.keys())
    out.digest, out.replayed_digest = digest_of(found.state), digest_of(state)


def digest_of(state: Mapping[bytes, bytes]) -> str:
    """Return a digest of what a lane keeps."""
    found = hashlib.sha256()
    for key in sorted(state):
        for part in (key, state[key]):
            found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()


def _same(processor: Processor, key: bytes, found: bytes | None, replayed: bytes) -> bool:
    if found is None or found == replayed or processor is not Processor.COMPETENCY or key == IDENTITY_KEY:
        return found == replayed
    read: Any = ledgers.decoded if key == competency.LEDGER_KEY else learners.decoded
    if key.startswith(b"\x00") and key != competency.LEDGER_KEY:
        return False
    try:
        return bool(read(found) == read(replayed))
    except PipelineError:
        return False


def _apply(state: dict[bytes, bytes], changes: Mapping[bytes, bytes | None]) -> None:
    for key, value in changes.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
