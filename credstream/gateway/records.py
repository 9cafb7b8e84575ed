"""What the gateway reads of the views: one small question a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, Row, desc, exists, func, select

from schemas.catalogue import Catalogue, unpack
from schemas.events import Resolution
from schemas.topology import INBOX
from streams.tables import (
    CATALOGUE,
    COMPLETION,
    CREDENTIAL,
    CREDENTIAL_STATUS,
    OUTCOME,
    POSITION,
    QUARANTINE,
    RESOLUTION,
    STATUS_LIST,
    TALLY,
)

_NEWEST: Final = 12
_SPARK_MINUTES: Final = 60


def redriven() -> ColumnElement[bool]:
    """Return the condition that a completion's record was set aside and stands in the inbox again since."""
    return exists().where(
        RESOLUTION.c.topic == INBOX.name,
        RESOLUTION.c.lane == COMPLETION.c.lane,
        RESOLUTION.c.offset == COMPLETION.c.inbox_offset,
        RESOLUTION.c.resolution == Resolution.REDRIVEN,
    )


class Records:
    """The views, read."""

    def __init__(self, engine: Engine) -> None:
        """Read this database."""
        self._engine = engine
        self._catalogues: dict[str, Catalogue] = {}

    def _one(self, query: Any) -> Row[Any] | None:
        with self._engine.connect() as connection:
            return connection.execute(query).first()

    def _all(self, query: Any) -> Sequence[Any]:
        with self._engine.connect() as connection:
            return connection.execute(query).all()

    def fates(
        self, programme: str, provider: str, *, event_id: str | None, result_id: str | None
    ) -> Sequence[Row[Any]]:
        """Return what became of a provider's completions of this event or result, oldest first.

        One that was set aside and then redriven is the same completion: what became of it at last counts.
        """
        wanted = COMPLETION.c.event_id == event_id if event_id is not None else COMPLETION.c.result_id == result_id
        mine = (COMPLETION.c.provider == provider) & (COMPLETION.c.programme == programme)
        fates = (
            select(COMPLETION).where(wanted, mine, ~redriven()).order_by(COMPLETION.c.lane, COMPLETION.c.inbox_offset)
        )
        return self._all(fates)

    def outcomes(self, lane: int, decision_no: int) -> Sequence[Row[Any]]:
        """Return the outcomes of one decision."""
        return self._all(select(OUTCOME).where(OUTCOME.c.lane == lane, OUTCOME.c.decision_no == decision_no))

    def decided_up_to(self) -> Mapping[int, int]:
        """Return, for each lane, the last inbox offset whose fate is known here."""
        last = select(COMPLETION.c.lane, func.max(COMPLETION.c.inbox_offset)).group_by(COMPLETION.c.lane)
        return {row[0]: row[1] for row in self._all(last)}

    def credential(self, credential_id: str) -> Row[Any] | None:
        """Return a credential and its status."""
        status = (CREDENTIAL_STATUS.c.status, CREDENTIAL_STATUS.c.reason, CREDENTIAL_STATUS.c.effective_at)
        joined = CREDENTIAL.outerjoin(CREDENTIAL_STATUS, CREDENTIAL.c.id == CREDENTIAL_STATUS.c.credential_id)
        return self._one(select(CREDENTIAL, *status).select_from(joined).where(CREDENTIAL.c.id == credential_id))

    def superseding(self, credential_id: str) -> str | None:
        """Return the id of the credential that was issued in place of this one."""
        old = self.credential(credential_id)
        if old is None:
            return None
        same = (CREDENTIAL.c.programme == old.programme) & (CREDENTIAL.c.learner_ref == old.learner_ref)
        row = self._one(select(CREDENTIAL.c.id).where(same, CREDENTIAL.c.supersedes == credential_id))
        return None if row is None else str(row.id)

    def status_list(self, url: str) -> Row[Any] | None:
        """Return the newest version of a status list."""
        return self._one(select(STATUS_LIST).where(STATUS_LIST.c.url == url))

    def catalogue(self, programme: str) -> Catalogue | None:
        """Return a programme's newest catalogue."""
        newest = (
            select(CATALOGUE)
            .where(CATALOGUE.c.programme == programme)
            .order_by(desc(CATALOGUE.c.published_at))
            .limit(1)
        )
        row = self._one(newest)
        if row is None:
            return None
        if row.digest not in self._catalogues:
            self._catalogues[row.digest] = unpack(row.packed, row.digest)
        return self._catalogues[row.digest]

    def programmes(self) -> Sequence[str]:
        """Return every programme with a catalogue."""
        return [
            row.programme for row in self._all(select(CATALOGUE.c.programme).distinct().order_by(CATALOGUE.c.programme))
        ]

    def tallies(self) -> Mapping[str, Mapping[str, int]]:
        """Return every count by kind and label."""
        counted = select(TALLY.c.kind, TALLY.c.label, func.sum(TALLY.c["count"])).group_by(TALLY.c.kind, TALLY.c.label)
        found: dict[str, dict[str, int]] = {}
        for kind, label, count in self._all(counted):
            found.setdefault(kind, {})[label] = int(count)
        return found

    def issued_by_minute(self, now_minute: int) -> Sequence[int]:
        """Return how many credentials were issued in each of the last sixty minutes, the newest last."""
        first = now_minute - _SPARK_MINUTES + 1
        counted = select(TALLY.c.minute, func.sum(TALLY.c["count"])).where(
            TALLY.c.kind == "issued", TALLY.c.minute >= first
        )
        found = {minute: int(count) for minute, count in self._all(counted.group_by(TALLY.c.minute))}
        return [found.get(minute, 0) for minute in range(first, now_minute + 1)]

    def newest_credentials(self) -> Sequence[Row[Any]]:
        """Return the last credentials, without their documents or learners."""
        columns = (CREDENTIAL.c.id, CREDENTIAL.c.programme, CREDENTIAL.c.achievement, CREDENTIAL.c.claimed_at)
        return self._all(select(*columns).order_by(desc(CREDENTIAL.c.claimed_at)).limit(_NEWEST))

    def newest_quarantined(self) -> Sequence[Row[Any]]:
        """Return the last records set aside about which nothing was done yet, without their bytes."""
        done = exists().where(*(RESOLUTION.c[name] == QUARANTINE.c[name] for name in ("topic", "lane", "offset")))
        return self._all(select(QUARANTINE).where(~done).order_by(desc(QUARANTINE.c.appended_at)).limit(_NEWEST))

    def lists(self) -> Sequence[Row[Any]]:
        """Return each status list's version, set bits and age, without its document."""
        columns = (STATUS_LIST.c.url, STATUS_LIST.c.version, STATUS_LIST.c.set_bits, STATUS_LIST.c.published_at)
        return self._all(select(*columns).order_by(STATUS_LIST.c.url))

    def positions(self) -> Mapping[tuple[str, int], int]:
        """Return where the views are in each topic's lanes."""
        return {(topic, lane): following for topic, lane, following in self._all(select(POSITION))}
