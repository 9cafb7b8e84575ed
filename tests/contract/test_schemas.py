"""What was published stays readable: schemas are added, never edited, and every version reads every other."""

from __future__ import annotations

import hashlib
import io
import json
from itertools import permutations
from pathlib import Path
from typing import Any, get_args

import fastavro
import msgspec
import pytest

from schemas import codec, events

HISTORY = Path(codec.__file__).parent / "history"
RECORDS: tuple[type[msgspec.Struct], ...] = get_args(events.Event)


def test_ids_are_dense_and_name_each_file_once() -> None:
    entries = json.loads((HISTORY / "ids.json").read_text("utf-8"))
    assert [e["id"] for e in entries] == list(range(1, len(entries) + 1))
    named = {f"{codec.folder_of(e['record'])}/v{e['version']}.avsc" for e in entries}
    assert named == {str(p.relative_to(HISTORY)) for p in HISTORY.rglob("*.avsc")}


def test_a_published_schema_is_what_its_digest_says() -> None:
    for schema in codec.published_schemas().values():
        assert hashlib.sha256(schema.text.encode()).hexdigest() == schema.sha256


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.__name__)
def test_a_struct_has_the_fields_of_its_newest_schema(record: type[msgspec.Struct]) -> None:
    schema = json.loads(codec.latest_schema(record.__name__).text)
    assert [f["name"] for f in schema["fields"]] == [f.name for f in msgspec.structs.fields(record)]


@pytest.mark.fault("E10")
@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.__name__)
def test_every_version_reads_every_other(record: type[msgspec.Struct]) -> None:
    versions = [s for s in codec.published_schemas().values() if s.record == record.__name__]
    for writer, reader in permutations(versions, 2):
        sample = io.BytesIO()
        fastavro.schemaless_writer(sample, writer.parsed, _sample(json.loads(writer.text), {}))
        sample.seek(0)
        assert fastavro.schemaless_reader(sample, writer.parsed, reader.parsed)


@pytest.mark.fault("E13")
@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.__name__)
def test_no_schema_is_recursive(record: type[msgspec.Struct]) -> None:
    def named(node: Any, above: tuple[str, ...]) -> None:
        if isinstance(node, list):
            for branch in node:
                named(branch, above)
        elif isinstance(node, dict) and node.get("type") == "record":
            assert node["name"] not in above
            for field in node["fields"]:
                named(field["type"], (*above, node["name"]))
        elif isinstance(node, dict):
            named(node.get("items"), above)
        elif isinstance(node, str):
            assert node.rpartition(".")[2] not in above

    named(json.loads(codec.latest_schema(record.__name__).text), ())


def _sample(schema: Any, known: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return _sample(schema[0], known)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        return {f["name"]: _sample(f["type"], known) for f in schema["fields"]}
    return {"string": "x", "bytes": b"x", "long": 1, "int": 1, "boolean": True, "null": None, "array": []}[kind]
