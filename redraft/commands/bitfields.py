"""BITFIELD: integers of any width within a string (Redis: bitops.c, bitfieldGeneric)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.bits import BIT_OFFSET, bit_offset, grown_buffer
from redraft.commands.context import Context
from redraft.commands.strings import MAX_STRING_BYTES
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.integers import parse_int64
from redraft.values.value import StringValue

_INVALID_TYPE = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
_INVALID_OVERFLOW = "ERR Invalid OVERFLOW type specified"
_ONLY_GET = "ERR BITFIELD_RO only supports the GET subcommand"

_bitfield = partial(command, group="bitmap", acl="bitmap", keys=(1, 1, 1), complexity="O(1) for each operation.")


@dataclass(frozen=True, slots=True)
class _Field:
    """An integer's place in a string."""

    signed: bool
    width: int
    offset: int
    """Its first bit."""

    @property
    def end_byte(self) -> int:
        """The first byte after those that hold it."""
        return (self.offset + self.width + 7) >> 3

    def read(self, value: StringValue) -> int:
        """The integer; a string goes on with zeros."""
        number = self._window(value) >> self._shift & (1 << self.width) - 1
        return number - (1 << self.width) if self.signed and number >> self.width - 1 else number

    def write(self, buffer: bytearray, number: int) -> None:
        """Set the integer, which fits, in a string that is long enough."""
        ones = (1 << self.width) - 1
        window = self._window(buffer) & ~(ones << self._shift) | (number & ones) << self._shift
        start = self.offset >> 3
        buffer[start : self.end_byte] = window.to_bytes(self.end_byte - start, "big")

    @property
    def _shift(self) -> int:
        return -(self.offset + self.width) & 7

    def _window(self, value: StringValue) -> int:
        start = self.offset >> 3
        return int.from_bytes(value[start : self.end_byte].ljust(self.end_byte - start, b"\0"), "big")

    def maybe_fitted(self, number: int, overflow: bytes) -> int | None:
        """The number, made to fit in the way that OVERFLOW demands; None where it demands to fail."""
        if self.signed:
            low, high = -(1 << self.width - 1), (1 << self.width - 1) - 1
        else:
            low, high = 0, (1 << self.width) - 1
        if low <= number <= high:
            return number
        if overflow == b"sat":
            return high if number > high else low
        return (number - low) % (1 << self.width) + low if overflow == b"wrap" else None


@dataclass(frozen=True, slots=True)
class _Operation:
    """One step of BITFIELD. `overflow` is `wrap`, `sat` or `fail`."""

    name: bytes
    field: _Field
    number: int = 0
    overflow: bytes = b"wrap"

    def change(self, buffer: bytearray) -> int | None:
        """Do a SET or an INCRBY; its reply."""
        field = self.field
        old = field.read(buffer)
        if self.name == b"incrby":
            number = old + self.number
        else:
            # As Redis: what is negative is a large one to an unsigned field.
            number = self.number if field.signed else self.number & parse.UINT64_MAX
        new = field.maybe_fitted(number, self.overflow)
        if new is None:
            return None
        field.write(buffer, new)
        return old if self.name == b"set" else new


_OPERANDS = {b"get": 2, b"set": 3, b"incrby": 3}


def _operations(argv: list[bytes]) -> list[_Operation]:
    found: list[_Operation] = []
    overflow = b"wrap"
    position = 2
    while position < len(argv):
        name = argv[position].lower()
        left = len(argv) - position - 1
        if name == b"overflow" and left:
            overflow = argv[position + 1].lower()
            if overflow not in (b"wrap", b"sat", b"fail"):
                raise CommandError(_INVALID_OVERFLOW)
            position += 2
            continue
        operands = _OPERANDS.get(name)
        if operands is None or left < operands:
            raise CommandError(errors.SYNTAX)
        field = _field(argv[position + 1], argv[position + 2])
        number = parse.integer(argv[position + 3]) if operands == 3 else 0
        found.append(_Operation(name, field, number, overflow))
        position += 1 + operands
    return found


def _field(type_: bytes, place: bytes) -> _Field:
    sign = type_[:1]
    width = parse_int64(type_[1:].split(b"\0", 1)[0]) or 0
    if sign not in (b"i", b"u") or not 1 <= width <= (64 if sign == b"i" else 63):
        raise CommandError(_INVALID_TYPE)
    if not place.startswith(b"#"):
        return _Field(sign == b"i", width, bit_offset(place))
    count = parse_int64(place[1:])
    if count is None or not 0 <= count * width < MAX_STRING_BYTES * 8:
        raise CommandError(BIT_OFFSET)
    return _Field(sign == b"i", width, count * width)


@_bitfield(
    "BITFIELD", -2, "write denyoom", since="3.2.0", summary="Get, set and increment integers of any width in a string",
    access="RW access update variable_flags",
)  # fmt: skip
def bitfield(context: Context, argv: list[bytes]) -> Any:
    operations = _operations(argv)
    written = [operation.field.end_byte for operation in operations if operation.name != b"get"]
    if not written:
        return _read_all(context, argv[1], operations)
    buffer = grown_buffer(context, argv[1], max(written))
    return [
        operation.field.read(buffer) if operation.name == b"get" else operation.change(buffer)
        for operation in operations
    ]


@_bitfield(
    "BITFIELD_RO", -2, "readonly fast", since="6.0.0", summary="Get integers of any width in a string",
    access="RO access",
)  # fmt: skip
def bitfield_ro(context: Context, argv: list[bytes]) -> Any:
    operations = _operations(argv)
    if any(operation.name != b"get" for operation in operations):
        raise CommandError(_ONLY_GET)
    return _read_all(context, argv[1], operations)


def _read_all(context: Context, key: bytes, operations: list[_Operation]) -> list[int]:
    value = context.string(key) or b""
    return [operation.field.read(value) for operation in operations]
