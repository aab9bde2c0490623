"""Values that move between redraft and a real redis-server by DUMP and RESTORE: they arrive as what they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.commands import Command
from oracle.comparing import CONTENTS, TypedConnection, connect, same_examples
from redraft.rdb import payload, types
from redraft.rdb.contents import Content, HashContent, ListContent, SetContent, SortedSetContent, StringContent
from redraft.rdb.encode import encode
from support.payloads import damaged_bodies, elder_bodies, packed_string, small_contents, stream_contents
from support.processes import RedisServer, ReplyError, Server

pytestmark = pytest.mark.redis_server

OK = ("+", b"OK")
BAD_DATA = ReplyError("ERR Bad data format")


def _row(count: int, size: int = 1) -> list[bytes]:
    return [b"%0*d" % (size, number) if size > 6 else b"%d" % number for number in range(count)]


def _pairs(left: Sequence[bytes], right: Sequence[bytes]) -> list[bytes]:
    return [part for pair in zip(left, right, strict=True) for part in pair]


LONG = b"x" * 20_000
CASES: dict[str, list[tuple[bytes, ...]]] = {
    "a string longer than any length of one byte": [(b"SET", b"k", b"ab" * 40_000)],
    "a string that does not pack": [(b"SET", b"k", bytes(range(256)) * 3)],
    "a string changed in place": [(b"SET", b"k", b"1"), (b"APPEND", b"k", b"2")],
    "a number of 64 bits": [(b"SET", b"k", b"-9223372036854775808")],
    "a list of many nodes": [(b"RPUSH", b"k", *_row(20_000))],
    "a list of long elements": [(b"RPUSH", b"k", LONG, b"", LONG * 5, b"a", LONG)],
    "a list of numbers of all sizes": [(b"RPUSH", b"k", *(b"%d" % (s * 3**n) for n in range(39) for s in (1, -1)))],
    "an intset of 2 bytes": [(b"SADD", b"k", *_row(512))],
    "an intset of 8 bytes": [(b"SADD", b"k", b"-9223372036854775808", b"9223372036854775807", b"0")],
    "a set too large for an intset": [(b"SADD", b"k", *_row(513))],
    "a set that was large": [(b"SADD", b"k", *_row(513)), (b"SREM", b"k", b"1", b"2")],
    "a set of strings": [(b"SADD", b"k", *_row(1000, 40))],
    "a hash as large as a listpack takes": [(b"HSET", b"k", *_pairs(_row(512, 64), _row(512, 64)))],
    "a hash too large for a listpack": [(b"HSET", b"k", *_pairs(_row(513), _row(513)))],
    "a hash too long for a listpack": [(b"HSET", b"k", b"f", b"v" * 65)],
    "a hash that was large": [(b"HSET", b"k", *_pairs(_row(513), _row(513))), (b"HDEL", b"k", b"1", b"2")],
    "a sorted set as large as a listpack takes": [(b"ZADD", b"k", *_pairs(_row(128), _row(128, 64)))],
    "a sorted set too large for a listpack": [(b"ZADD", b"k", *_pairs(_row(129), _row(129)))],
    "a sorted set of equal scores": [(b"ZADD", b"k", *_pairs([b"0.1"] * 300, _row(300)))],
    "a sorted set of odd scores": [
        (b"ZADD", b"k", *_pairs([b"inf", b"-inf", b"1e-320", b"1e300", b"9007199254740993", b"-0.5"], _row(6)))
    ],
}
"""How to make a value at `k`."""


@pytest.fixture(scope="module")
def careful_redis(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[RedisServer]:
    """A redis-server that looks at all that it restores."""
    real = RedisServer(tmp_path_factory.mktemp("careful"), "--sanitize-dump-payload", "yes")
    yield real
    real.stop()


def what_is_at(connection: TypedConnection, key: bytes) -> tuple[Any, ...]:
    """A key's type, encoding and contents."""
    kind = connection("TYPE", key)[1]
    words, allow = CONTENTS[kind]
    return kind, connection("OBJECT", "ENCODING", key), allow(connection(words[0], key, *words[1:]))


