"""Random list commands: few keys and elements, so that they meet; indexes on both sides of everything; blocking forms
that need not wait."""

from __future__ import annotations

from hypothesis import strategies as st

from oracle.commands import Command, extended, joined, sequences, with_options, words

KEYS = [b"l1", b"l2", b"l\xff\x00", b"text", b"none"]
ELEMENTS = [b"a", b"b", b"c", b"1", b"", b"\x00\xff\r\n", "ключ".encode(), b"e" * 5000]
INDEXES = [
    b"0", b"1", b"2", b"-1", b"-2", b"-3", b"5", b"-6", b"100", b"-100", b"x", b"", b"1.5", b"9223372036854775807",
    b"-9223372036854775808", b"9223372036854775808", b"-9223372036854775807",
]  # fmt: skip
TIMEOUTS = [b"0.01", b"0.001", b"x", b"-1", b"1e400", b"nan"]

key = st.sampled_from(KEYS)
element = st.sampled_from(ELEMENTS)
index = st.sampled_from(INDEXES)
side = st.sampled_from([b"LEFT", b"RIGHT", b"left", b"x"])
timeout = st.sampled_from(TIMEOUTS)
numkeys = st.sampled_from([b"1", b"2", b"0", b"-1", b"x", b"3"])

many = st.integers(0, 9).map(lambda first: tuple(b"%d" % (number % 10) for number in range(first, first + 700)))

command: st.SearchStrategy[Command] = st.one_of(
    joined(words("RPUSH", key), many), joined(words("LPUSH", key), many),
    *[extended(words(name, key), st.tuples(element), 5) for name in ("LPUSH", "RPUSH") * 3],
    extended(words("LPUSHX", key), st.tuples(element)), extended(words("RPUSHX", key), st.tuples(element)),
    words("LPOP", key), words("RPOP", key), words("LPOP", key, index), words("RPOP", key, index),
    words("LPOP", key, index, index), words("LLEN", key), words("LRANGE", key, index, index),
    words("LRANGE", key, st.just(b"0"), st.just(b"-1")), words("LRANGE", key, index), words("LINDEX", key, index),
    words("LSET", key, index, element), words("LINSERT", key, st.sampled_from([b"BEFORE", b"after", b"x"]), element,
    element), words("LREM", key, index, element), words("LTRIM", key, index, index),
    with_options(
        words("LPOS", key, element), words("RANK", index), words("COUNT", index), words("MAXLEN", index), words("RANK"),
    ),
    words("LMOVE", key, key, side, side), words("RPOPLPUSH", key, key),
    words("LMPOP", numkeys, key, side), words("LMPOP", numkeys, key, key, side),
    words("LMPOP", numkeys, key, side, "COUNT", index),
    words("LMPOP", numkeys, key, key, side, "COUNT", index, "COUNT"),
    words("BLPOP", key, timeout), words("BRPOP", key, key, timeout), words("BLMOVE", key, key, side, side, timeout),
    words("BRPOPLPUSH", key, key, timeout), words("BLMPOP", timeout, numkeys, key, side),
    words("BLMPOP", timeout, numkeys, key, side, "COUNT", index),
    words("OBJECT", st.just(b"ENCODING"), key), words("TYPE", key), words("DEL", key), words("RENAME", key, key),
    words("COPY", key, key), words("SET", st.just(b"text"), element), words("GET", key),
    words("PEXPIREAT", key, st.sampled_from([b"1", b"33177117420000"])), words("PERSIST", key),
)  # fmt: skip


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """Sequences of them."""
    return sequences(command, most)
