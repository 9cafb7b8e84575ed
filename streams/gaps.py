"""What a person has accepted of a lane: it is kept in the lane's state, so whoever takes it over goes on in the same way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from schemas.codec import decode
from schemas.events import GapAccepted
from streams.stage import Record

ACCEPTED: Final = b"\x00accepted:"


def accepted_key(offset: int) -> bytes:
    """Return under which key a lane keeps what was accepted at an offset of its input."""
    return ACCEPTED + str(offset).encode()


def is_accepted(state: Mapping[bytes, bytes], record: Record) -> bool:
    """Say whether a person decided that the lane goes on at this record, and it is still that record."""
    kept = state.get(accepted_key(record.offset))
    if kept is None:
        return False
    return decode(kept, GapAccepted).sha256 == digest(record.value)


def digest(value: bytes | None) -> str:
    """Return what names a record's content in a decision about it."""
    return hashlib.sha256(value or b"").hexdigest()
