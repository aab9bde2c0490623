"""Random commands for the comparison with Redis: strategies over a few keys and awkward values."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st

Command = tuple[bytes, ...]
T = TypeVar("T")

KEYS = [b"a", b"b", b"key:1", b"key:2", b"\x00\xff\r\n", b""]
INTEGERS = [
    b"0", b"1", b"-1", b"5", b"10", b"-3", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808",
    b"007", b"+1", b" 1", b"1.5", b"", b"x", b"12345678901234567890",
]  # fmt: skip
FLOATS = [
    b"0.1",
    b"-2.5",
    b"1e3",
    b"3.0e-5",
    b"inf",
    b"-inf",
    b"nan",
    b"10",
    b"0x10",
    b"1.",
    b".5",
    b"1e400",
    b" 1",
    b"a",
]
VALUES = [b"", b"v", b"hello world", b"10", b"-5", b"3.0e3", b"x" * 100, b"\x00\x01\r\n\xff", b"9223372036854775807"]
TIMES = [b"100", b"1000", b"0", b"-1", b"9223372036854775807", b"99999999999999", b"abc", b"1.5", b"100000000"]
STEP = 2000
_LONG_TIMES = (b"100", b"1000", b"100000", b"100000000")
FUTURE_S, FUTURE_MS = b"33177117420", b"33177117420000"
PATTERNS = [b"*", b"key:*", b"k?y:1", b"[ab]", b"[^a]*", b"\\a", b"key:[1-2]", b"a*a", b"", b"[a", b"*:*", b"\x00*"]

key = st.sampled_from(KEYS)
value = st.sampled_from(VALUES) | st.binary(max_size=8)
integer = st.sampled_from(INTEGERS)
small = st.sampled_from([b"0", b"1", b"-1", b"3", b"-4", b"100", b"-100"])
number = st.sampled_from(FLOATS)
time = st.sampled_from(TIMES)
database = st.sampled_from([b"0", b"1", b"2", b"15", b"16", b"-1", b"x"])


def cased(word: str) -> st.SearchStrategy[bytes]:
    return st.sampled_from([word.encode(), word.lower().encode(), word.title().encode()])


def words(*parts: str | st.SearchStrategy[bytes]) -> st.SearchStrategy[Command]:
    """A command of fixed words and drawn ones."""
    return st.tuples(*(cased(part) if isinstance(part, str) else part for part in parts))


def with_options(head: st.SearchStrategy[Command], *options: st.SearchStrategy[Command]) -> st.SearchStrategy[Command]:
    """`head` followed by up to three of `options`."""
    tail = st.lists(st.one_of(options), max_size=3)
    return st.builds(lambda first, rest: first + tuple(word for option in rest for word in option), head, tail)


def several(name: str, each: st.SearchStrategy[Command], most: int = 4) -> st.SearchStrategy[Command]:
    """A name and a few repeated groups of arguments, none at all included."""
    return st.builds(
        lambda first, rest: (first, *(word for group in rest for word in group)),
        cased(name),
        st.lists(each, max_size=most),
    )


def extended(
    head: st.SearchStrategy[Command], each: st.SearchStrategy[Command], most: int = 4
) -> st.SearchStrategy[Command]:
    """`head` followed by a few repeated groups of arguments, none at all included."""
    tail = st.lists(each, max_size=most)
    return st.builds(lambda first, rest: first + tuple(word for group in rest for word in group), head, tail)


def joined(*parts: st.SearchStrategy[Command]) -> st.SearchStrategy[Command]:
    """Parts of a command, one after the other."""
    return st.tuples(*parts).map(lambda drawn: tuple(word for part in drawn for word in part))


def often(times: int, usual: st.SearchStrategy[T], *others: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """`usual`, so many times as often as each of the others. (`one_of` counts a strategy once, however often it stands
    there.)"""
    rows = [usual, *others]
    return st.sampled_from([0] * times + list(range(1, len(rows)))).flatmap(lambda number: rows[number])


def slipping(command: st.SearchStrategy[Command]) -> st.SearchStrategy[Command]:
    """Now and then a command has a word too few or one too many. SPOP has not: what it draws would differ."""

    def slip(whole: Command, change: int) -> Command:
        if whole[0].upper() == b"SPOP" or not change:
            return whole
        return whole[:-1] if change < 0 and len(whole) > 1 else (*whole, b"x")

    return st.builds(slip, command, st.sampled_from([0] * 30 + [-1, 1]))


def with_times_apart(commands: list[Command]) -> list[Command]:
    """The commands, none of which gives a key a time to live that an earlier one may have given it: whether GT and LT
    hold would depend on the millisecond."""
    return [
        (*command[:2], b"%d" % (int(command[2]) + STEP * position), *command[3:])
        if command[0].upper() in (b"EXPIRE", b"PEXPIRE") and len(command) > 3 and command[2] in _LONG_TIMES
        else command
        for position, command in enumerate(commands, 1)
    ]


def sequences(command: st.SearchStrategy[Command], most: int) -> st.SearchStrategy[list[Command]]:
    """From half of `most` commands to `most`."""
    return st.lists(slipping(command), min_size=most // 2, max_size=most)


expiry = st.one_of(
    words("EX", time), words("PX", time), words("EXAT", st.just(FUTURE_S) | time),
    words("PXAT", st.just(FUTURE_MS) | time), words("EX"),
)  # fmt: skip
condition = st.one_of(words("NX"), words("XX"), words("GT"), words("LT"), words("what"))

strings = [
    words("GET", key), words("SET", key, value), words("SET", key, integer),
    with_options(words("SET", key, value), words("NX"), words("XX"), words("GET"), words("KEEPTTL"), expiry),
    words("SETNX", key, value), words("SETEX", key, time, value), words("PSETEX", key, time, value),
    words("GETSET", key, value), words("GETDEL", key), with_options(words("GETEX", key), words("PERSIST"), expiry),
    several("MGET", st.tuples(key)), several("MSET", st.tuples(key, value)),
    several("MSETNX", st.tuples(key, value)), several("MSET", st.tuples(key)), words("APPEND", key, value),
    words("STRLEN", key), words("GETRANGE", key, small, small), words("SUBSTR", key, small, integer),
    words("SETRANGE", key, small, value), words("INCR", key), words("DECR", key), words("INCRBY", key, integer),
    words("DECRBY", key, integer), words("INCRBYFLOAT", key, number),
]  # fmt: skip
generic = [
    several("DEL", st.tuples(key)), several("UNLINK", st.tuples(key)), several("EXISTS", st.tuples(key)),
    several("TOUCH", st.tuples(key)), words("TYPE", key), words("RENAME", key, key), words("RENAMENX", key, key),
    with_options(words("COPY", key, key), words("REPLACE"), words("DB", database)), words("MOVE", key, database),
    words("KEYS", st.sampled_from(PATTERNS)), words("DBSIZE"), words("OBJECT", st.just(b"ENCODING"), key),
    words("OBJECT", st.just(b"FREQ"), key),
    words("OBJECT", st.just(b"nothing"), key), words("OBJECT"), words("FLUSHDB"), words("FLUSHALL", value),
    words("SWAPDB", database, database), words("SELECT", database), words("PERSIST", key), words("TTL", key),
    words("PTTL", key), words("EXPIRETIME", key), words("PEXPIRETIME", key),
    with_options(words("EXPIRE", key, time), condition), with_options(words("PEXPIRE", key, time), condition),
    with_options(words("EXPIREAT", key, st.just(FUTURE_S) | time), condition),
    with_options(words("PEXPIREAT", key, st.just(FUTURE_MS) | time), condition),
]  # fmt: skip
transactions = [
    words("MULTI"), words("MULTI"), words("EXEC"), words("EXEC"), words("DISCARD"), several("WATCH", st.tuples(key)),
    words("UNWATCH"),
]  # fmt: skip
others = [
    words("PING"), words("PING", value), words("PING", value, value), words("ECHO", value), words("ECHO"),
    words("CLIENT", st.just(b"GETNAME")), words("CLIENT", st.just(b"SETNAME"), value), words("CLIENT"),
    words("CLIENT", st.just(b"REPLY"), value), words("CLIENT", st.just(b"TRACKINGINFO")),
    words("CLIENT", st.just(b"GETREDIR")), words("CLIENT", st.just(b"UNBLOCK"), st.just(b"999")),
    words("NOSUCH"), words("nosuch", value, key), words("CONFIG", st.just(b"SET"), st.just(b"nosuch"), value),
    words("CONFIG", st.just(b"GET"), st.just(b"appendfilename")), words("OBJECT", st.just(b"ENCODING")),
    words("HELLO", st.sampled_from([b"2", b"3", b"4", b"x"])), words("SLOWLOG", st.just(b"LEN"), key),
    words("COMMAND", st.just(b"GETKEYS"), st.just(b"MSET"), key, value), words("COMMAND", st.just(b"COUNT"), key),
    words("COMMAND", st.just(b"GETKEYS"), st.just(b"PING")), words("LATENCY", st.just(b"HISTORY"), key),
    words("RESET"), words("AUTH", value), words("AUTH", value, value), words("SCAN", st.just(b"x")),
    words("SCAN", st.just(b"0"), st.just(b"COUNT"), st.sampled_from([b"100", b"0", b"-1", b"x"])),
    words("DEBUG", st.just(b"SET-ACTIVE-EXPIRE"), st.just(b"1")),
]  # fmt: skip

command: st.SearchStrategy[Command] = st.one_of(
    *[slipping(st.one_of(each)) for each in (strings, strings, generic)], st.one_of(transactions), st.one_of(others)
)


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """From half of `most` commands to `most`."""
    return st.lists(command, min_size=most // 2, max_size=most).map(with_times_apart)
