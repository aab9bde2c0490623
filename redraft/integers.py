"""64-bit integers as Redis reads them: in their one canonical decimal form."""

from __future__ import annotations

import re

INT64_MIN = -(1 << 63)
INT64_MAX = (1 << 63) - 1

_INTEGER = re.compile(rb"(?:0|-?[1-9][0-9]{0,18})\Z")


def parse_int64(data: bytes | bytearray) -> int | None:
    """The signed 64-bit integer that `data` is the one canonical decimal form of, or None (util.c, string2ll:
    no sign `+`, no leading zero, no space)."""
    if data.isdigit() and len(data) <= 18 and (data[0] != 48 or len(data) == 1):  # '0'
        return int(data)
    if not _INTEGER.match(data):
        return None
    number = int(data)
    if INT64_MIN <= number <= INT64_MAX:
        return number
    return None
