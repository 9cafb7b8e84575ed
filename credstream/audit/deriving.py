"""Identifiers, lanes and places, computed anew from what they name."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
import zlib
from functools import lru_cache
from typing import Final

PLACES: Final = 131_072
"""Places in a status list (Bitstring Status List 1.0 §4.4)."""
_HALF: Final = 9  # bits of the right half; the left one has eight
_MAX_BITS: Final = 2_097_152


def derived(secret: bytes, *parts: str) -> bytes:
    """Return HMAC-SHA-256 over the parts, each preceded by its length in four bytes."""
    text = bytearray()
    for part in parts:
        data = part.encode()
        text += len(data).to_bytes(4, "big") + data
    return hmac.new(secret, text, hashlib.sha256).digest()


def credential_id(secret: bytes, programme: str, learner: str, achievement: str, award: int, edition: int) -> str:
    """Return the id that a credential must have: a UUID of version 8."""
    data = bytearray(derived(secret, "credential", programme, learner, achievement, str(award), str(edition))[:16])
    return _uuid8(data)


def subject_id(secret: bytes, credential: str) -> str:
    """Return the id that the subject of a credential must have."""
    return f"urn:uuid:{_uuid8(bytearray(derived(secret, 'subject', credential)[:16]))}"


def _uuid8(data: bytearray) -> str:
    data[6] = data[6] & 0x0F | 0x80
    data[8] = data[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(data)))


def place(secret: bytes, programme: str, epoch: str, lane: int, claim_no: int) -> int:
    """Return the index that a claim must have in its list: ten rounds of an unbalanced Feistel network.

    Each pair of rounds takes its functions from SHAKE-256 of the list's key and the number of the pair: 512 bytes, then 256 words.
    """
    number, at = claim_no // PLACES, claim_no % PLACES
    key = derived(secret, "status", programme, epoch, str(lane), str(number))
    left, right = at >> _HALF, at % (1 << _HALF)
    for pair in range(5):
        table = _table(key, pair)
        left ^= table[right]
        word = table[512 + 2 * left] << 8 | table[513 + 2 * left]
        right ^= word % (1 << _HALF)
    return (left << _HALF) + right


@lru_cache(maxsize=512)
def _table(key: bytes, pair: int) -> bytes:
    return hashlib.shake_256(key + bytes([pair])).digest(1024)


def lane_of(key: bytes, lanes: int) -> int:
    """Return the partition of a key by Kafka's default partitioner (murmur2)."""
    m, word = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(key)
    full = len(key) - len(key) % 4
    for at in range(0, full, 4):
        k = int.from_bytes(key[at : at + 4], "little") * m & word
        k ^= k >> 24
        h = (h * m & word) ^ (k * m & word)
    tail = int.from_bytes(key[full:], "little")
    if full < len(key):
        h = (h ^ tail) * m & word
    h ^= h >> 13
    h = h * m & word
    h ^= h >> 15
    return (h & 0x7FFFFFFF) % lanes


def set_places(encoded: str) -> tuple[int, set[int]]:
    """Return how many places an `encodedList` has, and which are set; the first is the left-most bit.

    Raises:
        ValueError: It is not multibase base64url of GZIP.
    """
    if encoded[:1] != "u":
        raise ValueError("encodedList is not multibase base64url")
    padding = "=" * (-(len(encoded) - 1) % 4)
    try:
        packed = base64.b64decode(encoded[1:] + padding, altchars=b"-_", validate=True)
        bits = _inflated(packed)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"encodedList does not expand: {error}") from error
    marked = ((at, byte) for at, byte in enumerate(bits) if byte)
    return len(bits) * 8, {at * 8 + bit for at, byte in marked for bit in range(8) if byte & (0x80 >> bit)}


def _inflated(packed: bytes) -> bytes:
    if packed[:2] != b"\x1f\x8b":
        raise ValueError("not GZIP")
    out = zlib.decompressobj(wbits=31)
    bits = out.decompress(packed, _MAX_BITS)
    if not out.eof:
        raise ValueError("cut off, or longer than 2 MiB")
    return bits
