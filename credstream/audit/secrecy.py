"""Nothing in the clear that should not be: planted words, the installation's own secrets, private keys, mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from credstream.audit.decoding import Fields, UnreadableError, decoded
from credstream.audit.log import LogRecord
from credstream.audit.store import Store
from credstream.audit.trust import Trust

_PRIVATE: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_MAIL: Final = re.compile(rb"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_MAYBE: Final = re.compile(rb"[A-Za-z0-9._%+-]@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
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

    def look(self, record: LogRecord, kind: str, fields: Fields) -> None:
        """Note what stands in the clear, by its position and never by its text."""
        self._store.check("privacy")
        around = [record.key or b"", *(value or b"" for _, value in record.headers)]
        text = b"\n".join((record.value or b"", *around))
        if self._planted is not None and self._planted.search(text):
            self._store.offend("privacy", record.position, "a planted word or a secret of the installation")
        if _PRIVATE.search(text):
            self._store.offend("privacy", record.position, "a private key")
        if _MAYBE.search(text) and self._has_address([*around, *_texts(kind, fields, record.value)]):
            self._store.offend("privacy", record.position, "a mail address that no catalogue states")

    def _has_address(self, texts: list[bytes]) -> bool:
        """Say whether there is an address that no catalogue states; an issuer's own is public."""
        found = {address for text in texts if b"@" in text for address in _MAIL.findall(text)}
        if not found:
            return False
        known = self._store.one("SELECT COUNT(*) FROM catalogue")
        if known != self._catalogues:
            texts = [row[0] for row in self._store.ask("SELECT text FROM catalogue")]
            self._published = {public for text in texts for public in _MAIL.findall(text)}
            self._catalogues = known
        return not found <= self._published


def _texts(kind: str, fields: Fields, value: bytes | None) -> Iterator[bytes]:
    """Yield the texts of a record one by one: in Avro, the length of the next one may look like an @."""
    if not fields:
        yield value or b""
    elif kind not in _PACKED:
        yield from _inside(fields)


def _inside(value: Any) -> Iterator[bytes]:
    match value:
        case str():
            yield value.encode("utf-8", "replace")
        case bytes():
            try:
                kind, fields = decoded(value)  # what was set aside holds a record
            except UnreadableError:
                yield value
            else:
                yield from _texts(kind, fields, value)
        case dict():
            for inner in value.values():
                yield from _inside(inner)
        case list():
            for inner in value:
                yield from _inside(inner)
