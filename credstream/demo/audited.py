"""The demonstration asks the independent auditor too."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from credstream.audit.auditing import Audit, Options
from credstream.audit.broker import KafkaLog
from credstream.audit.store import Store
from credstream.auditor import Gateway, trust_of
from credstream.demo.checking import Check
from credstream.local.supervisor import gateway_url
from streams.settings import Installation

_SAMPLE: Final = 100


def check_audit(installation: Installation, say: Callable[[str], None]) -> Check:
    """Audit everything that is at rest now; what does not hold is told, with its places.

    Raises:
        UnavailableError: Kafka or the gateway does not answer.
    """
    log = KafkaLog(installation.bootstrap_servers, installation.kafka.lanes)
    gateway = Gateway(gateway_url(installation))
    options = Options(sample=_SAMPLE, grace_s=0.0, logs=installation.folder / "logs", public=gateway)
    with tempfile.TemporaryDirectory(prefix="credstream-audit-") as folder:
        store = Store(Path(folder) / "audit.db")
        try:
            findings = Audit(log, store, trust_of(installation), options).run()
        finally:
            store.close()
            gateway.close()
            log.close()
    for finding in findings:
        for offence in finding.first:
            say(f"audit: {finding.invariant.name}: {offence.where}: {offence.what}")
    held = sum(finding.verdict == "holds" for finding in findings)
    checked = sum(finding.checked for finding in findings)
    violated = [finding.invariant.name for finding in findings if finding.violations]
    shown = f"{held} hold, {len(violated)} violated ({checked:,} checks)" + "".join(f"; {name}" for name in violated)
    return Check("invariants, by the independent auditor", shown, not violated)
