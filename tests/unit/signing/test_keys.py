"""Keys are refused when they should be, and what they sign is judged by the registry alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from schemas.errors import RefusedError
from services.signing.jws import sign_detached, signer_of
from services.signing.keys import LocalSigner, WrongSignatureError, generate_pem, load_signer, seed_signer
from services.signing.multikey import base58, from_base58, multikey, public_bytes
from streams.keystore import create_key, signer, write_secret

PASSPHRASE = b"correct horse"


def test_base58_is_bitcoins() -> None:
    assert base58(b"Hello World!") == "2NEpo7TZRRrLZSi2U"
    assert base58(b"\0\0\x28\x7f\xb4\xcd") == "11233QC4"
    assert from_base58("11233QC4") == b"\0\0\x28\x7f\xb4\xcd"
    assert from_base58(base58(bytes(64))) == bytes(64)


@pytest.mark.parametrize("text", ["0", "l", "z" * 300, "é"])
def test_what_is_not_base58_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base58|too long"):
        from_base58(text)


def test_only_an_ed25519_multikey_is_one() -> None:
    public = bytes(range(32))
    assert public_bytes(multikey(public)) == public
    assert multikey(public).startswith("z6Mk")
    for wrong in ("u" + multikey(public)[1:], "z" + base58(b"\x80\x24" + public + b"\0"), multikey(public)[:-1]):
        with pytest.raises(ValueError, match="multikey"):
            public_bytes(wrong)


@pytest.mark.fault("K1")
def test_a_key_file_is_only_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    public = create_key(path, PASSPHRASE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert signer(path, PASSPHRASE).public_multikey == public
    with pytest.raises(FileExistsError):
        create_key(path, PASSPHRASE)
    path.chmod(0o640)
    with pytest.raises(RefusedError, match=r"-rw-r----- lets others read it"):
        signer(path, PASSPHRASE)


@pytest.mark.fault("K1", "K2")
@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_refused_in_one_line_without_the_passphrase(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k.pem"
    write_secret(path, content)
    with pytest.raises(RefusedError) as caught:
        signer(path, PASSPHRASE)
    assert str(path) in str(caught.value)
    assert PASSPHRASE.decode() not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.fault("K2")
def test_another_kind_of_key_and_one_in_the_clear_are_refused(tmp_path: Path) -> None:
    encrypted, clear = BestAvailableEncryption(PASSPHRASE), NoEncryption()
    for name, key, protection, reason in (
        ("p256", ec.generate_private_key(ec.SECP256R1()), encrypted, "not an Ed25519 key"),
        ("clear", Ed25519PrivateKey.generate(), clear, "not encrypted"),
    ):
        path = tmp_path / name
        write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
        with pytest.raises(RefusedError, match=reason):
            signer(path, PASSPHRASE)


@pytest.mark.fault("K1", "K2")
def test_a_wrong_passphrase_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    create_key(path, PASSPHRASE)
    with pytest.raises(RefusedError, match="another passphrase"):
        signer(path, b"wrong")
    with pytest.raises(RefusedError, match="No such file"):
        signer(tmp_path / "none.pem", PASSPHRASE)


@pytest.mark.fault("K6")
def test_a_signature_that_is_checked_and_does_not_verify_never_leaves() -> None:
    broken = seed_signer(bytes(32))
    broken._secret = seed_signer(bytes([1] * 32))._secret
    with pytest.raises(WrongSignatureError, match="does not verify"):
        broken.sign(b"data")
    assert broken.sign(b"data", check=False)


def test_libsodium_signs_what_openssl_signs() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    for length in (0, 1, 64, 1_000):
        assert LocalSigner(private).sign(bytes(length)) == private.sign(bytes(length))


def test_a_detached_signature_is_the_registrys_key_over_these_bytes() -> None:
    public, pem = generate_pem(PASSPHRASE)
    key = load_signer(pem, PASSPHRASE)
    assert isinstance(key, LocalSigner)
    token = sign_detached(b"payload", key, "staff-1")
    keys = {"staff-1": public}
    assert signer_of(token, b"payload", keys) == "staff-1"
    assert signer_of(token, b"payloae", keys) is None
    assert signer_of(token, b"payload", {"staff-1": seed_signer(bytes(32)).public_multikey}) is None
    assert signer_of(token, b"payload", {"staff-2": public}) is None
    assert signer_of(None, b"payload", keys) is None


@pytest.mark.fault("E17")
@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"none","kid":"s"}',
        b'{"alg":"HS256","kid":"s"}',
        b'{"alg":"EdDSA","kid":"../s"}',
        b'{"alg":"EdDSA","kid":"s","b64":false}',
        b"{",
        b"",
    ],
)
def test_a_token_chooses_neither_algorithm_nor_key(header: bytes) -> None:
    import base64

    key = seed_signer(bytes(32))
    protected = base64.urlsafe_b64encode(header).rstrip(b"=")
    payload = base64.urlsafe_b64encode(b"payload").rstrip(b"=")
    signature = base64.urlsafe_b64encode(key.sign(protected + b"." + payload)).rstrip(b"=")
    assert signer_of(protected + b".." + signature, b"payload", {"s": key.public_multikey}) is None
