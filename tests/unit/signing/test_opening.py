"""Whatever bytes arrive, opening them is bounded and finds one credential or says why not."""

from __future__ import annotations

import gzip
import io
import json
import struct
import time
import tracemalloc
import zlib
from base64 import urlsafe_b64encode
from typing import Any

import png
import pytest
from openbadgeslib.baking import ITXT_KEYWORD_OB3, SVG_ELEMENT_OB3, extract_png, extract_svg
from support.badges import DID_URL, DOCUMENTS, LIST, NOW, SIGNER, badge, signed, status_list

from services.forms.baking import bake_png, bake_svg
from services.signing.opening import MAX_IMAGE_BYTES, UnopenableError, opened
from services.signing.verdict import Verdict
from services.signing.verifying import Verifier

GOOD = json.dumps(signed({**badge(), "name": 'Déplacer ]]> sans <nuire> & "sûrement"'}), ensure_ascii=False).encode()
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><title>a &amp; b</title></svg>'


def image() -> bytes:
    file = io.BytesIO()
    png.Writer(2, 2, greyscale=True).write(file, [[0, 255], [255, 0]])
    return file.getvalue()


def chunk(kind: bytes, data: bytes, *, crc: int | None = None) -> bytes:
    check = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def with_chunks(*chunks: bytes) -> bytes:
    plain = image()
    return plain[:33] + b"".join(chunks) + plain[33:]


def itxt(text: bytes, keyword: bytes = b"openbadgecredential", flag: int = 0, language: bytes = b"") -> bytes:
    return chunk(b"iTXt", keyword + b"\0" + bytes([flag, 0]) + language + b"\0\0" + text)


def verdict(data: bytes) -> Verdict:
    return Verifier(DOCUMENTS, now=NOW, is_suspended=lambda _: False).verify(data)


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        b"\xef\xbb\xbf \n" + GOOD + b"\n",
        bake_png(image(), GOOD),
        bake_svg(SVG, GOOD),
        b'<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd">\n'
        + bake_svg(SVG, GOOD),
        ("\ufeff" + bake_svg(SVG, GOOD).decode()).encode("utf-16"),
    ],
    ids=["JSON", "JSON with a mark and space", "PNG", "SVG", "SVG with a public document type", "SVG in UTF-16"],
)
def test_a_credential_is_the_same_in_every_form(data: bytes) -> None:
    if data.startswith(b"\xff\xfe"):
        assert verdict(data).overall == "invalid"  # images are read as UTF-8 alone
        return
    assert verdict(data).overall == "valid"
    assert opened(data).document == json.loads(GOOD)


def test_another_librarys_reader_finds_what_was_baked() -> None:
    assert extract_png(bake_png(image(), GOOD), keyword=ITXT_KEYWORD_OB3) == GOOD.decode()
    found = extract_svg(bake_svg(SVG, GOOD), element=SVG_ELEMENT_OB3, text_fallback=True)
    assert json.loads(str(found)) == json.loads(GOOD)


def test_pixels_stay_as_they_were_under_another_librarys_eyes() -> None:
    before, after = (list(map(list, png.Reader(bytes=data).read()[2])) for data in (image(), bake_png(image(), GOOD)))
    assert before == after


