"""Keys in PKCS#11 tokens (hardware security modules, SoftHSM).

A module belongs to one thread, started here: it is initialised for single-threaded use, its sessions are not thread-safe, and a
process that forks afterwards has none. So a token that hangs holds up its own keys and nobody else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import (
    PinExpired,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    UserAlreadyLoggedIn,
)

from schemas.errors import RefusedError, UnavailableError
from services.signing.keys import checked
from services.signing.multikey import multikey

log = logging.getLogger(__name__)
PATIENCE_S: Final = 0.5
"""How long whoever wants a signature waits for it. A later answer is kept for when the same is asked again."""
_LOADING_S: Final = 10.0
_LATE: Final = 64
_ANEW_S: Final = 10.0
_CURVE: Final = b"\x13\x0cedwards25519"
"""CKA_EC_PARAMS: a DER PrintableString, which SoftHSM wants; an OID names the curve elsewhere (PKCS#11 3.0 §6.3.10)."""
_OCTETS: Final = b"\x04\x20"
"""CKA_EC_POINT holds the 32 bytes inside a DER OCTET STRING."""
_PIN: Final = (PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked)


class Module:
    """A PKCS#11 library and its open sessions, in one thread's hands."""

    def __init__(self, path: str) -> None:
        """Load the library. One that cannot be initialised now is tried again when it is needed.

        Raises:
            RefusedError: There is none at this path.
        """
        self._path = path
        self._library: Any = None
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._sessions: dict[str, Any] = {}
        self._anew_at = 0.0
        threading.Thread(target=self._run, name=f"pkcs11 {Path(path).name}", daemon=True).start()
        try:
            self.submit(self._load).result(_LOADING_S)
        except TimeoutError:
            log.warning("%s has not loaded within %g s; its keys wait", path, _LOADING_S)
        except PKCS11Error as error:
            if type(error) is PKCS11Error:  # of no class of its own: nothing was loaded that could have answered
                raise RefusedError(f"{path}: no PKCS#11 library ({error})") from None
            log.warning("%s cannot be initialised (%s); its keys wait", path, type(error).__name__)

    def _load(self) -> Any:
        if self._library is None:
            self._library = pkcs11.lib(self._path)
        return self._library

    def submit(self, work: Callable[[], Any]) -> Future[Any]:
        """Do something in the module's thread."""
        future: Future[Any] = Future()
        self._work.put((future, work))
        return future

    def _run(self) -> None:
        while True:
            future, work = self._work.get()
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  whoever waits for the future hears of it
                future.set_exception(error)

    def session(self, token: str, pin: Callable[[], str]) -> Any:
        """Return the token's session, logged in. In the module's thread only.

        Raises:
            PKCS11Error: The token is away or refuses the PIN.
        """
        if token not in self._sessions:
            found = self._token(token)
            try:
                self._sessions[token] = found.open(rw=True, user_pin=pin())
            except UserAlreadyLoggedIn:  # an earlier session's login outlived it
                self._sessions[token] = found.open(rw=True)
        return self._sessions[token]

    def _token(self, token: str) -> Any:
        try:
            return self._load().get_token(token_label=token)
        except PKCS11Error:
            if self._library is None or time.monotonic() < self._anew_at:
                raise
        # A token that was taken out is seen again only after the library starts anew, which ends every token's session.
        self._anew_at = time.monotonic() + _ANEW_S
        self._sessions.clear()
        self._library.reinitialize()
        return self._library.get_token(token_label=token)

    def drop(self, token: str) -> None:
        """Forget the token's session, which failed. In the module's thread only."""
        session = self._sessions.pop(token, None)
        try:
            if session is not None:
                session.close()
        except PKCS11Error:
            pass  # it was gone already


@cache
def module(path: str) -> Module:
    """Return the module at a path, loaded once a process.

    Raises:
        RefusedError: There is none.
    """
    return Module(path)


class Pin:
    """A PIN in a file. One that a token refused is not tried again until its file has changed, or the token would lock."""

    def __init__(self, read: Callable[[], bytes], path: Path, refused: Path) -> None:
        """`refused` remembers across restarts which state of the file was refused."""
        self._read, self._path, self._refused = read, path, refused

    def __call__(self) -> str:
        """Return the PIN.

        Raises:
            UnavailableError: It was refused before, or its file cannot be read.
        """
        try:
            if self._refused.exists() and self._refused.read_text() == self._state():
                raise UnavailableError(
                    f"the PIN in {self._path} was refused; it is not tried again until the file changes"
                )
            return self._read().decode().strip()
        except (OSError, ValueError, RefusedError) as error:
            raise UnavailableError(f"{self._path}: {type(error).__name__}") from None

    def was_refused(self) -> None:
        """Remember it."""
        self._refused.parent.mkdir(exist_ok=True)
        self._refused.write_text(self._state())

    def _state(self) -> str:
        about = self._path.stat()
        return f"{about.st_mtime_ns} {about.st_ino} {about.st_size}"


class TokenSigner:
    """A key in a token. Each signature is verified before it leaves."""

    def __init__(self, holder: Module, token: str, label: str, pin: Pin, public_multikey: str) -> None:
        """Sign with the private key of this label; what it signs must verify with the public one."""
        self._module, self._token, self._label, self._pin = holder, token, label, pin
        self._late: dict[bytes, Future[bytes]] = {}
        self._lock = threading.Lock()
        self._key: tuple[Any, Any] = (None, None)  # session, key
        self.public_multikey = public_multikey

    def sign(self, data: bytes, *, check: bool = True) -> bytes:  # noqa: ARG002  always
        """Return an Ed25519 signature.

        Raises:
            WrongSignatureError: It does not verify.
            UnavailableError: The token is away, slow, or refuses the PIN.
        """
        future = self._asked(data)
        try:
            return checked(self.public_multikey, future.result(PATIENCE_S), data)
        except TimeoutError:
            with self._lock:
                self._late[data] = future
            raise UnavailableError(f"{self._name} has not signed within {PATIENCE_S:g} s") from None
        except _PIN as error:
            raise UnavailableError(f"{self._name} refused the PIN ({type(error).__name__})") from None
        except RuntimeError as error:  # PKCS11Error among them
            raise UnavailableError(f"{self._name}: {type(error).__name__} {error}".strip()) from None

    def _asked(self, data: bytes) -> Future[bytes]:
        with self._lock:
            if any(not late.done() for late in self._late.values()):
                raise UnavailableError(f"{self._name} is still busy with what it was asked before")
            if len(self._late) > _LATE:
                self._late.clear()  # nobody came back for them: their lanes went to another worker
            return self._late.pop(data, None) or self._module.submit(lambda: self._sign(data))

    @property
    def _name(self) -> str:
        return f"the token {self._token} (key {self._label})"

    def _sign(self, data: bytes) -> bytes:
        try:
            session = self._module.session(self._token, self._pin)
            if self._key[0] is not session:
                self._key = session, session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=self._label)
            return bytes(self._key[1].sign(data, mechanism=Mechanism.EDDSA))
        except _PIN:
            self._pin.was_refused()
            raise
        except RuntimeError:
            self._key = None, None
            self._module.drop(self._token)
            raise


def generate(holder: Module, token: str, label: str, pin: Pin) -> str:
    """Make a key in a token, never to leave it, and return its public multikey.

    Raises:
        UnavailableError: The token is away, refuses the PIN, or makes no such keys.
    """

    def made() -> bytes:
        session = holder.session(token, pin)
        curve = session.create_domain_parameters(KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: _CURVE}, local=True)
        private = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
        public, _ = curve.generate_keypair(
            mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN, store=True, label=label, private_template=private
        )
        return bytes(public[Attribute.EC_POINT])

    try:
        point = holder.submit(made).result(60)
    except _PIN as error:
        pin.was_refused()
        raise UnavailableError(f"the token {token} refused the PIN ({type(error).__name__})") from None
    except (PKCS11Error, TimeoutError) as error:
        raise UnavailableError(f"the token {token} made no key: {type(error).__name__} {error}".strip()) from None
    return multikey(point.removeprefix(_OCTETS))
