"""Converters from arguments to values; each owns the error text for what it refuses (design section 7)."""

from __future__ import annotations

import math
import re

from redraft.commands import errors
from redraft.errors import CommandError
from redraft.integers import parse_int64
from redraft.values.value import StringValue

_FLOAT = re.compile(
    rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|0[xX][0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?(?:[pP][+-]?[0-9]+)?"
    rb"|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN])\Z"
)


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


def maybe_float(data: StringValue) -> float | None:
    """The double that `strtod` reads from the whole of `data`, or None (spaces, NaN and nothing are refused)."""
    if not _FLOAT.match(data):
        return None
    text = bytes(data).decode("ascii")
    number = float.fromhex(text) if "x" in text.lower() else float(text)
    return None if math.isnan(number) else number


def floating(data: StringValue, error: str = errors.NOT_A_FLOAT) -> float:
    """A double; infinities are allowed, NaN is not."""
    number = maybe_float(data)
    if number is None:
        raise CommandError(error)
    return number


def database_number(data: bytes, count: int, error: str = errors.INVALID_DB_INDEX) -> int:
    """A database's number. `error` is for what is no integer; one that is out of range has its own words."""
    number = integer(data, error)
    if not 0 <= number < count:
        raise CommandError(errors.DB_INDEX_OUT_OF_RANGE)
    return number


def cursor(data: bytes) -> int:
    """A SCAN cursor: an unsigned 64-bit integer."""
    if not data.isdigit() or int(data) >= 1 << 64:
        raise CommandError(errors.INVALID_CURSOR)
    return int(data)
