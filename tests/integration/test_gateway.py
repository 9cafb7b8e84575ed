"""The gateway as providers, verifiers and browsers meet it, with the whole pipe behind it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from support.pipe import PROGRAMME, PROVIDER, Pipe, completion, until

from credstream.local.supervisor import running
from services.signing.verifying import Verifier

PROBLEM = "application/problem+json"


def issue(pipe: Pipe, result_id: str) -> str:
    """Send a completion that earns a credential, and return the credential's id."""
    [line] = pipe.send([completion(result_id)])
    assert line.accepted
    [fate] = pipe.fate(f"{result_id}-0")
    return str(next(o["credential_id"] for o in fate["outcomes"] if o["verdict"] == "granted"))


def shown(pipe: Pipe, credential: str) -> bytes:
    """Return a credential as its holder shares it."""
    with pipe.http() as http:
        for _ in until("the credential in the view"):
            if http.get(f"/credentials/{credential}").is_success:
                break
        link = http.post(f"/v1/credentials/{credential}/share").json()["url"]
        assert link.startswith("https://credentials.pilots.example/credentials/")
        answer = http.get(link.removeprefix("https://credentials.pilots.example"))
    assert answer.headers["content-type"] == "application/vc"
    return answer.content


def test_a_completion_becomes_a_credential_that_verifies(pipe: Pipe) -> None:
    content = shown(pipe, issue(pipe, "becomes"))
    document = json.loads(content)
    with pipe.http() as http:
        urls = {
            f"https://credentials.pilots.example/programmes/{PROGRAMME}/did.json": f"/programmes/{PROGRAMME}/did.json",
            document["credentialStatus"]["statusListCredential"]: document["credentialStatus"][
                "statusListCredential"
            ].removeprefix("https://credentials.pilots.example"),
        }
        documents = {url: http.get(path).content for url, path in urls.items()}
    verdict = Verifier(documents, now=datetime.now(UTC)).verify(content)
    assert verdict.overall == "valid", verdict


def test_a_credential_shows_its_status_alone_without_a_share_link(pipe: Pipe) -> None:
    credential = issue(pipe, "private")
    with pipe.http(None) as http:
        for _ in until("the credential in the view"):
            answer = http.get(f"/credentials/{credential}")
            if answer.is_success:
                break
        assert answer.json() == {"id": credential, "status": "valid"}
        assert http.get(f"/credentials/{credential}?share={'0' * 32}").json() == {"id": credential, "status": "valid"}
        page = http.get(f"/credentials/{credential}", headers={"Accept": "text/html"})
        assert "Construction site safety" not in page.text
        assert http.get("/credentials/00000000-0000-8000-8000-000000000000").status_code == 404


@pytest.mark.fault("E6", "E12")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"score": 101}, "score"),
        ({"score": -1}, "score"),
        ({"score_max": None}, "score_max"),
        ({"score": "80"}, None),
        ({"completed_at": "2026-11-01T10:00:00"}, "completed_at"),
        ({"completed_at": "2999-01-01T00:00:00Z"}, "completed_at"),
        ({"assessment": None}, "assessment"),
        ({"nonsense": 1}, "nonsense"),
        ({"site": "a\u202eb"}, "site"),
        ({"revision": -1}, "revision"),
        ({"learner_ref": "0" * 32}, "learner"),
        ({"programme": "another"}, "programme"),
    ],
    ids=str,
)
def test_a_value_that_cannot_stand_is_refused_with_its_field(
    pipe: Pipe, changes: dict[str, object], field: str | None
) -> None:
    with pipe.http() as http:
        answer = http.post("/v1/completions", json=completion("refused", **changes))
    if field is None:  # a number may come as text: it is exact either way
        assert answer.status_code == 202
        return
    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.fault("E14")
