"""The auditor's own reading of the rules agrees with what the pipe decides, whatever happens in whatever order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.audited import audited
from support.chance import world

CASES = int(os.environ.get("CREDSTREAM_CASES", "120")) // 6


@pytest.mark.parametrize("seed", range(CASES))
def test_two_readings_of_the_rules_agree_on_every_decision(seed: int, tmp_path: Path) -> None:
    findings = audited(world(seed), tmp_path, sample=1)
    assert [(f.invariant.name, f.first) for f in findings if f.violations] == []
