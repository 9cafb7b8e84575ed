"""Avro's binary encoding by functions made for each schema: fastavro's bytes and values, in half the time.

A schema becomes one straight Python function that writes a record's attributes, and one that reads them into its struct. They are
made once, of what is published in `history/` and of nothing else. Only the types that our schemas use are known; any other is
refused when the function is made. Reading is strict: what Avro leaves open (long forms of numbers, truths other than 0 and 1) is
an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from types import UnionType
from typing import Any, Final, get_args, get_type_hints

import msgspec

Writer = Callable[[Any, bytearray], None]
Reader = Callable[[bytes, int, list[str]], tuple[Any, int]]
_LONGS: Final = range(-(1 << 63), 1 << 63)
_INTS: Final = range(-(1 << 31), 1 << 31)
_LAST_SHIFT: Final = 63
_PAIR: Final = 14  # bits in two bytes of a varint
_SHORT: Final = tuple(bytes((n & 127 | 128, n >> 7)) if n >> 7 else bytes((n,)) for n in range(1 << _PAIR))
_GOES_ON: Final = tuple(bytes((n & 127 | 128, n >> 7 | 128)) for n in range(1 << _PAIR))
_LENGTHS: Final = tuple(_SHORT[2 * n] for n in range(1 << (_PAIR - 1)))
"""Lengths as Avro writes them, up to 8,191."""


def write_long(out: bytearray, number: int) -> None:
    """Append a whole number: zig-zag, then seven bits a byte, the lowest first.

    Raises:
        OverflowError: It has more than 64 bits.
    """
    if number not in _LONGS:
        raise OverflowError(f"{number} does not fit in 64 bits")
    left = number << 1 ^ number >> 63
    while left >> _PAIR:
        out += _GOES_ON[left & 0x3FFF]
        left >>= _PAIR
    out += _SHORT[left]


def write_int(out: bytearray, number: int) -> None:
    """Append a whole number of 32 bits.

    Raises:
        OverflowError: It has more.
    """
    if number not in _INTS:
        raise OverflowError(f"{number} does not fit in 32 bits")
    write_long(out, number)


def write_bytes(out: bytearray, value: bytes) -> None:
    """Append bytes, after their length."""
    length = len(value)
    if length < len(_LENGTHS):
        out += _LENGTHS[length]
    else:
        write_long(out, length)
    out += value


def writer(schema: Mapping[str, Any]) -> Writer:
    """Return what appends a record of this schema, given as an object with an attribute for each field.

    Raises:
        ValueError: The schema has a type that is not known here.
    """
    source = "\n".join(("def write(value, out):", *_record(schema, "value", 1)))
    names: dict[str, Any] = {
        "long_": write_long,
        "int_": write_int,
        "octets": write_bytes,
        "LENGTHS": _LENGTHS,
        "MOST": len(_LENGTHS),
    }
    exec(compile(source, f"<avro {schema['name']}>", "exec"), names)  # noqa: S102  our own published schema, nothing that came in
    made: Writer = names["write"]
    return made


def _record(schema: Mapping[str, Any], value: str, depth: int) -> Iterator[str]:
    for field in schema["fields"]:
        name = field["name"]
        if not name.isidentifier():
            raise ValueError(f"no attribute can be called {name!r}")
        yield f"{'    ' * depth}v{depth} = {value}.{name}"
        yield from _any(field["type"], f"v{depth}", depth)


def _any(schema: Any, value: str, depth: int) -> Iterator[str]:
    """Yield the lines that append a value of a schema."""
    at, deeper = "    " * depth, depth + 1
    kind = schema["type"] if isinstance(schema, Mapping) else "union" if isinstance(schema, list) else schema
    match kind:
        case "string":
            yield f"{at}b = {value}.encode()"
            yield f"{at}n = len(b)"
            yield f"{at}if n < MOST: out += LENGTHS[n]"
            yield f"{at}else: long_(out, n)"
            yield f"{at}out += b"
        case "bytes":
            yield f"{at}octets(out, {value})"
        case "long" | "int":
            yield f"{at}{kind}_(out, {value})"
        case "boolean":
            yield f"{at}out.append(1 if {value} else 0)"
        case "record":
            yield from _record(schema, value, depth)
        case "array":
            yield f"{at}if {value}:"
            yield f"{at}    long_(out, len({value}))"
            yield f"{at}    for i{depth} in {value}:"
            yield from _any(schema["items"], f"i{depth}", depth + 2)
            yield f"{at}out.append(0)"
        case "union":
            yield from _union(schema, value, at, deeper)
        case _:
            raise ValueError(f"no Avro type {kind!r} is written here")


def _union(schema: list[Any], value: str, at: str, deeper: int) -> Iterator[str]:
    test = {"null": f"if {value} is None:", "bytes": f"if type({value}) is bytes:"}
    told = next((branch for name in test for branch, one in enumerate(schema) if one == name), None)
    if told is None or len(schema) != 2:  # noqa: PLR2004  what is told apart, and the rest
        raise ValueError(f"no union of {schema} is written here")
    for branch, line in ((told, test[schema[told]]), (1 - told, "else:")):
        yield at + line
        yield f"{'    ' * deeper}out.append({2 * branch})"
        if schema[branch] != "null":
            yield from _any(schema[branch], value, deeper)


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return the zig-zag number at a position, and the position after it.

    Raises:
        ValueError: It has more than 64 bits, or is written longer than need be.
        IndexError: It is cut off.
    """
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004  the bit that says that more follows
            break
        shift += 7
        if shift > _LAST_SHIFT:
            break
    if number >> 64 or byte > 127 or (shift and not byte):  # noqa: PLR2004
        raise ValueError("a number of more than 64 bits, or in a long form")
    return number >> 1 ^ -(number & 1), at


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """Return the length at a position, and the position after it.

    Raises:
        ValueError: It is negative or more than there is.
        IndexError: It is cut off.
    """
    length, at = read_number(data, at)
    if not 0 <= length <= len(data) - at:
        raise ValueError("a length that is negative or more than there is")
    return length, at


