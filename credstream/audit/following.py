"""The auditor at work all the time: one audit after another on one checkpoint, and what it found as metrics on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import Gauge, Histogram

from credstream.audit.invariants import Finding
from schemas.errors import UnavailableError

VIOLATIONS: Final = Gauge("credstream_audit_violations", "Places where an invariant does not hold.", ["invariant"])
CHECKED: Final = Gauge("credstream_audit_checked", "How much was checked of an invariant.", ["invariant"])
LAST_SUCCESS: Final = Gauge(
    "credstream_audit_last_success_timestamp_seconds", "When an audit last came to its end, whatever it found."
)
SECONDS: Final = Histogram(
    "credstream_audit_seconds",
    "One audit, from the cut to its findings.",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 1800),
)


def show(findings: Sequence[Finding]) -> None:
    """Put what was found into the metrics."""
    for finding in findings:
        VIOLATIONS.labels(finding.invariant.name).set(finding.violations)
        CHECKED.labels(finding.invariant.name).set(finding.checked)


def follow(
    audit: Callable[[], Sequence[Finding]],
    every_s: float,
    tell: Callable[[Sequence[Finding]], None],
    away: Callable[[UnavailableError], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Audit for ever, every so many seconds; while the log is away, say so and try again."""
    while True:
        began = time.monotonic()
        try:
            with SECONDS.time():
                findings = audit()
        except UnavailableError as error:
            away(error)
        else:
            show(findings)
            LAST_SUCCESS.set_to_current_time()
            tell(findings)
        sleep(max(0.0, every_s - (time.monotonic() - began)))
