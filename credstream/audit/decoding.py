"""Reads records by the published schemas alone: plain dictionaries, nothing assumed."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zlib
from functools import cache
from importlib.resources import files
from typing import Any, Final

import fastavro

Fields = dict[str, Any]
_HEAD: Final = 5
_MAX_CATALOGUE: Final = 18_000_000


class UnreadableError(Exception):
    """The bytes are not a record of any published schema."""


@cache
def _schemas() -> dict[int, tuple[str, Any]]:
    folder = files("schemas").joinpath("history")
    found = {}
    for entry in json.loads(folder.joinpath("ids.json").read_text("utf-8")):
        kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", entry["record"]).lower()
        text = folder.joinpath(kebab, f"v{entry['version']}.avsc").read_text("utf-8")
        if hashlib.sha256(text.encode()).hexdigest() != entry["sha256"]:
            raise UnreadableError(f"schemas/history/{kebab}/v{entry['version']}.avsc is not what was published")
        schema = json.loads(text, object_hook=lambda node: node["type"] if "logicalType" in node else node)
        found[entry["id"]] = (entry["record"], fastavro.parse_schema(schema))
    return found


def decoded(value: bytes | None) -> tuple[str, Fields]:
    """Return the kind of a record and its fields, by the schema that it names.

    Raises:
        UnreadableError: It has no value, names no published schema, or is not exactly one record of it.
    """
    if value is None or len(value) < _HEAD or value[0] != 0:
        raise UnreadableError("no record in the Confluent wire format")
    known = _schemas().get(int.from_bytes(value[1:_HEAD], "big"))
    if known is None:
        raise UnreadableError(f"no published schema has the id {int.from_bytes(value[1:_HEAD], 'big')}")
    kind, schema = known
    data = io.BytesIO(value)
    data.seek(_HEAD)
    try:
        fields = fastavro.schemaless_reader(data, schema, None)
    except Exception as error:
        raise UnreadableError(f"not a {kind}: {type(error).__name__}") from error
    if data.tell() != len(value) or not isinstance(fields, dict):
        raise UnreadableError(f"bytes after the end of a {kind}")
    return kind, fields


def unpacked(packed: bytes, digest: str) -> Fields:
    """Return the catalogue in an adoption or publication.

    Raises:
        UnreadableError: It is not the content that its digest names.
    """
    try:
        text = zlib.decompressobj().decompress(packed, _MAX_CATALOGUE)
        if named(text) != digest:
            raise UnreadableError(f"the catalogue is not what {digest} names")
        catalogue = json.loads(text)
    except (zlib.error, ValueError) as error:
        raise UnreadableError(f"no catalogue: {error}") from error
    if not isinstance(catalogue, dict):
        raise UnreadableError("no catalogue: not a JSON object")
    return catalogue


def named(content: bytes) -> str:
    """Return the name of an immutable content."""
    return f"sha256-{hashlib.sha256(content).hexdigest()}"


def canonical(value: Any) -> bytes:
    """Return JSON with sorted names and no white space."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
