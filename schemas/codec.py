"""Records to bytes and back: Avro in the Confluent wire format, with CloudEvents attributes as Kafka headers.

Decoding is strict, because fastavro alone is not: size first, then an allow-listed schema, then every byte consumed.
The schemas are those of `history/`, which is only ever added to; `ids.json` fixes each one's id and digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeVar, get_args, overload

import fastavro
import msgspec

from schemas import avro, events
from schemas.errors import MalformedError, QuarantineReason
from schemas.text import text_fault
from schemas.topology import MAX_RECORD_BYTES

A = TypeVar("A", bound=msgspec.Struct)
B = TypeVar("B", bound=msgspec.Struct)
C = TypeVar("C", bound=msgspec.Struct)
_MAGIC: Final = 0
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_PREFIX: Final = struct.Struct(">BI")
_TYPES: Final[Mapping[str, type[events.Event]]] = {t.__name__: t for t in get_args(events.Event)}
_KNOWN: Final = [msgspec.json.Decoder(t) for t in _TYPES.values()]
"""msgspec learns a type when it first decodes one, and two threads that do so at once end the process (SIGSEGV, msgspec 0.22).

So every type that a lane decodes is learnt while modules are imported, when there is one thread.
"""
_STRUCTS: Final[Mapping[str, type[msgspec.Struct]]] = {
    name: one for name, one in vars(events).items() if isinstance(one, type) and issubclass(one, msgspec.Struct)
}
_MAX_TOLD_CHARS: Final = 100
CLOUD_EVENT_TYPE: Final = "org.credstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSchema:
    """One version of a record's schema: the text as published, its id, and what fastavro made of it."""

    id: int
    record: str
    version: int
    sha256: str
    text: str
    parsed: Any


@cache
def published_schemas() -> Mapping[int, PublishedSchema]:
    """Return every schema ever published, by id.

    Raises:
        ValueError: A schema file differs from its digest in `ids.json`: a published schema is never edited.
    """
    folder = files("schemas").joinpath("history")
    out: dict[int, PublishedSchema] = {}
    for entry in json.loads(folder.joinpath("ids.json").read_text("utf-8")):
        name = f"{folder_of(entry['record'])}/v{entry['version']}.avsc"
        text = folder.joinpath(name).read_text("utf-8")
        if hashlib.sha256(text.encode()).hexdigest() != entry["sha256"]:
            raise ValueError(f"schemas/history/{name} is not what was published")
        out[entry["id"]] = PublishedSchema(**entry, text=text, parsed=fastavro.parse_schema(_plain_schema(text)))
    return out


def folder_of(name: str) -> str:
    """Return a record's folder in `history/`: its name in kebab case."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _plain_schema(text: str) -> Any:
    return json.loads(text, object_hook=_without_logical_type)


def _without_logical_type(node: dict[str, Any]) -> Any:
    """Instants stay whole microseconds inside; the logical type is for those who read our topics."""
    return node["type"] if "logicalType" in node else node


@cache
def latest_schema(record: str) -> PublishedSchema:
    """Return the newest version of a record's schema, the one that we write."""
    return max((s for s in published_schemas().values() if s.record == record), key=lambda s: s.version)


def encode(event: events.Event) -> bytes:
    """Return the record's value: magic byte, schema id, Avro."""
    prefix, write = _writer(type(event))
    out = bytearray(prefix)
    write(event, out)
    return bytes(out)


@cache
def _writer(record: type[events.Event]) -> tuple[bytes, avro.Writer]:
    schema = latest_schema(record.__name__)
    return _PREFIX.pack(_MAGIC, schema.id), avro.writer(_plain_schema(schema.text))


def decode_any(
    value: bytes | None, allowed: Collection[type[msgspec.Struct]], *, max_bytes: int = MAX_RECORD_BYTES
) -> Any:
    """Return the event in a record's value, of whichever of these kinds it is; as `decode`."""
    return decode(value, *allowed, max_bytes=max_bytes)