@pytest.mark.parametrize(
    "body",
    [
        b'{"result_id": "a", "result_id": "b"}',
        b'{"score": NaN}',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b"[1]",
        b"{",
        b"[" * 5_000,
    ],
    ids=lambda b: repr(b[:20]),
)
def test_what_is_not_strict_json_is_refused(pipe: Pipe, body: bytes) -> None:
    with pipe.http() as http:
        answer = http.post("/v1/completions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM


def test_many_lines_are_answered_line_by_line(pipe: Pipe) -> None:
    lines = [completion("many-1"), completion("many-2", score=500), completion("many-3", assessment="nobody-knows-it")]
    body = "\n".join(json.dumps(line) for line in lines)
    with pipe.http() as http:
        answer = http.post("/v1/completions", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 202
    said = answer.json()
    assert (said["accepted"], said["refused"]) == (2, 1)
    assert [line["accepted"] for line in said["results"]] == [True, False, True]
    assert "no catalogue knows this assessment" in said["results"][2]["warning"]
    [fate] = pipe.fate("many-3-0")
    assert fate["disposition"] == "quarantined"
    assert fate["detail"].startswith("unknown_assessment")


def test_a_dry_run_sends_nothing(pipe: Pipe) -> None:
    with pipe.http() as http:
        answer = http.post("/v1/completions?dry_run=true", json=completion("dry"))
        assert answer.status_code == 202
        assert answer.json()["receipt"] is None
        for _ in until("the view to know all before it"):
            asked = http.get("/v1/completions/dry-0")
            if asked.status_code == 404:
                return


def test_a_receipt_tells_how_far_behind_the_answer_is(pipe: Pipe) -> None:
    with pipe.http() as http:
        receipt = http.post("/v1/completions", json=completion("receipt")).json()["receipt"]
        for _ in until("the fate"):
            answer = http.get(f"/v1/completions?result_id=receipt&receipt={receipt}").json()
            if answer["fates"]:
                break
            assert answer["behind"] > 0
        assert answer["behind"] == 0
        assert http.get("/v1/completions?result_id=receipt&receipt=nonsense").status_code == 400


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic abc", "Bearer"])
def test_without_a_providers_key_nothing_is_taken(pipe: Pipe, header: str | None) -> None:
    with pipe.http(None) as http:
        answer = http.post(
            "/v1/completions", json=completion("no-key"), headers={"Authorization": header} if header else {}
        )
    assert answer.status_code == 401
    assert answer.json()["detail"] == "send a provider's API key: Authorization: Bearer …"


def test_a_provider_cannot_ask_about_anothers_completions(pipe: Pipe) -> None:
    pipe.send([completion("mine")])
    pipe.fate("mine-0")
    with pipe.http("rideau-university") as http:
        for _ in until("the view to know all before it"):
            if http.get("/v1/completions/mine-0").status_code == 404:
                return


def test_a_learner_has_one_opaque_id(pipe: Pipe) -> None:
    with pipe.http() as http:
        refs = {
            http.post("/v1/learners", json={"scheme": "email", "identifier": who}).json()["learner_ref"]
            for who in ("a@example.ca", " A@Example.ca ")
        }
    assert len(refs) == 1
    assert all(len(ref) == 32 for ref in refs)


def test_pages_load_nothing_from_elsewhere(pipe: Pipe) -> None:
    with pipe.http(None) as http:
        for path in ("/", "/dashboard", f"/programmes/{PROGRAMME}", f"/achievements/{PROGRAMME}/site-safety"):
            answer = http.get(path, headers={"Accept": "text/html"})
            assert answer.status_code == 200, path
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert 'src="http' not in answer.text
            assert 'href="http' not in answer.text


def test_criteria_are_shown_as_the_markdown_that_they_are(pipe: Pipe) -> None:
    with pipe.http(None) as http:
        page = http.get(f"/achievements/{PROGRAMME}/safe-patient-transfer", headers={"Accept": "text/html"}).text
    assert "<strong>How it is earned</strong>" in page
    assert "<dt>Valid for</dt><dd>12 months</dd>" in page


def test_health_and_metrics(pipe: Pipe) -> None:
    with pipe.http(None) as http:
        assert http.get("/livez").json() == {"status": "alive"}
        assert http.get("/readyz").json() == {"status": "ready"}
        assert http.get("/nowhere").headers["content-type"] == PROBLEM
        assert "/v1/completions" in http.get("/openapi.json").json()["paths"]


def test_every_process_shows_metrics_that_prometheus_accepts(pipe: Pipe) -> None:
    seen = dict(running(pipe.place))
    assert {name.partition("-")[0] for name in seen} == {"gateway", "forms", "competency", "issuing", "status", "views"}
    for name, about in seen.items():
        text = httpx.get(f"http://{about['metrics']}/metrics").text
        assert "credstream_build_info" in text, name
        if shutil.which("promtool"):
            checked = subprocess.run(
                ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
            )
            ours = [line for line in checked.stderr.splitlines() if line.startswith("credstream")]
            assert ours == [], name
    requests = httpx.get(f"http://{seen['gateway-0']['metrics']}/metrics").text
    assert 'credstream_http_requests_total{method="GET",route="/readyz",status="200"}' in requests
    assert "0000-8000-8000" not in requests


def test_a_status_list_is_cached_for_as_long_as_its_ttl_says(pipe: Pipe) -> None:
    with pipe.http(None) as http:
        for _ in until("a status list"):
            lists = http.get("/v1/flow").json()["lists"]
            if lists:
                break
        path = lists[0]["url"].removeprefix("https://credentials.pilots.example")
        answer = http.get(path)
        ttl = answer.json()["credentialSubject"]["ttl"]
        assert answer.headers["cache-control"] == f"public, max-age={ttl // 1000}"
        again = http.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


def test_a_subscriber_with_standard_parts_decodes_and_verifies(pipe: Pipe, root: Path) -> None:
    issue(pipe, "subscribed")
    example = subprocess.run(
        [sys.executable, str(root / "examples" / "follow_credentials.py"), pipe.place.bootstrap_servers, pipe.url, "1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert example.stdout.split()[-1] == "valid", example.stderr


def test_the_example_is_short(root: Path) -> None:
    assert len((root / "examples" / "follow_credentials.py").read_text().splitlines()) < 60


def test_the_provider_is_who_the_key_says(pipe: Pipe) -> None:
    [line] = pipe.send([completion("key-says", assessment="transfer-theory")])
    assert line.accepted
    [fate] = pipe.fate("key-says-0")
    assert fate["detail"].startswith("not_allowed")
    assert PROVIDER != "northern-lakes-college"
