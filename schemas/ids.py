"""Identifiers: each derives from what it names, so a replay names the same thing the same way.

Secrets come in as arguments; losing one changes every identifier after it, so `init` lists them for the backup.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

LIST_LENGTH: Final = 131_072
"""Places in a status list: the least that Bitstring Status List 1.0 allows, for herd privacy (§4.4)."""
_MASK_32: Final = 0xFFFFFFFF


def derive(secret: bytes, *parts: str) -> bytes:
    """Return HMAC-SHA-256 over the parts, unambiguous whatever they hold (each is preceded by its length)."""
    text = b"".join(len(data).to_bytes(4, "big") + data for data in (part.encode() for part in parts))
    return hmac.digest(secret, text, "sha256")


def learner_ref(secret: bytes, programme: str, scheme: str, identifier: str, generation: int = 0) -> str:
    """Return the opaque id of a learner in a programme: 128 bits as 32 hexadecimal digits.

    The identifier is trimmed, case-folded and NFC-normalised first, so `A@Example.ca ` and `a@example.ca` are one learner.
    """
    normal = unicodedata.normalize("NFC", unicodedata.normalize("NFC", identifier).strip().casefold())
    return derive(secret, "learner", programme, scheme, normal, str(generation)).hex()[:32]


def identity_hash(secret: bytes, learner: str, identity_type: str, identifier: str) -> tuple[str, str]:
    """Return the salt and the salted hash by which a learner's credentials can be recognised (OB 3.0 IdentityObject).

    The identifier is trimmed and lower-cased first. The salt derives from the learner and the type, so a repeat says the same.
    """
    salt = derive(secret, "identity", learner, identity_type).hex()[:32]
    digest = hashlib.sha256((identifier.strip().lower() + salt).encode()).hexdigest()
    return salt, f"sha256${digest}"


def learner_key(programme: str, learner: str) -> bytes:
    """Return the record key of everything about one learner."""
    return f"{programme}:{learner}".encode()


def lane_of(key: bytes, lanes: int) -> int:
    """Return the partition that every Kafka client with the Java default partitioner chooses for this key."""
    return (_murmur2(key) & 0x7FFFFFFF) % lanes


def _murmur2(data: bytes) -> int:
    """MurmurHash2 with Kafka's seed (org.apache.kafka.common.utils.Utils#murmur2)."""
    m, h = 0x5BD1E995, 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = (int.from_bytes(data[i : i + 4], "little") * m) & _MASK_32
        k = ((k ^ (k >> 24)) * m) & _MASK_32
        h = ((h * m) & _MASK_32) ^ k
    if rest := data[whole:]:
        h = ((h ^ int.from_bytes(rest, "little")) * m) & _MASK_32
    h = ((h ^ (h >> 13)) * m) & _MASK_32
    return h ^ (h >> 15)


def credential_uuid(secret: bytes, programme: str, learner: str, achievement: str, award: int, edition: int) -> str:
    """Return the credential's id: one for each (learner, achievement, award, edition), 122 bits, unguessable."""
    return _uuid(derive(secret, "credential", programme, learner, achievement, str(award), str(edition)))


def subject_id(secret: bytes, credential: str) -> str:
    """Return the `credentialSubject.id`: a URN of its own for each credential, so that two cannot be linked by it."""
    return f"urn:uuid:{_uuid(derive(secret, 'subject', credential))}"


def _uuid(digest: bytes) -> str:
    """RFC 9562 §5.8: version 8, the bits are ours."""
    return str(UUID(int=(int.from_bytes(digest[:16], "big") & ~(0xF << 76) & ~(0x3 << 62)) | (8 << 76) | (2 << 62)))


def credential_url(base_url: str, credential: str) -> str:
    """Return the credential's `id`."""
    return f"{base_url}/credentials/{credential}"


def issuer_did(base_url: str, programme: str) -> str:
    """Return the programme's did:web identifier; its document is served at `/programmes/<programme>/did.json`."""
    host = base_url.removeprefix("https://").replace(":", "%3A")
    return f"did:web:{host}:programmes:{programme}"


def issuer_document_url(base_url: str, programme: str) -> str:
    """Return where the programme's DID document is served (did:web, method specification, `read`)."""
    return f"{base_url}/programmes/{programme}/did.json"


def achievement_url(base_url: str, programme: str, achievement: str) -> str:
    """Return the achievement's `id`."""
    return f"{base_url}/achievements/{programme}/{achievement}"


def translated_url(url: str, language: str) -> str:
    """Return the `id` of an achievement's twin in another language (BCP 47)."""
    return f"{url}/{language}"


def key_history_url(base_url: str, programme: str) -> str:
    """Return where every key that the programme ever published is listed, with its times."""
    return f"{base_url}/programmes/{programme}/keys"


def jwk_url(base_url: str, programme: str, key: str) -> str:
    """Return where one public JWK is served: the `kid` of JWTs, which verifiers dereference to a bare JWK (OB 3.0 §8.2.4)."""
    return f"{base_url}/programmes/{programme}/keys/{key}"


def badge_url(base_url: str, programme: str, achievement: str) -> str:
    """Return where the badge image of an achievement is served, without its ending."""
    return f"{base_url}/badges/{programme}/{achievement}"


def emblem_url(base_url: str, programme: str) -> str:
    """Return where the emblem of a programme is served, without its ending."""
    return f"{base_url}/badges/{programme}"


def provider_url(base_url: str, programme: str, provider: str) -> str:
    """Return the `id` of a provider's profile."""
    return f"{base_url}/programmes/{programme}/providers/{provider}"


def status_list_url(base_url: str, programme: str, epoch: str, lane: int, number: int) -> str:
    """Return the id of a lane's status list; the epoch keeps lists of a restarted log apart from older ones."""
    return f"{base_url}/status/{programme}/{epoch}/{lane}/{number}"


@dataclass(frozen=True, slots=True)
class StatusPlace:
    """Where a credential's status bit lives."""

    list_number: int
    index: int


def status_place(secret: bytes, programme: str, epoch: str, lane: int, claim_no: int) -> StatusPlace:
    """Return the place of a claim: its number, permuted within its list, so that places tell nothing of order.

    No two claims of a lane share a place, because the permutation is one to one.
    """
    number, offset = divmod(claim_no, LIST_LENGTH)
    left, right = offset >> 9, offset & 0x1FF
    for of_right, of_left in _rounds(derive(secret, "status", programme, epoch, str(lane), str(number))):
        left ^= of_right[right]
        right ^= of_left[left]
    return StatusPlace(number, left << 9 | right)


@lru_cache(maxsize=256)
def _rounds(key: bytes) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """Round tables of an unbalanced Feistel network on 8 + 9 bits, ten rounds, filled from SHAKE-256."""
    out = []
    for i in range(5):
        stream = hashlib.shake_256(key + bytes([i])).digest(512 + 2 * 256)
        of_right = tuple(stream[:512])
        of_left = tuple(int.from_bytes(stream[512 + 2 * j : 514 + 2 * j], "big") & 0x1FF for j in range(256))
        out.append((of_right, of_left))
    return tuple(out)


def content_digest(data: bytes) -> str:
    """Return the name of an immutable content: `sha256-` and 64 hexadecimal digits."""
    return f"sha256-{hashlib.sha256(data).hexdigest()}"