REFUSED: dict[str, tuple[bytes, str]] = {
    "no credential in a PNG": (image(), "no credential"),
    "no credential in an SVG": (SVG.encode(), "no credential"),
    "two in a PNG": (with_chunks(itxt(GOOD), itxt(GOOD)), "two credentials"),
    "two in an SVG": (
        bake_svg(SVG, GOOD).replace(b"</svg>", b"") + bake_svg("<svg ></svg>", GOOD) + b"</svg>",
        "2 credentials",
    ),
    "a compressed text": (with_chunks(itxt(zlib.compress(GOOD), flag=1)), "compressed"),
    "a compressed bomb": (with_chunks(itxt(zlib.compress(bytes(500_000_000), 9), flag=1)), "compressed"),
    "a text in a language": (with_chunks(itxt(GOOD, language=b"en")), "language"),
    "a damaged text": (with_chunks(chunk(b"iTXt", b"openbadgecredential\0\0\0\0\0" + GOOD, crc=1)), "damaged"),
    "a PNG cut off": (bake_png(image(), GOOD)[:-20], "cut off"),
    "a PNG that is its name alone": (b"\x89PNG\r\n\x1a\n", "cut off"),
    "a chunk that claims 4 GB": (image()[:33] + b"\xff\xff\xff\xffiTXtopenbadge", "cut off"),
    "too many chunks": (with_chunks(*[chunk(b"tEXt", b"")] * 10_001), "parts"),
    "too large an image": (image() + bytes(MAX_IMAGE_BYTES), "at most"),
    "an SVG with entities": (
        b'<!DOCTYPE svg [<!ENTITY a "x">]>' + SVG.encode().replace(b"a &amp; b", b"&a;"),
        "declares entities",
    ),
    "a billion laughs": (
        (
            b'<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
            b'<svg xmlns:o="https://purl.imsglobal.org/ob/v3p0"><o:credential>&c;</o:credential></svg>'
        ),
        "declares entities",
    ),
    "a file as an entity": (
        b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg><title>&x;</title></svg>',
        "declares entities",
    ),
    "a document type with a parameter": (
        b'<!DOCTYPE svg [<!ENTITY % p SYSTEM "http://127.0.0.1/">%p;]><svg/>',
        "declares entities",
    ),
    "an element inside": (
        b'<svg xmlns:o="https://purl.imsglobal.org/ob/v3p0"><o:credential><b>x</b></o:credential></svg>',
        "inside",
    ),
    "no XML": (b"<svg", "not XML"),
    "too many elements": (b"<svg>" + b"<g/>" * 200_001 + b"</svg>", "elements"),
    "nested elements": (b"<g>" * 100_000, "not XML"),
    "too long a JSON": (b"{" + b" " * 1_000_001 + b"}", "at most"),
    "too long a token": (b"a.b." + b"c" * 1_000_001, "at most"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_hostile_or_broken_is_refused_in_little_time_and_memory(name: str) -> None:
    data, reason = REFUSED[name]
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(UnopenableError, match=reason):
        opened(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - began < 5
    assert peak < 60_000_000
    assert verdict(data).overall == "invalid"


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7",
        with_chunks(itxt(b"https://badge.example/1", keyword=b"openbadges")),
        b'<svg xmlns:o="http://openbadges.org"><o:assertion verify="a.b.c"/></svg>',
    ],
    ids=["PDF", "Open Badges 2 in a PNG", "Open Badges 2 in an SVG"],
)
def test_forms_that_are_known_and_not_read_are_unknown_and_not_invalid(data: bytes) -> None:
    assert verdict(data).overall == "unknown"


def listed(encoded: str, **changes: Any) -> dict[str, bytes]:
    """Return the documents with a signed list whose bits are these."""
    from services.signing.data_integrity import sign
    from services.signing.shape import Shape

    about = json.loads(status_list())
    del about["proof"]
    about["credentialSubject"]["encodedList"] = encoded
    again = sign(
        Shape(about | changes),
        [],
        SIGNER,
        verification_method="did:web:issuer.example#key-1",
        created="2026-03-01T10:00:00Z",
    )
    return {**DOCUMENTS, LIST: again}


def packed(data: bytes) -> str:
    return "u" + urlsafe_b64encode(gzip.compress(data, 9)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        (listed(packed(bytes(400_000_000))), "2 MiB"),
        (listed(packed(bytes(16_384))[:-8]), "cut off|expand"),
        (listed(packed(bytes(16_383))), "places"),
        ({**DOCUMENTS, LIST: status_list()[:-40]}, "not JSON"),
        ({**DOCUMENTS, LIST: DOCUMENTS[DID_URL]}, "not this issuer"),
        ({**DOCUMENTS, LIST: status_list().replace(b'"z', b'"zz', 1)}, "proofValue|signature|base58"),
        (listed(packed(bytes(16_384)), id="https://issuer.example/status/2"), "not this issuer"),
        (listed(packed(bytes(16_384)), validUntil="2026-05-31T23:59:59Z"), "expired"),
    ],
    ids=["a bomb", "cut off", "too short", "cut JSON", "another document", "another signature", "swapped", "past"],
)
def test_a_list_that_cannot_be_trusted_tells_nothing(documents: dict[str, bytes], reason: str) -> None:
    import re

    found = Verifier(documents, now=NOW, is_suspended=lambda _: False).verify(GOOD)
    assert found.overall == "unknown"
    assert found.deciding is not None
    assert found.deciding.name == "revocation"
    assert re.search(reason, found.deciding.reason), found.deciding
