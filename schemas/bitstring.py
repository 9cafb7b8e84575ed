"""The bitstring of a status list (W3C Bitstring Status List 1.0 §3): index 0 is the left-most bit."""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from collections.abc import Iterable
from typing import Final

from schemas.ids import LIST_LENGTH

_MAX_BYTES: Final = 2_097_152
_GZIP: Final = 31


def encode_bits(indexes: Iterable[int], length: int = LIST_LENGTH) -> str:
    """Return `encodedList` for a list of `length` places in which these are set."""
    bits = bytearray(length // 8)
    for index in indexes:
        bits[index >> 3] |= 0x80 >> (index & 7)
    packed = gzip.compress(bytes(bits), mtime=0)
    return "u" + base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode_bits(encoded: str) -> bytes:
    """Return the bits behind `encodedList`; at most 2 MiB are expanded.

    Raises:
        ValueError: It is not multibase base64url of GZIP, too long, or shorter than 131,072 places.
    """
    if not encoded.startswith("u"):
        raise ValueError("encodedList is not multibase base64url")
    text = encoded[1:]
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        stream = zlib.decompressobj(_GZIP)
        bits = stream.decompress(packed, _MAX_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"encodedList does not expand: {error}") from error
    if not stream.eof:
        raise ValueError("encodedList expands to more than 2 MiB, or is cut off")
    if len(bits) * 8 < LIST_LENGTH:
        raise ValueError(f"the list has {len(bits) * 8} places; the standard asks for {LIST_LENGTH}")
    return bits


def is_set(bits: bytes, index: int) -> bool:
    """Say whether the place is set.

    Raises:
        IndexError: The list is shorter.
    """
    return bool(bits[index >> 3] & (0x80 >> (index & 7)))