@contextmanager
def both(server: Server, redis_server: RedisServer) -> Iterator[tuple[TypedConnection, TypedConnection]]:
    """Connections to two servers that were emptied."""
    ours, theirs = connect(server.port, 2), connect(redis_server.port, 2)
    try:
        yield ours, theirs
    finally:
        ours.close()
        theirs.close()


def assert_stream_is_kept(ours: TypedConnection, theirs: TypedConnection) -> None:
    """Of a stream at `k` in both: both tell the same of it, and what redraft has comes to Redis as what Redis has."""
    assert theirs("RESTORE", "back", 0, ours("DUMP", "k"), "REPLACE") == OK
    assert all_of_stream(theirs, "back") == all_of_stream(theirs, "k") == all_of_stream(ours, "k")


def all_of_stream(connection: TypedConnection, key: str) -> Any:
    """Everything that Redis tells of a stream, but how its tree is made."""
    whole = connection("XINFO", "STREAM", key, "FULL", "COUNT", 0)[1]
    assert whole[2:6:2] == [b"radix-tree-keys", b"radix-tree-nodes"]
    return whole[:2] + whole[6:]


def assert_values_move(ours: TypedConnection, theirs: TypedConnection, commands: Sequence[Command]) -> None:
    """Make a key in both, and in each a twin of the other's: all four are the same."""
    for command in commands:
        assert not isinstance(ours(*command), ReplyError)
        assert not isinstance(theirs(*command), ReplyError)
    assert theirs("RESTORE", "twin", 0, ours("DUMP", "k")) == OK
    assert ours("RESTORE", "twin", 0, theirs("DUMP", "k")) == OK
    expected = what_is_at(theirs, b"twin")
    assert what_is_at(ours, b"twin") == expected
    assert expected[::2] == what_is_at(ours, b"k")[::2] == what_is_at(theirs, b"k")[::2]
    # What came here from Redis goes back to it.
    assert theirs("RESTORE", "again", 0, ours("DUMP", "twin")) == OK
    assert what_is_at(theirs, b"again") == expected


@pytest.mark.parametrize("commands", CASES.values(), ids=list(CASES))
def test_a_value_moves_both_ways(server: Server, redis_server: RedisServer, commands: list[Command]) -> None:
    with both(server, redis_server) as (ours, theirs):
        assert_values_move(ours, theirs, commands)


def making(content: Content) -> Command:
    """The command that makes a value of these contents."""
    match content:
        case StringContent(data):
            return b"SET", b"k", data
        case ListContent(elements):
            return b"RPUSH", b"k", *elements
        case SetContent(members):
            return b"SADD", b"k", *members
        case HashContent(fields, values):
            return b"HSET", b"k", *_pairs(fields, values)
        case SortedSetContent(pairs):
            return b"ZADD", b"k", *_pairs([repr(score).encode() for score, _ in pairs], [member for _, member in pairs])
    raise AssertionError(content)


@given(content=small_contents)
@same_examples
def test_any_value_moves_both_ways(server: Server, redis_server: RedisServer, content: Content) -> None:
    with both(server, redis_server) as (ours, theirs):
        assert_values_move(ours, theirs, [making(content)])


@given(content=small_contents, packed=st.booleans())
@same_examples
def test_payloads_in_elder_encodings_are_read_alike(
    server: Server, redis_server: RedisServer, content: Content, packed: bool
) -> None:
    bodies = [encode(content), *(elder_bodies(content, packed_string) if packed else elder_bodies(content))]
    with both(server, redis_server) as (ours, theirs):
        for number, body in enumerate(bodies):
            sealed = payload.seal(body)
            assert ours("RESTORE", number, 0, sealed) == theirs("RESTORE", number, 0, sealed) == OK
            mine, real = what_is_at(ours, b"%d" % number), what_is_at(theirs, b"%d" % number)
            assert mine[::2] == real[::2]


# Streams.

