"""What the gateway tells the world, held against the log: a credential's status, a list's age in caches, the numbers shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

from msgspec import Struct

from credstream.audit.log import Cut
from credstream.audit.store import Store
from schemas.topology import INBOX

_END: Final = "end of public"
_AGE: Final = re.compile(r"max-age=(\d+)")
_SECOND: Final = 1_000_000


class Answer(Struct, frozen=True):
    """One HTTP answer: its status, headers in lower case, and JSON body."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Public(Protocol):
    """Where the public routes are answered."""

    def get(self, path: str) -> Answer:
        """Return the answer to a GET for JSON."""


def check_public(
    store: Store, cut: Cut, public: Public | None, base_url: str, *, sample: int, seed: int, promised_us: int
) -> None:
    """Ask the gateway: of credentials a sample, of the revoked ones all, for they must show after what is promised."""
    store.forget(_END)
    if public is None:
        store.skip("answer", "no gateway at hand (--gateway)")
        store.skip("analytics", "no gateway at hand (--gateway)")
        store.skip("list", "that caches may keep lists as long as their ttl says: no gateway at hand (--gateway)")
        return
    _check_statuses(store, cut, public, sample, seed, promised_us)
    _check_lists(store, public, base_url)
    _check_numbers(store, cut, public)


def _check_statuses(store: Store, cut: Cut, public: Public, sample: int, seed: int, promised_us: int) -> None:
    revoked = [row[0] for row in store.ask("SELECT DISTINCT credential FROM changed")]
    others = [row[0] for row in store.ask("SELECT DISTINCT credential FROM issued")]
    others.sort(key=lambda one: hashlib.sha256(f"{seed}:{one}".encode()).digest())
    newest = "SELECT status, effective_at FROM changed WHERE credential = ? ORDER BY effective_at DESC, at DESC LIMIT 1"
    for credential in dict.fromkeys((*revoked, *others[:sample])):
        store.check("answer", _END)
        answer = public.get(f"/credentials/{credential}")
        status, at = store.ask(newest, credential).fetchone() or ("valid", 0)
        expected = "valid" if status == "reinstated" else status
        said = answer.body.get("status") if answer.status == 200 and isinstance(answer.body, dict) else None  # noqa: PLR2004
        said = "valid" if said == "reinstated" else said
        if said != expected and cut.at - at > promised_us:
            store.offend("answer", credential, f"{said}; it is {expected}", _END)


def _check_lists(store: Store, public: Public, base_url: str) -> None:
    for url, version in store.ask("SELECT list, version FROM list").fetchall():
        store.check("list", _END)
        answer = public.get(url.removeprefix(base_url))
        found = _AGE.search(answer.headers.get("cache-control", ""))
        subject = answer.body.get("credentialSubject", {}) if isinstance(answer.body, dict) else {}
        if found is None or int(found[1]) * 1_000 != subject.get("ttl"):
            what = "caches may keep it for another time than its ttl says"
            store.offend("list", f"{url} version {version}", what, _END)


def _check_numbers(store: Store, cut: Cut, public: Public) -> None:
    flow = public.get("/v1/flow").body
    inbox = sum(end for name, end in cut.ends.items() if name.startswith(f"{INBOX.name}/"))
    behind = sum(sum(lanes) for lanes in flow.get("lag", {}).values())
    if behind or flow.get("inbox") != inbox:
        store.skip("analytics", "the views were behind, or the log went on, while they were asked")
        return
    shown = flow["tallies"]
    for kind, query in _RECOUNTS.items():
        counted = dict(store.ask(query).fetchall())
        for label in sorted(counted.keys() | shown.get(kind, {}).keys()):
            store.check("analytics", _END)
            number = shown.get(kind, {}).get(label, 0)
            if number != counted.get(label, 0):
                what = f"{number}; a recount says {counted.get(label, 0)}"
                store.offend("analytics", f"{kind} {label}", what, _END)


_RECOUNTS: Final = {
    "decided": "SELECT json_extract(body, '$.disposition'), COUNT(*) FROM decided GROUP BY 1",
    "verdict": "SELECT json_extract(o.value, '$.verdict'), COUNT(*) FROM decided, json_each(body, '$.outcomes') o GROUP BY 1",
    "issued": "SELECT programme || '/' || achievement, COUNT(*) FROM issued GROUP BY 1",
    "voided": "SELECT c.programme || '/' || c.achievement, COUNT(*) FROM voided v JOIN claim c"
    " ON c.programme = v.programme AND c.lane = v.lane AND c.no = v.no GROUP BY 1",
    "status": "SELECT status, COUNT(*) FROM changed GROUP BY 1",
    "quarantined": "SELECT reason, COUNT(*) FROM quarantined GROUP BY 1",
}
