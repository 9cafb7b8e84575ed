"""Sets documents as PDF/UA-1 with typst. The same data gives the same bytes, for one version of typst."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import as_file, files
from typing import Any, Final, Literal

import msgspec
import segno
import typst

from services.forms.lettering import FONTS

Template = Literal["certificate", "transcript"]
_TEMPLATES: Final = files("services.forms")
_SHORTEST: Final = 20


@cache
def _compiler() -> typst.Compiler:
    with as_file(FONTS) as fonts:
        return typst.Compiler(font_paths=[str(fonts)], ignore_system_fonts=True)


def pdf(template: Template, data: Mapping[str, Any], made: datetime) -> bytes:
    """Return a document for printing, accessible by PDF/UA-1 (ISO 14289-1)."""
    printed = _compiler().compile(
        (_TEMPLATES / f"{template}.typ").read_bytes(),
        format="pdf",
        sys_inputs={"data": msgspec.json.encode(data).decode()},
        pdf_standards=["ua-1"],
        timestamp=made.astimezone(UTC),
    )
    if not isinstance(printed, bytes):
        raise TypeError(f"{template}: typst gave no file")
    return printed


def qr(url: str) -> str:
    """Return a QR code as SVG."""
    return str(segno.make(url, error="m", micro=False).svg_inline(border=0, scale=4, dark="#1b2128", omitsize=False))


def size_for(title: str, largest: int = 40) -> int:
    """Return a size in points at which a title stays within two or three lines."""
    return max(_SHORTEST, largest - max(0, len(title) - 24) // 3)
