"""Which CEL expressions could build values without end: seen in their types, before any is evaluated.

The engine counts steps, not bytes: `.map(s, s + s)` said thirty times is thirty steps and a gigabyte of text, and `.map(s, [s, s])`
makes lists that take as long to compare. Each such growth needs texts that are joined, a list of lists, or a value whose type
is not known before. An expression whose types have none of these holds nothing longer than what it is given and what it spells out.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

_FIELD: Final = descriptor_pb2.FieldDescriptorProto
_SEVERAL: Final = _FIELD.LABEL_REPEATED
_MESSAGES: Final = {  # the part of cel.expr.CheckedExpr (checked.proto of the CEL specification) that is read here
    "Reference": [("overload_id", 3, _FIELD.TYPE_STRING, _SEVERAL, "")],
    "Type": [
        ("primitive", 3, _FIELD.TYPE_INT32, _FIELD.LABEL_OPTIONAL, ""),
        ("well_known", 5, _FIELD.TYPE_INT32, _FIELD.LABEL_OPTIONAL, ""),
        ("list_type", 6, _FIELD.TYPE_MESSAGE, _FIELD.LABEL_OPTIONAL, "ListType"),
        ("message_type", 9, _FIELD.TYPE_STRING, _FIELD.LABEL_OPTIONAL, ""),
        ("null", 2, _FIELD.TYPE_INT32, _FIELD.LABEL_OPTIONAL, ""),
    ],
    "ListType": [("elem_type", 1, _FIELD.TYPE_MESSAGE, _FIELD.LABEL_OPTIONAL, "Type")],
    "ReferenceEntry": [
        ("key", 1, _FIELD.TYPE_INT64, _FIELD.LABEL_OPTIONAL, ""),
        ("value", 2, _FIELD.TYPE_MESSAGE, _FIELD.LABEL_OPTIONAL, "Reference"),
    ],
    "TypeEntry": [("value", 2, _FIELD.TYPE_MESSAGE, _FIELD.LABEL_OPTIONAL, "Type")],
    "PositionEntry": [
        ("key", 1, _FIELD.TYPE_INT64, _FIELD.LABEL_OPTIONAL, ""),
        ("value", 2, _FIELD.TYPE_INT32, _FIELD.LABEL_OPTIONAL, ""),
    ],
    "SourceInfo": [("positions", 4, _FIELD.TYPE_MESSAGE, _SEVERAL, "PositionEntry")],
    "CheckedExpr": [
        ("reference_map", 2, _FIELD.TYPE_MESSAGE, _SEVERAL, "ReferenceEntry"),
        ("type_map", 3, _FIELD.TYPE_MESSAGE, _SEVERAL, "TypeEntry"),
        ("source_info", 5, _FIELD.TYPE_MESSAGE, _FIELD.LABEL_OPTIONAL, "SourceInfo"),
    ],
}
_ANY: Final = 1  # google.protobuf.Any, a well-known type
_JOINS: Final = frozenset({"add_string", "add_bytes"})


def _message(name: str) -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="credstream/checked.proto", package="credstream.cel", syntax="proto2"
    )
    for message, fields in _MESSAGES.items():
        added = file.message_type.add(name=message)
        for field, number, kind, label, of in fields:
            type_name = f".credstream.cel.{of}" if of else None
            added.field.add(name=field, number=number, type=kind, label=label, type_name=type_name)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"credstream.cel.{name}"))


_Checked: Final = _message("CheckedExpr")


def growth_fault(text: str, serialized: bytes) -> str | None:
    """Say why a checked expression is refused, or None. ``serialized`` is what the engine made of ``text``."""
    checked = _Checked.FromString(any_pb2.Any.FromString(serialized).value)
    places = {entry.key: entry.value for entry in checked.source_info.positions}
    for entry in checked.reference_map:
        overloads = set(entry.value.overload_id)
        if overloads & _JOINS:
            return "texts are not joined in an expression"
        if (
            "add_list" in overloads and text[places.get(entry.key, 0) :][:1] == "+"
        ):  # `map` and `filter` add to lists themselves
            return "lists are not joined in an expression"
    for entry in checked.type_map:
        if entry.value.HasField("list_type") and entry.value.list_type.elem_type.HasField("list_type"):
            return "an expression makes no lists of lists"
        if not _is_plain(entry.value):
            return "an expression has values of known types: numbers, texts, truths, times, results, and lists of these"
    return None


def _is_plain(kind: Any) -> bool:
    if kind.HasField("list_type"):
        return kind.list_type.HasField("elem_type") and _is_scalar(kind.list_type.elem_type)
    return _is_scalar(kind)


def _is_scalar(kind: Any) -> bool:
    known = kind.HasField("well_known") and kind.well_known != _ANY
    return bool(
        known or kind.HasField("null") or kind.HasField("primitive") or kind.message_type == "credstream.Result"
    )
