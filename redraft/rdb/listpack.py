"""Listpacks: strings in a row, each followed by its own length for whoever walks backwards (Redis: listpack.c).

```
4 bytes     bytes of the whole, little endian
2 bytes     count of elements; 65535: unknown
elements    a head that tells the type and the length, data, and the length of both as `_tail` writes it
1 byte      0xff
```

A string that is the decimal form of a 64-bit integer is held as one; so it reads back as the same string.

| head | what | data |
|---|---|---|
| `0xxxxxxx` | an integer from 0 to 127 | |
| `110xxxxx` | a 13-bit integer | 1 byte: its low bits |
| `f1` `f2` `f3` `f4` | an integer | 2, 3, 4, 8 bytes, little endian |
| `10xxxxxx` | a string of up to 63 bytes | the string |
| `1110xxxx` | a string of up to 4095 bytes | 1 byte: low bits of the length; the string |
| `f0` | a string | 4 bytes: the length, little endian; the string |
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from redraft.integers import parse_int64
from redraft.rdb.errors import PayloadError

END = b"\xff"
HEADER_BYTES = 6
COUNT_UNKNOWN = 0xFFFF
MAX_BYTES = 1 << 30
"""Redis makes none that is larger."""

_HEADER = struct.Struct("<IH")
_INTEGER_BYTES = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}
_INTEGER_TEXT_MAX = 20
_SMALL = [b"%d" % number for number in range(128)]
_SHORT = [(bytes((0x80 | size,)), bytes((size + 1,))) for size in range(64)]
"""Head and tail of a short string, by its length."""
_NARROW = [bytes((number, 1)) for number in range(128)]
_NARROW += [bytes((0xC0 | number >> 8 & 0x1F, number & 0xFF, 2)) for number in (*range(128, 4096), *range(-4096, 0))]
"""Integers of 7 and of 13 bits; negative ones are found from the end."""


def read(data: bytes) -> list[bytes]:
    """The elements. Raises PayloadError."""
    end = len(data) - 1
    if end < HEADER_BYTES or data[end] != 0xFF:
        raise PayloadError("a listpack has no end")
    size, count = _HEADER.unpack_from(data)
    if size != len(data):
        raise PayloadError("a listpack is of another size than it tells")
    elements: list[bytes] = []
    append = elements.append
    at = HEADER_BYTES
    try:
        while at < end:
            head = data[at]
            if head < 0x80:
                append(_SMALL[head])
                following = at + 1
            elif head < 0xC0:
                following = at + 1 + (head & 0x3F)
                append(data[at + 1 : following])
            elif head < 0xE0:
                number = (head & 0x1F) << 8 | data[at + 1]
                append(b"%d" % (number if number < 1 << 12 else number - (1 << 13)))
                following = at + 2
            elif head < 0xF0:
                following = at + 2 + ((head & 0x0F) << 8 | data[at + 1])
                append(data[at + 2 : following])
            elif head == 0xF0:
                following = at + 5 + int.from_bytes(data[at + 1 : at + 5], "little")
                append(data[at + 5 : following])
            elif head in _INTEGER_BYTES:
                following = at + 1 + _INTEGER_BYTES[head]
                append(b"%d" % int.from_bytes(data[at + 1 : following], "little", signed=True))
            else:
                raise PayloadError("a listpack has an element of an unknown type")
            length = following - at
            if length < 128:
                if data[following] != length:
                    raise PayloadError("a listpack cannot be walked backwards")
                at = following + 1
            else:
                tail = _tail(length)
                at = following + len(tail)
                if data[following:at] != tail:
                    raise PayloadError("a listpack cannot be walked backwards")
    except IndexError:
        raise PayloadError("a listpack ends inside an element") from None
    if at != end or count not in (len(elements), COUNT_UNKNOWN):
        raise PayloadError("a listpack has another count of elements than it tells")
    return elements


def element(data: bytes) -> bytes:
    """A string as it stands in a listpack."""
    size = len(data)
    if 0 < size <= _INTEGER_TEXT_MAX and data[0] < 0x3A:
        number = parse_int64(data)
        if number is not None:
            return integer(number)
    if size < 64:
        head, tail = _SHORT[size]
        return head + data + tail
    if size < 4096:
        return bytes((0xE0 | size >> 8, size & 0xFF)) + data + _tail(size + 2)
    return b"\xf0" + size.to_bytes(4, "little") + data + _tail(size + 5)


def integer(number: int) -> bytes:
    """A 64-bit integer as it stands in a listpack."""
    if -4096 <= number < 4096:
        return _NARROW[number]
    bits = (number if number >= 0 else ~number).bit_length() + 1
    for head, width in _INTEGER_BYTES.items():
        if bits <= 8 * width:
            return bytes((head,)) + number.to_bytes(width, "little", signed=True) + bytes((width + 1,))
    raise OverflowError(f"{number} is no 64-bit integer")


def write(elements: Iterable[bytes]) -> bytes:
    """The listpack of some strings."""
    return join(list(map(element, elements)))


def join(parts: list[bytes]) -> bytes:
    """The listpack of what `element` and `integer` made."""
    body = b"".join(parts)
    size = HEADER_BYTES + len(body) + len(END)
    return _HEADER.pack(size, min(len(parts), COUNT_UNKNOWN)) + body + END


def _tail(length: int) -> bytes:
    """The length of an element, to be read from its last byte: 7 bits a byte, the high ones first; all but the first
    byte have their top bit set."""
    if length < 128:
        return bytes((length,))
    count = 2 if length < 16383 else 3 if length < 2097151 else 4 if length < 268435455 else 5
    groups = [length >> 7 * number & 0x7F for number in reversed(range(count))]
    return bytes((groups[0], *(0x80 | group for group in groups[1:])))
