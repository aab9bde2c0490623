"""Random hash commands: few keys and fields, so that they meet; awkward numbers; strings as long as the compact
encoding takes, and longer by one."""

from __future__ import annotations

from hypothesis import strategies as st

from oracle.commands import FLOATS, INTEGERS, PATTERNS, Command, extended, joined, sequences, small, with_options, words

KEYS = [b"h1", b"h2", b"h\xff\x00", b"text", b"none"]
FIELDS = [b"a", b"b", b"c", b"1", b"", b"\x00\xff\r\n", "ключ".encode(), b"f" * 64, b"f" * 65]
VALUES = [*FLOATS, *INTEGERS, b"v" * 64, b"v" * 65, b"1e4931", b"-1e4931", b"0.1", b"1e-40"]
COUNTS = [
    b"0", b"1", b"2", b"-1", b"-5", b"100", b"x", b"", b"9223372036854775807", b"-9223372036854775808",
    b"9223372036854775808", b"4611686018427387904", b"1.5",
]  # fmt: skip

key = st.sampled_from(KEYS)
field = st.sampled_from(FIELDS)
value = st.sampled_from(VALUES) | st.binary(max_size=6)
count = st.sampled_from(COUNTS)
number = st.sampled_from(VALUES)
cursor = st.sampled_from([b"0", b"0", b"0", b"", b"x", b"-0", b"18446744073709551616"])

scan_options = (
    words("COUNT", st.sampled_from([b"10", b"1000", b"0", b"-1", b"x"])), words("MATCH", st.sampled_from(PATTERNS)),
    words("COUNT"), words("TYPE", st.just(b"hash")),
)  # fmt: skip

many = st.integers(0, 3).map(lambda part: tuple(b"%d" % number for number in range(400 * part, 400 * part + 400)))

command: st.SearchStrategy[Command] = st.one_of(
    extended(words("HSET", key), st.tuples(field, value)), extended(words("HMSET", key), st.tuples(field, value)),
    words("HSET", key, field, value), words("HSET", key, field, value), words("HSET", key, field),
    words("HSET", key, field, value, field), words("HMSET", key, field, value, field), words("HMSET", key),
    words("HSETNX", key, field, value), words("HGET", key, field), words("HGET", key),
    extended(words("HMGET", key), st.tuples(field)), extended(words("HDEL", key), st.tuples(field)),
    words("HGETALL", key), words("HKEYS", key), words("HVALS", key), words("HLEN", key), words("HEXISTS", key, field),
    words("HSTRLEN", key, field), words("HINCRBY", key, field, number), words("HINCRBY", key, field, small),
    words("HINCRBYFLOAT", key, field, number), words("HINCRBYFLOAT", key, field, number),
    words("HRANDFIELD", key), words("HRANDFIELD", key, count), words("HRANDFIELD", key, count, "WITHVALUES"),
    words("HRANDFIELD", key, count, field), words("HRANDFIELD", key, count, "WITHVALUES", field),
    with_options(words("HSCAN", key, cursor), *scan_options), words("HSCAN", key),
    words("OBJECT", st.just(b"ENCODING"), key), words("TYPE", key), words("DEL", key), words("EXISTS", key),
    words("SET", st.just(b"text"), value), words("RENAME", key, key), words("COPY", key, key),
    words("PEXPIREAT", key, st.sampled_from([b"1", b"33177117420000"])), words("PERSIST", key), words("GET", key),
    joined(words("HSET", key), many), joined(words("HDEL", key), many),
)  # fmt: skip


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """Sequences of them."""
    return sequences(command, most)
