"""The forms process alone: started as the supervisor starts it, asked over its socket, without Kafka."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from support import complete
from support.issued import LEARNER, Issued, claim
from support.pipe import until

from credstream.forms import credential_form, learner_form
from schemas.errors import IntegrityError, UnavailableError
from streams.forms import socket_of
from streams.settings import Installation

FIRST, SECOND = (f"0e3b3f6e-0000-8000-8000-0000000000{n:02d}" for n in (0, 1))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    """An installation in which two credentials were issued, one of them changed since, and its forms process."""
    issued = Issued(tmp_path)
    document = issued.add(claim(issued.catalogue))
    document["id"] = document["id"].replace(FIRST, SECOND)
    document["name"] = "Something else"
    issued.add(claim(issued.catalogue, 1, learner_ref="1" * 32), credential=msgspec.json.encode(document))
    issued.views.dispose()
    folder = issued.place.folder
    (folder / "views").mkdir()
    shutil.copy(tmp_path / "views.db", folder / "views" / "views.db")
    (folder / "secrets" / "keys" / "college" / "keys.json").write_bytes(msgspec.json.encode([complete.KEY]))
    process = subprocess.Popen([sys.executable, "-m", "credstream", "run", "forms", "--data", str(folder)])
    try:
        for _ in until("the socket"):
            if (folder / "run" / "forms-0.json").exists():
                break
        yield issued.place
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not (folder / "run" / "forms-0.json").exists()


def test_it_answers_by_id_and_refuses_what_was_not_issued(place: Installation) -> None:
    found = credential_form(place, FIRST, "svg", "fr")
    assert found is not None
    assert found.media_type == "image/svg+xml"
    assert credential_form(place, FIRST, "svg", "fr") == found
    assert credential_form(place, FIRST, "exe", "fr") is None
    assert credential_form(place, FIRST, "svg", "de") is None
    assert credential_form(place, f"{FIRST[:-1]}9", "svg", "en") is None
    with pytest.raises(IntegrityError, match="not what was issued"):
        credential_form(place, SECOND, "svg", "en")
    with pytest.raises(IntegrityError):
        learner_form(place, "college", "1" * 32, "jwt", "en")
    with pytest.raises(UnavailableError, match="no JWT key that is at hand"):  # the catalogue publishes another one
        learner_form(place, "college", LEARNER, "pdf", "en")


def test_where_it_does_not_run_that_is_said(tmp_path: Path) -> None:
    from credstream import installation as installations

    made = installations.create(tmp_path / "place", base_url=complete.BASE, programmes=["college"])
    with pytest.raises(UnavailableError, match="credstream up"):
        socket_of(made)
