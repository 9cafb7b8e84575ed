"""Our Avro functions write what fastavro writes and read what it reads, for every published schema; what they refuse is broken."""

from __future__ import annotations

import io
import json
import types
import typing
from enum import Enum
from functools import cache
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import avro, events
from schemas.codec import decode, encode, latest_schema, published_schemas
from schemas.errors import MalformedError
from schemas.topology import MAX_RECORD_BYTES

KINDS = sorted({schema.record for schema in published_schemas().values()})
LONGS = (
    st.integers(-(2**63), 2**63 - 1)
    | st.integers(-200, 200)
    | st.sampled_from((63, 64, -64, -65, 8191, 8192, 2**55, 2**56))
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12).map(
    lambda text: "".join(text.split("\u2028"))
) | st.integers(0, 300).map(lambda length: "x" * length)
OCTETS = st.binary(max_size=20) | st.sampled_from((b"", b"\x00" * 8_191, b"\xff" * 8_192, b"y" * 20_000))


INTS = st.integers(-(2**31), 2**31 - 1)


def int_fields(schema: Any) -> set[str]:
    """The names of a schema's fields that have 32 bits; no name has both in one of ours."""
    if isinstance(schema, list):
        return {name for one in schema for name in int_fields(one)}
    if not isinstance(schema, dict):
        return set()
    fields = schema.get("fields", [])
    mine = {f["name"] for f in fields if f["type"] == "int" or (isinstance(f["type"], list) and "int" in f["type"])}
    return mine | {n for f in fields for n in int_fields(f["type"])} | int_fields(schema.get("items"))


SHORT = {name for schema in published_schemas().values() for name in int_fields(schema.parsed)}


def of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a field."""
    if isinstance(hint, types.UnionType):
        return st.one_of([of(one) for one in typing.get_args(hint)])
    if typing.get_origin(hint) is tuple:
        return st.lists(of(typing.get_args(hint)[0]), max_size=3).map(tuple)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return st.builds(
            hint,
            **{
                name: (INTS if field is int else st.none() | INTS) if name in SHORT else of(field)
                for name, field in typing.get_type_hints(hint).items()
            },
        )
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXTS,
        int: LONGS,
        bool: st.booleans(),
        bytes: OCTETS,
        type(None): st.none(),
    }
    return plain[hint]


def by_fastavro(event: Any) -> bytes:
    schema = latest_schema(type(event).__name__)
    plain = msgspec.to_builtins(event, builtin_types=(bytes,))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, plain)
    return b"\x00" + schema.id.to_bytes(4, "big") + out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_are_fastavros_and_are_read_back(kind: str) -> None:
    record = getattr(events, kind)

    @settings(max_examples=40, deadline=None)
    @given(event=of(record))
    def law(event: Any) -> None:
        value = encode(event)
        assert value == by_fastavro(event)
        read, end = reader_of(kind)(value, 5, [])
        assert (read, end) == (event, len(value))
        assert read == fastavro_reads(kind, value)

    law()


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes_are_refused_or_read_as_fastavro_reads_them(kind: str) -> None:
    record = getattr(events, kind)

    @settings(max_examples=40, deadline=None)
    @given(event=of(record), data=st.data())
    def law(event: Any, data: st.DataObject) -> None:
        value = bytearray(encode(event))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(5, len(value) - 1))
            value[at] = data.draw(st.integers(0, 255))
        damaged = bytes(value[: data.draw(st.integers(5, len(value)))])
        try:
            read = decode(damaged, record, max_bytes=MAX_RECORD_BYTES)
        except MalformedError:
            return
        assert read == fastavro_reads(kind, damaged)

    law()


@cache
def reader_of(kind: str) -> avro.Reader:
    plain = json.loads(latest_schema(kind).text, object_hook=lambda n: n["type"] if "logicalType" in n else n)
    return avro.reader(plain, {name: one for name, one in vars(events).items() if isinstance(one, type)})


def fastavro_reads(kind: str, value: bytes) -> Any:
    plain = fastavro.schemaless_reader(io.BytesIO(value[5:]), latest_schema(kind).parsed, None)
    return msgspec.convert(plain, getattr(events, kind), builtin_types=(bytes,))


@given(number=LONGS)
def test_numbers_are_written_and_read_as_avro_says(number: int) -> None:
    out, slow = bytearray(b"?"), bytearray(b"?")
    avro.write_long(out, number)
    left = number << 1 ^ number >> 63
    while left > 127:
        slow.append(left & 127 | 128)
        left >>= 7
    slow.append(left)
    assert out == slow
    assert avro.read_number(bytes(out) + b"\xff" * 9, 1) == avro.read_number(bytes(out), 1) == (number, len(out))


@pytest.mark.parametrize(
    "data",
    [b"\x80\x00", b"\xff" * 11, b"\xff" * 9 + b"\x02", b"\x80" * 9 + b"\x00", b"\x80" * 7 + b"\x00"],
    ids=bytes.hex,
)
def test_numbers_in_a_long_form_or_of_more_than_64_bits_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="more than 64 bits"):
        avro.read_number(data, 0)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 8, b"\x80" * 9], ids=bytes.hex)
def test_numbers_that_are_cut_off_are_refused(data: bytes) -> None:
    with pytest.raises(IndexError):
        avro.read_number(data, 0)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**200])
def test_numbers_that_do_not_fit_are_not_written(number: int) -> None:
    with pytest.raises(OverflowError):
        avro.write_long(bytearray(), number)


@pytest.mark.parametrize(
    "kind", ["float", ["string", "long"], ["null", "string", "long"], {"type": "map", "values": "string"}]
)
def test_a_type_that_no_schema_of_ours_has_is_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match="is written here"):
        avro.writer({"name": "R", "type": "record", "fields": [{"name": "f", "type": kind}]})
