"""The request protocol as one table: bytes, the commands in them, and the error that ends them.

Each case is fed whole, byte by byte, and with a complete command behind it, to the strict parser, which is Redis's
rules (networking.c of Redis 7.0), and to the request parser, which must agree with it and is what clients meet.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pytest

from redraft.resp.parser import Limits, RequestParser
from redraft.resp.strict import INLINE_MAX_BYTES, ProtocolError, StrictParser, split_words

Commands = list[list[bytes]]

MAX_BULK_BYTES = 2_000_000
TRAILING = b"*2\r\n$4\r\nECHO\r\n$8\r\ntrailing\r\n"


class Outcome(NamedTuple):
    """What a parser made of its bytes."""

    commands: Commands
    error: str | None


def read_strictly(chunks: Iterable[bytes], *, authenticated: bool = True) -> Outcome:
    parser = StrictParser(MAX_BULK_BYTES)
    commands: Commands = []
    try:
        for chunk in chunks:
            parser.feed(chunk)
            while (command := parser.next(authenticated)) is not None:
                commands.append(command)
    except ProtocolError as error:
        return Outcome(commands, str(error))
    return Outcome(commands, None)


def read_requests(chunks: Iterable[bytes], *, authenticated: bool = True) -> Outcome:
    parser = RequestParser(Limits(MAX_BULK_BYTES, authenticated=authenticated))
    commands: Commands = []
    for chunk in chunks:
        commands += parser.feed(chunk)
        while parser.waiting:
            commands += parser.feed(b"")
    return Outcome(commands, None if parser.error is None else str(parser.error))


def each_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def packed(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


READERS = pytest.mark.parametrize("read", [read_strictly, read_requests])

EVERY_BYTE = bytes(range(256))
MANY = [b"MSET", *(b"%d" % n for n in range(3000))]
PING = [b"PING"]

WHOLE = {
    # multibulk
    "one command": (packed(b"PING"), [PING]),
    "three arguments": (packed(b"SET", b"k", b"v"), [[b"SET", b"k", b"v"]]),
    "two commands": (packed(b"PING") * 2, [PING, PING]),
    "an empty argument": (packed(b"SET", b"", b""), [[b"SET", b"", b""]]),
    "an empty command name": (packed(b""), [[b""]]),
    "every byte": (packed(b"SET", EVERY_BYTE, b"\r\n"), [[b"SET", EVERY_BYTE, b"\r\n"]]),
    "a value that looks like a bulk header": (packed(b"SET", b"a\r\n$3\r\nb"), [[b"SET", b"a\r\n$3\r\nb"]]),
    "a value that looks like a huge header": (packed(b"SET", b"*9999999"), [[b"SET", b"*9999999"]]),
    "values that end in parts of a header": (
        packed(b"a\r", b"b\r\n", b"c\r\n$"), [[b"a\r", b"b\r\n", b"c\r\n$"]]),
    "the two bytes after an argument are not looked at": (b"*2\r\n$4\r\nPINGxx$1\r\na$$", [[b"PING", b"a"]]),
    "an argument and its end make a header together": (b"*2\r\n$2\r\na\r\n$$1\r\nb\r\n", [[b"a\r", b"b"]]),
    "header lines may end in any byte after the carriage return": (b"*1\rx$4\rxPING\r\n", [PING]),
    "no arguments": (b"*0\r\n", []),
    "null array": (b"*-1\r\n", []),
    "a negative count": (b"*-10\r\n", []),
    "the least count": (b"*-9223372036854775808\r\n", []),
    "no arguments between commands": (packed(b"PING") + b"*0\r\n*-1\r\n" + packed(b"PING"), [PING, PING]),
    "many arguments": (packed(*MANY), [MANY]),
    "a pipeline": (packed(b"PING") * 3000, [PING] * 3000),
    # inline
    "inline": (b"PING\r\n", [PING]),
    "inline, ended by a newline alone": (b"PING\n", [PING]),
    "inline words": (b"set  k\t v \r\n", [[b"set", b"k", b"v"]]),
    "inline with leading spaces": (b"  PING\r\n", [PING]),
    "empty lines": (b"\r\n\n \r\n" + b"PING\r\n\r\n", [PING]),
    "a carriage return inside an inline request": (b"a\rb\r\n", [[b"a", b"b"]]),
    "a vertical tab ends no word": (b"a\vb \fc\r\n", [[b"a\vb", b"c"]]),
    "double quotes": (b'set k "a b"\r\n', [[b"set", b"k", b"a b"]]),
    "empty quotes": (b"set \"\" ''\r\n", [[b"set", b"", b""]]),
    "escapes in double quotes": (b'"\\n\\r\\t\\b\\a\\\\\\"\\q\\x41\\xfF\\xg1"\r\n', [[b'\n\r\t\b\a\\"qA\xffxg1']]),
    "escapes in single quotes": (b"'it\\'s \\n \\x41'\r\n", [[b"it's \\n \\x41"]]),
    "the other quote inside quotes": (b"\"it's\" '\"'\r\n", [[b"it's", b'"']]),
    "quotes that begin inside a word": (b"a\"b c\" d'e'\r\n", [[b"ab c", b"de"]]),
    "a backslash outside quotes": (b"a\\n\r\n", [[b"a\\n"]]),
    "bytes of no meaning": (b"\xff\x80\r\n", [[b"\xff\x80"]]),
    "a line ends at a zero byte": (b"PING\0 garbage\"\r\n", [PING]),
    "inline, then multibulk": (b"PING\r\n" + packed(b"GET", b"k"), [PING, [b"GET", b"k"]]),
    "multibulk, then inline": (packed(b"GET", b"k") + b"PING\r\n", [[b"GET", b"k"], PING]),
    # what a reply may be and a request may not
    "a simple string is an inline request": (b"+OK\r\n", [[b"+OK"]]),
    "an empty simple string behind a command": (packed(b"PING") + b"+\r\n", [PING, [b"+"]]),
    "an integer behind a command": (packed(b"PING") + b":1\r\n", [PING, [b":1"]]),
    "an empty bulk string behind a command": (packed(b"PING") + b"$0\r\n\r\n", [PING, [b"$0"]]),
    "a null behind a command": (packed(b"PING") + b"_\r\n", [PING, [b"_"]]),
    "an empty set behind a command": (packed(b"PING") + b"~0\r\n", [PING, [b"~0"]]),
    "a set behind a command": (packed(b"PING") + b"~1\r\n$1\r\na\r\n", [PING, [b"~1"], [b"$1"], [b"a"]]),
    "a map behind a command": (packed(b"PING") + b"%1\r\n$1\r\na\r\n+b\r\n", [PING, [b"%1"], [b"$1"], [b"a"], [b"+b"]]),
    "a push behind a command": (packed(b"PING") + b">1\r\n$1\r\na\r\n", [PING, [b">1"], [b"$1"], [b"a"]]),
    "a map with an array for a key behind a command": (
        packed(b"PING") + b"%1\r\n*0\r\n+a\r\n", [PING, [b"%1"], [b"+a"]]),
    "a push of two thousand million behind a command": (packed(b"PING") + b">2000000000\r\n", [PING, [b">2000000000"]]),
    "an error behind a command": (packed(b"PING") + b"-ERR x\r\n", [PING, [b"-ERR", b"x"]]),
}  # fmt: skip

UNFINISHED = {
    "nothing": (b"", []),
    "a sign": (b"*", []),
    "a count": (b"*1", []),
    "a count and a carriage return": (b"*1\r", []),
    "a count line": (b"*1\r\n", []),
    "a bulk header": (b"*1\r\n$4", []),
    "a part of an argument": (b"*1\r\n$4\r\nPI", []),
    "an argument without its end": (b"*1\r\n$4\r\nPING", []),
    "an argument and half its end": (b"*1\r\n$4\r\nPING\r", []),
    "a command and a part": (packed(b"PING") + b"*1\r\n$4\r\nPI", [PING]),
    "an argument of two": (b"*2\r\n$4\r\nPING\r\n", []),
    "a part that holds a header": (b"*1\r\n$9\r\na\r\n$1\r\n", []),
    "a command that is not in the usual form and a part": (b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPI", [PING]),
    "an inline request": (b"PING", []),
    "the longest line that may still end": (b"x" * INLINE_MAX_BYTES, []),
    "the longest argument": (b"*1\r\n$%d\r\n" % MAX_BULK_BYTES, []),
    "the most arguments": (b"*2147483647\r\n", []),
    "a sixth digit of arguments": (b"*100000\r\n$1\r\na\r\n", []),
}

BROKEN = {
    "letters for a count": (b"*x\r\n", [], "invalid multibulk length"),
    "no count": (b"*\r\n", [], "invalid multibulk length"),
    "a count with a sign": (b"*+1\r\n", [], "invalid multibulk length"),
    "a count with a leading zero": (b"*01\r\n", [], "invalid multibulk length"),
    "a count with a space": (b"* 1\r\n", [], "invalid multibulk length"),
    "a fraction for a count": (b"*1.5\r\n", [], "invalid multibulk length"),
    "too many arguments": (b"*2147483648\r\n", [], "invalid multibulk length"),
    "a count that no integer holds": (b"*9223372036854775808\r\n", [], "invalid multibulk length"),
    "a count of twenty thousand digits": (b"*" + b"9" * 20_000 + b"\r\n", [], "invalid multibulk length"),
    "a word where a header should be": (b"*1\r\nx\r\n", [], "expected '$', got 'x'"),
    "a simple string as an argument": (b"*1\r\n+OK\r\n", [], "expected '$', got '+'"),
    "an integer as an argument": (b"*1\r\n:5\r\n", [], "expected '$', got ':'"),
    "an array as an argument": (b"*1\r\n*1\r\n$1\r\na\r\n", [], "expected '$', got '*'"),
    "a map with an array for a key as an argument": (b"*1\r\n%1\r\n*0\r\n+a\r\n", [], "expected '$', got '%'"),
    "a set of two thousand million as an argument": (b"*1\r\n~2000000000\r\n", [], "expected '$', got '~'"),
    "an array of two thousand million behind an argument that ends oddly": (
        b"*2\r\n$1\r\naxx*2000000000\r\n",
        [],
        "expected '$', got '*'",
    ),
    "an argument, then a word": (b"*2\r\n$1\r\na\r\nb\r\n", [], "expected '$', got 'b'"),
    "a line end where a header should be": (b"*1\r\n\r\n", [], "expected '$', got '\r'"),
    "a byte that is no letter": (b"*1\r\n\xff\r\n", [], "expected '$', got '\xff'"),
    "a simple string behind an argument that ends oddly": (
        b"*2\r\n$2\r\na\r\n$+x\r\n", [], "expected '$', got '+'"),
    "letters for a length": (b"*1\r\n$x\r\n", [], "invalid bulk length"),
    "no length": (b"*1\r\n$\r\n", [], "invalid bulk length"),
    "a negative length": (b"*1\r\n$-1\r\n", [], "invalid bulk length"),
    "a length with a leading zero": (b"*1\r\n$04\r\nPING\r\n", [], "invalid bulk length"),
    "an argument over the limit": (b"*1\r\n$%d\r\n" % (MAX_BULK_BYTES + 1), [], "invalid bulk length"),
    "a length that no integer holds": (b"*1\r\n$9223372036854775808\r\n", [], "invalid bulk length"),
    "a good command, then a bad one": (packed(b"PING") + b"*1\r\n$-1\r\n", [PING], "invalid bulk length"),
    "unbalanced double quotes": (b'set k "v\r\n', [], "unbalanced quotes in request"),
    "unbalanced single quotes": (b"set k 'v\r\n", [], "unbalanced quotes in request"),
    "a letter right behind closing quotes": (b'"a"b\r\n', [], "unbalanced quotes in request"),
    "a quote that is escaped at the end": (b'"a\\"\r\n', [], "unbalanced quotes in request"),
    "a good line, then a bad one": (b'PING\r\n"\r\n', [PING], "unbalanced quotes in request"),
    "a good command, then a bad line": (packed(b"PING") + b"'\r\n", [PING], "unbalanced quotes in request"),
    "a line without an end": (b"x" * (INLINE_MAX_BYTES + 1), [], "too big inline request"),
    "a count without an end": (b"*" + b"1" * INLINE_MAX_BYTES, [], "too big mbulk count string"),
    "a length without an end": (b"*1\r\n$" + b"1" * INLINE_MAX_BYTES, [], "too big bulk count string"),
}  # fmt: skip

UNAUTHENTICATED = {
    "as many arguments as may be": (packed(*MANY[:10]), [MANY[:10]], None),
    "one more": (b"*11\r\n", [], "unauthenticated multibulk length"),
    "as long an argument as may be": (packed(b"x" * 16384), [[b"x" * 16384]], None),
    "one byte more": (b"*1\r\n$16385\r\n", [], "unauthenticated bulk length"),
    "an impossible length is told as that": (b"*1\r\n$-1\r\n", [], "invalid bulk length"),
    "an impossible count is told as that": (b"*2147483648\r\n", [], "invalid multibulk length"),
    "an inline request of many words": (b"x " * 20 + b"\r\n", [[b"x"] * 20], None),
    "an AUTH, then too many arguments": (packed(b"AUTH", b"p") + b"*11\r\n", [[b"AUTH", b"p"]],
                                         "unauthenticated multibulk length"),
}  # fmt: skip


def table(cases: dict[str, tuple[object, ...]]) -> list[object]:
    return [pytest.param(*values, id=name) for name, values in cases.items()]


@READERS
@pytest.mark.parametrize(("data", "commands"), table(WHOLE))
def test_whole_requests_give_their_commands(read: Callable[..., Outcome], data: bytes, commands: Commands) -> None:
    assert read([data]) == (commands, None)
    assert read(each_byte(data)) == (commands, None)
    assert read([data + TRAILING]) == ([*commands, [b"ECHO", b"trailing"]], None)
    assert read([TRAILING + data]) == ([[b"ECHO", b"trailing"], *commands], None)


@READERS
@pytest.mark.parametrize(("data", "commands"), table(UNFINISHED))
def test_a_part_of_a_request_gives_nothing_yet(read: Callable[..., Outcome], data: bytes, commands: Commands) -> None:
    assert read([data]) == (commands, None)
    assert read(each_byte(data)) == (commands, None)
    assert read([TRAILING + data]) == ([[b"ECHO", b"trailing"], *commands], None)


@READERS
@pytest.mark.parametrize(("data", "commands", "error"), table(BROKEN))
def test_a_broken_request_gives_the_commands_before_it_and_the_error(
    read: Callable[..., Outcome], data: bytes, commands: Commands, error: str
) -> None:
    expected = (commands, f"Protocol error: {error}")
    assert read([data]) == expected
    assert read(each_byte(data)) == expected
    if not error.startswith("too big"):
        assert read([data + TRAILING]) == expected
    assert read([TRAILING, data]) == ([[b"ECHO", b"trailing"], *commands], expected[1])


@READERS
@pytest.mark.parametrize(("data", "commands", "error"), table(UNAUTHENTICATED))
def test_a_client_without_the_password_may_send_only_little(
    read: Callable[..., Outcome], data: bytes, commands: Commands, error: str | None
) -> None:
    expected = (commands, error and f"Protocol error: {error}")
    assert read([data], authenticated=False) == expected
    assert read(each_byte(data), authenticated=False) == expected


@READERS
@pytest.mark.parametrize("chunk_bytes", [1000, 65536, 10_000_000])
def test_a_big_value_comes_through_in_chunks_of_any_size(read: Callable[..., Outcome], chunk_bytes: int) -> None:
    value = (EVERY_BYTE * 8000)[:MAX_BULK_BYTES]
    data = packed(b"SET", b"k", value) + packed(b"PING")
    chunks = [data[i : i + chunk_bytes] for i in range(0, len(data), chunk_bytes)]
    assert read(chunks) == ([[b"SET", b"k", value], PING], None)


@READERS
def test_an_argument_over_the_limit_is_refused_although_it_is_all_there(read: Callable[..., Outcome]) -> None:
    data = packed(b"PING") + packed(b"SET", b"k", b"x" * (MAX_BULK_BYTES + 1))
    assert read([data]) == ([PING], "Protocol error: invalid bulk length")


@READERS
def test_a_pipeline_cut_anywhere_gives_the_same_commands(read: Callable[..., Outcome]) -> None:
    commands = [[b"SET", b"k\r\n", b"$1\r\n"], [b""], [b"MGET", b"a", b"b\r"], [b"x" * 40]]
    data = b"".join(packed(*command) for command in commands)
    for cut in range(len(data) + 1):
        assert read([data[:cut], data[cut:]]) == (commands, None), cut


@pytest.mark.parametrize(
    "data",
    [
        b"*99999\r\n" * 20,
        b"*2147483647\r\n",
        b"*1\r\n*2000000000\r\n",
        b"*2\r\n$1\r\naxx*2000000000\r\n",
        packed(b"PING") + b"*2000000000\r\n",
        packed(b"PING") + b">2000000000\r\n",
        packed(b"PING") + b"~2000000000\r\n",
        b"*2\r\n$1\r\naxx~2000000000\r\n",
        b"*2\r\n$1\r\na\r\n$2000000\r\n",
    ],
)
def test_no_memory_is_reserved_for_what_a_header_only_announces(data: bytes) -> None:
    tracemalloc.start()
    try:
        read_requests([data])
        read_requests(each_byte(data))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 20_000_000


def test_nothing_is_accepted_after_an_error() -> None:
    parser = RequestParser(Limits())
    assert parser.feed(b"*1\r\n$-1\r\n") == []
    error = parser.error
    assert str(error) == "Protocol error: invalid bulk length"
    assert parser.feed(packed(b"PING")) == []
    assert parser.error is error


def test_a_client_whose_unfinished_request_outgrows_the_query_buffer_is_refused() -> None:
    parser = RequestParser(Limits(query_buffer_limit=100))
    assert parser.feed(packed(b"PING") * 50) == [PING] * 50
    assert parser.feed(b"*2\r\n$1000\r\n" + b"x" * 100) == []
    assert (parser.error, parser.pending_bytes) == (None, 100)
    parser.feed(b"x")
    assert str(parser.error) == "Protocol error: the query buffer is over client-query-buffer-limit"


def test_arguments_of_an_unfinished_command_count_as_pending() -> None:
    parser = RequestParser(Limits())
    parser.feed(b"*3\r\n$3\r\nSET\r\n$5\r\nabc")
    assert parser.pending_bytes == 6
    parser.feed(b"de\r\n$1\r\nv\r\n")
    assert parser.pending_bytes == 0


def test_limits_grow_once_the_client_has_authenticated() -> None:
    parser = RequestParser(Limits(authenticated=False))
    assert parser.feed(packed(b"AUTH", b"secret")) == [[b"AUTH", b"secret"]]
    parser.authenticated = True
    assert parser.feed(packed(*MANY)) == [MANY]


@pytest.mark.parametrize(
    ("data", "canonical"),
    [
        pytest.param(packed(b"PING"), True, id="one command"),
        pytest.param(packed(b"SET", b"k", EVERY_BYTE) * 3, True, id="three commands"),
        pytest.param(packed(b"PING") + b"*1\r\n", True, id="a command and a part"),
        pytest.param(b"*1\r\n$4\r\nPI", True, id="a part, which makes no command"),
        pytest.param(packed(b"PING") + b"*1\r\n$4\r\nPINGxx*1\r\n", False, id="one that ends oddly and a part"),
        pytest.param(b"*1\r\n$4\r\nPINGxx", False, id="a command that ends oddly"),
        pytest.param(b"PING\r\n", False, id="inline"),
        pytest.param(packed(b"PING") + b"*0\r\n", False, id="a command and an empty one"),
        pytest.param(b"*1\r\n+PING\r\n", False, id="broken"),
        pytest.param(packed(b"PING") + b"+\r\n", False, id="a command and an inline one"),
    ],
)
def test_a_chunk_is_canonical_when_it_is_whole_commands_in_resp(data: bytes, canonical: bool) -> None:
    parser = RequestParser(Limits())
    commands = parser.feed(data)
    assert parser.packed == (b"".join(packed(*command) for command in commands) if canonical else None)


def test_a_long_pipeline_in_chunks_is_canonical_wherever_it_is_cut() -> None:
    """An import sends chunks that end within a command: all of them stay on the fast road."""
    commands = [[b"SET", b"key:%d" % n, b"value"] for n in range(100)]
    data = b"".join(packed(*command) for command in commands)
    for size in range(45, 130):
        parser = RequestParser(Limits())
        found: list[list[bytes]] = []
        for start in range(0, len(data), size):
            completed = parser.feed(data[start : start + size])
            assert parser.packed == b"".join(packed(*command) for command in completed)
            found += completed
        assert found == commands
        assert parser.idle()


def test_what_is_behind_a_command_that_was_under_way_is_looked_at_as_strictly() -> None:
    parser = RequestParser(Limits())
    data = packed(b"PING")
    assert parser.feed(data[:5]) == []
    assert parser.feed(data[5:] + data + b"PING\r\n" + data[:7]) == [PING] * 3
    assert parser.packed is None
    assert parser.feed(data[7:] + b"*1\r\n:4\r\n") == [PING]
    assert str(parser.error) == "Protocol error: expected '$', got ':'"


@pytest.mark.parametrize("line", [b'"', b"'", b'a "b', b"'a'b", b"\"a\"'b'", b'"\\'])
def test_words_with_unbalanced_quotes_are_none(line: bytes) -> None:
    assert split_words(line) is None


def test_limits_behind_an_auth_are_those_of_a_client_that_is_in() -> None:
    parser = RequestParser(Limits(MAX_BULK_BYTES, authenticated=False))
    many = [b"MGET", *[b"key"] * 40]
    assert parser.feed(packed(b"AUTH", b"secret") + packed(*many) + packed(b"PING")) == [[b"AUTH", b"secret"]]
    assert parser.waiting
    parser.authenticated = True
    assert parser.feed(b"") == [many, [b"PING"]]
    assert not parser.waiting
    assert parser.error is None
