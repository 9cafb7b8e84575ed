"""Every script and emoji may enter the log; controls and disguises may not."""

from __future__ import annotations

import pytest

from schemas.text import text_fault


@pytest.mark.fault("E12")
@pytest.mark.parametrize(
    "text", ["safe-transfer", "Zoë", "ᐃᓄᒃᑎᑐᑦ", "安全", "👩🏽\u200d🔧", "", "e\u0301".replace("e\u0301", "é")]
)
def test_real_text_is_fine(text: str) -> None:
    assert text_fault(text) is None


@pytest.mark.fault("E12")
@pytest.mark.parametrize(
    "text",
    ["a\x00b", "a\nb", "\x7f", "\x85", "\u202eabc", "\u2066", "\u2028", "\ufdd0", "e\u0301", "a" + "\u0316" * 31],
)
def test_controls_overrides_and_piles_of_marks_are_not(text: str) -> None:
    assert text_fault(text)
