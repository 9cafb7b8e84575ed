"""Each credential as it is read: its bytes, its claim, what both say, and its proof."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from typing import Any, Final

from credstream.audit.agreement import disagreements
from credstream.audit.decoding import Fields, decoded, named
from credstream.audit.keys import Keys, did
from credstream.audit.log import Cut, LogRecord
from credstream.audit.proofs import proof_fault
from credstream.audit.shape import badge_fault
from credstream.audit.store import Store
from credstream.audit.trust import Trust
from schemas.topology import CLAIMED, ISSUED

_FLIPPED: Final = 20
_SPACE: Final = 1 << 64
_END: Final = "end of claim"


class Credentials:
    """Checks credentials; proofs of a sample, drawn by a seed, since each takes about 15 ms."""

    def __init__(self, store: Store, trust: Trust, *, share: float, seed: int) -> None:
        """Verify this share of the proofs (1: all)."""
        self._store, self._trust, self._keys = store, trust, Keys(store)
        self._below, self._seed = int(share * _SPACE), seed
        self._catalogues: dict[str, Mapping[str, Any]] = {}
        self._flipped = int(store.noted("flipped") or 0)

    def take(self, record: LogRecord, kind: str, fields: Fields) -> None:
        """Check one credential, or note a claim that gets none."""
        if kind == "ClaimVoided":
            names = ("programme", "claim_no", "credential_id", "key_id", "catalogue_digest")
            self._store.add("voided", record.lane, record.offset, *(fields[name] for name in names))
        if kind != "CredentialIssued":
            return
        store, content = self._store, fields["credential"]
        digest = hashlib.sha256(content).digest()
        where = f"{record.position} {fields['credential_id']}"
        store.check("bytes")
        if named(content) != fields["digest"]:
            store.offend("bytes", where, "its bytes are not those that its digest names")
        numbers = (fields["programme"], fields["claim_no"], fields["credential_id"], fields["achievement"], digest)
        store.add("issued", record.lane, record.offset, *numbers)
        if fields["sealed_with"] is not None:
            store.skip("proof", "sealed credentials, whose keys are not at hand")
            return
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        self._check_proof(where, fields, document)
        claim = self._claim(record.lane, fields)
        if claim is None:
            return  # `check_claims` says so
        store.check("agreement")
        catalogue = self._catalogue(claim["catalogue_digest"])
        faults = disagreements(claim, fields, document, catalogue, self._trust.base_url)
        store.offend_all("agreement", "read", ((where, fault) for fault in faults))

    def _claim(self, lane: int, fields: Fields) -> Fields | None:
        query = "SELECT body FROM claim WHERE programme = ? AND lane = ? AND no = ? ORDER BY at LIMIT 1"
        body = self._store.one(query, fields["programme"], lane, fields["claim_no"])
        return None if body is None else decoded(body)[1]

    def _catalogue(self, digest: str) -> Mapping[str, Any]:
        if digest not in self._catalogues:
            text = self._store.one("SELECT text FROM catalogue WHERE digest = ?", digest)
            if text is None:
                return {}
            catalogue = json.loads(text)
            self._catalogues[digest] = {one["id"]: one for one in catalogue["achievements"]}
        return self._catalogues[digest]

    def _check_proof(self, where: str, fields: Fields, document: Any) -> None:
        drawn = hashlib.sha256(f"{self._seed}:{fields['credential_id']}".encode()).digest()
        if int.from_bytes(drawn[:8], "big") >= self._below:
            return
        self._store.check("proof")
        fault = badge_fault(document) or self._proof_fault(fields, document)
        if fault:
            self._store.offend("proof", where, fault)
        elif self._flipped < _FLIPPED:
            self._flipped += 1
            self._store.note("flipped", str(self._flipped))
            changed = bytearray(fields["credential"])
            at = random.Random(drawn).randrange(len(changed))  # noqa: S311  drawn by the seed
            changed[at] ^= 1
            if not self._is_refused(fields, bytes(changed)):
                self._store.offend("proof", where, f"it verifies with byte {at} flipped")

    def _proof_fault(self, fields: Fields, document: Mapping[str, Any]) -> str | None:
        programme, key_id = fields["programme"], fields["key_id"]
        key = self._keys.public(programme, key_id, "credentials", fields["claimed_at"])
        proof = document["proof"][0] if isinstance(document["proof"], list) else document["proof"]
        if key is None or proof.get("verificationMethod") != f"{did(self._trust.base_url, programme)}#{key_id}":
            return f"no key {key_id} is published for credentials at that time"
        return proof_fault(document, key)

    def _is_refused(self, fields: Fields, content: bytes) -> bool:
        try:
            document = json.loads(content)
        except ValueError:
            return True
        return bool(badge_fault(document) or self._proof_fault(fields, document))


def check_claims(store: Store, cut: Cut, grace_us: int) -> None:
    """Each credential has its claim; each claim its credential, unless it is young or voided; each credential one byte string."""
    store.forget(_END)
    store.check("claim", _END, store.one("SELECT COUNT(*) FROM issued"))
    query = (
        "SELECT i.lane, i.at, i.credential FROM issued i LEFT JOIN claim c"
        " ON c.programme = i.programme AND c.lane = i.lane AND c.no = i.no WHERE c.at IS NULL"
    )
    for lane, at, credential in store.ask(query):
        store.offend("claim", f"{ISSUED.name}/{lane}@{at} {credential}", "nobody claimed it", _END)
    query = (
        "SELECT c.lane, c.at, c.programme, c.no, c.credential, c.claimed_at,"
        " EXISTS (SELECT 1 FROM issued o WHERE o.programme = c.programme AND o.lane = c.lane AND o.no > c.no)"
        " FROM claim c LEFT JOIN issued i ON c.programme = i.programme AND c.lane = i.lane AND c.no = i.no"
        " LEFT JOIN voided v ON c.programme = v.programme AND c.lane = v.lane AND c.no = v.no"
        " WHERE i.at IS NULL AND v.at IS NULL GROUP BY c.programme, c.lane, c.no"
    )
    for lane, at, programme, number, credential, claimed_at, is_passed in store.ask(query):
        is_old = at < cut.done("issuing", CLAIMED, lane) and cut.at - claimed_at > grace_us
        if is_passed or is_old:
            where = f"{CLAIMED.name}/{lane}@{at} {credential}"
            store.offend("claim", where, f"claim {number} of {programme} has no credential", _END)
    _check_voided(store)
    query = "SELECT credential, COUNT(DISTINCT digest) AS n, lane, MAX(at) FROM issued GROUP BY credential HAVING n > 1"
    for credential, number, lane, at in store.ask(query):
        store.offend("bytes", f"{ISSUED.name}/{lane}@{at} {credential}", f"{number} byte strings", _END)


def _check_voided(store: Store) -> None:
    """A claim is voided only if it was made, its key is compromised by a catalogue, and no credential came of it."""
    query = (
        "SELECT v.lane, v.at, v.credential, v.key_id, c.at, i.at, k.text FROM voided v"
        " LEFT JOIN claim c ON c.programme = v.programme AND c.lane = v.lane AND c.no = v.no AND c.credential = v.credential"
        " LEFT JOIN issued i ON i.programme = v.programme AND i.lane = v.lane AND i.no = v.no"
        " LEFT JOIN catalogue k ON k.digest = v.catalogue AND k.programme = v.programme"
    )
    for lane, at, credential, key_id, claimed, issued, text in store.ask(query):
        where = f"{ISSUED.name}/{lane}@{at} {credential}"
        store.check("claim", _END)
        keys = () if text is None else json.loads(text).get("keys", ())
        if claimed is None:
            store.offend("claim", where, "it is voided, and nobody claimed it", _END)
        elif issued is not None:
            store.offend("claim", where, "it is voided, and a credential was issued all the same", _END)
        elif not any(key["id"] == key_id and key.get("compromised_at") is not None for key in keys):
            store.offend("claim", where, f"it is voided, and no catalogue says that {key_id} is compromised", _END)
