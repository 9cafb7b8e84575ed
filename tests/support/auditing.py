"""The auditor, asked about a real installation: what every test of the whole pipe may end with."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from credstream.audit.auditing import Audit, Options
from credstream.audit.broker import KafkaLog
from credstream.audit.invariants import Finding
from credstream.audit.store import Store
from credstream.auditor import trust_of
from streams.settings import Installation


def findings(place: Installation, **options: Any) -> list[Finding]:
    """What the auditor finds on the topics, when nothing is on its way any more."""
    log = KafkaLog(place.bootstrap_servers, place.kafka.lanes)
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "audit.db")
        try:
            return Audit(log, store, trust_of(place), Options(**{"sample": 40, "grace_s": 0.0, **options})).run()
        finally:
            store.close()
            log.close()


def violations(place: Installation, **options: Any) -> list[tuple[str, Any]]:
    """What is violated, with the first places; empty when all is well."""
    return [(one.invariant.name, one.first) for one in findings(place, **options) if one.violations]
