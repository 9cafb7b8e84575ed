"""The schedule of a programme's keys as it is published, and publishing another one: the same catalogue, with other keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from credstream.people import catalogue_signer, settings_of
from credstream.rules import proposals
from credstream.rules.adopted import AdoptedVersion, history, lanes_kept
from credstream.rules.publishing import adopt, prepared
from schemas.catalogue import Catalogue, JwtKey, Key
from schemas.errors import RefusedError
from schemas.events import Micros
from services.signing.schedule import MIN_LEAD, every_key
from streams.jwt_keys import jwt_keys, write_jwt_keys
from streams.keystore import published_keys, write_keys
from streams.settings import Installation

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is published of a programme. `catalogue` has besides the keys that were made here and not published yet."""

    place: Installation
    versions: Sequence[AdoptedVersion]
    catalogue: Catalogue

    @property
    def programme(self) -> str:
        """Return whose keys these are."""
        return self.catalogue.programme

    @property
    def published(self) -> Catalogue:
        """Return the catalogue as it was adopted last."""
        return self.versions[-1].catalogue

    def known_since(self, key_id: str) -> Mapping[int, Micros]:
        """Return when each lane adopted the first catalogue with a key; a lane that is missing has not yet."""
        for version in self.versions:
            if any(key.id == key_id for key in every_key(version.catalogue)):
                return version.adopted_at
        return {}


def current(place: Installation, programme: str) -> Schedule:
    """Return the schedule of a programme.

    Raises:
        RefusedError: Nothing was published yet.
        UnavailableError: Kafka does not answer.
    """
    versions = history(lanes_kept(place), programme)
    if not versions:
        raise RefusedError(f"no catalogue of {programme} was adopted yet; credstream rules publish one")
    published = versions[-1].catalogue
    catalogue = replace(
        published,
        keys=_merged(published.keys, published_keys(place, programme)),
        jwt_keys=_merged_jwt(published.jwt_keys, jwt_keys(place, programme)),
    )
    return Schedule(place=place, versions=versions, catalogue=catalogue)


def _merged(published: Sequence[Key], made: Sequence[Key]) -> tuple[Key, ...]:
    known = {key.id for key in published}
    return (*published, *(key for key in made if key.id not in known))


def _merged_jwt(published: Sequence[JwtKey], made: Sequence[JwtKey]) -> tuple[JwtKey, ...]:
    known = {key.id for key in published}
    return (*published, *(key for key in made if key.id not in known))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Who signs the catalogue: the file of a key, and where a proposal goes if another person must sign too."""

    key: Path | None = None
    output: Path | None = None


def publish(
    schedule: Schedule, catalogue: Catalogue, signing: Signing, say: Say, *, lead: Micros = MIN_LEAD
) -> Path | None:
    """Publish a catalogue with other keys, in force from when the one before it is, and return when every lane has adopted it.

    Where several people must sign, a proposal is written instead, and its path returned. Done twice, it changes nothing.

    Raises:
        RefusedError: The keys do not follow from those published before, or the catalogue key cannot be used.
        UnavailableError: Kafka does not answer, or some lane did not answer within a minute.
    """
    place, effective_from = schedule.place, schedule.versions[-1].effective_from
    proposal, same = prepared(place, catalogue, effective_from, say=say, lead=lead)
    write_keys(
        place, catalogue.programme, catalogue.keys
    )  # before anything names a key, whoever signs with it finds it
    if catalogue.jwt_keys:
        write_jwt_keys(place, catalogue.programme, catalogue.jwt_keys)
    if same is not None:
        return None
    kid, signer = catalogue_signer(place, catalogue.programme, signing.key)
    signed = proposal.signed(signer, kid)
    if settings_of(place, catalogue.programme).catalogue_signatures > 1:
        path = signing.output or Path(f"{catalogue.programme}-keys.proposal")
        proposals.write(signed, path)
        return path
    done = adopt(place, signed, say=say)
    say(f"published as adoption {done.adoption_no}, signed by {kid}: every lane has adopted it")
    return None
