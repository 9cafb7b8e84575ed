"""`credstream keys check` finds what would hurt later, names it, and says what to do; a sound installation has nothing wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace
from support.issuing import catalogue_of

from credstream import installation as installations
from credstream.keys.checking import local_checks
from credstream.keys.publishing import Schedule
from credstream.rules.adopted import AdoptedVersion
from schemas.catalogue import Catalogue
from streams.jwt_keys import jwt_keys
from streams.keystore import published_keys, write_keys
from streams.settings import Installation

NOW = 1_790_000_000_000_000
HOUR = 3_600_000_000
DAY = 24 * HOUR
LANES = 2


class World:
    """An installation, and what was adopted last, when."""

    def __init__(self, folder: Path) -> None:
        self.place: Installation = installations.create(
            folder, base_url="https://a.example", programmes=["p"], lanes=LANES
        )
        self.adopted_at = dict.fromkeys(range(LANES), NOW - 30 * DAY)
        self.publish()

    def publish(self) -> None:
        keys = tuple(published_keys(self.place, "p"))
        self.catalogue: Catalogue = replace(
            catalogue_of("p"), base_url="https://a.example", keys=keys, jwt_keys=tuple(jwt_keys(self.place, "p"))
        )

    def change(self, key_id: str, **about: Any) -> None:
        """Change a key where it is listed, and publish it."""
        keys = [replace(k, **about) if k.id == key_id else k for k in published_keys(self.place, "p")]
        write_keys(self.place, "p", keys)
        self.publish()

    def wrong(self) -> dict[str, str]:
        version = AdoptedVersion(
            number=1, digest="sha256-0", catalogue=self.catalogue, effective_from=None, adopted_at=self.adopted_at
        )
        made = {key.id for key in self.catalogue.keys}
        merged = (*self.catalogue.keys, *(k for k in published_keys(self.place, "p") if k.id not in made))
        schedule = Schedule(place=self.place, versions=[version], catalogue=replace(self.catalogue, keys=merged))
        found = list(local_checks(schedule, NOW))
        assert all(one.do for one in found if one.outcome != "ok")
        return {one.what: one.found for one in found if one.outcome != "ok"}

    def path(self, name: str) -> Path:
        return self.place.secret_path(name)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "place")


def stray(world: World) -> None:
    world.path("keys/p/credentials-9.pem").write_bytes(b"")


def second(world: World, begins: int) -> None:
    installations.create_signing_key(world.place, "p", "credentials", begins)


def soon(world: World) -> None:
    second(world, NOW + HOUR)
    world.publish()
    world.adopted_at = dict.fromkeys(range(LANES), NOW - HOUR // 2)


def partly(world: World) -> None:
    second(world, NOW + DAY)
    world.publish()
    del world.adopted_at[1]


def catalogue_key_of_another(world: World) -> None:
    world.path("catalogue/p.pem").write_bytes(world.path("keys/p/credentials-1.pem").read_bytes())


DAMAGES: dict[str, tuple[Callable[[World], Any], str, str]] = {
    "missing": (lambda w: w.path("keys/p/credentials-1.pem").unlink(), "credentials-1", "No such file"),
    "open to others": (lambda w: w.path("keys/p/status-1.pem").chmod(0o640), "status-1", "lets others read it"),
    "a JWT key, open to others": (lambda w: w.path("jwt/p/jwt-1.pem").chmod(0o644), "jwt-1", "lets others read it"),
    "listed nowhere": (stray, "credentials-9.pem", "is listed nowhere"),
    "ends soon": (lambda w: w.change("credentials-1", active_until=NOW + DAY), "signs credentials", "none follows"),
    "nobody signs": (lambda w: w.change("status-1", active_until=NOW), "signs status", "no key does"),
    "published too late": (soon, "credentials-2, published", "1.5 hours before it signs"),
    "not in every lane": (partly, "credentials-2, published", "not in lanes [1]"),
    "made and never published": (
        lambda w: second(w, NOW + HOUR),
        "credentials-2, published",
        "not yet, and it is to sign",
    ),
    "another catalogue key": (catalogue_key_of_another, "catalogue key", "does not pin"),
    "a list that is not as published": (
        lambda w: write_keys(w.place, "p", [replace(k, active_from=5) for k in published_keys(w.place, "p")]),
        "keys.json",
        "not as published: credentials-1, status-1",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_wrong_is_found_by_its_name_and_nothing_else_is(
    world: World, damage: tuple[Callable[[World], Any], str, str]
) -> None:
    done, what, says = damage
    done(world)
    assert MappingProxyType(world.wrong()).keys() == {what}
    assert says in world.wrong()[what]


def test_a_sound_installation_has_nothing_wrong(world: World) -> None:
    assert world.wrong() == {}


def test_a_rotation_in_good_time_and_a_retired_key_that_was_destroyed_are_nothing_wrong(world: World) -> None:
    second(world, NOW - 2 * DAY)
    world.change("credentials-1", active_until=NOW - DAY)
    world.path("keys/p/credentials-1.pem").unlink()
    assert world.wrong() == {}


def test_a_drill_that_was_not_finished_is_wrong_until_the_key_is_removed(world: World) -> None:
    second(world, NOW - 2 * DAY)
    world.change("credentials-1", compromised_at=NOW)
    assert world.wrong() == {"credentials-1": "compromised, and not removed yet"}
    world.change("credentials-1", removed_at=NOW)
    assert world.wrong() == {}
