"""Other people's verifiers in one Node process a session, fed over its standard input. They meet no network."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from support import shapes
from support.npm import EXTERNAL, node_with_packages
from support.shared import shared

from services.issuing.credential import SCHEMA
from services.signing.contexts import DIGESTS, context

_SCHEMA_FILE = "standards/data/schemas/ob_v3p0_achievementcredential_schema.json"
_MULTIKEY_CONTEXT = "https://w3id.org/security/multikey/v1"


class Elsewhere:
    """The process. A request names its verifier."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._number = 0

    def ask(self, verifier: str, **request: Any) -> dict[str, Any]:
        self._number += 1
        line = json.dumps({"id": self._number, "verifier": verifier, **request})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line.encode("utf-8", "surrogatepass") + b"\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert answer.pop("id") == self._number
        return answer

    def know(self, documents: Mapping[str, Any]) -> None:
        """Give the process documents by URL: all that it can find."""
        self.ask("documents", documents=documents)


@contextmanager
def running(log: Path) -> Iterator[Elsewhere]:
    """Run the process, installed from its lock file once a machine."""
    node = node_with_packages()
    if node is None:
        pytest.skip("needs system package nodejs (and npm): `make system` installs it")
    command = [node, str(EXTERNAL / "verifiers.mjs")]
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        elsewhere = Elsewhere(process)
        contexts = {url: context(url) for url in DIGESTS}
        folder = files("openbadgeslib").joinpath("ob3", "contexts")
        contexts[_MULTIKEY_CONTEXT] = json.loads(folder.joinpath("security-multikey-v1.json").read_bytes())
        elsewhere.know(contexts)
        yield elsewhere
        assert process.stdin is not None
        process.stdin.close()


@contextmanager
def knowing(log: Path) -> Iterator[Elsewhere]:
    """Run the process, with what the shapes' credentials point to."""
    with running(log) as node:
        node.know({url: json.loads(document) for url, document in shapes.documents().items()})
        node.know({SCHEMA: json.loads(shared(_SCHEMA_FILE).read_bytes())})
        yield node
