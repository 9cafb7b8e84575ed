"""Where the bytes of other forms are kept: the first ones made are served from then on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Column, LargeBinary, MetaData, String, Table, create_engine, delete, select
from sqlalchemy.dialects.sqlite import insert

from streams.tables import make_tables

FormName = Literal["jwt", "png", "svg", "pdf"]
RecordForm = Literal["jwt", "pdf"]
FORMS: Final[tuple[FormName, ...]] = ("jwt", "png", "svg", "pdf")
RECORD_FORMS: Final[tuple[RecordForm, ...]] = ("jwt", "pdf")
_METADATA: Final = MetaData()
_KEPT: Final = Table(
    "kept",
    _METADATA,
    Column("name", String(80), primary_key=True),
    Column("form", String(20), primary_key=True),
    Column("language", String(8), primary_key=True),
    Column("digest", String(80), nullable=False),
    Column("media_type", String(60), nullable=False),
    Column("body", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Form:
    """A form's bytes, what they are, and the name of their content."""

    body: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the bytes."""
        return f"sha256-{hashlib.sha256(self.body).hexdigest()}"


class FormStore:
    """A database of the forms process alone."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it."""
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._engine = create_engine(f"sqlite:///{path.absolute()}")
        make_tables(self._engine, _METADATA)
        path.chmod(0o600)

    def find(self, name: str, form: str, language: str) -> Form | None:
        """Return what is kept under a credential's or record's id."""
        wanted = (_KEPT.c.name == name) & (_KEPT.c.form == form) & (_KEPT.c.language == language)
        with self._engine.connect() as connection:
            row = connection.execute(select(_KEPT).where(wanted)).first()
        return None if row is None else Form(row.body, row.media_type)

    def keep(self, name: str, form: str, language: str, made: Form) -> Form:
        """Keep what was made unless something is kept already, and return what is kept."""
        row = {
            "name": name,
            "form": form,
            "language": language,
            "digest": made.digest,
            "media_type": made.media_type,
            "body": made.body,
        }
        with self._engine.begin() as connection:
            connection.execute(insert(_KEPT).on_conflict_do_nothing(), [row])
        return self.find(name, form, language) or made

    def forget(self, names: Iterable[str]) -> None:
        """Drop every form of these credentials and records: their learner was erased."""
        with self._engine.begin() as connection:
            connection.execute(delete(_KEPT).where(_KEPT.c.name.in_(list(names))))
