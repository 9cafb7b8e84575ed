"""Data that lies beside the project on its own machines and is never committed."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).parents[3] / "shared"


def shared(path: str) -> Path:
    """Return a file or folder below ../shared, or skip the test where there is none."""
    found = _SHARED / path
    if not found.exists():
        pytest.skip(f"needs ../shared/{path}, which lies beside the project on its own machines alone")
    return found
