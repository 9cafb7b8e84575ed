"""The command teaches, and a user's mistake ends in one clear line and a sensible exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def credstream(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "credstream", *args], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "command",
    [
        "",
        "init",
        "up",
        "demo",
        "send",
        "why",
        "verify",
        "export",
        "topics",
        "award",
        "review list",
        "review show",
        "review decide",
        "status revoke",
        "status suspend",
        "status reinstate",
        "status show",
        "keys create",
        "keys list",
        "keys rotate",
        "keys retire",
        "keys compromised",
        "keys check",
        "keys person",
        "credential get",
        "learner record",
        "endorse key",
        "endorse sign",
        "endorse check",
        "rules publish",
        "rules propose",
        "rules approve",
        "rules versions",
        "rules rollback",
        "rules backfill",
        "rules recall",
        "rules test",
        "rules explain",
        "rules show",
        "rules diff",
        "rules simulate",
        "rules schema",
        "rules check",
        "run",
    ],
)
def test_every_command_has_help(command: str) -> None:
    done = credstream(*command.split(), "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["nonsense"], 2, "nonsense"),
        (["init"], 2, "base-url"),
        (["up", "--data", "{tmp}/none"], 78, "credstream init --data"),
        (["send"], 2, "name at least one file"),
        (["send", "none.csv"], 2, "no such file"),
        (["verify"], 2, "name at least one file"),
        (["why", "email:a@example.ca", "--data", "{tmp}/none"], 78, "holds no installation"),
        (["run", "nothing", "--data", "{tmp}"], 78, "there are gateway, competency"),
        (["rules", "check", "{tmp}"], 1, "programme.yaml:1:1: cannot be read"),
        (["rules", "explain", "x", "--folder", "catalogues/ontario-pilots"], 78, "has no achievement x"),
        (["rules", "show", "--data", "{tmp}/none"], 78, "holds no installation"),
        (["review", "list", "--data", "{tmp}/none"], 78, "holds no installation"),
        (["review", "decide", "perhaps", "x"], 2, "perhaps"),
        (["award", "email:a@example.ca", "x", "--date", "2026-01-05", "--data", "{tmp}"], 2, "--reason"),
        (["rules", "backfill", "x", "--data", "{tmp}/none"], 78, "holds no installation"),
        (["rules", "propose", "catalogues/ontario-pilots"], 2, "--output"),
        (
            ["init", "--base-url", "http://x", "--catalogue", "catalogues/ontario-pilots", "--data", "{tmp}/d"],
            78,
            "begins with https://",
        ),
    ],
    ids=str,
)
def test_a_mistake_is_one_clear_line(args: list[str], code: int, says: str, tmp_path: Path) -> None:
    done = credstream(*(arg.replace("{tmp}", str(tmp_path)) for arg in args))
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == code, said
    assert says in said
    assert "Traceback" not in said


def test_an_installation_is_made_once_and_its_secrets_are_its_owners(tmp_path: Path, root: Path) -> None:
    args = (
        "init",
        "--base-url",
        "https://c.example",
        "--catalogue",
        str(root / "catalogues/ontario-pilots"),
        "--data",
        str(tmp_path / "d"),
    )
    first = credstream(*args)
    assert first.returncode == 0, first.stderr
    assert "secrets/learner-ref.key" in "".join(first.stdout.split())
    files = [p for p in (tmp_path / "d" / "secrets").rglob("*") if p.is_file() and p.name != "keys.json"]
    assert len(files) > 8
    assert all(p.stat().st_mode & 0o077 == 0 for p in files)
    again = credstream(*args)
    assert again.returncode == 78
    assert "never overwritten" in again.stderr
    away = credstream("topics", "--data", str(tmp_path / "d"))
    assert away.returncode == 78
    assert "credstream up" in " ".join(away.stderr.split())


def test_a_partner_endorses_with_a_key_of_its_own(tmp_path: Path) -> None:
    key, secret, signed = tmp_path / "acme.pem", tmp_path / "passphrase", tmp_path / "acme.json"
    secret.write_text("correct horse")
    made = credstream("endorse", "key", str(key), "--passphrase-file", str(secret))
    assert made.returncode == 0
    assert "key: z6Mk" in made.stdout
    again = credstream("endorse", "key", str(key), "--passphrase-file", str(secret))
    assert (again.returncode, "never overwritten" in again.stderr) == (78, True)
    url = "https://credentials.college.example/achievements/college/patient-transfer"
    options = ["--key", str(key), "--name", "Acme", "--comment", "Asked for.", "-o", str(signed)]
    done = credstream("endorse", "sign", url, *options, "--passphrase-file", str(secret))
    assert done.returncode == 0, done.stderr
    said = credstream("endorse", "check", str(signed))
    assert (said.returncode, "Acme" in said.stdout, "Asked for." in said.stdout) == (0, True, True)
    signed.write_text(signed.read_text().replace("Asked for.", "Asked for!"))
    assert credstream("endorse", "check", str(signed)).returncode == 1
