"""An installation's settings: one folder with `credstream.toml`, secrets and state. Read once, when a process starts.

The folder is named by `--data`. For containers, CREDSTREAM_BOOTSTRAP_SERVERS, _DATABASE_URL, _GATEWAY_LISTEN and _METRICS_LISTEN
(host:port) override the file.
Secrets are files of mode 0600 (or 0400) below `secrets/`, never values in the file or the environment.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from schemas.errors import RefusedError
from schemas.topology import DEFAULT_LANES

SETTINGS_FILE: Final = "credstream.toml"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class TokenSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signing key in a PKCS#11 token. `pin_file` lies below `secrets/`; the PIN stands nowhere else."""

    module: str  # the library of the token's maker
    token: str  # the token's label
    pin_file: str
    label: str = ""  # the key's; by default its id


class ProgrammeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an installation pins of a programme, so that nothing in the log can change it: who may change its rules and statuses."""

    catalogue_keys: Mapping[str, str]  # key id -> public multikey; the private half is kept offline
    catalogue_signatures: int = 1  # how many of these keys must sign a catalogue; 2: no one person changes the rules
    staff_keys: Mapping[str, str]  # staff member -> public multikey
    signers: Mapping[str, TokenSettings] = msgspec.field(default_factory=dict)  # key id -> where it is, if in no file


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where Kafka is. Empty `bootstrap_servers`: the embedded broker in this folder."""

    bootstrap_servers: str = ""
    lanes: int = DEFAULT_LANES
    replication: int = 1


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the gateway listens. Port 0: a free one, remembered in the folder."""

    host: str = "127.0.0.1"
    port: int = 0


class ViewsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where views live. Empty: SQLite in this folder."""

    database_url: str = ""


class StatusSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often changed status lists are signed, and how long a signed list is good for."""

    cadence_s: float = 10.0
    valid_s: float = 86_400.0


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    base_url: str
    epoch: str
    kafka: KafkaSettings = msgspec.field(default_factory=KafkaSettings)
    gateway: GatewaySettings = msgspec.field(default_factory=GatewaySettings)
    views: ViewsSettings = msgspec.field(default_factory=ViewsSettings)
    status: StatusSettings = msgspec.field(default_factory=StatusSettings)
    programmes: Mapping[str, ProgrammeSettings] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """An installation as one process sees it. `folder` holds everything that is not in Kafka."""

    folder: Path
    base_url: str
    epoch: str
    kafka: KafkaSettings
    gateway: GatewaySettings
    views: ViewsSettings
    status: StatusSettings
    programmes: Mapping[str, ProgrammeSettings] = field(default_factory=dict)

    @property
    def bootstrap_servers(self) -> str:
        """Return where Kafka listens.

        Raises:
            RefusedError: The embedded broker has never run in this folder.
        """
        if address := os.environ.get("CREDSTREAM_BOOTSTRAP_SERVERS") or self.kafka.bootstrap_servers:
            return address
        try:
            return (self.folder / "kafka" / "bootstrap").read_text().strip()
        except FileNotFoundError:
            raise RefusedError(
                f"no broker has run in {self.folder} yet; start everything with `credstream up`"
            ) from None

    @property
    def database_url(self) -> str:
        """Return the SQLAlchemy URL of the views."""
        given = os.environ.get("CREDSTREAM_DATABASE_URL") or self.views.database_url
        return given or f"sqlite:///{self.folder.absolute() / 'views' / 'views.db'}"

    @property
    def gateway_listen(self) -> tuple[str, int]:
        """Return where the gateway listens; port 0 is any free one."""
        return _listen("CREDSTREAM_GATEWAY_LISTEN", self.gateway.host, self.gateway.port)

    @property
    def metrics_listen(self) -> tuple[str, int]:
        """Return where each process shows its metrics: a free loopback port."""
        return _listen("CREDSTREAM_METRICS_LISTEN", "127.0.0.1", 0)

    def secret_path(self, name: str) -> Path:
        """Return where a secret lies."""
        return self.folder / "secrets" / name

    def secret(self, name: str) -> bytes:
        """Return a secret's bytes.

        Raises:
            RefusedError: The file is missing, empty, or open to others.
        """
        path = self.secret_path(name)
        try:
            mode = path.stat().st_mode
            value = path.read_bytes()
        except OSError as error:
            raise RefusedError(
                f"{path}: {error.strerror}; `credstream init` makes it, or restore it from the backup"
            ) from None
        if mode & _OTHERS:
            raise RefusedError(f"{path}: mode {stat.filemode(mode)} lets others read it; chmod 600 it")
        if not value:
            raise RefusedError(f"{path}: empty")
        return value


def _listen(variable: str, host: str, port: int) -> tuple[str, int]:
    given = os.environ.get(variable)
    if not given:
        return host, port
    found, _, number = given.rpartition(":")
    if not found or not number.isdecimal():
        raise RefusedError(f"{variable}={given}: host:port is wanted")
    return found, int(number)


def load(folder: Path) -> Installation:
    """Read the settings of the installation in ``folder``.

    Raises:
        RefusedError: There is none, or its file is not what it should be; the message names the field.
    """
    path = folder / SETTINGS_FILE
    try:
        file = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
    except FileNotFoundError:
        raise RefusedError(f"{folder} holds no installation; make one with `credstream init --data {folder}`") from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise RefusedError(f"{path}: {error}") from None
    if not file.base_url.startswith("https://") or file.base_url.endswith("/"):
        raise RefusedError(f"{path}: base_url must begin with https:// and not end with a slash")
    if not 1 <= file.kafka.lanes <= 1024:  # noqa: PLR2004
        raise RefusedError(f"{path}: kafka.lanes must be from 1 to 1024")
    return Installation(folder=folder, **{name: getattr(file, name) for name in _File.__struct_fields__})


LEARNER_SECRET: Final = "learner-ref.key"  # noqa: S105  file names, not secrets
CREDENTIAL_SECRET: Final = "credential-id.key"  # noqa: S105
STATUS_SECRET: Final = "status-place.key"  # noqa: S105
SHARE_SECRET: Final = "share-link.key"  # noqa: S105
