"""Base58 (Bitcoin alphabet), multibase and multikeys (W3C Controlled Identifiers 1.0 §2.2.2, §2.4)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS: Final = [a + b for a in _ALPHABET for b in _ALPHABET]
_TWO, _FOUR, _EIGHT = 58**2, 58**4, 58**8
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_ED25519_PUBLIC: Final = b"\xed\x01"
_ED25519_BYTES: Final = 32
_MAX_CHARS: Final = 200


def base58(data: bytes) -> str:
    """Return the bytes in base58btc."""
    number = int.from_bytes(data, "big")
    pairs: list[str] = []
    while number:
        number, eight = divmod(number, _EIGHT)  # eight digits at a time fit the machine's own division
        high, low = divmod(eight, _FOUR)
        pairs += (_PAIRS[low % _TWO], _PAIRS[low // _TWO], _PAIRS[high % _TWO], _PAIRS[high // _TWO])
    digits = "".join(reversed(pairs)).lstrip("1")
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + digits


def from_base58(text: str) -> bytes:
    """Return the bytes behind base58btc.

    Raises:
        ValueError: A character is not of the alphabet, or the text is longer than any key or signature.
    """
    if len(text) > _MAX_CHARS:
        raise ValueError("too long for a key or a signature")
    number = 0
    for character in text:
        if character not in _VALUES:
            raise ValueError(f"{character!r} is not base58")
        number = number * 58 + _VALUES[character]
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def multikey(public: bytes) -> str:
    """Return an Ed25519 public key as a multikey (`z6Mk…`)."""
    return f"z{base58(_ED25519_PUBLIC + public)}"


@lru_cache(maxsize=1024)
def public_bytes(multikey_text: str) -> bytes:
    """Return the 32 bytes of an Ed25519 multikey.

    Raises:
        ValueError: It is another kind of key, or none.
    """
    if not multikey_text.startswith("z"):
        raise ValueError("a multikey begins with z (base58btc)")
    data = from_base58(multikey_text[1:])
    if not data.startswith(_ED25519_PUBLIC) or len(data) != len(_ED25519_PUBLIC) + _ED25519_BYTES:
        raise ValueError("not an Ed25519 multikey")
    return data[len(_ED25519_PUBLIC) :]
