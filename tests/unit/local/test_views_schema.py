"""Tables that an older version of the program left behind are filled anew; the catalogue shown is the one published last."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, text
from support.competency import PROGRAMME, catalogue

from credstream.gateway.records import Records
from schemas.catalogue import pack
from schemas.codec import encode
from schemas.events import CataloguePublished
from schemas.rules import Result
from schemas.topology import CATALOGUE_PUBLISHED
from streams.tables import CREDENTIAL, POSITION, open_database
from streams.views import View


@pytest.mark.fault("D3")
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


def test_after_a_rollback_the_former_catalogue_is_shown_again(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'views.db'}")
    view, records = View(engine), Records(engine)
    former, wrong = (catalogue({"block": Result(assessment="quiz", at_least=bar)}, version=str(bar)) for bar in (1, 2))
    for at, published in enumerate((former, wrong, former)):
        digest, packed = pack(published)
        event = CataloguePublished(programme=PROGRAMME, digest=digest, published_at=at, catalogue=packed)
        view.take([(CATALOGUE_PUBLISHED.name, 0, at, encode(event))])
        assert records.catalogue(PROGRAMME) == published
