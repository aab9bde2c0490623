"""Ziplists, which listpacks took the place of in Redis 7.0: still read, since older servers send them (ziplist.c).

```
4 bytes     bytes of the whole, little endian
4 bytes     where the last entry begins
2 bytes     count of entries; 65535: unknown
entries     length of the entry before, the type and length of this one, data
1 byte      0xff
```

The length before is one byte, or 0xfe and four. Types:

| head | what | data |
|---|---|---|
| `00xxxxxx` | a string of up to 63 bytes | the string |
| `01xxxxxx` | a string of up to 16383 bytes | 1 byte: low bits of the length; the string |
| `80` | a string | 4 bytes: the length, big endian; the string |
| `c0` `d0` `e0` `f0` `fe` | an integer | 2, 4, 8, 3, 1 bytes, little endian |
| `f1` … `fd` | an integer from 0 to 12 | |
"""

from __future__ import annotations

import struct

from redraft.rdb.errors import PayloadError

HEADER_BYTES = 10
COUNT_UNKNOWN = 0xFFFF

_HEADER = struct.Struct("<IIH")
_INTEGER_BYTES = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}


def read(data: bytes) -> list[bytes]:
    """The entries. Raises PayloadError."""
    end = len(data) - 1
    if end < HEADER_BYTES or data[end] != 0xFF:
        raise PayloadError("a ziplist has no end")
    size, last, count = _HEADER.unpack_from(data)
    if size != len(data):
        raise PayloadError("a ziplist is of another size than it tells")
    entries: list[bytes] = []
    at = begun = HEADER_BYTES
    length_before = 0
    try:
        while at < end:
            begun = at
            told = data[at]
            at += 1
            if told == 0xFF:
                raise PayloadError("a ziplist ends early")
            if told == 0xFE:
                told = int.from_bytes(data[at : at + 4], "little")
                at += 4
            if told != length_before:
                raise PayloadError("a ziplist cannot be walked backwards")
            entry, at = _entry(data, at)
            entries.append(entry)
            length_before = at - begun
    except IndexError:
        raise PayloadError("a ziplist ends inside an entry") from None
    if at != end or last != begun or count not in (len(entries), COUNT_UNKNOWN):
        raise PayloadError("a ziplist has other entries than it tells")
    return entries


def _entry(data: bytes, at: int) -> tuple[bytes, int]:
    """The string or integer that begins at `at`, and where it ends."""
    head = data[at]
    at += 1
    if head < 0xC0:
        if head < 0x40:
            size = head
        elif head < 0x80:
            size = (head & 0x3F) << 8 | data[at]
            at += 1
        elif head == 0x80:
            size = int.from_bytes(data[at : at + 4], "big")
            at += 4
        else:
            raise PayloadError("a ziplist has an entry of an unknown type")
        return data[at : at + size], at + size
    if 0xF1 <= head <= 0xFD:
        return b"%d" % (head - 0xF1), at
    width = _INTEGER_BYTES.get(head)
    if width is None:
        raise PayloadError("a ziplist has an entry of an unknown type")
    return b"%d" % int.from_bytes(data[at : at + width], "little", signed=True), at + width
