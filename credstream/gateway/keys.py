"""Providers' API keys: made once, shown once, kept as digests in the gateway's own database."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, Engine, MetaData, String, Table, create_engine, insert, select

from streams.settings import Installation
from streams.tables import make_tables

_METADATA: Final = MetaData()
_KEYS: Final = Table(
    "api_key",
    _METADATA,
    Column("sha256", String(64), primary_key=True),
    Column("programme", String(200), nullable=False),
    Column("provider", String(200), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a key speaks for."""

    programme: str
    provider: str


class KeyRing:
    """The keys of one installation."""

    def __init__(self, installation: Installation) -> None:
        """Open the gateway's database, or make it."""
        folder = installation.folder / "gateway"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._engine: Engine = create_engine(f"sqlite:///{folder.absolute() / 'gateway.db'}")
        make_tables(self._engine, _METADATA)

    def create(self, programme: str, provider: str) -> str:
        """Make a key and return its text, which is kept nowhere here."""
        key = f"cs_{secrets.token_urlsafe(32)}"
        row = {
            "sha256": _digest(key),
            "programme": programme,
            "provider": provider,
            "created_at": time.time_ns() // 1000,
        }
        with self._engine.begin() as connection:
            connection.execute(insert(_KEYS), row)
        return key

    def sender(self, authorization: str | None) -> Sender | None:
        """Return who an `Authorization` header speaks for, or None. Looked up by digest, so its timing tells nothing."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        wanted = select(_KEYS.c.programme, _KEYS.c.provider).where(
            _KEYS.c.sha256 == _digest(key.strip()), _KEYS.c.revoked_at.is_(None)
        )
        with self._engine.connect() as connection:
            row = connection.execute(wanted).first()
        return Sender(row.programme, row.provider) if row else None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
