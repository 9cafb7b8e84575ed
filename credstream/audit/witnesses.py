"""What others saw, where it is at hand: the sender's journal, the processes' logs, published counters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from credstream.audit.store import Store
from schemas.topology import DECIDED, INBOX, ISSUED

_END: Final = "end of witnesses"
_BAD: Final = re.compile(rb"Traceback \(most recent call last\)|was never retrieved|Unclosed ")
_ANSWERS: Final = frozenset({"acknowledged", "unknown", "refused"})


class JournalError(ValueError):
    """A line of a journal is not what one holds."""


def check_journal(store: Store, journal: Path | None) -> None:
    """Compare a sender's journal with the completions in the log.

    Each line is a JSON object with `provider`, `event_id` and `answer`: `acknowledged`, `refused`, or `unknown` where none came.

    Raises:
        JournalError: A line is something else.
    """
    if journal is None:
        store.skip("acknowledged", "no sender's journal at hand (--journal)")
        return
    store.ask(
        "CREATE TEMP TABLE IF NOT EXISTS sent (provider TEXT, event TEXT, answer TEXT, PRIMARY KEY (provider, event))"
    )
    store.ask("DELETE FROM temp.sent")
    with journal.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            provider, event, answer = _line(journal, number, line)
            query = (
                "INSERT INTO temp.sent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET answer ="
                " CASE WHEN answer = 'acknowledged' THEN answer ELSE excluded.answer END"
            )
            store.ask(query, provider, event, answer)
    store.check("acknowledged", _END, store.one("SELECT COUNT(*) FROM temp.sent"))
    query = (
        "SELECT s.provider, s.event FROM temp.sent s WHERE s.answer = 'acknowledged' AND NOT EXISTS (SELECT 1 FROM inbox i"
        " WHERE i.kind = 'AssessmentCompleted' AND i.provider = s.provider AND i.event = s.event)"
    )
    for provider, event in store.ask(query):
        store.offend("acknowledged", f"{provider} {event}", "it was acknowledged and is not in the log", _END)
    query = (
        "SELECT i.lane, i.at FROM inbox i LEFT JOIN temp.sent s ON s.provider = i.provider AND s.event = i.event"
        " WHERE i.kind = 'AssessmentCompleted' AND (s.event IS NULL OR s.answer = 'refused')"
    )
    for lane, at in store.ask(query):
        store.offend("acknowledged", f"{INBOX.name}/{lane}@{at}", "the journal says that nobody sent it", _END)


def _line(journal: Path, number: int, line: bytes) -> tuple[str, str, str]:
    try:
        stated = json.loads(line)
        found = stated["provider"], stated["event_id"], stated["answer"]
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"{journal}, line {number}: provider, event_id and answer are wanted") from error
    if found[2] not in _ANSWERS:
        raise JournalError(f"{journal}, line {number}: answer is one of {', '.join(sorted(_ANSWERS))}")
    return found


def check_logs(store: Store, folder: Path | None) -> None:
    """Look for tracebacks and for what was left unclosed in the processes' logs."""
    files = sorted(folder.glob("*.log")) if folder is not None and folder.is_dir() else []
    if not files:
        store.skip("logs", "the processes' logs are not at hand (--logs)")
    for path in files:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                store.check("logs", _END)
                if _BAD.search(line):
                    store.offend("logs", f"{path.name}:{number}", "a traceback, or something left open", _END)


def check_counters(store: Store, counts: Mapping[str, Any] | None) -> None:
    """Compare published counters with a recount; that what was received has an outcome or is in flight, `outcome` says."""
    if counts is None:
        store.skip("counters", "no published counters at hand (an export has counts.json)")
        return
    recount: dict[str, Any] = {
        name: _seen(store, topic)
        for name, topic in (
            ("received", INBOX),
            ("credentials", ISSUED),
            ("decisions", DECIDED),
        )
    }
    recount["credentials"] -= store.one("SELECT COUNT(*) FROM voided")
    recount["quarantined"] = store.one("SELECT COUNT(*) FROM quarantined")
    outcomes = store.ask("SELECT json_extract(body, '$.disposition'), COUNT(*) FROM decided GROUP BY 1")
    recount["dispositions"] = dict(outcomes.fetchall())
    recount["quarantine_reasons"] = dict(store.ask("SELECT reason, COUNT(*) FROM quarantined GROUP BY 1").fetchall())
    for name, number in recount.items():
        store.check("counters", _END)
        if counts.get(name) != number:
            store.offend("counters", f"counts.json {name}", f"{counts.get(name)}; a recount says {number}", _END)


def _seen(store: Store, topic: Any) -> int:
    return store.one("SELECT SUM(records) FROM seen WHERE topic = ?", topic.name) or 0


def forget_witnesses(store: Store) -> None:
    """Forget what witnesses said, to ask them anew."""
    store.forget(_END)
