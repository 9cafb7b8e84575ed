"""Every form of a credential through the gateway of a running pipe, and by the command line."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
from PIL import Image
from pypdf import PdfReader
from support.pipe import BASE_URL, PROGRAMME, Pipe, completion, until

from streams.forms import socket_of


@pytest.fixture(scope="module")
def shared(pipe: Pipe) -> tuple[str, str]:
    """A credential's id and its share token."""
    pipe.send([completion("forms")])
    [fate] = pipe.fate("forms-0")
    credential = next(o["credential_id"] for o in fate["outcomes"] if o["credential_id"])
    with pipe.http() as http:
        for _ in until("the credential in the view"):
            if http.get(f"/credentials/{credential}").is_success:
                break
        link = http.post(f"/v1/credentials/{credential}/share").json()["url"]
    return credential, link.rpartition("=")[2]


def fetched(pipe: Pipe, shared: tuple[str, str], form: str, language: str = "en") -> Any:
    with pipe.http(None) as http:
        return http.get(f"/credentials/{shared[0]}.{form}?share={shared[1]}&language={language}")


def test_every_form_is_served_to_whom_it_is_shared_with_and_stays_as_it_was(
    pipe: Pipe, shared: tuple[str, str]
) -> None:
    with pipe.http(None) as http:
        document = http.get(f"/credentials/{shared[0]}?share={shared[1]}").json()
    for form, kind in [
        ("jwt", "text/plain"),
        ("png", "image/png"),
        ("svg", "image/svg+xml"),
        ("pdf", "application/pdf"),
    ]:
        answer = fetched(pipe, shared, form, "fr")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith(kind)
        assert fetched(pipe, shared, form, "fr").content == answer.content
    image: Any = Image.open(io.BytesIO(fetched(pipe, shared, "png").content))
    assert json.loads(image.text["openbadgecredential"]) == document
    [attached] = PdfReader(io.BytesIO(fetched(pipe, shared, "pdf").content)).attachments["credential.json"]
    assert json.loads(attached) == document


def test_the_jwt_verifies_with_the_key_at_its_kid(pipe: Pipe, shared: tuple[str, str]) -> None:
    token = fetched(pipe, shared, "jwt").text
    kid = jwt.get_unverified_header(token)["kid"]
    assert kid.startswith(f"{BASE_URL}/programmes/{PROGRAMME}/keys/")
    with pipe.http(None) as http:
        key = http.get(kid.removeprefix(BASE_URL))
    assert key.headers["content-type"] == "application/jwk+json"
    assert "d" not in key.json()
    payload = jwt.decode(token, jwt.PyJWK(key.json()), algorithms=["RS256"])
    assert payload["jti"] == f"{BASE_URL}/credentials/{shared[0]}"


def test_forms_are_for_whom_they_are_shared_with(pipe: Pipe, shared: tuple[str, str]) -> None:
    with pipe.http(None) as http:
        assert http.get(f"/credentials/{shared[0]}.pdf").status_code == 403
        assert http.get(f"/credentials/{shared[0]}.pdf?share={'0' * 32}").status_code == 403
        assert http.get(f"/credentials/{shared[0]}.exe?share={shared[1]}").status_code == 404
        assert http.get(f"/credentials/{shared[0]}.pdf?share={shared[1]}&language=xx").status_code == 400
        assert http.get("/credentials/00000000-0000-8000-8000-000000000000.pdf").status_code == 404


def test_the_socket_is_its_owners_alone(pipe: Pipe) -> None:
    assert stat.S_IMODE(Path(socket_of(pipe.place)).stat().st_mode) == 0o600


def test_badge_images_and_documents_that_credentials_name_are_public(pipe: Pipe, shared: tuple[str, str]) -> None:
    with pipe.http(None) as http:
        document = http.get(f"/credentials/{shared[0]}?share={shared[1]}").json()
        subject = document["credentialSubject"]
        for url, kind in [
            (subject["achievement"]["image"]["id"], "image/png"),
            (document["issuer"]["image"]["id"], "image/png"),
            (subject["source"]["id"], "application/ld+json"),
        ]:
            answer = http.get(url.removeprefix(BASE_URL))
            assert (answer.status_code, answer.headers["content-type"]) == (200, kind), url
        assert http.get(f"/badges/{PROGRAMME}/nothing.png").status_code == 404
        assert http.get(f"/badges/{PROGRAMME}/site-safety.gif").status_code == 404


def credstream(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "credstream", *args], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_command_line_writes_forms_and_learner_records(pipe: Pipe, shared: tuple[str, str], tmp_path: Path) -> None:
    data, out = ["--data", str(pipe.place.folder)], tmp_path / "out"
    got = credstream("credential", "get", shared[0], "--form", "png", "-o", str(out), *data)
    assert got.returncode == 0, got.stderr
    assert out.read_bytes() == fetched(pipe, shared, "png").content
    record = credstream("learner", "record", "email:forms@learners.example", "--form", "jwt", "-o", str(out), *data)
    assert record.returncode == 0, record.stderr
    held = jwt.decode(out.read_text(), options={"verify_signature": False})["credentialSubject"]["verifiableCredential"]
    assert [document["id"] for document in held] == [f"{BASE_URL}/credentials/{shared[0]}"]
    nobody = credstream("learner", "record", "email:nobody@learners.example", *data)
    assert (nobody.returncode, "no credential" in nobody.stderr) == (1, True)
    unknown = credstream("credential", "get", "00000000-0000-8000-8000-000000000000", "--form", "pdf", *data)
    assert unknown.returncode == 1
