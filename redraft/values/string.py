"""Strings: their two forms, and the numbers in them.

A string is `bytes` when it was set whole and `bytearray` once APPEND, SETRANGE or a bit command changed it in place
(so that appending a byte to a large string does not copy it). Redis makes the same difference: `int` and `embstr`
become `raw`, and OBJECT ENCODING shows it.
"""

from __future__ import annotations

import re

from redraft.values.value import StringValue

EMBSTR_MAX_BYTES = 44
"""Redis stores a string up to this length in one allocation with its object (object.c)."""

INT64_MIN = -(1 << 63)
INT64_MAX = (1 << 63) - 1

_INTEGER = re.compile(rb"(?:0|-?[1-9][0-9]{0,18})\Z")


def parse_int64(data: StringValue) -> int | None:
    """The signed 64-bit integer that `data` is the one canonical decimal form of, or None (Redis's string2ll:
    no sign `+`, no leading zero, no space)."""
    if not _INTEGER.match(data):
        return None
    number = int(data)
    if INT64_MIN <= number <= INT64_MAX:
        return number
    return None


def encoding(value: StringValue) -> bytes:
    """What OBJECT ENCODING answers."""
    if isinstance(value, bytearray):
        return b"raw"
    if len(value) <= 20 and parse_int64(value) is not None:
        return b"int"
    return b"embstr" if len(value) <= EMBSTR_MAX_BYTES else b"raw"
