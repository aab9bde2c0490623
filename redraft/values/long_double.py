"""INCRBYFLOAT's arithmetic: the 80-bit long double of x86, which is what Redis computes with.

A Python float has a mantissa of 53 bits, so `0.1 + 0.2` would be answered as 0.30000000000000004 where Redis answers
0.3. Numbers are kept as exact fractions and rounded to a mantissa of 64 bits after each step, half to even, as the
processor does; so the result is the same on every machine.

Texts and sums may have some 5,000 digits, more than `int()` and `%d` take (4,300, against quadratic time): `Decimal`
converts them.

Left out: subnormal numbers (below 3.4e-4932), which are rounded like any other; with 17 decimals they all show as 0.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction

MANTISSA_BITS = 64
MAX_EXPONENT = 16384
"""Numbers of 2**16384 and more are infinite."""
MAX_TEXT_BYTES = 5 * 1024 - 1
"""Longer texts are no numbers (util.c, string2ld: MAX_LONG_DOUBLE_CHARS less the NUL)."""
LARGEST = Fraction(2) ** MAX_EXPONENT
SMALLEST = Fraction(1, 2 ** (MAX_EXPONENT + 62))
"""Half of the smallest subnormal number: this much and less is rounded to 0, which is no number to Redis unless the
text says 0."""
DECIMALS = 17

MAX_EXPONENT_TEXT = 20_000
"""An exponent beyond this is out of range whatever the digits are."""

_NUMBER = re.compile(
    rb"(?P<sign>[+-]?)(?:"
    rb"0[xX](?P<hex>[0-9a-fA-F]*)(?:\.(?P<hexfrac>[0-9a-fA-F]*))?(?:[pP](?P<binexp>[+-]?[0-9]+))?"
    rb"|(?P<int>[0-9]*)(?:\.(?P<frac>[0-9]*))?(?:[eE](?P<exp>[+-]?[0-9]+))?"
    rb"|(?P<inf>[iI][nN][fF](?:[iI][nN][iI][tT][yY])?))\Z"
)


class LongDoubleOverflowError(ArithmeticError):
    """The sum is infinite or not a number."""


LongDouble = Fraction | float
"""An exact number, or an infinity as a float."""


def parse(text: bytes | bytearray) -> LongDouble | None:
    """The number that `text` is, rounded to a long double, or None."""
    if not text or len(text) > MAX_TEXT_BYTES:
        return None
    match = _NUMBER.match(text)
    if match is None:
        return None
    if match["inf"]:
        return -math.inf if match["sign"] == b"-" else math.inf
    base, scale = (16, 2) if match["hex"] is not None else (10, 10)
    whole, fraction, power = (
        match.group("hex", "hexfrac", "binexp") if base == 16 else match.group("int", "frac", "exp")
    )
    whole, fraction = whole or b"", fraction or b""
    if not whole and not fraction:
        return None
    digits = int(whole + fraction, base) if base == 16 else _integer(whole + fraction)
    if not digits:
        return Fraction(0)  # whatever the exponent is: its power of ten is not to be computed
    exponent = _integer(power or b"0")
    if abs(exponent) > MAX_EXPONENT_TEXT:
        return None
    exact = digits * Fraction(scale) ** exponent / base ** len(fraction)
    value = rounded(exact)
    if value >= LARGEST or exact <= SMALLEST:
        return None
    return -value if match["sign"] == b"-" else value


def _integer(text: bytes) -> int:
    return int(Decimal(text.decode("ascii")))


def add(first: LongDouble, second: LongDouble) -> Fraction:
    """The sum as a long double. Raises LongDoubleOverflowError."""
    if isinstance(first, float) or isinstance(second, float):
        raise LongDoubleOverflowError
    total = rounded(first + second)
    if abs(total) >= LARGEST:
        raise LongDoubleOverflowError
    return total


def rounded(value: Fraction) -> Fraction:
    """The nearest fraction whose mantissa has 64 bits; ties go to the even one."""
    if not value:
        return value
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if size < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** (exponent - MANTISSA_BITS + 1)
    return round(value / unit) * unit


def show(value: Fraction) -> bytes:
    """The number with at most 17 decimals, zeros at the end left off (util.c, ld2string in its human form)."""
    scaled = round(abs(value) * 10**DECIMALS)
    whole, decimals = divmod(scaled, 10**DECIMALS)
    text = str(Decimal(whole)).encode()
    if decimals:
        text += b"." + (b"%0*d" % (DECIMALS, decimals)).rstrip(b"0")
    return b"-" + text if value < 0 and scaled else text