def read_count(data: bytes, at: int) -> tuple[int, int]:
    """Return how many items the next block of an array has, and the position of the first; of a block with a size, too."""
    count, at = read_number(data, at)
    if count < 0:
        count = -count
        _, at = read_length(data, at)
    if count > len(data) - at:
        raise ValueError("more items than there are bytes")
    return count, at


def reader(schema: Mapping[str, Any], structs: Mapping[str, type[msgspec.Struct]]) -> Reader:
    """Return what reads a record at a position and adds every text in it to a list: the struct of its name, and the position after.

    The function made raises IndexError or ValueError where the bytes break the schema, and KeyError for a text that is no member of
    its enumeration.

    Raises:
        ValueError: The schema has a type that is not known here.
    """
    names: dict[str, Any] = {"INTS": _INTS, "number": read_number, "length": read_length, "count": read_count}
    lines = _Reading(structs, names)
    source = "\n".join(("def read(data, at, texts):", *lines.record(schema, "value", 1), "    return value, at"))
    exec(compile(source, f"<avro {schema['name']}>", "exec"), names)  # noqa: S102  our own published schema, nothing that came in
    made: Reader = names["read"]
    return made


class _Reading:
    """Yields the lines that read values. What they need beside them goes into ``names``."""

    def __init__(self, structs: Mapping[str, type[msgspec.Struct]], names: dict[str, Any]) -> None:
        self._structs, self._names, self._next = structs, names, 0

    def record(self, schema: Mapping[str, Any], into: str, depth: int) -> Iterator[str]:
        struct = self._structs[schema["name"]]
        hints = get_type_hints(struct)
        given = []
        for field in schema["fields"]:
            self._next += 1
            value = f"v{self._next}"
            yield from self._any(field["type"], value, depth, _enumeration(hints[field["name"]]))
            given.append(f"{field['name']}={value}")
        self._names[struct.__name__] = struct
        yield f"{'    ' * depth}{into} = {struct.__name__}({', '.join(given)})"

    def _any(self, schema: Any, into: str, depth: int, members: type[Enum] | None = None) -> Iterator[str]:
        at = "    " * depth
        kind = schema["type"] if isinstance(schema, Mapping) else "union" if isinstance(schema, list) else schema
        match kind:
            case "string" | "bytes":
                yield from self._text(kind, into, at, members)
            case "long" | "int":
                yield f"{at}n = data[at]"
                yield f"{at}if n & 128: {into}, at = number(data, at)"
                yield f"{at}else:"
                yield f"{at}    {into} = n >> 1 ^ -(n & 1)"
                yield f"{at}    at += 1"
                if kind == "int":
                    yield f"{at}if {into} not in INTS: raise ValueError('a number of more than 32 bits')"
            case "boolean":
                yield f"{at}{into} = (False, True)[data[at]]"
                yield f"{at}at += 1"
            case "record":
                yield from self.record(schema, into, depth)
            case "array":
                yield from self._array(schema, into, depth)
            case "union":
                yield from self._union(schema, into, depth, members)
            case "null":
                yield f"{at}{into} = None"
            case _:
                raise ValueError(f"no Avro type {kind!r} is read here")

    def _text(self, kind: str, into: str, at: str, members: type[Enum] | None) -> Iterator[str]:
        yield f"{at}n = data[at]"
        yield f"{at}if n & 129: n, at = length(data, at)"
        yield f"{at}else:"
        yield f"{at}    n >>= 1"
        yield f"{at}    at += 1"
        yield f"{at}{into} = data[at:at + n]" + (".decode()" if kind == "string" else "")
        yield f"{at}at += n"
        if members is not None:
            self._names[members.__name__] = {member.value: member for member in members}
            yield f"{at}{into} = {members.__name__}[{into}]"
        elif kind == "string":
            yield f"{at}texts.append({into})"

    def _array(self, schema: Mapping[str, Any], into: str, depth: int) -> Iterator[str]:
        at = "    " * depth
        yield f"{at}several{depth} = []"
        yield f"{at}while True:"
        yield f"{at}    n, at = count(data, at)"
        yield f"{at}    if not n: break"
        yield f"{at}    for _ in range(n):"
        yield from self._any(schema["items"], f"one{depth}", depth + 2)
        yield f"{at}        several{depth}.append(one{depth})"
        yield f"{at}{into} = tuple(several{depth})"

    def _union(self, schema: list[Any], into: str, depth: int, members: type[Enum] | None) -> Iterator[str]:
        at = "    " * depth
        yield f"{at}n = data[at]"
        yield f"{at}at += 1"
        for branch, one in enumerate(schema):
            yield f"{at}{'el' * bool(branch)}if n == {2 * branch}:"
            yield from self._any(one, into, depth + 1, members)
        yield f"{at}else: raise ValueError('no such branch of a union')"


def _enumeration(hint: Any) -> type[Enum] | None:
    among = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return next((one for one in among if isinstance(one, type) and issubclass(one, Enum)), None)
