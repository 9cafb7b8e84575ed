"""Which catalogues each lane adopted, from its inbox and its decisions; each signed by the keys that are pinned."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from credstream.audit.decoding import Fields, UnreadableError, decoded
from credstream.audit.proofs import signer_of
from credstream.audit.store import Store
from credstream.audit.trust import Trust
from schemas.topology import DECIDED

_END: Final = "end of adoptions"


def check_adoptions(store: Store, trust: Trust) -> None:
    """Rebuild the table of adoptions, in the order of each lane, and check each decision about one.

    One that stands twice counts once. A refusal for what is wrong inside a catalogue is taken as it is; whatever comes after it
    shows that it was refused.
    """
    store.forget(_END)
    store.ask("DELETE FROM adoption")
    query = (
        "SELECT i.lane, i.at, i.event, i.value, i.jws, MIN(d.at), d.decided_at, d.body FROM inbox i"
        " JOIN decided d INDEXED BY decided_of_inbox ON d.lane = i.lane AND d.inbox_at = i.at"
        " WHERE i.kind = 'CatalogueAdopted' GROUP BY i.lane, i.at, d.no, d.body ORDER BY i.lane, i.at, MIN(d.at)"
    )
    adopted: dict[tuple[str, int], list[str]] = {}
    for lane, at, event, value, jws, decision_at, decided_at, body in store.ask(query).fetchall():
        try:
            fields = decoded(value)[1]
        except UnreadableError:
            continue
        store.check("decision", _END)
        said, before = msgspec.json.decode(body), adopted.setdefault((fields["programme"], lane), [])
        fault = _fault(said, fields, event, before)
        if fault is None and said["disposition"] == "adopted":
            before.append(fields["digest"])
            stated = (fields["adoption_no"], fields["digest"], decided_at, fields["effective_from"])
            store.add("adoption", fields["programme"], lane, at, *stated)
            fault = _unsigned(trust, fields, value, jws)
        if fault is not None:
            store.offend("decision", f"{DECIDED.name}/{lane}@{decision_at}", fault, _END)
    store.flush()


def _fault(said: Fields, fields: Fields, event: str, before: list[str]) -> str | None:
    number, digest = fields["adoption_no"], fields["digest"]
    is_known = 1 <= number <= len(before) and before[number - 1] == digest
    expected = {"known"} if is_known else {"adopted", "refused"} if number == len(before) + 1 else {"refused"}
    if said["disposition"] not in expected:
        return f"{said['disposition']}; expected {' or '.join(sorted(expected))}"
    if said["event_id"] != event or said["outcomes"] or said["catalogue_digest"] != digest:
        return "it is not about this adoption"
    return None


def _unsigned(trust: Trust, fields: Fields, value: bytes, jws: bytes | None) -> str | None:
    pinned: Any = trust.programmes.get(fields["programme"])
    if pinned is None:
        return f"nobody pinned {fields['programme']}"
    kids = {signer_of(token, value, pinned.catalogue_keys) for token in (jws or b"").split(b"\n")}
    signers = {pinned.catalogue_keys[kid] for kid in kids if kid is not None}
    return None if len(signers) >= max(1, pinned.catalogue_signatures) else "too few pinned keys signed the catalogue"
