"""Writes everything that another party needs to check an installation, offline, into one folder."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from credstream.documents import documents
from credstream.reading import committed
from schemas.codec import decode
from schemas.events import CompetencyDecided, CredentialIssued, RecordQuarantined
from schemas.topology import DECIDED, ISSUED, QUARANTINED, Topic
from services.signing.contexts import DIGESTS
from streams.settings import Installation

FORMAT: Final = 1


def export(installation: Installation, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Write the export into ``folder``, which must be empty or new, and return what `counts.json` says.

    `credentials.ndjson` (envelope, and the signed credential byte for byte), `decisions.ndjson`, `quarantine.ndjson`,
    `documents/` with `documents.json` (URL to file, and the digests of the contexts), `counts.json`.

    Raises:
        UnavailableError: Kafka does not answer.
        FileExistsError: The folder holds something already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name a new folder")
    counts: dict[str, Any] = {"format": FORMAT, "base_url": installation.base_url, "epoch": installation.epoch}
    counts["credentials"] = _write(folder / "credentials.ndjson", _credentials(installation))
    say(f"{counts['credentials']:,} credentials")
    verdicts: Counter[str] = Counter()
    dispositions: Counter[str] = Counter()
    counts["decisions"] = _write(folder / "decisions.ndjson", _decisions(installation, dispositions, verdicts))
    counts |= {"dispositions": dict(dispositions), "verdicts": dict(verdicts)}
    say(f"{counts['decisions']:,} decisions")
    reasons: Counter[str] = Counter()
    counts["quarantined"] = _write(folder / "quarantine.ndjson", _quarantined(installation, reasons))
    counts["quarantine_reasons"] = dict(reasons)
    say(f"{counts['quarantined']:,} quarantined records")
    counts["documents"] = _write_documents(folder, documents(installation))
    say(f"{counts['documents']:,} documents")
    (folder / "counts.json").write_bytes(_pretty(counts))
    return counts


def _write(path: Path, lines: Iterator[bytes]) -> int:
    count = 0
    with path.open("wb") as file:
        for count, line in enumerate(lines, 1):  # noqa: B007  the last one is the count
            file.write(line + b"\n")
    return count


def _positions(installation: Installation, topic: Topic) -> Iterator[tuple[dict[str, int], bytes]]:
    for record in committed(installation.bootstrap_servers, topic):
        yield {"partition": record.partition, "offset": record.offset}, record.value


def _credentials(installation: Installation) -> Iterator[bytes]:
    for position, value in _positions(installation, ISSUED):
        issued = decode(value, CredentialIssued)
        envelope = msgspec.structs.asdict(issued)
        yield msgspec.json.encode({**position, **envelope, "credential": msgspec.Raw(issued.credential)})


def _decisions(installation: Installation, dispositions: Counter[str], verdicts: Counter[str]) -> Iterator[bytes]:
    for position, value in _positions(installation, DECIDED):
        decided = decode(value, CompetencyDecided)
        dispositions[decided.disposition] += 1
        if not isinstance(decided.body, bytes):
            verdicts.update(outcome.verdict for outcome in decided.body.outcomes)
        yield msgspec.json.encode({**position, **msgspec.structs.asdict(decided)})


def _quarantined(installation: Installation, reasons: Counter[str]) -> Iterator[bytes]:
    for record in committed(installation.bootstrap_servers, QUARANTINED):
        quarantined = decode(record.value, RecordQuarantined, max_bytes=QUARANTINED.max_bytes + 65_536)
        reasons[quarantined.reason] += 1
        yield msgspec.json.encode(quarantined)


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
