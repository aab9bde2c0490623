"""Each reply value, as RESP2 and RESP3 have it. The bytes are those of Redis 7.0 (networking.c, addReply*)."""

from __future__ import annotations

from typing import Any

import pytest

from redraft.errors import CommandError
from redraft.resp.encoder import MANY_STRINGS, encode, encode_into, format_double
from redraft.resp.reply import (
    EMPTY_ARRAY,
    NIL_ARRAY,
    OK,
    PONG,
    QUEUED,
    BigNumber,
    Map,
    Pairs,
    Push,
    SetReply,
    Status,
    Verbatim,
)

BOTH = [
    pytest.param(OK, b"+OK\r\n", id="OK"),
    pytest.param(Status(b"OK"), b"+OK\r\n", id="a status that is not the shared OK"),
    pytest.param(PONG, b"+PONG\r\n", id="PONG"),
    pytest.param(QUEUED, b"+QUEUED\r\n", id="QUEUED"),
    pytest.param(b"", b"$0\r\n\r\n", id="empty bulk string"),
    pytest.param(b"a\r\n\x00\xff", b"$5\r\na\r\n\x00\xff\r\n", id="binary bulk string"),
    pytest.param(b"x" * 1023, b"$1023\r\n" + b"x" * 1023 + b"\r\n", id="the longest bulk string with a ready header"),
    pytest.param(b"x" * 1024, b"$1024\r\n" + b"x" * 1024 + b"\r\n", id="the shortest without"),
    pytest.param(bytearray(b"abc"), b"$3\r\nabc\r\n", id="string that was changed in place"),
    pytest.param(0, b":0\r\n", id="zero"),
    pytest.param(1023, b":1023\r\n", id="the largest ready integer"),
    pytest.param(1024, b":1024\r\n", id="the smallest that is not"),
    pytest.param(-1, b":-1\r\n", id="minus one"),
    pytest.param(-(1 << 63), b":-9223372036854775808\r\n", id="the smallest integer"),
    pytest.param((1 << 63) - 1, b":9223372036854775807\r\n", id="the largest integer"),
    pytest.param(CommandError("ERR no such key"), b"-ERR no such key\r\n", id="error"),
    pytest.param(CommandError("ERR got 'a\r\nb'"), b"-ERR got 'a  b'\r\n", id="an error stays on its line"),
    pytest.param(CommandError("ERR \xff"), b"-ERR \xff\r\n", id="a client's byte comes back as that byte"),
    pytest.param(EMPTY_ARRAY, b"*0\r\n", id="empty array"),
    pytest.param([b"a", 1, [b"b", []]], b"*3\r\n$1\r\na\r\n:1\r\n*2\r\n$1\r\nb\r\n*0\r\n", id="nested arrays"),
    pytest.param((b"a", b"b"), b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", id="tuple"),
    pytest.param([b"y" * 2000], b"*1\r\n$2000\r\n" + b"y" * 2000 + b"\r\n", id="long element"),
    pytest.param([OK, CommandError("ERR x")], b"*2\r\n+OK\r\n-ERR x\r\n", id="an error inside what EXEC answers"),
    pytest.param([bytearray(b"z")], b"*1\r\n$1\r\nz\r\n", id="changed string in an array"),
]

DIFFERENT = [
    pytest.param(None, b"$-1\r\n", b"_\r\n", id="nil"),
    pytest.param(NIL_ARRAY, b"*-1\r\n", b"_\r\n", id="nil array"),
    pytest.param([None, NIL_ARRAY], b"*2\r\n$-1\r\n*-1\r\n", b"*2\r\n_\r\n_\r\n", id="nils in an array"),
    pytest.param(True, b":1\r\n", b"#t\r\n", id="true"),
    pytest.param(False, b":0\r\n", b"#f\r\n", id="false"),
    pytest.param(1.5, b"$3\r\n1.5\r\n", b",1.5\r\n", id="double"),
    pytest.param(float("inf"), b"$3\r\ninf\r\n", b",inf\r\n", id="infinity"),
    pytest.param(Map(), b"*0\r\n", b"%0\r\n", id="empty map"),
    pytest.param(
        Map([(b"a", 1), (b"b", Map([(b"c", None)]))]),
        b"*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*2\r\n$1\r\nc\r\n$-1\r\n",
        b"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n%1\r\n$1\r\nc\r\n_\r\n",
        id="map in a map",
    ),
    pytest.param(SetReply([b"a", 2]), b"*2\r\n$1\r\na\r\n:2\r\n", b"~2\r\n$1\r\na\r\n:2\r\n", id="set"),
    pytest.param(Push([b"message", b"c"]), b"*2\r\n$7\r\nmessage\r\n$1\r\nc\r\n", b">2\r\n$7\r\nmessage\r\n$1\r\nc\r\n",
                 id="push"),
    pytest.param(Pairs(), b"*0\r\n", b"*0\r\n", id="no pairs"),
    pytest.param(
        Pairs([(b"a", 1.0), (b"b", 2.5)]),
        b"*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$3\r\n2.5\r\n",
        b"*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,2.5\r\n",
        id="members with scores",
    ),
    pytest.param(Verbatim("txt", b"hi\n"), b"$3\r\nhi\n\r\n", b"=7\r\ntxt:hi\n\r\n", id="verbatim text"),
    pytest.param(BigNumber(1 << 64), b"$20\r\n18446744073709551616\r\n", b"(18446744073709551616\r\n", id="big number"),
]  # fmt: skip

CASES = [pytest.param(case.values[0], case.values[1], case.values[1], id=case.id) for case in BOTH] + DIFFERENT


@pytest.mark.parametrize(("value", "resp2", "resp3"), CASES)
def test_a_reply_is_encoded_as_the_protocol_has_it(value: Any, resp2: bytes, resp3: bytes) -> None:
    assert encode(value, 2) == resp2
    assert encode(value, 3) == resp3


@pytest.mark.parametrize(("value", "resp2", "resp3"), CASES)
def test_a_reply_reads_the_same_alone_and_inside_an_array(value: Any, resp2: bytes, resp3: bytes) -> None:
    assert encode([b"k", value], 2) == b"*2\r\n$1\r\nk\r\n" + resp2
    assert encode([b"k", value], 3) == b"*2\r\n$1\r\nk\r\n" + resp3


@pytest.mark.parametrize("count", [1, MANY_STRINGS - 1, MANY_STRINGS, 600])
@pytest.mark.parametrize(
    "pattern",
    [[b"abc"], [b""], [b"x" * 1023], [b"x" * 1024], [b"a", b"ab"], [b"\r\n$", b"\r\n*"], [b"abc", 5], [b"abc", None]],
)
def test_many_elements_read_as_few_do(pattern: list[Any], count: int) -> None:
    elements = (pattern * count)[:count]
    for reply, sign in ((elements, b"*"), (SetReply(elements), b"~")):
        expected = sign + b"%d\r\n" % count + b"".join(encode(element, 3) for element in elements)
        assert encode(reply, 3) == expected


def test_replies_appended_to_one_list_follow_each_other() -> None:
    out: list[bytes] = []
    for value in (OK, b"v", None):
        encode_into(out, value, 3)
    assert b"".join(out) == b"+OK\r\n$1\r\nv\r\n_\r\n"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, b"0"),
        (-0.0, b"-0"),
        (3.0, b"3"),
        (-3.25, b"-3.25"),
        (0.1, b"0.10000000000000001"),
        (1e16, b"10000000000000000"),
        (1e17, b"1e+17"),
        (123456789012345678.0, b"1.2345678901234568e+17"),
        (1e-5, b"1.0000000000000001e-05"),
        (0.0001, b"0.0001"),
        (5e-324, b"4.9406564584124654e-324"),
        (1.7976931348623157e308, b"1.7976931348623157e+308"),
        (float("inf"), b"inf"),
        (float("-inf"), b"-inf"),
        (float("nan"), b"nan"),
    ],
)
def test_a_double_is_shown_as_printf_does_with_17_digits(number: float, text: bytes) -> None:
    assert format_double(number) == text
    assert encode(number, 3) == b"," + text + b"\r\n"


@pytest.mark.parametrize("value", ["text", object(), {b"a": 1}, {b"a"}])
def test_what_is_no_reply_value_is_refused(value: object) -> None:
    for reply in (value, [value]):
        with pytest.raises(TypeError, match="is no reply value"):
            encode(reply, 2)


def test_statuses_are_equal_by_their_text() -> None:
    assert Status(b"OK") == OK
    assert Status(b"OK") != PONG
    assert Status(b"OK") != b"OK"
    assert {Status(b"OK"): 1}[OK] == 1
