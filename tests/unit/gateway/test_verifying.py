"""Anyone verifies a credential over HTTP, as a body or in a form, in English or in French; no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template.config import TemplateConfig
from litestar.testing import TestClient
from support import shapes

from credstream.gateway import problems, verifying
from credstream.gateway.verify_words import words
from credstream.gateway.verifying import Checker, Verification
from schemas.catalogue import Catalogue

pytestmark = pytest.mark.filterwarnings("ignore:.*Inferred dependency:DeprecationWarning")


class FakeRecords:
    """The views of an installation that issued the test's shapes; one credential's status can be set."""

    status: str | None = None

    def programmes(self) -> list[str]:
        return [catalogue.programme for catalogue in shapes.catalogues()]

    def catalogue(self, programme: str) -> Catalogue:
        return next(c for c in shapes.catalogues() if c.programme == programme)

    def status_list(self, url: str) -> Any:
        return SimpleNamespace(document=shapes.documents()[url]) if url in shapes.documents() else None

    def credential(self, _credential_id: str) -> Any:
        return SimpleNamespace(status=self.status)


RECORDS = FakeRecords()
SIGNED = shapes.samples()[0]


@pytest.fixture(scope="module")
def http() -> Iterator[TestClient[Litestar]]:
    checker = Checker(cast("Any", RECORDS), cast("Any", SimpleNamespace(base_url=shapes.BASE)))
    pages = Path(verifying.__file__).parent / "pages"
    app = Litestar(
        route_handlers=[Verification],
        dependencies={"checker": Provide(lambda: checker, sync_to_thread=False)},
        signature_types=[Checker],
        template_config=TemplateConfig(directory=pages, engine=JinjaTemplateEngine),
        exception_handlers={problems.ProblemError: problems.of_problem, HTTPException: problems.of_http},
    )
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("body", [SIGNED.credential, SIGNED.jwt()], ids=["JSON", "VC-JWT"])
def test_the_body_is_the_credential(http: TestClient[Litestar], body: bytes) -> None:
    answer = http.post("/v1/verify", content=body)
    assert answer.status_code == 200
    assert answer.json()["overall"] == "valid"
    assert answer.headers["cache-control"] == "no-store"


def test_a_revoked_one_is_invalid_and_a_suspended_one_too(
    http: TestClient[Litestar], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(body: bytes) -> list[str]:
        return [
            step["name"] for step in http.post("/v1/verify", content=body).json()["steps"] if step["outcome"] == "fail"
        ]

    assert failed(SIGNED.revoked) == ["revocation"]
    monkeypatch.setattr(RECORDS, "status", "suspended")
    assert failed(SIGNED.credential) == ["suspension"]


@pytest.mark.parametrize(("person", "outcome"), [(shapes.EMAIL, "pass"), ("bob@example.ca", "fail")])
def test_a_form_asks_also_whose_it_is(http: TestClient[Litestar], person: str, outcome: str) -> None:
    form = {"recipient": f"email:{person}"}
    answer = http.post("/v1/verify", files={"credential": ("badge.json", SIGNED.credential)}, data=form)
    assert {step["name"]: step["outcome"] for step in answer.json()["steps"]}["recipient"] == outcome


def test_another_issuers_credential_is_unknown_and_nothing_is_fetched(http: TestClient[Litestar]) -> None:
    other = SIGNED.credential.replace(b"did:web:credentials.pilots", b"did:web:elsewhere.pilots")
    assert http.post("/v1/verify", content=other).json()["overall"] == "unknown"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({}, 400),
        ({"content": b"  "}, 400),
        ({"content": b"x" * 6_000_000}, 413),
        ({"content": b"--x\r\nbroken", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400),
        ({"content": b"", "headers": {"content-type": "multipart/form-data"}}, 400),
        ({"data": {"recipient": "email:a@example.ca"}}, 400),
    ],
    ids=["nothing", "blanks", "too much", "a broken form", "a form without a boundary", "a form without a credential"],
)
def test_what_holds_no_credential_is_a_problem(
    http: TestClient[Litestar], request_: dict[str, Any], status: int
) -> None:
    answer = http.post("/v1/verify", **request_)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_a_page_that_needs_no_script_answers_in_two_languages(http: TestClient[Litestar]) -> None:
    for language, title in (("en", "Verify a credential"), ("fr", "Vérifier une attestation")):
        page = http.get("/verify", headers={"accept-language": f"{language}-CA"})
        assert title in page.text
        assert "<script" not in page.text
        assert "script-src" not in page.headers["content-security-policy"]
        answer = http.post(f"/verify?language={language}", files={"credential": ("a.json", SIGNED.revoked)})
        assert words(language)["invalid"] in answer.text
        assert "revoked" in answer.text
        assert words(language)["empty"] in http.post(f"/verify?language={language}", data={"text": ""}).text


def test_the_page_quotes_a_credential_as_text(http: TestClient[Litestar]) -> None:
    nasty = SIGNED.credential.replace(b"did:web:credentials", b"<script>alert(1)</script>")
    page = http.post("/verify", files={"credential": ("a.json", nasty)}).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_every_step_and_outcome_has_its_words_in_both_languages() -> None:
    assert words("en").keys() == words("fr").keys()
    for name in ("steps", "outcomes"):
        assert words("en")[name].keys() == words("fr")[name].keys()
