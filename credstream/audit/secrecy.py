"""Nothing in the clear that should not be: planted words, the installation's own secrets, private keys, mail addresses."""

from __future__ import annotations

import re
from typing import Final

from credstream.audit.log import LogRecord
from credstream.audit.store import Store
from credstream.audit.trust import Trust

_PRIVATE: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_MAIL: Final = re.compile(rb"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_PACKED: Final = frozenset({"CatalogueAdopted", "CataloguePublished"})
_MIN_BYTES: Final = 4


class Secrecy:
    """Looks at the bytes of each record, its key and its headers."""

    def __init__(self, store: Store, trust: Trust) -> None:
        """Know what must stand nowhere, in each form in which it might."""
        self._store = store
        forms = {form for word in trust.planted if len(word) >= _MIN_BYTES for form in (word, word.hex().encode())}
        self._planted = re.compile(b"|".join(map(re.escape, sorted(forms)))) if forms else None
        self._published: set[bytes] = set()
        self._catalogues = -1

    def look(self, record: LogRecord, kind: str) -> None:
        """Note what stands in the clear, by its position and never by its text."""
        self._store.check("privacy")
        parts = [record.key or b"", record.value or b"", *(value or b"" for _, value in record.headers)]
        text = b"\n".join(parts)
        if self._planted is not None and self._planted.search(text):
            self._store.offend("privacy", record.position, "a planted word or a secret of the installation")
        if _PRIVATE.search(text):
            self._store.offend("privacy", record.position, "a private key")
        if kind not in _PACKED and b"@" in text and any(not self._is_public(m) for m in _MAIL.findall(text)):
            self._store.offend("privacy", record.position, "a mail address that no catalogue states")

    def _is_public(self, address: bytes) -> bool:
        """Say whether a catalogue states an address: an issuer's own."""
        known = self._store.one("SELECT COUNT(*) FROM catalogue")
        if known != self._catalogues:
            texts = [row[0] for row in self._store.ask("SELECT text FROM catalogue")]
            self._published = {found for text in texts for found in _MAIL.findall(text)}
            self._catalogues = known
        return any(address.endswith(public) for public in self._published)  # a length may stand before it in Avro
