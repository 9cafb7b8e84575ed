"""Writes everything that another party needs to check an installation, offline, into one folder, as of one moment."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from credstream.audit.broker import KafkaLog
from credstream.audit.folder import write_log
from credstream.audit.log import Cut, Log, LogRecord
from credstream.auditor import trust_of
from credstream.documents import documents
from credstream.quarantine.cases import set_aside
from schemas.codec import decode
from schemas.events import ClaimVoided, CompetencyDecided, CredentialIssued
from schemas.topology import DECIDED, INBOX, ISSUED, QUARANTINED, Topic
from services.signing.contexts import DIGESTS
from streams.settings import Installation

FORMAT: Final = 1


def export(installation: Installation, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Write the export into ``folder``, which must be empty or new, and return what `counts.json` says.

    `credentials.ndjson` (envelope, and the signed credential byte for byte), `decisions.ndjson`, `quarantine.ndjson`, `log/` (the
    records themselves, for `credstream audit`), `documents/` with `documents.json` (URL to file, and the digests of the contexts),
    `counts.json`.

    Raises:
        UnavailableError: Kafka does not answer.
        FileExistsError: The folder holds something already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name a new folder")
    log = KafkaLog(installation.bootstrap_servers, installation.kafka.lanes)
    try:
        counts = _Export(log, log.cut(), folder, say).written(installation)
    finally:
        log.close()
    (folder / "counts.json").write_bytes(_pretty(counts))
    return counts


class _Export:
    """One export, up to a cut."""

    def __init__(self, log: Log, cut: Cut, folder: Path, say: Callable[[str], None]) -> None:
        self._log, self._cut, self._folder, self._say = log, cut, folder, say

    def written(self, installation: Installation) -> dict[str, Any]:
        """Write everything and return what was counted."""
        counts: dict[str, Any] = {"format": FORMAT, "base_url": installation.base_url, "epoch": installation.epoch}
        counts["received"] = sum(1 for _ in self._records(INBOX))
        verdicts: Counter[str] = Counter()
        dispositions: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        counts["credentials"] = self._write("credentials", self._credentials())
        counts["voided"] = self._write("voided", self._voided())
        counts["decisions"] = self._write("decisions", self._decisions(dispositions, verdicts))
        counts["quarantined"] = self._write("quarantine", self._quarantined(reasons))
        counts |= {"dispositions": dispositions, "verdicts": verdicts, "quarantine_reasons": reasons}
        records = write_log(self._log, self._cut, trust_of(installation, with_secrets=False), self._folder / "log")
        self._say(f"{records:,} records of the log")
        counts["documents"] = _write_documents(self._folder, documents(installation))
        self._say(f"{counts['documents']:,} documents")
        return counts

    def _records(self, topic: Topic) -> Iterator[LogRecord]:
        for lane in range(self._log.lanes):
            yield from self._log.records(topic, lane, self._cut.begin(topic, lane), self._cut.end(topic, lane))

    def _write(self, name: str, lines: Iterator[bytes]) -> int:
        count = 0
        with (self._folder / f"{name}.ndjson").open("wb") as file:
            for count, line in enumerate(lines, 1):  # noqa: B007  the last one is the count
                file.write(line + b"\n")
        self._say(f"{count:,} in {name}.ndjson")
        return count

    def _credentials(self) -> Iterator[bytes]:
        for record in self._records(ISSUED):
            issued = decode(record.value, CredentialIssued, ClaimVoided)
            if isinstance(issued, CredentialIssued):
                envelope = {**msgspec.structs.asdict(issued), "credential": msgspec.Raw(issued.credential)}
                yield msgspec.json.encode({**_position(record), **envelope})

    def _voided(self) -> Iterator[bytes]:
        for record in self._records(ISSUED):
            event = decode(record.value, CredentialIssued, ClaimVoided)
            if isinstance(event, ClaimVoided):
                yield msgspec.json.encode({**_position(record), **msgspec.structs.asdict(event)})

    def _decisions(self, dispositions: Counter[str], verdicts: Counter[str]) -> Iterator[bytes]:
        for record in self._records(DECIDED):
            decided = decode(record.value, CompetencyDecided)
            dispositions[decided.disposition] += 1
            if not isinstance(decided.body, bytes):
                verdicts.update(outcome.verdict for outcome in decided.body.outcomes)
            yield msgspec.json.encode({**_position(record), **msgspec.structs.asdict(decided)})

    def _quarantined(self, reasons: Counter[str]) -> Iterator[bytes]:
        for record in self._records(QUARANTINED):
            quarantined = set_aside(record.value)
            if quarantined is not None:
                reasons[quarantined.reason] += 1
                yield msgspec.json.encode(quarantined)


def _position(record: LogRecord) -> dict[str, int]:
    return {"partition": record.lane, "offset": record.offset}


def _write_documents(folder: Path, by_url: dict[str, bytes]) -> int:
    (folder / "documents").mkdir()
    files = {}
    for url, document in sorted(by_url.items()):
        name = f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"
        (folder / "documents" / name).write_bytes(document)
        files[url] = f"documents/{name}"
    index = {"documents": files, "contexts_sha256": dict(DIGESTS)}
    (folder / "documents.json").write_bytes(_pretty(index))
    return len(files)


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted")) + b"\n"
