"""The form on disk of collections whose members are alike, made and read in slices.

```
1 byte      version, 1
4 bytes     count of members, little endian
then        slices: each a part (`values.parts`), an array of items
```

An item is a byte string here; a sorted set's is a pair. Several rows of equal length (a hash's fields and its values)
are interleaved: the first of each, the second of each… A slice holds a few dozen members, so that it takes some 10 µs
to make; one whose strings are long is cut into its items.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any, TypeVar

import msgspec

from redraft.errors import DamagedDataError
from redraft.values.parts import part, parts

VERSION = 1
SLICE_MEMBERS = 64
SLICE_BYTES = 32 * 1024
"""A slice of more than this is cut into its items."""

_HEADER = struct.Struct("<BI")
_strings = msgspec.msgpack.Decoder(list[bytes]).decode

Item = TypeVar("Item")


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
        yield header(count)
        for start in range(0, count, SLICE_MEMBERS):
            end = min(start + SLICE_MEMBERS, count)
            items = [b""] * (len(rows) * (end - start))
            for number, row in enumerate(rows):
                items[number :: len(rows)] = row[start:end]
                row[start:end] = repeat(b"", end - start)
            yield from slices(items, sum(map(len, items)))


def header(count: int) -> bytes:
    """What the payload of `count` members begins with."""
    return _HEADER.pack(VERSION, count)


def slices(items: Sequence[Any], size: int) -> Iterator[bytes]:
    """Items whose strings are `size` bytes together: one slice, or one of each."""
    if size <= SLICE_BYTES:
        yield part(items)
    else:
        for item in items:
            yield part([item])


def decode(payload: bytes, rows: int) -> list[list[bytes]]:
    """The rows whose pieces joined to `payload`. Raises DamagedDataError."""
    items = decode_items(payload, _strings, rows)
    return [items] if rows == 1 else [items[number::rows] for number in range(rows)]


def decode_items(payload: bytes, decode_slice: Callable[[memoryview], list[Item]], rows: int = 1) -> list[Item]:
    """The items of all slices, `rows` of them for each member. Raises DamagedDataError."""
    if len(payload) < _HEADER.size:
        raise DamagedDataError("a collection ends inside its header")
    version, count = _HEADER.unpack_from(payload)
    if version != VERSION:
        raise DamagedDataError(f"a collection is of the unknown version {version}")
    items: list[Item] = []
    for each in parts(payload, _HEADER.size):
        try:
            items += decode_slice(each)
        except msgspec.DecodeError as error:
            raise DamagedDataError(f"a slice of a collection is damaged: {error}") from error
    if len(items) != rows * count:
        raise DamagedDataError(f"a collection has {len(items)} items where {rows} x {count} are told")
    return items
