"""Intsets: integers in ascending order, all of one width (Redis: intset.c).

```
4 bytes     width of an integer: 2, 4 or 8; little endian, as everything here
4 bytes     count
the rest    the integers, signed
```
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import islice
from operator import lt

from redraft.rdb.errors import PayloadError

_HEADER = struct.Struct("<II")
_FORMATS = {2: "h", 4: "i", 8: "q"}


def read(data: bytes) -> list[int]:
    """The integers; at least one. Raises PayloadError."""
    if len(data) < _HEADER.size:
        raise PayloadError("an intset ends inside its header")
    width, count = _HEADER.unpack_from(data)
    if width not in _FORMATS or not count or len(data) != _HEADER.size + width * count:
        raise PayloadError("an intset is not of the size that it tells")
    numbers = struct.unpack_from(f"<{count}{_FORMATS[width]}", data, _HEADER.size)
    if not all(map(lt, numbers, islice(numbers, 1, None))):
        raise PayloadError("an intset is out of order")
    return list(numbers)


def write(numbers: Iterable[int]) -> bytes:
    """The intset of distinct 64-bit integers."""
    ordered = sorted(numbers)
    largest = max(-ordered[0] - 1, ordered[-1])
    width = 2 if largest < 1 << 15 else 4 if largest < 1 << 31 else 8
    return _HEADER.pack(width, len(ordered)) + struct.pack(f"<{len(ordered)}{_FORMATS[width]}", *ordered)
