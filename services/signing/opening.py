"""Opens a credential in any form in which it travels: JSON with a proof, VC-JWT, or either of them baked into a PNG or an SVG.

Whatever the bytes are, opening them is bounded: nothing is decompressed, no XML entity is expanded, nothing is fetched.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from xml.parsers import expat

from services.signing.badge import MAX_BYTES, parsed
from services.signing.jwt_proof import CompactJws, read_jws

MAX_IMAGE_BYTES: Final = 5_000_000
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_KEYWORD: Final = b"openbadgecredential\0"
_OLDER_KEYWORD: Final = b"openbadges\0"
_UNCOMPRESSED: Final = b"\0\0\0\0"  # flag, method, empty language, empty translated keyword
_MAX_CHUNKS: Final = 10_000
_CHUNK_FRAME: Final = 12
_SVG_NAMESPACE: Final = "https://purl.imsglobal.org/ob/v3p0"
_OLDER_SVG_NAMESPACE: Final = "http://openbadges.org"
_MAX_ELEMENTS: Final = 200_000
_JWS: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")


class UnopenableError(ValueError):
    """The bytes hold no credential that is read here. `known_form` when they are of a form that is known, yet not read."""

    def __init__(self, reason: str, *, known_form: bool = False) -> None:
        """Say why in plain words."""
        super().__init__(reason)
        self.known_form = known_form


@dataclass(frozen=True, slots=True)
class Opened:
    """A credential's document, the token that secures it if it came as one, and how it travelled."""

    document: Mapping[str, Any]
    token: CompactJws | None
    form: str


def opened(data: bytes) -> Opened:
    """Return the credential in these bytes.

    Raises:
        UnopenableError: There is none.
    """
    if data.startswith(_PNG):
        return _of_text(_baked_in_png(data), " in a PNG image")
    text = data.removeprefix(b"\xef\xbb\xbf").strip()
    if text.startswith(b"<"):
        return _of_text(_baked_in_svg(data), " in an SVG image")
    if text.startswith(b"%PDF"):
        raise UnopenableError("a PDF is for people; verify the JSON or the image that came with it", known_form=True)
    return _of_text(text, "")


def _of_text(text: bytes, where: str) -> Opened:
    if len(text) > MAX_BYTES:
        raise UnopenableError(f"{len(text):,} bytes; at most {MAX_BYTES:,} are read")
    if _JWS.fullmatch(text):
        token = read_jws(text)
        if isinstance(token, str):
            raise UnopenableError(token)
        return Opened(token.payload, token, f"a VC-JWT of {len(text):,} bytes{where}")
    document = parsed(text)
    if isinstance(document, str):
        raise UnopenableError(document)
    return Opened(document, None, f"{len(text):,} bytes of JSON{where}")


def _baked_in_png(data: bytes) -> bytes:
    """Return the text of the one credential in a PNG (OB 3.0 §5.3.1): an uncompressed iTXt chunk with its own keyword."""
    _check_size(data)
    found = [chunk for kind, chunk in _chunks(data) if kind == b"iTXt" and chunk.startswith(_KEYWORD)]
    if not found:
        if any(chunk.startswith(_OLDER_KEYWORD) for kind, chunk in _chunks(data) if kind in {b"iTXt", b"tEXt"}):
            raise UnopenableError("an image with an Open Badge of version 2 or older", known_form=True)
        raise UnopenableError("no credential is baked into this image")
    if len(found) > 1:
        raise UnopenableError("two credentials are baked into this image; which one is meant cannot be told")
    rest = found[0].removeprefix(_KEYWORD)
    if not rest.startswith(_UNCOMPRESSED):
        raise UnopenableError("the credential in this image is compressed or marked with a language")
    return rest.removeprefix(_UNCOMPRESSED).strip()


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and data of a PNG's chunks up to its end (PNG §5.3)."""
    position = len(_PNG)
    for _ in range(_MAX_CHUNKS):
        length = int.from_bytes(data[position : position + 4], "big")
        kind, end = data[position + 4 : position + 8], position + _CHUNK_FRAME + length
        if len(kind) < 4 or end > len(data):  # noqa: PLR2004  a type has four letters
            raise UnopenableError("the image is cut off")
        chunk = data[position + 8 : end - 4]
        if kind in {b"iTXt", b"tEXt"}:
            if zlib.crc32(kind + chunk) != int.from_bytes(data[end - 4 : end], "big"):
                raise UnopenableError("a text in the image is damaged")
            yield kind, chunk
        if kind == b"IEND":
            return
        position = end
    raise UnopenableError(f"more than {_MAX_CHUNKS:,} parts in the image")


def _baked_in_svg(data: bytes) -> bytes:
    """Return the text of the one credential in an SVG (OB 3.0 §5.3.2): the `verify` attribute, or the element's own text."""
    _check_size(data)
    reader = _SvgReader()
    try:
        reader.parser.Parse(data, True)  # noqa: FBT003  the whole of it
    except expat.ExpatError as error:
        raise UnopenableError(f"not XML: {expat.errors.messages[error.code]} in line {error.lineno}") from None
    if len(reader.found) != 1:
        if not reader.found and reader.is_older:
            raise UnopenableError("an image with an Open Badge of version 2 or older", known_form=True)
        count = "no credential is" if not reader.found else f"{len(reader.found)} credentials are"
        raise UnopenableError(f"{count} baked into this image")
    [texts] = reader.found
    return "".join(texts).strip().encode()


class _SvgReader:
    """Collects what stands in `openbadges:credential`."""

    def __init__(self) -> None:
        self.found: list[list[str]] = []
        self.is_older = False
        self._inside = False
        self._elements = 0
        self.parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def _doctype(self, _name: str, _system: str | None, _public: str | None, has_declarations: int) -> None:
        """Pass over an address of a document type, which is never fetched; refuse declarations, which could be entities."""
        if has_declarations:
            self._refuse()

    def _refuse(self, *_: Any) -> None:
        raise UnopenableError("the image declares entities or its own document type; none is read")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if self._elements > _MAX_ELEMENTS:
            raise UnopenableError(f"more than {_MAX_ELEMENTS:,} elements in the image")
        if self._inside:
            raise UnopenableError("an element stands inside the credential in this image")
        self.is_older |= name.startswith(_OLDER_SVG_NAMESPACE)
        if name == f"{_SVG_NAMESPACE} credential":
            self._inside = True
            self.found.append([attributes["verify"]] if "verify" in attributes else [])

    def _end(self, _name: str) -> None:
        self._inside = False

    def _text(self, text: str) -> None:
        if self._inside and not (self.found[-1] and not text.strip()):
            self.found[-1].append(text)


def _check_size(image: bytes) -> None:
    if len(image) > MAX_IMAGE_BYTES:
        raise UnopenableError(f"an image of {len(image):,} bytes; at most {MAX_IMAGE_BYTES:,} are read")
