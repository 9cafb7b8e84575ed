"""Settings are read before anything else is touched, and what is wrong with them is one line that names the field."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import RefusedError
from streams.settings import load

GOOD = """
base_url = "https://credentials.example"
epoch = "e1"
[kafka]
bootstrap_servers = "127.0.0.1:9"
"""
WRONG = {
    "a field that is missing": (GOOD.replace('epoch = "e1"', ""), "`epoch`"),
    "an unknown field": (GOOD + "lane = 4", "`lane`"),
    "a field of another type": (GOOD + 'lanes = "four"', r"\$.kafka.lanes"),
    "a number out of range": (GOOD + "lanes = 0", "kafka.lanes must be from 1 to 1024"),
    "a number far out of range": (GOOD + "lanes = 99999", "kafka.lanes must be from 1 to 1024"),
    "an address in the clear": (GOOD.replace("https", "http"), "base_url must begin with https://"),
    "an address that ends with a slash": (GOOD.replace("example", "example/"), "not end with a slash"),
    "no TOML": (GOOD + "[", "credstream.toml"),
    "a field twice": (GOOD + 'bootstrap_servers = "x"', "credstream.toml"),
    "no text": ("\x00", "credstream.toml"),
}


@pytest.mark.fault("G1")
@pytest.mark.parametrize(("text", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_refused_with_its_name(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "credstream.toml").write_text(text)
    with pytest.raises(RefusedError, match=says) as refused:
        load(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.fault("G1")
def test_a_processor_with_wrong_settings_exits_with_78_and_one_line_before_it_asks_for_kafka(tmp_path: Path) -> None:
    (tmp_path / "credstream.toml").write_text(GOOD + "lanes = 0")
    command = [sys.executable, "-m", "credstream", "run", "competency", "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 78
    assert "kafka.lanes" in done.stderr
    assert "Traceback" not in done.stderr
    assert "127.0.0.1:9" not in done.stderr
