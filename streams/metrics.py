"""Every metric of the processors: base units, closed label sets, one exporter a process, on loopback."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Info

_FINE: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_SIGNING: Final = (0.000_05, 0.000_1, 0.000_25, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5)
_WIDE: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

RECORDS: Final = Counter(
    "credstream_records_processed", "Records taken from the input, by what became of them.", ["processor", "outcome"]
)
QUARANTINED: Final = Counter("credstream_records_quarantined", "Records set aside, by reason.", ["processor", "reason"])
OUTPUTS: Final = Counter("credstream_records_published", "Records published and committed.", ["processor", "topic"])
BATCH_SECONDS: Final = Histogram(
    "credstream_batch_seconds", "Deciding one lane's batch, without Kafka.", ["processor"], buckets=_FINE
)
TRANSACTION_SECONDS: Final = Histogram(
    "credstream_transaction_seconds", "Producing and committing one lane's batch.", ["processor"], buckets=_FINE
)
RESTORE_SECONDS: Final = Histogram(
    "credstream_restore_seconds", "Taking over one lane: fencing and reading its state.", ["processor"], buckets=_WIDE
)
LATENCY_SECONDS: Final = Histogram(
    "credstream_latency_seconds",
    "From the append of what caused an output to its commit; for issuing this is the time to issuance.",
    ["processor"],
    buckets=_WIDE,
)
ABORTS: Final = Counter("credstream_transactions_aborted", "Transactions aborted and tried again.", ["processor"])
LANES: Final = Gauge("credstream_lanes", "Lanes in this worker's hands, by condition.", ["processor", "condition"])
KEYS: Final = Gauge("credstream_state_keys", "Keys of state held for a lane.", ["processor", "lane"])
LAG_RECORDS: Final = Gauge(
    "credstream_lag_records", "Records between a lane's position and its end.", ["processor", "lane"]
)
LAG_SECONDS: Final = Gauge(
    "credstream_lag_seconds",
    "Age of the record that a lane took last; 0 when it has reached the end.",
    ["processor", "lane"],
)
SIGNATURE_SECONDS: Final = Histogram(
    "credstream_signature_seconds",
    "Signing once, with the key named; its count is the signatures made.",
    ["programme", "key"],
    buckets=_SIGNING,
)
SIGNATURE_ERRORS: Final = Counter(
    "credstream_signature_errors",
    "Signatures not made (away: key, token or PIN) or not let out (wrong: it does not verify).",
    ["programme", "key", "kind"],
)
CLAIMS_WAITING: Final = Gauge("credstream_claims_waiting", "Claims whose signer is away.", ["programme"])
KEY_END: Final = Gauge(
    "credstream_signing_key_end_timestamp_seconds",
    "When the last of a programme's published keys of a purpose ends; +Inf if one has no end.",
    ["programme", "purpose"],
)
OPEN_SECONDS: Final = Gauge(
    "credstream_open_transaction_seconds",
    "For how long the last stable offset has stood still behind the end; 0 when no transaction is open.",
    ["topic", "lane"],
)
LAST_TURN: Final = Gauge("credstream_last_turn_timestamp_seconds", "When the worker's loop last turned.", ["processor"])
BUILD: Final = Info("credstream_build", "What runs here.")


def turned(processor: str) -> None:
    """Note that the loop lives."""
    LAST_TURN.labels(processor).set(time.time())
