"""Strings: their two forms.

A string is `bytes` when it was set whole and `bytearray` once APPEND, SETRANGE or a bit command changed it in place
(so that appending a byte to a large string does not copy it). Redis makes the same difference: `int` and `embstr`
become `raw`, and OBJECT ENCODING shows it.
"""

from __future__ import annotations

from redraft.integers import parse_int64
from redraft.values.value import StringValue

EMBSTR_MAX_BYTES = 44
"""Redis stores a string up to this length in one allocation with its object (object.c)."""


def encoding(value: StringValue) -> bytes:
    """What OBJECT ENCODING answers."""
    if isinstance(value, bytearray):
        return b"raw"
    if len(value) <= 20 and parse_int64(value) is not None:
        return b"int"
    return b"embstr" if len(value) <= EMBSTR_MAX_BYTES else b"raw"
