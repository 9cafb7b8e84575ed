"""Which keys a processor starts with, and what keeps it from starting: one line, with path and mode, never the passphrase."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import softhsm

from credstream import installation as installations
from schemas.errors import RefusedError, UnavailableError
from services.signing.keys import WrongSignatureError, is_signed_by, seed_signer
from streams import metrics
from streams.keystore import PASSPHRASE, Rereading, WatchedSigner, published_keys, signers
from streams.settings import Installation, load

PROGRAMME = "pilots"


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    return installations.create(tmp_path, base_url="https://badges.example", programmes=[PROGRAMME])


def test_a_processor_gets_the_keys_of_its_own_purpose(place: Installation) -> None:
    installations.create_signing_key(place, PROGRAMME, "credentials")
    assert set(signers(place, "credentials")) == {(PROGRAMME, "credentials-1"), (PROGRAMME, "credentials-2")}
    assert set(signers(place, "status")) == {(PROGRAMME, "status-1")}
    published = {key.id: key.public_key_multibase for key in published_keys(place, PROGRAMME)}
    for (_, key_id), signer in signers(place, "credentials").items():
        assert is_signed_by(published[key_id], signer.sign(b"data"), b"data")


def missing(key: Path, _place: Installation) -> None:
    key.unlink()


def world_readable(key: Path, _place: Installation) -> None:
    key.chmod(0o644)


def truncated(key: Path, _place: Installation) -> None:
    key.write_bytes(key.read_bytes()[:100])


def another(key: Path, place: Installation) -> None:
    key.write_bytes(place.secret_path(f"keys/{PROGRAMME}/status-1.pem").read_bytes())


def unlisted(key: Path, _place: Installation) -> None:
    key.rename(key.with_name("credentials-9.pem"))


def wrong_passphrase(_key: Path, place: Installation) -> None:
    place.secret_path(PASSPHRASE).write_text("something else")


def a_folder(key: Path, _place: Installation) -> None:
    key.unlink()
    key.mkdir()


@pytest.mark.fault("K1", "K2", "K3")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (missing, "No such file"),
        (world_readable, r"mode -rw-r--r-- lets others read it; chmod 600 it"),
        (truncated, r"\(mode -rw-------\): no PKCS#8 key"),
        (another, "but z6Mk.* is published"),
        (unlisted, "keys.json beside it does not list credentials-9"),
        (wrong_passphrase, "another passphrase"),
        (a_folder, "Is a directory"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_key_that_cannot_be_used_keeps_the_processor_from_starting(
    place: Installation, change: Callable[[Path, Installation], None], says: str
) -> None:
    key = place.secret_path(f"keys/{PROGRAMME}/credentials-1.pem")
    secret = place.secret_path(PASSPHRASE).read_text()
    change(key, place)
    with pytest.raises(RefusedError, match=says) as caught:
        signers(place, "credentials")
    message = str(caught.value)
    assert "secrets/keys/pilots/credentials-" in message
    assert "\n" not in message
    assert secret not in message
    assert "something else" not in message


@pytest.mark.fault("K1")
@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_key_that_is_unreadable_is_refused(place: Installation) -> None:
    place.secret_path(f"keys/{PROGRAMME}/credentials-1.pem").chmod(0)
    with pytest.raises(RefusedError, match="Permission denied"):
        signers(place, "credentials")


def test_a_private_key_may_be_destroyed_once_it_has_ended(place: Installation) -> None:
    index = place.secret_path(f"keys/{PROGRAMME}/keys.json")
    keys = json.loads(index.read_text())
    keys[0]["active_until"] = 1
    index.write_text(json.dumps(keys))
    place.secret_path(f"keys/{PROGRAMME}/credentials-1.pem").unlink()
    assert not signers(place, "credentials")


def test_a_key_that_is_made_later_is_found_when_it_is_asked_for(
    place: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    keys = signers(place, "credentials")
    assert keys.get((PROGRAMME, "credentials-2")) is None
    made = installations.create_signing_key(place, PROGRAMME, "credentials", 0)
    path = place.secret_path(f"keys/{PROGRAMME}/credentials-2.pem")
    path.chmod(0o644)
    time.sleep(1.05)
    assert keys.get((PROGRAMME, "credentials-2")) is None
    assert "lets others read it" in caplog.text
    path.chmod(0o600)
    time.sleep(1.05)
    assert keys[PROGRAMME, "credentials-2"].public_multikey == made.public_key_multibase
    assert len(keys) == 2


def test_what_it_lacks_is_not_looked_for_all_the_time() -> None:
    now, reads = 0.0, 0

    def read(_: object) -> dict[tuple[str, str], int]:
        nonlocal reads
        reads += 1
        return {}

    found = Rereading(read, clock=lambda: now)
    for now in (0.0, 0.5, 1.0, 1.1, 2.5):  # noqa: B007  the clock reads it
        assert ("p", "k") not in found
    assert reads == 3


def test_a_compromised_key_is_not_even_opened(place: Installation) -> None:
    index = place.secret_path(f"keys/{PROGRAMME}/keys.json")
    keys = json.loads(index.read_text())
    keys[0]["compromised_at"] = 1
    index.write_text(json.dumps(keys))
    assert not signers(place, "credentials")


@softhsm.needs_softhsm
@pytest.mark.parametrize(
    ("module", "pin_mode", "says"),
    [("none.so", 0o600, "no PKCS#11 library"), (softhsm.LIBRARY, 0o644, "lets others read it")],
    ids=["no library", "a PIN that others can read"],
)
def test_settings_that_name_no_usable_token_are_refused(
    place: Installation, module: str, pin_mode: int, says: str
) -> None:
    with pytest.raises(RefusedError, match=says):
        signers(in_token(place, module, pin_mode), "credentials")


@softhsm.needs_softhsm
def test_a_token_that_is_away_does_not_keep_the_processor_from_starting(place: Installation) -> None:
    softhsm.configure(place.folder / "hsm")
    found = signers(in_token(place, softhsm.LIBRARY), "credentials")
    with pytest.raises(UnavailableError, match="the token pilots"):
        found[PROGRAMME, "credentials-1"].sign(b"data")


def in_token(place: Installation, module: str, pin_mode: int = 0o600) -> Installation:
    """Say in the settings that the first key of credentials is in a token."""
    pin = place.secret_path("hsm.pin")
    pin.write_text(softhsm.PIN)
    pin.chmod(pin_mode)
    with (place.folder / "credstream.toml").open("a") as settings:
        settings.write(
            f'\n[programmes.{PROGRAMME}.signers.credentials-1]\nmodule = "{module}"\ntoken = "pilots"\npin_file = "hsm.pin"\n'
        )
    place.secret_path(f"keys/{PROGRAMME}/credentials-1.pem").unlink()
    return load(place.folder)


class Scripted:
    """Implements the port; does what its script says, one entry a signature."""

    def __init__(self, *script: Exception | None) -> None:
        self.script, self.checks = list(script), list[bool]()
        self.inner = seed_signer(bytes(32))
        self.public_multikey = self.inner.public_multikey

    def sign(self, data: bytes, *, check: bool = True) -> bytes:
        self.checks.append(check)
        if error := self.script.pop(0):
            raise error
        return self.inner.sign(data)


def test_a_signer_that_failed_is_left_alone_for_a_second_and_said_to_be_away_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 100.0
    inner = Scripted(UnavailableError("gone"), UnavailableError("gone"), WrongSignatureError("wrong"), None, None)
    watched = WatchedSigner("watched", "k", inner, clock=lambda: now)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(UnavailableError):
                watched.sign(b"data", check=False)
        now += 1.0
    with caplog.at_level(logging.WARNING):
        assert watched.sign(b"data", check=False)
    assert watched.sign(b"data", check=False)
    assert inner.checks == [False, True, True, True, False]  # checked until it has proved itself
    said = [r.getMessage() for r in caplog.records if "watched" in r.getMessage()]
    assert [s.rpartition(": ")[2] for s in said] == ["gone", "wrong", "the key k of watched signs again"]
    errors = {kind: metrics.SIGNATURE_ERRORS.labels("watched", "k", kind)._value.get() for kind in ("away", "wrong")}
    assert errors == {"away": 2, "wrong": 1}
    assert metrics.SIGNATURE_SECONDS.labels("watched", "k")._sum.get() == 0.0
