"""A key's record in the image: one type byte, an optional deadline, the type's payload.

```
byte 0      the type's tag; 0x80 is set when a deadline follows, 0x20 when the value is not in its smaller encoding
8 bytes     the deadline, Unix milliseconds, big endian     (only with 0x80)
the rest    the payload, as the type defines it
```

Tags are listed in `TAGS` and never reused; a record with an unknown tag is damage or comes from a newer version, and
is refused; 0x40 is none, the image has its own use for it. A string's payload is its bytes, so the commonest record
costs one concatenation.

A collection that has grown keeps the larger encoding when it shrinks (Redis forgets that in a restart), so that OBJECT
ENCODING, DUMP and the scans answer the same whether a value was read from an image or built by the log.

What this leaves out: DUMP's payload, which is Redis's own format, not redraft's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from redraft.errors import DamagedDataError
from redraft.values.members import Members
from redraft.values.value import AnyValue, Frozen, Value

TAG_STRING = 0
"""`bytes`: as it was set."""
TAG_STRING_RAW = 1
"""`bytearray`: a string that was changed in place (OBJECT ENCODING answers `raw` for it)."""
TAG_LIST = 2
TAG_HASH = 3
TAG_SET = 4
TAG_ZSET = 5
TAG_STREAM = 6

HAS_DEADLINE = 0x80
HAS_GROWN = 0x20
PIECE_BYTES = 1 << 18
"""A longer string is written in pieces of so many bytes."""
_DEADLINE = struct.Struct(">q")

COLLECTIONS: dict[int, type[Value]] = {}
"""The class of each collection tag, filled by `register`."""


def register(cls: type[Value]) -> type[Value]:
    """Class decorator: make the codec know a collection type."""
    if cls.tag in COLLECTIONS or cls.tag <= TAG_STRING_RAW:
        raise ValueError(f"tag {cls.tag} is taken")
    COLLECTIONS[cls.tag] = cls
    return cls


class _FrozenString:
    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def pieces(self) -> Iterator[bytes]:
        data = self._data
        for start in range(0, len(data), PIECE_BYTES):
            yield data[start : start + PIECE_BYTES]


FrozenRecord = tuple[int, Frozen]


def type_name(value: AnyValue) -> bytes:
    """What TYPE answers for a value."""
    if isinstance(value, (bytes, bytearray)):
        return b"string"
    return value.type_name


def freeze(value: AnyValue) -> FrozenRecord:
    """A value as of now, to be encoded later by `frozen_pieces` whatever becomes of the original."""
    if isinstance(value, bytes):
        return TAG_STRING, _FrozenString(value)
    if isinstance(value, bytearray):
        return TAG_STRING_RAW, _FrozenString(bytes(value))
    tag = value.tag | HAS_GROWN if isinstance(value, Members) and not value.compact else value.tag
    return tag, value.freeze()


def header(tag: int, deadline_ms: int | None) -> bytes:
    """The bytes of a record before its payload."""
    if deadline_ms is None:
        return bytes((tag,))
    return bytes((tag | HAS_DEADLINE,)) + _DEADLINE.pack(deadline_ms)


def frozen_pieces(frozen: FrozenRecord, deadline_ms: int | None) -> Iterator[bytes]:
    """The whole record in pieces: its header, then the payload's."""
    yield header(frozen[0], deadline_ms)
    yield from frozen[1].pieces()


def encode(value: AnyValue, deadline_ms: int | None) -> bytes:
    """The whole record at once."""
    if type(value) is bytes:
        if deadline_ms is None:
            return b"\x00" + value
        return b"\x80" + _DEADLINE.pack(deadline_ms) + value
    return b"".join(frozen_pieces(freeze(value), deadline_ms))


def decode(record: bytes) -> tuple[AnyValue, int | None]:
    """The value and the deadline (ms) of a record. Raises DamagedDataError."""
    if not record:
        raise DamagedDataError("an image record is empty")
    tag = record[0]
    if tag == TAG_STRING:
        return record[1:], None
    deadline_ms = None
    start = 1
    if tag & HAS_DEADLINE:
        if len(record) < 9:
            raise DamagedDataError("an image record ends inside its deadline")
        deadline_ms = _DEADLINE.unpack_from(record, 1)[0]
        start = 9
        tag &= ~HAS_DEADLINE
    has_grown = bool(tag & HAS_GROWN)
    tag &= ~HAS_GROWN
    payload = record[start:]
    if tag == TAG_STRING and not has_grown:
        return payload, deadline_ms
    if tag == TAG_STRING_RAW and not has_grown:
        return bytearray(payload), deadline_ms
    collection = COLLECTIONS.get(tag)
    if collection is None:
        raise DamagedDataError(f"an image record has the unknown type {record[0] & ~HAS_DEADLINE}")
    value = collection.decode(payload)
    if isinstance(value, Members):
        value.compact = not has_grown
    elif has_grown:
        raise DamagedDataError(f"an image record of type {tag} has an encoding that it cannot have")
    return value, deadline_ms
