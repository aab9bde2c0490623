"""Zipmaps, in which Redis held small hashes before 2.6: read, never written (zipmap.c).

```
1 byte      count of fields; 254 or more: unknown
fields      the field's length and the field; the value's length, one byte that counts the bytes free after it, the
            value, and these bytes
1 byte      0xff
```

A length is one byte up to 253, or 0xfe and four bytes, little endian.
"""

from __future__ import annotations

from redraft.rdb.errors import PayloadError

COUNT_UNKNOWN = 254


def read(data: bytes) -> list[bytes]:
    """Fields and values, in turn. Raises PayloadError."""
    end = len(data) - 1
    if end < 1 or data[end] != 0xFF:
        raise PayloadError("a zipmap has no end")
    strings: list[bytes] = []
    at = 1
    try:
        while at < end:
            size = data[at]
            at += 1
            if size == 0xFF:
                raise PayloadError("a zipmap ends early")
            if size == 0xFE:
                size = int.from_bytes(data[at : at + 4], "little")
                at += 4
            free = 0
            if len(strings) % 2:
                free = data[at]
                at += 1
            strings.append(data[at : at + size])
            at += size + free
    except IndexError:
        raise PayloadError("a zipmap ends inside a field") from None
    if at != end or len(strings) % 2 or (data[0] < COUNT_UNKNOWN and 2 * data[0] != len(strings)):
        raise PayloadError("a zipmap has other fields than it tells")
    return strings
