"""Arguments that are numbers: which texts are, and which are not."""

from __future__ import annotations

import math

import pytest

from redraft.commands import errors, parse
from redraft.errors import CommandError
from support.processes import RedisServer
from support.shell import RealShell

DOUBLES = [
    (b"0", 0.0),
    (b"1.", 1.0),
    (b"+.5", 0.5),
    (b"-2.5e-3", -0.0025),
    (b"0x10", 16.0),
    (b"0X1P1", 2.0),
    (b"0x.8", 0.5),
    (b"0x1.8p-1", 0.75),
    (b"inf", math.inf),
    (b"-Infinity", -math.inf),
    (b"0e400", 0.0),
    (b"0x0p-9999", 0.0),
    (b"0" * 5000, 0.0),
    (b"1" + b"0" * 308, 1e308),
    (b"1.7976931348623157e308", 1.7976931348623157e308),
    (b"2.5e-324", 5e-324),
]
NO_DOUBLES = [
    b"", b"+", b"-", b".", b"1e", b"1e+", b"e5", b"0x", b"0x.", b"0x1p", b" 1", b"1 ", b"1\n", b"1\0", b"1_0", b"1,5",
    b"infinit", b"nan", b"-nan", b"nan(1)", b"1e400", b"-1e400", b"1e-400", b"2.4e-324", b"0x1p2000", b"0x1p-2000",
    b"1" + b"0" * 309, b"0." + b"0" * 400 + b"1", "\N{ARABIC-INDIC DIGIT ONE}".encode(),
]  # fmt: skip
CURSORS = [
    (b"0", 0),
    (b"", 0),
    (b"17", 17),
    (b"+17", 17),
    (b"0000000000000000000000000000000017", 17),
    (b"18446744073709551615", 2**64 - 1),
    (b"-1", 2**64 - 1),
]
NO_CURSORS = [b" 1", b"1 ", b"x", b"1x", b"+", b"-", b"0x1", b"1.0", b"18446744073709551616", b"-18446744073709551616"]


@pytest.mark.parametrize(("text", "number"), DOUBLES)
def test_a_double_is_what_strtod_reads(text: bytes, number: float) -> None:
    assert parse.floating(text) == number


@pytest.mark.parametrize("text", NO_DOUBLES)
def test_what_strtod_does_not_read_whole_or_without_loss_is_no_double(text: bytes) -> None:
    with pytest.raises(CommandError) as caught:
        parse.floating(text)
    assert caught.value.text == errors.NOT_A_FLOAT


@pytest.mark.parametrize(("text", "number"), CURSORS)
def test_a_cursor_is_what_strtoul_reads(text: bytes, number: int) -> None:
    assert parse.cursor(text) == number


@pytest.mark.parametrize("text", NO_CURSORS)
def test_what_strtoul_does_not_read_whole_is_no_cursor(text: bytes) -> None:
    with pytest.raises(CommandError) as caught:
        parse.cursor(text)
    assert caught.value.text == "ERR invalid cursor"


@pytest.mark.redis_server
def test_redis_takes_and_refuses_the_same_numbers(redis_server: RedisServer) -> None:
    real = RealShell(redis_server.port)
    for text, number in DOUBLES:
        assert real("ZADD", text, text, "m") == 1
        assert float(real("ZSCORE", text, "m")) == number
    for text in NO_DOUBLES:
        assert real.error("ZADD", "z", text, "m") == errors.NOT_A_FLOAT, text
    for text, _ in CURSORS:
        assert isinstance(real("SCAN", text), list)
    for text in NO_CURSORS:
        assert real.error("SCAN", text) == errors.INVALID_CURSOR, text
    real.close()
