"""Status lists: each signed version as it comes, and in the end its bits against the revocations that took effect."""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Iterator
from typing import Any, Final

from credstream.audit.decoding import Fields
from credstream.audit.deriving import PLACES, set_places
from credstream.audit.keys import Keys, did
from credstream.audit.log import Cut, LogRecord
from credstream.audit.proofs import proof_fault
from credstream.audit.store import Store
from credstream.audit.trust import Trust
from schemas.topology import STATUS_DECIDED

_END: Final = "end of revocation"


class Lists:
    """Checks signed lists as they are read."""

    def __init__(self, store: Store, trust: Trust) -> None:
        """Keep the newest version of each list in the store."""
        self._store, self._trust, self._keys = store, trust, Keys(store)

    def take(self, record: LogRecord, kind: str, fields: Fields) -> None:
        """Check one version of a list."""
        if kind != "StatusListPublished":
            return
        self._store.flush()
        self._store.check("list")
        url, version, content = fields["status_list"], fields["version"], fields["credential"]
        known = self._store.ask("SELECT version, digest, places FROM list WHERE list = ?", url).fetchone()
        digest = zlib.crc32(content).to_bytes(4, "big")
        if known is not None and known[0] == version and known[1] == digest:
            return  # the same again
        faults = list(self._faults(fields))
        try:
            total, places = set_places(json.loads(content)["credentialSubject"]["encodedList"])
        except (ValueError, KeyError, TypeError) as error:
            total, places = PLACES, set[int]()
            faults.append(f"its bits cannot be read: {type(error).__name__}")
        if total < PLACES:
            faults.append(f"{total} places; the standard asks for {PLACES}")
        if known is not None:
            if version <= known[0]:
                faults.append(f"version {version} after {known[0]}")
            if cleared := set(_unpacked(known[2])) - places:
                faults.append(f"{len(cleared)} places are clear again, the first {min(cleared)}")
        self._store.offend_all("list", "read", ((f"{record.position} {url}", fault) for fault in faults))
        if fields["set_bits"] != len(places):
            self._store.offend(
                "revocation", f"{record.position} {url}", f"{len(places)} bits, not {fields['set_bits']}"
            )
        if known is None or version > known[0]:
            stated = [version, digest, _packed(places), fields["valid_until"], fields["published_at"]]
            self._store.add("list", url, record.lane, record.offset, *stated)

    def _faults(self, fields: Fields) -> Iterator[str]:
        """Yield what is wrong with a signed list (Bitstring Status List 1.0 §2.2)."""
        try:
            document: dict[str, Any] = json.loads(fields["credential"])
            subject = document["credentialSubject"]
            stated = (document["id"], document["issuer"], subject["type"], subject["statusPurpose"])
            method, ttl = document["proof"][0]["verificationMethod"], subject.get("ttl")
        except (ValueError, KeyError, TypeError, IndexError):
            yield "it is no status list credential"
            return
        issuer = did(self._trust.base_url, fields["programme"])
        if stated != (fields["status_list"], issuer, "BitstringStatusList", "revocation"):
            yield "its id, issuer, type or purpose is another"
        if not isinstance(ttl, int) or ttl <= 0:
            yield "it does not say how long it may be kept (ttl)"
        key = self._keys.public(fields["programme"], fields["key_id"], "status", fields["published_at"])
        if method != f"{issuer}#{fields['key_id']}" or key is None:
            yield f"no key {fields['key_id']} is published for status lists at that time"
        elif fault := proof_fault(document, key):
            yield fault


def _packed(places: set[int]) -> bytes:
    return zlib.compress(array("I", sorted(places)).tobytes())


def _unpacked(kept: bytes) -> array[int]:
    return array("I", zlib.decompress(kept))


def check_revocations(store: Store, cut: Cut, grace_us: int) -> None:
    """Compare each list's newest version with the revocations that took effect, and these with those decided."""
    store.forget(_END)
    for url, version, kept in store.ask("SELECT list, version, places FROM list").fetchall():
        query = "SELECT place FROM changed WHERE list = ? AND status = 'revoked' AND version <= ?"
        effective = {row[0] for row in store.ask(query, url, version)}
        places = set(_unpacked(kept))
        store.check("revocation", _END, len(places | effective) or 1)
        if extra := places - effective:
            what = f"{len(extra)} set places without a revocation, the first {min(extra)}"
            store.offend("revocation", f"{url} version {version}", what, _END)
        if missing := effective - places:
            store.offend("revocation", f"{url} version {version}", f"place {min(missing)} is revoked and not set", _END)
    _check_changes(store, cut, grace_us)
    for topic in ("credential.status-decided", "credential.status-changed", "status-list.published"):
        for name, lane, at in store.ask("SELECT topic, lane, at FROM unreadable WHERE topic LIKE ?", f"{topic}%"):
            store.offend("revocation", f"{name}/{lane}@{at}", "it cannot be read", _END)


def _check_changes(store: Store, cut: Cut, grace_us: int) -> None:
    """Each change that was decided takes effect once: by then a version of its list says so; and none that was not decided."""
    for row in store.ask(
        "SELECT c.lane, c.at, c.credential, c.status FROM changed c LEFT JOIN status s ON s.list = c.list"
        " AND s.credential = c.credential AND s.status = c.status AND s.place = c.place AND s.decided_at = c.decided_at"
        " WHERE s.at IS NULL"
    ):
        store.offend(
            "revocation", f"status-changed/{row[0]}@{row[1]} {row[2]}", f"{row[3]}, which nobody decided", _END
        )
    query = (
        "SELECT s.lane, s.at, s.credential, s.status, s.decided_at,"
        " EXISTS (SELECT 1 FROM changed o WHERE o.list = s.list AND o.decided_at > s.decided_at)"
        " FROM status s LEFT JOIN changed c ON s.list = c.list AND s.credential = c.credential AND s.status = c.status"
        " AND s.place = c.place AND s.decided_at = c.decided_at WHERE s.kind = 'StatusDecided' AND c.at IS NULL"
    )
    for lane, at, credential, status, decided_at, is_passed in store.ask(query):
        is_old = at < cut.done("status", STATUS_DECIDED, lane) and cut.at - decided_at > grace_us
        if is_passed or is_old:
            where = f"{STATUS_DECIDED.name}/{lane}@{at} {credential}"
            store.offend("revocation", where, f"{status} was decided and has not taken effect", _END)
    decided = store.one("SELECT COUNT(*) FROM status WHERE kind = 'StatusDecided'")
    store.check("revocation", _END, decided)