@overload
def decode(value: bytes | None, a: type[A], /, *, max_bytes: int = ...) -> A: ...
@overload
def decode(value: bytes | None, a: type[A], b: type[B], /, *, max_bytes: int = ...) -> A | B: ...
@overload
def decode(value: bytes | None, a: type[A], b: type[B], c: type[C], /, *, max_bytes: int = ...) -> A | B | C: ...
def decode(value: bytes | None, /, *allowed: type[msgspec.Struct], max_bytes: int = MAX_RECORD_BYTES) -> Any:
    """Return the event in a record's value, read with the newest schema of its kind.

    Raises:
        MalformedError: The value is empty, too large, of no schema or another one, truncated, has bytes to spare, or text that
            may not enter the log.
    """
    if value is None:
        raise MalformedError(QuarantineReason.TOMBSTONE, "a record without a value")
    if len(value) > max_bytes:
        raise MalformedError(QuarantineReason.TOO_LARGE, f"{len(value)} bytes; at most {max_bytes} are read")
    if len(value) < _PREFIX.size or value[0] != _MAGIC:
        raise MalformedError(
            QuarantineReason.MALFORMED, "no Confluent wire format: magic byte 0 and a schema id of four bytes"
        )
    writer = published_schemas().get(_PREFIX.unpack_from(value)[1])
    if writer is None or _TYPES.get(writer.record) not in allowed:
        known = ", ".join(f"{latest_schema(t.__name__).id} ({t.__name__})" for t in allowed)
        raise MalformedError(
            QuarantineReason.UNKNOWN_SCHEMA,
            f"schema id {_PREFIX.unpack_from(value)[1]} is not read here; known: {known}",
        )
    if (read := _reader(writer.id)) is not None:
        return _read_newest(value, writer, read)
    plain = _read(value, writer)
    if not _is_printable_ascii(plain) and (fault := text_fault_in(plain)):
        raise MalformedError(QuarantineReason.INVALID_VALUE, fault)
    try:
        return msgspec.convert(plain, _TYPES[writer.record], builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise MalformedError(QuarantineReason.INVALID_VALUE, str(error)) from error


@cache
def _reader(schema_id: int) -> avro.Reader | None:
    """Return what reads records of a schema, the newest of its kind; older ones are left to fastavro, which resolves them."""
    schema = published_schemas()[schema_id]
    if latest_schema(schema.record) is not schema:
        return None
    return avro.reader(_plain_schema(schema.text), _STRUCTS)


def _read_newest(value: bytes, writer: PublishedSchema, read: avro.Reader) -> events.Event:
    texts: list[str] = []
    try:
        event, end = read(value, _PREFIX.size, texts)
    except KeyError as error:
        raise MalformedError(
            QuarantineReason.INVALID_VALUE, f"{str(error)[:_MAX_TOLD_CHARS]} is not known here"
        ) from error
    except (IndexError, ValueError) as error:
        raise MalformedError(QuarantineReason.MALFORMED, f"not a {writer.record}: {type(error).__name__}") from error
    if end != len(value):
        rest = len(value) - end
        what = f"{rest} bytes after the end of a {writer.record}" if rest > 0 else f"not a {writer.record}: cut off"
        raise MalformedError(QuarantineReason.MALFORMED, what)
    # Text in which nothing is wrong has no part in which something is: normal forms are closed under substrings (UAX #15 §1.3).
    if text_fault("".join(texts)) and (fault := text_fault_in(msgspec.to_builtins(event))):
        raise MalformedError(QuarantineReason.INVALID_VALUE, fault)
    made: events.Event = event
    return made


def _read(value: bytes, writer: PublishedSchema) -> dict[str, Any]:
    data = io.BytesIO(value)
    data.seek(_PREFIX.size)
    newest = latest_schema(writer.record)
    try:
        plain = fastavro.schemaless_reader(data, writer.parsed, None if newest is writer else newest.parsed)
    except Exception as error:
        raise MalformedError(QuarantineReason.MALFORMED, f"not a {writer.record}: {type(error).__name__}") from error
    if rest := len(value) - data.tell():
        raise MalformedError(QuarantineReason.MALFORMED, f"{rest} bytes after the end of a {writer.record}")
    if not isinstance(plain, dict):
        raise MalformedError(QuarantineReason.MALFORMED, f"not a {writer.record}")
    return plain


def _is_printable_ascii(plain: Mapping[str, Any]) -> bool:
    """Whether all text in a decoded record is so plain that nothing can be wrong with it, found in two passes in C."""
    text = msgspec.json.encode(plain)
    return b"\\" not in text and not text.translate(None, _PRINTABLE)


def text_fault_in(plain: Mapping[str, Any] | Collection[Any]) -> str | None:
    """Say which text in a decoded record may not enter the log, naming its field, or None."""
    texts: list[str] = []
    _gather(plain.values() if isinstance(plain, Mapping) else plain, texts)
    together = "".join(texts)
    return None if together.isascii() and together.isprintable() else _first_fault(plain)


def _gather(values: Iterable[Any], texts: list[str]) -> None:
    for value in values:
        kind = type(value)
        if kind is str:
            texts.append(value)
        elif kind is dict:
            _gather(value.values(), texts)
        elif kind is list or kind is tuple:
            _gather(value, texts)


def _first_fault(plain: Mapping[str, Any] | Collection[Any]) -> str | None:
    entries = plain.items() if isinstance(plain, Mapping) else enumerate(plain)
    for name, value in entries:
        if isinstance(value, str):
            if fault := text_fault(value):
                return f"{name}: {fault}"
        elif isinstance(value, dict | list | tuple) and (fault := _first_fault(value)):
            return f"{name}.{fault}"
    return None


Headers = Sequence[tuple[str, bytes]]


def headers(event: events.Event, *, source: str, event_id: str, traceparent: bytes | None = None) -> Headers:
    """Return the CloudEvents 1.0 attributes of a record in binary mode (Kafka protocol binding §3.2)."""
    out = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", source.encode()),
        ("ce_type", _event_type(type(event))),
        ("content-type", b"application/avro"),
    ]
    return [*out, ("traceparent", traceparent)] if traceparent else out


@cache
def _event_type(record: type[events.Event]) -> bytes:
    return f"{CLOUD_EVENT_TYPE}.{folder_of(record.__name__)}.v{latest_schema(record.__name__).version}".encode()
