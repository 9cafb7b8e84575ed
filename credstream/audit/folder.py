"""The log as an export holds it: Avro container files, one a topic and lane, and what a stranger must know to check them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import fastavro
import msgspec

from credstream.audit.log import READ, Cut, Log, LogRecord
from credstream.audit.trust import Trust
from schemas.topology import Topic

_FORMAT: Final = 1
_INDEX: Final = "log.json"
_SCHEMA: Final = {
    "type": "record",
    "name": "LogRecord",
    "namespace": "org.credstream.export",
    "doc": "A Kafka record as it stood; `value` is in the Confluent wire format.",
    "fields": [
        {"name": "offset", "type": "long"},
        {"name": "appended_at", "type": "long", "doc": "microseconds since 1970"},
        {"name": "key", "type": ["null", "bytes"]},
        {"name": "value", "type": ["null", "bytes"]},
        {
            "name": "headers",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Header",
                    "fields": [{"name": "name", "type": "string"}, {"name": "value", "type": ["null", "bytes"]}],
                },
            },
        },
    ],
}


class _Index(msgspec.Struct):
    format: int
    lanes: int
    cut: Cut
    trust: Trust


def write_log(log: Log, cut: Cut, trust: Trust, folder: Path) -> int:
    """Write the log up to a cut into a new folder and return how many records that are; of ``trust`` only what is public.

    Raises:
        UnavailableError: The log cannot be read.
    """
    folder.mkdir()
    count = 0
    schema = fastavro.parse_schema(_SCHEMA)

    def plain(topic: Topic, lane: int) -> Iterator[dict[str, Any]]:
        nonlocal count
        for record in log.records(topic, lane, cut.begin(topic, lane), cut.end(topic, lane)):
            count += 1
            stated = {name: getattr(record, name) for name in ("offset", "appended_at", "key", "value")}
            yield {**stated, "headers": [{"name": name, "value": value} for name, value in record.headers]}

    for topic in READ:
        for lane in range(log.lanes):
            with (folder / f"{topic.name}-{lane}.avro").open("wb") as file:
                fastavro.writer(file, schema, plain(topic, lane), codec="deflate")
    public = Trust(trust.base_url, trust.epoch, trust.programmes)
    (folder / _INDEX).write_bytes(msgspec.json.format(msgspec.json.encode(_Index(_FORMAT, log.lanes, cut, public))))
    return count


class FolderLog:
    """An export's log."""

    def __init__(self, folder: Path) -> None:
        """Open it.

        Raises:
            ValueError: There is none in this folder, or one of another version.
        """
        self._folder = folder / "log"
        try:
            index = msgspec.json.decode((self._folder / _INDEX).read_bytes(), type=_Index)
        except (OSError, msgspec.DecodeError) as error:
            raise ValueError(f"{folder} holds no log to audit; `credstream export` writes one ({error})") from None
        if index.format != _FORMAT:
            raise ValueError(f"{folder} was exported by another version; export it anew")
        self.lanes, self._cut, self.trust = index.lanes, index.cut, index.trust
        counts = folder / "counts.json"
        self.counts: dict[str, Any] | None = json.loads(counts.read_text("utf-8")) if counts.exists() else None

    def cut(self) -> Cut:
        """Return the cut at which it was exported."""
        return self._cut

    def records(self, topic: Topic, lane: int, start: int, end: int) -> Iterator[LogRecord]:
        """Yield the records of a lane from one position to before another.

        Raises:
            ValueError: A file is missing or damaged.
        """
        path = self._folder / f"{topic.name}-{lane}.avro"
        try:
            with path.open("rb") as file:
                one: Any
                for one in fastavro.reader(file):
                    if start <= one["offset"] < end:
                        headers = tuple((header["name"], header["value"]) for header in one["headers"])
                        stated = (one["offset"], one["appended_at"], one["key"], one["value"])
                        yield LogRecord(topic.name, lane, *stated, headers)
        except (OSError, EOFError, ValueError) as error:
            raise ValueError(f"{path} cannot be read: {error}; export it anew") from error
