"""Random set commands: few keys and members, so that they meet; integers and what only looks like one."""

from __future__ import annotations

from hypothesis import strategies as st

from oracle.commands import PATTERNS, Command, extended, several, slipping, with_options, words
from oracle.hash_commands import count, cursor

KEYS = [b"s1", b"s2", b"s3", b"s\xff\x00", b"text", b"none"]
INTEGERS = [b"0", b"1", b"2", b"3", b"-1", b"10", b"9223372036854775807", b"-9223372036854775808"]
WORDS = [b"a", b"b", b"", b"007", b"+1", b"9223372036854775808", b"\x00\xff\r\n", "ключ".encode(), b"m" * 100]

key = st.sampled_from(KEYS)
member = st.sampled_from(INTEGERS) | st.sampled_from(INTEGERS) | st.sampled_from(WORDS)
members = st.tuples(member)
keys = st.tuples(key)
number_of_keys = st.sampled_from([b"1", b"2", b"3", b"0", b"-1", b"x", b"9223372036854775808"])
limit = st.sampled_from([b"0", b"1", b"2", b"100", b"-1", b"x"])
many_integers = st.integers(0, 600).map(lambda first: tuple(b"%d" % number for number in range(first, first + 300)))

scan_options = (
    words("COUNT", st.sampled_from([b"1000", b"1000", b"0", b"-1", b"x"])), words("MATCH", st.sampled_from(PATTERNS)),
    words("COUNT"), words("TYPE", st.just(b"set")),
)  # fmt: skip

# A member that was drawn differs, so the set is not looked at any more, except for how many it has.
drawing = st.builds(
    lambda popped: [popped, (b"SCARD", popped[1]), (b"DEL", popped[1])],
    words("SPOP", key, count) | words("SPOP", key),
)
command: st.SearchStrategy[Command] = st.one_of(
    extended(words("SADD", key), members), extended(words("SADD", key), members), words("SADD", key, member),
    extended(words("SADD", key), members, 12), extended(words("SREM", key), members), words("SREM", key, member),
    words("SCARD", key), words("SISMEMBER", key, member), extended(words("SMISMEMBER", key), members),
    words("SMEMBERS", key), words("SMOVE", key, key, member), words("SMOVE", key, key, member),
    words("SPOP", key, st.sampled_from([b"9223372036854775807", b"1000", b"0", b"-1", b"x", b""])),
    words("SPOP", key, count, member), words("SRANDMEMBER", key), words("SRANDMEMBER", key, count),
    words("SRANDMEMBER", key, count, member), several("SINTER", keys), several("SUNION", keys), several("SDIFF", keys),
    several("SINTERSTORE", keys), several("SUNIONSTORE", keys), several("SDIFFSTORE", keys),
    extended(words("SDIFFSTORE", key, key), keys, 6), extended(words("SINTERSTORE", key, key), keys),
    extended(words("SINTERCARD", number_of_keys), keys),
    with_options(words("SINTERCARD", st.just(b"2"), key, key), words("LIMIT", limit), words("LIMIT")),
    with_options(words("SINTERCARD", number_of_keys, key, key), words("LIMIT", limit), words("x", limit)),
    with_options(words("SSCAN", key, cursor), *scan_options), words("SSCAN", key),
    words("OBJECT", st.just(b"ENCODING"), key), words("TYPE", key), words("DEL", key), words("EXISTS", key),
    words("SET", st.just(b"text"), member), words("RENAME", key, key), words("COPY", key, key),
    words("PEXPIREAT", key, st.sampled_from([b"1", b"33177117420000"])), words("PERSIST", key), words("GET", key),
    st.builds(lambda first, rest: first + rest, words("SADD", key), many_integers),
    st.builds(lambda first, rest: first + rest, words("SREM", key), many_integers),
)  # fmt: skip


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """So many commands at most, or a few more."""
    steps = st.lists(slipping(command).map(lambda each: [each]) | drawing, min_size=most // 2, max_size=most)
    return steps.map(lambda taken: [command for step in taken for command in step])
