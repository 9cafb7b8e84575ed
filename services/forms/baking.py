"""Badges baked into images (Open Badges 3.0 §5.3): a PNG's iTXt chunk, an SVG's element. One badge an image."""

from __future__ import annotations

import zlib
from typing import Final

KEYWORD: Final = b"openbadgecredential"
NAMESPACE: Final = "https://purl.imsglobal.org/ob/v3p0"
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEADER_END: Final = len(_SIGNATURE) + 25
"""IHDR is always first, and 25 bytes long with its length, type and CRC (PNG 3 §11.2.1)."""


def bake_png(image: bytes, credential: bytes) -> bytes:
    """Return the image with the credential's JSON in an iTXt chunk right after IHDR, not compressed (§5.3.1.1).

    Raises:
        ValueError: It is no PNG, or holds a badge already.
    """
    if not image.startswith(_SIGNATURE) or image[12:16] != b"IHDR":
        raise ValueError("no PNG")
    if b"iTXt" + KEYWORD + b"\0" in image:
        raise ValueError("a badge is baked into it already")
    body = b"iTXt" + KEYWORD + b"\0" + b"\0\0" + b"\0" + b"\0" + credential
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return image[:_HEADER_END] + chunk + image[_HEADER_END:]


def bake_svg(image: str, credential: bytes) -> bytes:
    """Return the image with the credential's JSON in an `openbadges:credential` element right after the start tag (§5.3.2.1).

    Raises:
        ValueError: It is no SVG, or holds a badge already.
    """
    if not image.startswith("<svg ") or NAMESPACE in image:
        raise ValueError("no SVG without a badge")
    text = credential.decode().replace("]]>", "]]\\u003e")  # only inside a JSON string can this stand
    tag, rest = image[5:].split(">", 1)
    element = f"<openbadges:credential><![CDATA[{text}]]></openbadges:credential>"
    return f'<svg xmlns:openbadges="{NAMESPACE}" {tag}>{element}{rest}'.encode()
