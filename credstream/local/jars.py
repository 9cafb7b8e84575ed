"""Kafka's jars: fetched once from Maven Central through jgo, kept in the user's cache, each checked against its digest."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final

KAFKA: Final = "4.3.1"
# kafka-clients and a log4j binding by name: else jgo picks the clients of an older release, and nothing is logged
_ENDPOINT: Final = (
    f"org.apache.kafka:kafka_2.13:{KAFKA}+org.apache.kafka:kafka-clients:{KAFKA}"
    "+org.apache.logging.log4j:log4j-slf4j-impl:2.25.1"
)


class DownloadError(Exception):
    """The jars could not be fetched, or are not the ones that this version was tested with."""


def cache_folder() -> Path:
    """Return where this user's downloaded files lie."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "credstream"


def class_path(say: Callable[[str], None], cache: Path | None = None) -> str:
    """Return Kafka's class path; needs the network, and to write, only when a jar is missing or damaged.

    Raises:
        DownloadError: See there.
    """
    folder = (cache or cache_folder()) / f"kafka-{KAFKA}"
    wanted = _digests()
    if _damaged(folder, wanted):
        with _locked(folder):
            if _damaged(folder, wanted):  # else another process has fetched them meanwhile
                say(f"fetching Apache Kafka {KAFKA} (45 MB), once")
                _fetch(folder, wanted)
    return os.pathsep.join(str(folder / name) for name in sorted(wanted))


def _digests() -> Mapping[str, str]:
    lines = files("credstream.local").joinpath("jars.sha256").read_text("utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def _damaged(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    return [name for name, digest in wanted.items() if not _is(folder / name, digest)]


def _is(path: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except OSError:
        return False


def _fetch(folder: Path, wanted: Mapping[str, str]) -> None:
    """Bring every jar that is missing or damaged from the user's Maven folder or, where that is damaged too, from the network."""
    failed: Exception | None = None
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for repository in (None, Path(scratch) / "repository"):
            try:
                _build(repository, Path(scratch) / f"environment-{repository is None}", folder, wanted)
            except Exception as error:  # noqa: BLE001  jgo raises what its libraries raise, also for a torn file
                failed = error
            if not _damaged(folder, wanted):
                return
    if failed:
        raise DownloadError(
            f"cannot fetch Kafka's jars into {folder}: {failed}; "
            "it takes the network once, or a copy of that folder from another machine"
        ) from failed
    raise DownloadError(
        f"what was fetched as {_damaged(folder, wanted)[0]} is not the jar that was tested; it is not used"
    )


def _build(repository: Path | None, environment: Path, folder: Path, wanted: Mapping[str, str]) -> None:
    from jgo.env import EnvironmentBuilder, LinkStrategy  # noqa: PLC0415  needed once in a machine's life
    from jgo.maven import MavenContext  # noqa: PLC0415

    # copies, never links: what is damaged in the user's Maven folder later must not be damaged here
    builder = EnvironmentBuilder(MavenContext(repo_cache=repository), environment, LinkStrategy.COPY)
    for jar in Path(builder.from_endpoint(_ENDPOINT).path).rglob("*.jar"):  # jgo parts modules from plain jars
        if _is(jar, wanted.get(jar.name, "")):
            jar.replace(folder / jar.name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time fetch."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise DownloadError(f"cannot write to {folder}: {error.strerror}") from error
