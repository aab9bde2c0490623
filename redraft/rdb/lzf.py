"""LZF, in which Redis packs strings longer than 20 bytes. Only unpacking: Redis takes strings unpacked as well.

A packed string is a row of instructions. A control byte below 32 says how many bytes follow, less one, that stand for
themselves. Any other repeats what was unpacked already: its high three bits are the length less two (7: a byte more
of length follows), its low five and the next byte are how far back to begin, less one. What is repeated may reach into
itself.
"""

from __future__ import annotations

from redraft.rdb.errors import PayloadError

MOST_FROM_A_BYTE = 88
"""Three bytes unpack to 264 at the most."""


def decompress(packed: bytes, size: int) -> bytes:
    """The `size` bytes that were packed. Raises PayloadError."""
    if not 0 < size <= MOST_FROM_A_BYTE * len(packed):
        raise PayloadError("a packed string cannot be of that size")
    out = bytearray()
    at, end = 0, len(packed)
    try:
        while at < end:
            control = packed[at]
            at += 1
            if control < 32:
                out += packed[at : at + control + 1]
                at += control + 1
                continue
            count = control >> 5
            if count == 7:
                count += packed[at]
                at += 1
            count += 2
            back = ((control & 31) << 8 | packed[at]) + 1
            at += 1
            start = len(out) - back
            if start < 0:
                raise PayloadError("a packed string repeats what is before its beginning")
            if back >= count:
                out += out[start : start + count]
            else:
                out += (bytes(out[start:]) * (count // back + 1))[:count]
            if len(out) > size:
                break
    except IndexError:
        raise PayloadError("a packed string ends inside an instruction") from None
    if at != end or len(out) != size:
        raise PayloadError("a packed string is of another size than told")
    return bytes(out)
