"""A programme's catalogue: who issues, who attests, what may be earned and when. Immutable; named by its digest.

Staff write it as YAML (`credstream rules publish`); what is signed, adopted and pinned by claims is its canonical JSON.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from schemas.errors import MalformedError, QuarantineReason
from schemas.events import Micros
from schemas.ids import content_digest
from schemas.rules import Rule
from schemas.topology import MAX_CATALOGUE_BYTES

_MAX_PLAIN_BYTES: Final = 20 * MAX_CATALOGUE_BYTES


class RubricLevel(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A level of a rubric (OB 3.0 RubricCriterionLevel). `points` are as written, since the standard has them as text."""

    name: str
    description: str | None = None
    points: str | None = None


class Assessment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What providers report results of. `accepted_late_days` of None accepts a result of any age.

    `levels` are those of its rubric, rising; `rubric` says more about them, where there is more to say. `tags` let rules name
    several assessments at once.
    """

    id: str
    name: str
    providers: tuple[str, ...]
    accepted_late_days: int | None = 90
    levels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    rubric: tuple[RubricLevel, ...] = ()
    names: Mapping[str, str] = {}  # in other languages (BCP 47)


class Provider(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who attests."""

    id: str
    name: str
    url: str | None = None


class Partner(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who may endorse achievements, and with which key (a multikey): the partner's own, never the programme's."""

    id: str
    name: str
    key: str
    url: str | None = None


class Alignment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node in a framework that the achievement aligns to (OB 3.0 Alignment)."""

    target_name: str
    target_url: str
    target_framework: str | None = None
    target_code: str | None = None
    target_description: str | None = None
    target_type: str | None = None


class Translation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An achievement's words in another language (BCP 47)."""

    language: str
    name: str
    description: str
    criteria: str


Transition: TypeAlias = Literal["keep", "grandfather", "reevaluate"]
"""What a changed rule means for learners in progress: evidence shown before the change is judged by the former version; or all of
it is, for ever, of those who had begun before; or all evidence of everybody is judged by the new one."""


class Achievement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What may be earned, as Open Badges 3.0 describes it, and its rule."""

    id: str
    name: str
    description: str
    criteria: str  # Markdown
    achievement_type: str = "MicroCredential"
    language: str = "en"
    tags: tuple[str, ...] = ()
    field_of_study: str | None = None
    sector: str | None = None
    alignments: tuple[Alignment, ...] = ()
    credits: int | None = None  # thousandths of a credit
    rule: Rule
    transition: Transition = "keep"
    translations: tuple[Translation, ...] = ()
    rationale: str | None = None
    endorsed_by: str | None = None
    code: str | None = None  # as on a transcript (OB 3.0 humanCode)
    role: str | None = None  # in which the learner shows it
    image: str | None = None  # a URL; by default the badge image that is drawn from this catalogue
    related: tuple[str, ...] = ()  # achievements, besides the building blocks that the rule names
    endorsements: tuple[str, ...] = ()  # EndorsementCredentials, as their partners signed them


class Key(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A public key of the programme. The fragment of its verification method is `id`.

    It signs what is dated before `active_until`. From `compromised_at` on, when it was told that others have it, it signs nothing
    and proves nothing, whatever the date; from `removed_at` on it stands in no document but the key history. It stays in the
    catalogue for ever, so that what it signed can be explained.
    """

    id: str
    purpose: Literal["credentials", "status"]
    public_key_multibase: str
    active_from: Micros
    active_until: Micros | None = None
    compromised_at: Micros | None = None
    removed_at: Micros | None = None


class JwtKey(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A public RSA key with which the programme signs JWTs (RFC 7517): `n` and `e` as a JWK has them. Otherwise as `Key`."""

    id: str
    n: str
    e: str
    active_from: Micros = 0
    active_until: Micros | None = None
    compromised_at: Micros | None = None
    removed_at: Micros | None = None


class Identifier(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """By what else an organisation is known (OB 3.0 IdentifierEntry)."""

    identifier: str
    identifier_type: str


class Issuer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who issues (OB 3.0 Profile). `colour` is that of its badges and certificates, `#rrggbb`."""

    name: str
    description: str | None = None
    url: str | None = None
    email: str | None = None
    country: str | None = None  # ISO 3166-1 alpha-2
    region: str | None = None
    logo: str | None = None  # a URL; by default the emblem that is drawn from this catalogue
    colour: str = "#0f4c5c"
    identifiers: tuple[Identifier, ...] = ()


class Catalogue(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One immutable version of a programme's catalogue."""

    programme: str
    version: str
    base_url: str
    issuer: Issuer
    keys: tuple[Key, ...]
    providers: tuple[Provider, ...]
    assessments: tuple[Assessment, ...]
    achievements: tuple[Achievement, ...]
    partners: tuple[Partner, ...] = ()
    jwt_keys: tuple[JwtKey, ...] = ()

    def achievement(self, achievement: str) -> Achievement | None:
        """Return an achievement by its id."""
        return next((a for a in self.achievements if a.id == achievement), None)

    def key_in_force(self, purpose: Literal["credentials", "status"], instant: Micros) -> Key:
        """Return the key with which something of this instant is signed: see `key_in_force`.

        Raises:
            LookupError: No key of that purpose is active yet.
        """
        try:
            return key_in_force(self.keys, purpose, instant)
        except LookupError as error:
            raise LookupError(f"{self.programme}: {error}") from None


def key_in_force(keys: Iterable[Key], purpose: Literal["credentials", "status"], instant: Micros) -> Key:
    """Return the key with which something of this instant is signed: the latest one that is active by then.

    Where all have ended it is the last to end: what it would sign waits until the programme publishes how it goes on. A
    compromised key is never in force.

    Raises:
        LookupError: No key of that purpose is active yet.
    """
    sound = [k for k in keys if k.purpose == purpose and k.compromised_at is None]
    begun = [k for k in sound if k.active_from <= instant]
    active = [k for k in begun if k.active_until is None or instant < k.active_until]
    active = active or [k for k in begun if k.active_until == max(b.active_until or 0 for b in begun)]
    if not active:
        raise LookupError(f"no {purpose} key is active")
    return max(active, key=lambda k: (k.active_from, k.id))


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder(Catalogue)  # made once, here: see `schemas.codec`


def canonical(catalogue: Catalogue | Rule) -> bytes:
    """Return the canonical JSON: sorted names, no white space. Its SHA-256 names the version."""
    return _ENCODER.encode(catalogue)


def pack(catalogue: Catalogue) -> tuple[str, bytes]:
    """Return the catalogue's digest and its compressed canonical JSON, as adoption records carry it.

    Raises:
        ValueError: It is larger than an adoption record can carry.
    """
    text = canonical(
        _DECODER.decode(canonical(catalogue))
    )  # a default that is written out is left out, as by who reads it
    packed = zlib.compress(text, 9)
    if len(packed) > MAX_CATALOGUE_BYTES:
        raise ValueError(
            f"the catalogue is {len(packed)} bytes compressed; at most {MAX_CATALOGUE_BYTES} fit in a record"
        )
    return content_digest(text), packed


def unpack(packed: bytes, digest: str) -> Catalogue:
    """Return the catalogue in an adoption record.

    Raises:
        MalformedError: It does not decompress, is too large, is not the content that `digest` names, or is no catalogue as we write
            one: a field that is not known would be a rule that is not obeyed.
    """
    try:
        stream = zlib.decompressobj()
        text = stream.decompress(packed, _MAX_PLAIN_BYTES)
        if not stream.eof or stream.unused_data or content_digest(text) != digest:
            raise MalformedError(QuarantineReason.MALFORMED, f"the catalogue is not what {digest} names")
        catalogue = _DECODER.decode(text)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(QuarantineReason.MALFORMED, f"no catalogue: {error}") from error
    if canonical(catalogue) != text:
        what = "it has fields that are not known here, or is not in canonical form"
        raise MalformedError(QuarantineReason.MALFORMED, f"no catalogue: {what}")
    return catalogue
