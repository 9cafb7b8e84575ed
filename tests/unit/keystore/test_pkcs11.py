"""Keys in a real SoftHSM: what they sign verifies; whatever the token does, work waits and nothing wrong leaves."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import softhsm

from schemas.errors import RefusedError, UnavailableError
from services.signing.keys import WrongSignatureError, is_signed_by, seed_signer
from streams import pkcs11
from streams.pkcs11 import Module, Pin, TokenSigner, generate

pytestmark = [
    softhsm.needs_softhsm,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # python-pkcs11's, on lost sessions
]
TOKEN = "pilots"  # noqa: S105


class Hsm:
    """A token with two keys, its folder, and a PIN file."""

    def __init__(self, folder: Path) -> None:
        self.tokens = softhsm.configure(folder)
        softhsm.make_token(TOKEN)
        softhsm.make_token("other")
        self.module = Module(softhsm.LIBRARY)
        self.folder = folder
        self.publics = {label: generate(self.module, TOKEN, label, self.pin()) for label in ("k1", "k2")}
        self.elsewhere = generate(self.module, "other", "k1", self.pin())

    def pin(self, text: str = softhsm.PIN, name: str = "pin") -> Pin:
        path = self.folder / name
        path.write_text(f"{text}\n")
        return Pin(path.read_bytes, path, self.folder / "run" / f"refused-{name}")

    def signer(self, label: str = "k1", token: str = TOKEN, pin: Pin | None = None, public: str = "") -> TokenSigner:
        return TokenSigner(self.module, token, label, pin or self.pin(), public or self.publics[label])


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Hsm:
    return Hsm(tmp_path_factory.mktemp("hsm"))


def test_what_a_token_signs_verifies_with_its_public_key_alone(hsm: Hsm) -> None:
    for label, public in hsm.publics.items():
        signature = hsm.signer(label).sign(b"data")
        assert is_signed_by(public, signature, b"data")
    other = hsm.signer("k1", "other", public=hsm.elsewhere).sign(b"data")
    assert is_signed_by(hsm.elsewhere, other, b"data")


def test_the_same_bytes_each_time_and_from_many_threads(hsm: Hsm) -> None:
    signer = hsm.signer()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: signer.sign(b"%d" % (n % 50)), range(400)))
    assert made[:50] * 8 == made
    assert all(is_signed_by(signer.public_multikey, made[n], b"%d" % n) for n in range(50))


@pytest.mark.fault("K3")
def test_a_key_that_is_not_the_published_one_lets_nothing_out(hsm: Hsm) -> None:
    wrong = hsm.signer("k1", public=hsm.publics["k2"])
    with pytest.raises(WrongSignatureError, match="does not verify"):
        wrong.sign(b"data", check=False)


@pytest.mark.fault("K5")
def test_a_session_that_is_lost_is_opened_anew(hsm: Hsm) -> None:
    signer = hsm.signer()
    before = signer.sign(b"data")
    hsm.module.submit(hsm.module._library.reinitialize).result(10)  # as when the library's daemon restarts
    with pytest.raises(UnavailableError, match="SessionHandleInvalid|SessionClosed"):
        signer.sign(b"data")
    assert signer.sign(b"data") == before


@pytest.mark.fault("K5")
def test_a_token_that_is_taken_out_is_away_until_it_is_back(hsm: Hsm) -> None:
    signer, other = hsm.signer(), hsm.signer("k1", "other", public=hsm.elsewhere)
    before = soon(signer), soon(other)
    away = hsm.tokens.with_name("away")
    hsm.tokens.rename(away)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="the token pilots"):
            signer.sign(b"data")
    away.rename(hsm.tokens)
    hsm.module._anew_at = 0.0  # the ten seconds have passed
    assert (soon(signer), soon(other)) == before  # the library starts anew, which ends the other token's session too


def soon(signer: TokenSigner) -> bytes:
    """Sign, at the latest after the session has been opened anew."""
    for _ in range(3):
        try:
            return signer.sign(b"data")
        except UnavailableError:
            continue
    return signer.sign(b"data")


@pytest.mark.fault("K5")
def test_a_wrong_pin_is_tried_once_whatever_asks_until_its_file_changes(hsm: Hsm) -> None:
    hsm.module.submit(lambda: hsm.module.drop(TOKEN)).result(10)
    pin = hsm.pin("0000", "wrong")
    first, second = hsm.signer("k1", pin=pin), hsm.signer("k2", pin=pin)
    with pytest.raises(UnavailableError, match="refused the PIN") as caught:
        first.sign(b"data")
    assert "0000" not in str(caught.value)
    for signer in (first, second):
        with pytest.raises(UnavailableError, match="not tried again until the file changes"):
            signer.sign(b"data")
    again = Pin((hsm.folder / "wrong").read_bytes, hsm.folder / "wrong", hsm.folder / "run" / "refused-wrong")
    with pytest.raises(UnavailableError, match="not tried again"):  # a process started anew remembers
        again()
    hsm.pin(softhsm.PIN + " ", "wrong")
    assert first.sign(b"data")


def test_a_pin_file_that_is_gone_makes_the_key_unavailable(hsm: Hsm) -> None:
    hsm.module.submit(lambda: hsm.module.drop(TOKEN)).result(10)
    gone = Pin((hsm.folder / "gone").read_bytes, hsm.folder / "gone", hsm.folder / "run" / "refused-gone")
    with pytest.raises(UnavailableError, match="FileNotFoundError"):
        hsm.signer(pin=gone).sign(b"data")


def test_a_slow_token_holds_nobody_up_and_its_answer_is_kept(hsm: Hsm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs11, "PATIENCE_S", 0.05)
    signer = hsm.signer()
    expected = seed_signer(bytes(32)).sign(b"x")  # any work of ours meanwhile
    hsm.module.submit(lambda: time.sleep(0.5))  # the token's thread is held up, as by a signature of half a second
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="has not signed within"):
        signer.sign(b"slow")
    for _ in range(50):
        with pytest.raises(UnavailableError, match="still busy"):
            signer.sign(b"another")
    assert time.monotonic() - began < 0.4
    assert expected
    time.sleep(0.6)
    assert is_signed_by(signer.public_multikey, signer.sign(b"slow"), b"slow")
    assert signer.sign(b"another")


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no PKCS#11 library"):
        Module(str(tmp_path / "none.so"))


def test_a_key_that_is_not_in_the_token_is_away(hsm: Hsm) -> None:
    with pytest.raises(UnavailableError, match="NoSuchKey"):
        hsm.signer("k9", public=hsm.publics["k1"]).sign(b"data")
