"""What the auditor is told beforehand: whose log it is, whose word counts in it, and secrets where they are at hand."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Pinned(Struct, frozen=True):
    """Whose word counts in a programme: public keys (multikeys) by their ids."""

    catalogue_keys: Mapping[str, str] = {}
    catalogue_signatures: int = 1
    staff_keys: Mapping[str, str] = {}


class Trust(Struct, frozen=True):
    """An installation as the auditor knows it. Without a secret, what derives from it is not checked, and the report says so."""

    base_url: str
    epoch: str
    programmes: Mapping[str, Pinned]
    credential_secret: bytes | None = None
    status_secret: bytes | None = None
    planted: tuple[bytes, ...] = ()  # what must stand nowhere in the log
