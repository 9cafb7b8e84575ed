"""Which public keys catalogues publish, for which purpose and time."""

from __future__ import annotations

import json
from typing import Any

from credstream.audit.store import Store


class Keys:
    """The keys of every catalogue that was read."""

    def __init__(self, store: Store) -> None:
        """Look into the store whenever it has read another catalogue."""
        self._store = store
        self._known = -1
        self._keys: dict[tuple[str, str, str], list[dict[str, Any]]] = {}

    def public(self, programme: str, key_id: str, purpose: str, instant: int) -> str | None:
        """Return the multikey of a key that is published for a purpose and an instant (microseconds), or None."""
        count = self._store.one("SELECT COUNT(*) FROM catalogue")
        if count != self._known:
            self._read()
            self._known = count
        stated = self._keys.get((programme, key_id, purpose), ())
        fitting = {key["public_key_multibase"] for key in stated if _is_active(key, instant)}
        return fitting.pop() if len(fitting) == 1 else None

    def _read(self) -> None:
        self._keys.clear()
        for programme, text in self._store.ask("SELECT programme, text FROM catalogue"):
            for key in json.loads(text).get("keys", ()):
                self._keys.setdefault((programme, key["id"], key["purpose"]), []).append(key)


def _is_active(key: dict[str, Any], instant: int) -> bool:
    end = key.get("active_until")
    return bool(key["active_from"] <= instant and (end is None or instant < end))


def did(base_url: str, programme: str) -> str:
    """Return a programme's did:web identifier."""
    host = base_url.partition("://")[2].replace(":", "%3A")
    return f"did:web:{host}:programmes:{programme}"
