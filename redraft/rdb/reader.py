"""Reading the units that all values are written in: lengths and strings (Redis: rdb.c, rdbLoadLen).

| first byte | what |
|---|---|
| `00xxxxxx` | a length of 6 bits |
| `01xxxxxx` | a length of 14 bits: these and the next byte |
| `80` `81` | a length: 4, 8 bytes, big endian |
| `c0` `c1` `c2` | a string that is the decimal form of an integer: 1, 2, 4 bytes, little endian |
| `c3` | a packed string: the length packed, the length, LZF |

A plain string is its length and its bytes.
"""

from __future__ import annotations

from redraft.rdb import lzf
from redraft.rdb.errors import PayloadError

PACKED = 3


class Reader:
    """A place in a payload. All methods move it, and raise PayloadError."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        at = self._at
        end = self._at = at + count
        taken = self._data[at:end]
        if len(taken) != count:
            raise PayloadError("a payload ends early")
        return taken

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def length(self) -> int:
        """A length, or any other number of 64 bits without a sign."""
        first = self.byte()
        kind = first >> 6
        if kind == 0:
            return first
        if kind == 1:
            return (first & 0x3F) << 8 | self.byte()
        if first == 0x80:
            return int.from_bytes(self.take(4), "big")
        if first == 0x81:
            return int.from_bytes(self.take(8), "big")
        raise PayloadError("a payload has no length where one must be")

    def string(self) -> bytes:
        """A string."""
        data, at = self._data, self._at
        if at < len(data) and data[at] >= 0xC0:
            self._at = at + 1
            form = data[at] & 0x3F
            if form < PACKED:
                return b"%d" % int.from_bytes(self.take(1 << form), "little", signed=True)
            if form > PACKED:
                raise PayloadError("a payload has a string of an unknown form")
            packed_bytes, size = self.length(), self.length()
            return lzf.decompress(self.take(packed_bytes), size)
        return self.take(self.length())

    def strings(self, count: int) -> list[bytes]:
        """So many strings."""
        return [self.string() for _ in range(count)]
