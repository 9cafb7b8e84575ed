"""The repository holds what it should and nothing that it must not."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

HOSTS = [
    ".".join(p)
    for p in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("maven", "org"),
        ("crates", "io"),
        ("golang", "org"),
    )
]
MACHINE = re.compile(r"(?<![\w.-])/(?:work|root|opt/wheels|tmp/bash)[/\w]*/")


@pytest.fixture(scope="module")
def tracked(root: Path) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [root / name for name in listed.stdout.split("\0") if name and (root / name).is_file()]


def test_no_file_is_large(tracked: list[Path]) -> None:
    assert [p for p in tracked if p.stat().st_size > 1_000_000] == []


def test_nothing_names_a_registry_or_a_machine(tracked: list[Path]) -> None:
    found = []
    for path in tracked:
        text = path.read_text("utf-8", "replace")
        found += [f"{path}: {host}" for host in HOSTS if re.search(rf"https?://[\w.-]*{re.escape(host)}", text)]
        found += [f"{path}: {hit.group()}" for hit in MACHINE.finditer(text) if path.name != "test_repository.py"]
    assert found == []


@pytest.mark.parametrize("name", ["run.lock", "dev.lock"])
def test_lock_files_carry_hashes_and_no_address(name: str, root: Path) -> None:
    text = (root / "requirements" / name).read_text()
    assert "://" not in text
    pinned = re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==", text, re.MULTILINE)
    assert len(pinned) > 50
    assert text.count("--hash=sha256:") >= len(pinned)


def test_no_other_package_claims_our_names() -> None:
    claimed = packages_distributions()
    assert {
        name: set(claimed[name]) for name in ("schemas", "services", "streams", "credstream") if name in claimed
    } == {name: {"credstream"} for name in ("schemas", "services", "streams", "credstream") if name in claimed}


def test_the_licence_is_apache_2(root: Path) -> None:
    assert "Apache License" in (root / "LICENSE").read_text()[:200]


def test_decisions_are_numbered_without_gaps(root: Path) -> None:
    numbers = sorted(int(p.name[:4]) for p in (root / "docs" / "decisions").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_links_in_documents_lead_somewhere(root: Path) -> None:
    for page in [root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