STREAMS: dict[str, list[tuple[bytes, ...]]] = {
    "a stream of many nodes": [(b"XADD", b"k", b"%d-0" % number, b"f", b"%d" % number) for number in range(1, 350)],
    "a stream that is empty": [(b"XADD", b"k", b"5-5", b"f", b"v"), (b"XDEL", b"k", b"5-5")],
    "a stream of which ends were deleted": [
        *((b"XADD", b"k", b"%d-0" % number, b"f", b"%d" % number) for number in range(1, 250)),
        (b"XDEL", b"k", b"1-0", b"2-0", b"50-0", b"99-0", b"100-0", b"101-0", b"200-0", b"249-0"),
    ],
    "a stream that was trimmed": [
        *((b"XADD", b"k", b"%d-0" % number, b"f", b"%d" % number) for number in range(1, 250)),
        (b"XTRIM", b"k", b"MAXLEN", b"130"),
    ],
    "a stream of odd entries": [
        (b"XADD", b"k", b"0-1", b"", b""),
        (b"XADD", b"k", b"0-2", *(b"%d" % number for number in range(-100, 100))),
        (b"XADD", b"k", b"7-18446744073709551615", b"", b"x" * 5000),
        (b"XADD", b"k", b"18446744073709551615-1", b"f", b"v"),
    ],
    "a stream of nodes larger than redraft's": [
        (b"CONFIG", b"SET", b"stream-node-max-entries", b"0"),
        *((b"XADD", b"k", b"%d-0" % number, b"f", b"%d" % number) for number in range(1, 350)),
        (b"XDEL", b"k", b"1-0", b"2-0", b"349-0"),
        (b"CONFIG", b"SET", b"stream-node-max-entries", b"100"),
    ],
    "a stream with groups": [
        *((b"XADD", b"k", b"%d-0" % number, b"f", b"%d" % number) for number in range(1, 50)),
        (b"XGROUP", b"CREATE", b"k", b"g", b"0"),
        (b"XGROUP", b"CREATE", b"k", b"", b"$", b"ENTRIESREAD", b"7"),
        (b"XREADGROUP", b"GROUP", b"g", b"a", b"COUNT", b"5", b"STREAMS", b"k", b">"),
        (b"XREADGROUP", b"GROUP", b"g", b"b", b"COUNT", b"5", b"STREAMS", b"k", b">"),
        (b"XREADGROUP", b"GROUP", b"g", b"a", b"STREAMS", b"k", b"0"),
        (b"XACK", b"k", b"g", b"2-0"),
        (b"XDEL", b"k", b"3-0"),
        (b"XCLAIM", b"k", b"g", b"c", b"0", b"4-0", b"RETRYCOUNT", b"1000"),
        (b"XGROUP", b"CREATECONSUMER", b"k", b"", b"idle"),
    ],
}
"""How to make a stream at `k`."""


@pytest.mark.parametrize("commands", STREAMS.values(), ids=list(STREAMS))
def test_a_stream_comes_from_redis_and_goes_back(
    server: Server, redis_server: RedisServer, commands: list[Command]
) -> None:
    with both(server, redis_server) as (ours, theirs):
        for command in commands:
            assert not isinstance(theirs(*command), ReplyError)
        assert ours("RESTORE", "k", 0, theirs("DUMP", "k")) == OK
        assert_stream_is_kept(ours, theirs)


@given(content=stream_contents())
@same_examples
def test_any_stream_that_both_read_is_the_same(server: Server, careful_redis: RedisServer, content: Content) -> None:
    sealed = payload.dump(content)
    with both(server, careful_redis) as (ours, theirs):
        assert ours("RESTORE", "k", 0, sealed) == theirs("RESTORE", "k", 0, sealed) == OK
        assert_stream_is_kept(ours, theirs)


@pytest.mark.parametrize("commands", STREAMS.values(), ids=list(STREAMS))
def test_a_stream_made_here_comes_to_redis(server: Server, redis_server: RedisServer, commands: list[Command]) -> None:
    with both(server, redis_server) as (ours, theirs):
        for command in commands:
            assert not isinstance(ours(*command), ReplyError)
        assert theirs("RESTORE", "k", 0, ours("DUMP", "k")) == OK
        assert_stream_is_kept(ours, theirs)


# Damage.


