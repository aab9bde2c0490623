"""The form on disk of rows of byte strings, made and read in slices.

```
1 byte      version, 1
4 bytes     count of members, little endian
then, until the payload ends:
4 bytes     length of a slice, little endian
the slice   a msgpack array of byte strings
```

Several rows of equal length (a hash's fields and its values) are interleaved: the first of each, the second of each…
A slice holds a few dozen members, so that it takes some 10 µs to make; strings that are long have a slice each.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import repeat

import msgspec

from redraft.errors import DamagedDataError

VERSION = 1
SLICE_MEMBERS = 64
SLICE_BYTES = 32 * 1024
"""A slice of more than this is cut into its strings."""

_HEADER = struct.Struct("<BI")
_LENGTH = struct.Struct("<I")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes]).decode


class FrozenRows:
    """Rows of equal length as of one instant. They are this object's, which lets go of what it has encoded: the value
    may be gone by then, and a million strings are not to be freed at once."""

    __slots__ = ("_rows",)

    def __init__(self, *rows: list[bytes]) -> None:
        self._rows = rows

    def pieces(self) -> Iterator[bytes]:
        """The payload in pieces. To be called once."""
        rows = self._rows
        count = len(rows[0])
        yield _HEADER.pack(VERSION, count)
        for start in range(0, count, SLICE_MEMBERS):
            end = min(start + SLICE_MEMBERS, count)
            items = [b""] * (len(rows) * (end - start))
            for number, row in enumerate(rows):
                items[number :: len(rows)] = row[start:end]
                row[start:end] = repeat(b"", end - start)
            if sum(map(len, items)) <= SLICE_BYTES:
                yield _slice(items)
            else:
                for item in items:
                    yield _slice([item])


def _slice(items: list[bytes]) -> bytes:
    body = _encode(items)
    return _LENGTH.pack(len(body)) + body


def decode(payload: bytes, rows: int) -> list[list[bytes]]:
    """The rows whose pieces joined to `payload`. Raises DamagedDataError."""
    if len(payload) < _HEADER.size:
        raise DamagedDataError("a collection ends inside its header")
    version, count = _HEADER.unpack_from(payload)
    if version != VERSION:
        raise DamagedDataError(f"a collection is of the unknown version {version}")
    view = memoryview(payload)
    items: list[bytes] = []
    start = _HEADER.size
    while start < len(view):
        if start + _LENGTH.size > len(view):
            raise DamagedDataError("a collection ends inside a slice's length")
        (length,) = _LENGTH.unpack_from(view, start)
        start += _LENGTH.size
        if start + length > len(view):
            raise DamagedDataError("a collection ends inside a slice")
        try:
            items += _decode(view[start : start + length])
        except msgspec.DecodeError as error:
            raise DamagedDataError(f"a slice of a collection is damaged: {error}") from error
        start += length
    if len(items) != rows * count:
        raise DamagedDataError(f"a collection has {len(items)} strings where {rows} x {count} are told")
    return [items] if rows == 1 else [items[number::rows] for number in range(rows)]
