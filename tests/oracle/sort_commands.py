"""Random SORT and LCS commands: patterns that lead to strings, hashes, nothing and the wrong type; numbers that are
none; limits on both sides; strings with much and with nothing in common."""

from __future__ import annotations

from hypothesis import strategies as st

from oracle.commands import Command, extended, sequences, with_options, words

KEYS = [b"l", b"s", b"z", b"out", b"none", b"text"]
ELEMENTS = [b"1", b"2", b"10", b"-3", b"2.5", b"a", b"b", b"A", b"", b"1e3", b" 7", b"inf", b"x y"]
NUMBERS = [b"1", b"2", b"10", b"-3", b"2.5", b"7", b"100"]
PATTERNS = [b"w_*", b"h_*->f", b"nosort", b"*", b"#", b"h_*->", b"none_*", b"w_*->f", b"->", b"*->f", b"h_*->none"]
LIMITS = [b"0", b"1", b"2", b"-1", b"-5", b"100", b"x"]

key = st.sampled_from(KEYS)
element = st.sampled_from(ELEMENTS)
number = st.sampled_from(NUMBERS)
limit = st.sampled_from(LIMITS)
pattern = st.sampled_from(PATTERNS)
by, get, limits = words("BY", pattern), words("GET", pattern), words("LIMIT", limit, limit)
store, order = words("STORE", st.sampled_from([b"out", b"l"])), words(st.sampled_from(["ASC", "DESC"]))
numbers = (by, get, get, order, limits, store, words("LIMIT", limit))
letters = (words("ALPHA"), words("ALPHA"), get, get, order, limits, store)
equals = (words("ALPHA"), by, by, get, order)
"""Equal weights come in any order; so no more is asked than all of them."""
starred = st.sampled_from([b"l", b"z", b"none", b"text"])
"""A set may be asked for as it is, and then comes in any order too."""
text_key = st.sampled_from([b"text", b"other", b"none", b"l"])
text = st.text("abc", max_size=30).map(str.encode) | st.binary(max_size=20)
lcs_options = (
    words("LEN"), words("IDX"), words("IDX"), words("WITHMATCHLEN"),
    words("MINMATCHLEN", st.sampled_from([b"1", b"3", b"-1", b"x"])),
)  # fmt: skip

command: st.SearchStrategy[Command] = st.one_of(
    extended(words("RPUSH", st.just(b"l")), st.tuples(number)),
    extended(words("RPUSH", st.just(b"l")), st.tuples(element)),
    extended(words("SADD", st.just(b"s")), st.tuples(number)),
    extended(words("SADD", st.just(b"s")), st.tuples(element)),
    extended(words("ZADD", st.just(b"z")), st.tuples(number, element)),
    st.builds(lambda name, value: (b"SET", b"w_" + name, value), element, element),
    st.builds(lambda name, value: (b"SET", b"w_" + name, value), number, number),
    st.builds(lambda name, value: (b"HSET", b"h_" + name, b"f", value), element, number),
    with_options(words("SORT", starred), *numbers), with_options(words("SORT", key), *letters),
    with_options(words("SORT_RO", starred), *numbers), with_options(words("SORT_RO", key), *letters),
    with_options(words("SORT", key), *equals), words("SORT", st.just(b"s"), "STORE", key),
    words("DEL", key), words("SET", st.just(b"text"), text), words("SET", st.just(b"other"), text),
    with_options(words("LCS", text_key, text_key), *lcs_options),
    with_options(words("LCS", text_key, text_key), *lcs_options),
    words("LRANGE", st.just(b"out"), st.just(b"0"), st.just(b"-1")),
)  # fmt: skip


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """Sequences of them. What SORT makes of a sorted set's encoding in Redis is not compared."""
    return sequences(command, most).map(lambda commands: [*commands, (b"DEL", b"z")])
