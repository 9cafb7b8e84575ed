"""Tables that an older version of the program left behind are filled anew."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, text

from streams.tables import CREDENTIAL, POSITION, open_database


def test_tables_of_another_version_are_rebuilt_and_positions_with_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'views.db'}"
    with open_database(url).begin() as connection:
        connection.execute(POSITION.insert().values(topic="t", lane=0, next=7))
    with open_database(url, rebuild=True).begin() as connection:
        assert connection.execute(select(POSITION.c.next)).scalar_one() == 7
        connection.execute(text("ALTER TABLE credential DROP COLUMN level"))
    with open_database(url).begin() as connection:
        assert connection.execute(select(POSITION.c.next)).scalar_one() == 7
    with open_database(url, rebuild=True).begin() as connection:
        assert connection.execute(select(POSITION.c.next)).first() is None
        assert connection.execute(select(CREDENTIAL.c.level)).first() is None
