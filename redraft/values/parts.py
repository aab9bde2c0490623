"""What the disk forms of collections are made of: parts, each a msgpack object behind its length (4 bytes, little
endian), until the payload ends."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from redraft.errors import DamagedDataError

_LENGTH = struct.Struct("<I")
_encode = msgspec.msgpack.Encoder().encode


def part(value: Any) -> bytes:
    """One part."""
    body = _encode(value)
    return _LENGTH.pack(len(body)) + body


def parts(payload: bytes, start: int) -> Iterator[memoryview]:
    """The msgpack of each part from `start` on. Raises DamagedDataError."""
    view = memoryview(payload)
    while start < len(view):
        if start + _LENGTH.size > len(view):
            raise DamagedDataError("a collection ends inside the length of a part")
        (length,) = _LENGTH.unpack_from(view, start)
        start += _LENGTH.size
        if start + length > len(view):
            raise DamagedDataError("a collection ends inside a part")
        yield view[start : start + length]
        start += length
