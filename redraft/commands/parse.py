"""Converters from arguments to values; each owns the error text for what it refuses (design section 7)."""

from __future__ import annotations

import math
import re

from redraft.commands import errors
from redraft.errors import CommandError
from redraft.integers import parse_int64
from redraft.values.value import StringValue

_FLOAT = re.compile(
    rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    rb"|0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?"
    rb"|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)\Z"
)
_NOT_ZERO = re.compile(rb"[+-]?(?:0[xX][0.]*[1-9a-fA-F]|[0.]*[1-9])")
_CURSOR = re.compile(rb"(?:([+-]?)0*([0-9]{1,20}))?\Z")
INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1
UINT64_MAX = (1 << 64) - 1


def integer(data: StringValue, error: str = errors.NOT_AN_INTEGER) -> int:
    """A signed 64-bit integer in its canonical decimal form."""
    number = parse_int64(data)
    if number is None:
        raise CommandError(error)
    return number


def integer_in(data: bytes, low: int, high: int, error: str) -> int:
    """An integer between `low` and `high`, both included; anything else is `error`."""
    number = parse_int64(data)
    if number is None or not low <= number <= high:
        raise CommandError(error)
    return number


def positive(data: bytes, error: str = errors.MUST_BE_POSITIVE) -> int:
    """An integer of at least 0 (Redis's getPositiveLongFromObject words)."""
    number = integer(data)
    if number < 0:
        raise CommandError(error)
    return number


def maybe_strtod(data: StringValue) -> float | None:
    """The double that C's `strtod` reads from the whole of `data`, or None; spaces, NaN and nothing are refused. What
    is too large is infinite, what is too small is 0."""
    if data.isdigit():
        return float(data)
    if not _FLOAT.match(data):
        return None
    text = bytes(data).decode("ascii")
    try:
        return float.fromhex(text) if "x" in text.lower() else float(text)
    except OverflowError:
        return -math.inf if text[0] == "-" else math.inf


def maybe_float(data: StringValue) -> float | None:
    """As `maybe_strtod`, and what is too large or too small for a double is refused (util.c, string2d)."""
    number = maybe_strtod(data)
    if number is None or (math.isinf(number) and b"n" not in data.lower()) or (number == 0 and _NOT_ZERO.match(data)):
        return None
    return number


def floating(data: StringValue, error: str = errors.NOT_A_FLOAT) -> float:
    """A double; infinities are allowed, NaN is not."""
    number = maybe_float(data)
    if number is None:
        raise CommandError(error)
    return number


def database_number(data: bytes, count: int) -> int:
    """A database's number, in the words of getIntFromObjectOrReply and then of selectDb."""
    number = integer(data)
    if not INT_MIN <= number <= INT_MAX:
        raise CommandError(f"{errors.OUT_OF_RANGE}, value must between {INT_MIN} and {INT_MAX}")
    if not 0 <= number < count:
        raise CommandError(errors.DB_INDEX_OUT_OF_RANGE)
    return number


def cursor(data: bytes) -> int:
    """A SCAN cursor: what `strtoul` takes for a 64-bit number, so also nothing at all, and a sign."""
    match = _CURSOR.match(data)
    if match is None or (number := int(match[2] or b"0")) > UINT64_MAX:
        raise CommandError(errors.INVALID_CURSOR)
    return -number & UINT64_MAX if match[1] == b"-" else number
