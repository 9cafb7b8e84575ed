"""Claims by their numbers, ids and places: dense, one to one, and derived as they must be where the secrets are at hand."""

from __future__ import annotations

from typing import Final

from credstream.audit.decoding import Fields
from credstream.audit.deriving import PLACES, credential_id, place, subject_id
from credstream.audit.log import LogRecord
from credstream.audit.store import Store
from credstream.audit.trust import Trust
from schemas.topology import CLAIMED, STATUS_DECIDED

_END: Final = "end of identity"


class Identities:
    """Checks claims as they are read."""

    def __init__(self, store: Store, trust: Trust) -> None:
        """Derive with the secrets that are at hand."""
        self._store, self._trust = store, trust

    def take(self, record: LogRecord, claim: Fields) -> None:
        """Check one claim's ids and place."""
        store, trust = self._store, self._trust
        where = f"{record.position} {claim['credential_id']}"
        store.check("identity")
        store.check("place")
        if trust.credential_secret is not None:
            about = [claim[name] for name in ("programme", "learner_ref", "achievement", "award", "edition")]
            if credential_id(trust.credential_secret, *about) != claim["credential_id"]:
                store.offend("identity", where, "its id is not the one that derives from what it names")
            body, subject = claim["body"], subject_id(trust.credential_secret, claim["credential_id"])
            if isinstance(body, dict) and body["subject_id"] != subject:
                store.offend("identity", where, "its subject's id is not the one that derives from its id")
        store.offend_all("place", "read", ((where, fault) for fault in self._place_faults(record, claim)))

    def _place_faults(self, record: LogRecord, claim: Fields) -> list[str]:
        number, index, trust = claim["claim_no"] // PLACES, claim["status_index"], self._trust
        expected = f"{trust.base_url}/status/{claim['programme']}/{trust.epoch}/{record.lane}/{number}"
        faults = []
        if claim["status_list"] != expected:
            faults.append("its status list is not that of its programme, log, lane and number")
        if not 0 <= index < PLACES:
            faults.append(f"there is no place {index}")
        secret = trust.status_secret
        if secret is not None:
            derived = place(secret, claim["programme"], trust.epoch, record.lane, claim["claim_no"])
            if index != derived:
                faults.append(f"its place is not the one that derives from claim {claim['claim_no']}")
        return faults


def check_identities(store: Store, trust: Trust) -> None:
    """Check that ids, numbers and places are one to one."""
    store.forget(_END)
    if trust.credential_secret is None:
        store.skip("identity", "whether ids derive from what they name: credential-id.key is not at hand")
    if trust.status_secret is None:
        store.skip("place", "whether places derive from claim numbers: status-place.key is not at hand")
    named = "learner || ' ' || achievement || ' ' || award || ' ' || edition"
    query = (
        f"SELECT credential, COUNT(DISTINCT {named}) AS n, lane, MAX(at) FROM claim GROUP BY credential HAVING n > 1"  # noqa: S608
    )
    for credential, number, lane, at in store.ask(query):
        store.offend("identity", f"{CLAIMED.name}/{lane}@{at} {credential}", f"one id for {number} awards", _END)
    query = (
        "SELECT achievement, award, COUNT(DISTINCT credential) AS n, lane, MAX(at) FROM claim"
        " GROUP BY learner, achievement, award, edition HAVING n > 1"
    )
    for achievement, award, number, lane, at in store.ask(query):
        what = f"{number} ids for award {award} of {achievement}"
        store.offend("identity", f"{CLAIMED.name}/{lane}@{at}", what, _END)
    query = "SELECT programme, lane, COUNT(DISTINCT no), MIN(no), MAX(no) FROM claim GROUP BY programme, lane"
    for programme, lane, count, low, high in store.ask(query):
        if (low, high) != (0, count - 1):
            what = f"{count} claims of {programme} are numbered from {low} to {high}"
            store.offend("identity", f"{CLAIMED.name}/{lane}", what, _END)
    _check_places(store)


def _check_places(store: Store) -> None:
    query = "SELECT list, place, COUNT(DISTINCT credential) AS n FROM claim GROUP BY list, place HAVING n > 1"
    for url, index, number in store.ask(query):
        store.offend("place", f"{url}#{index}", f"{number} credentials share it", _END)
    query = (
        "SELECT s.lane, s.at, s.credential FROM status s LEFT JOIN claim c ON c.credential = s.credential AND c.list = s.list"
        " AND c.place = s.place WHERE s.kind = 'StatusDecided' AND c.at IS NULL"
    )
    for lane, at, credential in store.ask(query):
        where = f"{STATUS_DECIDED.name}/{lane}@{at} {credential}"
        store.offend("place", where, "its place is not that of the claim", _END)
    query = (
        "SELECT list, COUNT(DISTINCT no), MIN(no), MAX(no) FROM status GROUP BY list"
        " HAVING MIN(no) != 0 OR MAX(no) != COUNT(DISTINCT no) - 1"
    )
    for url, count, low, high in store.ask(query):
        store.offend("identity", url, f"{count} status decisions are numbered from {low} to {high}", _END)
