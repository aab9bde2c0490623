"""Writing lengths and strings, as `rdb.reader` shows them. Strings are never packed: Redis takes them as they are."""

from __future__ import annotations

from redraft.integers import parse_int64

_INTEGER_TEXT_MAX = 11
_INT32_MAX = (1 << 31) - 1


def length(number: int) -> bytes:
    """A length, or any other number of 64 bits without a sign."""
    if number < 1 << 6:
        return bytes((number,))
    if number < 1 << 14:
        return bytes((0x40 | number >> 8, number & 0xFF))
    if number < 1 << 32:
        return b"\x80" + number.to_bytes(4, "big")
    return b"\x81" + number.to_bytes(8, "big")


def string(data: bytes) -> bytes:
    """A string: as an integer if it is one of at most 32 bits."""
    size = len(data)
    if 0 < size <= _INTEGER_TEXT_MAX and data[0] < 0x3A:
        number = parse_int64(data)
        if number is not None:
            bits = number if number >= 0 else ~number
            if bits < 1 << 7:
                return b"\xc0" + number.to_bytes(1, "little", signed=True)
            if bits < 1 << 15:
                return b"\xc1" + number.to_bytes(2, "little", signed=True)
            if bits <= _INT32_MAX:
                return b"\xc2" + number.to_bytes(4, "little", signed=True)
    return length(size) + data
