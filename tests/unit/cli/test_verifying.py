"""`credstream verify` on files, folders, lines and standard input, offline; on one core and on several."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support import shapes

from credstream import trust as trusting
from credstream.cli.commands import app
from credstream.cli.verifying import told
from credstream.verifying import found_in, verify_all
from schemas.errors import RefusedError


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    (folder / "documents").mkdir()
    index = {}
    for url, document in shapes.documents().items():
        index[url] = f"documents/{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"
        (folder / index[url]).write_bytes(document)
    (folder / "documents.json").write_text(json.dumps({"documents": index}))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    one, two = shapes.samples()[:2]
    (tmp_path / "a.json").write_bytes(one.credential)
    (tmp_path / "b.jwt").write_bytes(two.jwt())
    (tmp_path / "c.ndjson").write_bytes(
        b'{"partition":0,"credential_id":"c-1","credential":%b}\n\n%b\n%b\nnot a credential\n'
        % (one.credential, two.credential, one.jwt())
    )
    (tmp_path / "notes.txt").write_text("not a credential, and not looked at")
    return tmp_path


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        app(list(words), exit_on_error=False)
    return int(ended.value.code or 0), capsys.readouterr().out


def test_a_good_one_is_told_step_by_step(export: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run("verify", str(folder / "a.json"), "--export", str(export), "--json", capsys=capsys)
    [verdict] = json.loads(text).values()
    assert (code, verdict["overall"]) == (0, "valid")
    names = [step["name"] for step in verdict["steps"]]
    assert names[:6] == ["parse", "context", "schema", "issuer", "key", "proof"]
    assert all(step["reason"] for step in verdict["steps"])


def test_a_revoked_one_and_one_of_another_person_are_answered_no(
    export: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "r.json").write_bytes(shapes.samples()[0].revoked)
    assert run("verify", str(folder / "r.json"), "--export", str(export), capsys=capsys)[0] == 1
    for person, code in ((shapes.EMAIL, 0), ("bob@example.ca", 1)):
        asked = ("--recipient", f"email:{person}")
        assert run("verify", str(folder / "a.json"), "--export", str(export), *asked, capsys=capsys)[0] == code


def test_standard_input_is_read(
    export: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "a.json").read_bytes())))
    assert run("verify", "--export", str(export), capsys=capsys)[0] == 0


def test_a_file_that_is_not_there_is_wrong_use(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", "nowhere.json", "--export", str(export), capsys=capsys)[0] == 2


def test_a_folder_that_is_no_export_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="credstream export"):
        trusting.of_export(tmp_path)


def test_an_export_that_points_out_of_its_folder_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "secret").write_text("x")
    (tmp_path / "export" / "documents.json").write_text(json.dumps({"documents": {"https://a.example": "../secret"}}))
    assert trusting.of_export(tmp_path / "export").documents == {}


def test_a_folder_is_counted(export: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run("verify", str(folder), "--export", str(export), "--json", capsys=capsys)
    counted = json.loads(text)
    assert (code, counted["valid"], counted["invalid"], counted["unknown"]) == (1, 5, 1, 0)
    assert list(counted["not_valid"]) == [f"{folder / 'c.ndjson'}:5"]
    code, text = run("verify", str(folder), "--export", str(export), capsys=capsys)
    assert (code, "6 credentials" in text) == (1, True)


def test_an_exports_lines_keep_their_bytes_and_ids(folder: Path) -> None:
    found = dict(found_in(folder / "c.ndjson"))
    assert found["c-1"] == shapes.samples()[0].credential


def test_several_processes_count_what_one_counts(export: Path) -> None:
    trust, now = trusting.of_export(export), datetime.now(UTC)
    many = [
        (f"{signed.name} {n}", credential)
        for n in range(8)
        for signed in shapes.every_shape()
        for credential in (signed.credential, signed.revoked, signed.credential[:-5])
    ]
    done: list[int] = []
    one, two = (told(verify_all(many, trust, now, processes=n, advance=done.append)) for n in (1, 2))
    assert one == two
    assert one["valid"] == len(many) / 3
    assert sum(done) == 2 * len(many)