@given(bodies=st.lists(damaged_bodies(), min_size=5, max_size=10))
@settings(same_examples, max_examples=40)
def test_what_is_taken_in_spite_of_damage_is_taken_by_redis_as_well(
    server: Server, careful_redis: RedisServer, bodies: list[bytes]
) -> None:
    with both(server, careful_redis) as (ours, theirs):
        for body in bodies:
            sealed = payload.seal(body)
            mine, real = ours("RESTORE", "k", 0, sealed, "REPLACE"), theirs("RESTORE", "k", 0, sealed, "REPLACE")
            assert mine in (OK, BAD_DATA)
            assert real in (OK, BAD_DATA)
            if mine == OK:
                assert real == OK, body
                if body[0] == types.STREAM_LISTPACKS_2:  # redraft knows itself which entry is the first
                    assert theirs("RESTORE", "back", 0, ours("DUMP", "k"), "REPLACE") == OK
                    assert theirs("XRANGE", "back", "-", "+") == theirs("XRANGE", "k", "-", "+")
                    continue
                assert what_is_at(ours, b"k")[::2] == what_is_at(theirs, b"k")[::2], body


# Encodings as the configuration has them.

LIMITS = ("hash-max-listpack-entries", "hash-max-listpack-value", "zset-max-listpack-entries",
          "zset-max-listpack-value", "set-max-intset-entries", "list-max-listpack-size")  # fmt: skip


@pytest.fixture
def default_limits(server: Server, redis_server: RedisServer) -> Iterator[None]:
    """The servers that all tests share are as they were, afterwards."""
    yield
    with both(server, redis_server) as connections:
        for connection in connections:
            numbers = (512, 64, 128, 64, 512, -2)
            pairs = [word for pair in zip(LIMITS, numbers, strict=True) for word in pair]
            assert connection("CONFIG", "SET", *pairs) == OK
            assert connection("DEBUG", "QUICKLIST-PACKED-THRESHOLD", "1gb") == OK


@pytest.mark.usefixtures("default_limits")
@pytest.mark.parametrize("entries", [0, 1, 10])
@pytest.mark.parametrize("size", [0, 1, 64])
def test_encodings_are_those_of_the_limits_in_force(
    server: Server, redis_server: RedisServer, entries: int, size: int
) -> None:
    list_size = {0: -1, 1: 1, 10: 10}[entries]
    with both(server, redis_server) as (ours, theirs):
        for name, number in zip(LIMITS, (entries, size, entries, size, entries, list_size), strict=True):
            assert ours("CONFIG", "SET", name, number) == theirs("CONFIG", "SET", name, number) == OK
        for count in {1, 2, entries, entries + 1} - {0}:
            for length in (1, 2, 64, 65, 9000):
                row = [b"%x" % number + b"x" * (length - 1) for number in range(count)]
                for command in (
                    (b"HSET", b"h", *_pairs(row, row)), (b"ZADD", b"z", *_pairs(_row(count), row)),
                    (b"SADD", b"s", *row), (b"SADD", b"i", *_row(count)), (b"RPUSH", b"l", *row),
                    (b"ZUNIONSTORE", b"zu", b"1", b"s"), (b"SUNIONSTORE", b"su", b"s", b"i"),
                ):  # fmt: skip
                    for connection in (ours, theirs):
                        connection("DEL", command[1])
                        assert not isinstance(connection(*command), ReplyError)
                    key = command[1]
                    assert ours("OBJECT", "ENCODING", key) == theirs("OBJECT", "ENCODING", key), (command[:2], length)


@pytest.mark.usefixtures("default_limits")
@pytest.mark.parametrize("threshold", ["10b", "100b", "5000b"])
def test_nodes_of_one_large_element_are_read(server: Server, redis_server: RedisServer, threshold: str) -> None:
    with both(server, redis_server) as (ours, theirs):
        assert theirs("DEBUG", "QUICKLIST-PACKED-THRESHOLD", threshold) == OK
        sizes = (1, 5, 10, 11, 99, 100, 101, 4999, 5001, 20_000)
        theirs("RPUSH", "k", *(b"y" * size for size in (*sizes, *reversed(sizes), *sizes)))
        assert ours("RESTORE", "k", 0, theirs("DUMP", "k")) == OK
        assert theirs("RESTORE", "back", 0, ours("DUMP", "k")) == OK
        assert ours("LRANGE", "k", 0, -1) == theirs("LRANGE", "back", 0, -1) == theirs("LRANGE", "k", 0, -1)
