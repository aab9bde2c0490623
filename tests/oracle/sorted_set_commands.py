"""Random sorted set commands: few keys, members and scores, so that they meet.

Where scores differ, ranges by member are what a walk through a listpack meets; what a skip list answers then depends on
its random levels. So there are three kinds of keys: small ones, large ones without ranges by member, and ones whose
scores are all equal, with nothing else.
"""

from __future__ import annotations

from hypothesis import strategies as st

from oracle.commands import INTEGERS, PATTERNS, Command, extended, joined, sequences, several, with_options, words

SMALL = [b"z1", b"z2", b"z3", b"z\xff\x00"]
LARGE = [b"large1", b"large2"]
EQUAL = [b"equal1", b"equal2"]
MEMBERS = [b"a", b"b", b"c", b"d", b"", b"1", b"10", b"007", b"-5", b"\x00\xff\r\n", "ключ".encode(), b"ab", b"a\x00"]
SCORES = [
    b"0", b"1", b"2", b"2", b"3", b"-1", b"-0", b"0.1", b"0.30000000000000004", b"1e17", b"123456789012345678", b"3.5",
    b"9007199254740993", b"1e-7", b"-2.5e300", b"1.7976931348623157e308", b"inf", b"+inf", b"-inf", b"Infinity",
    b"0x1p3", b"5e-324", b".5", b"7.",
]  # fmt: skip
NO_SCORES = [b"nan", b"", b"x", b" 1", b"1 ", b"1e400", b"1e-400", b"--1", b"1\x00"]
BOUNDS = [
    b"-inf", b"-inf", b"+inf", b"+inf", b"inf", b"(inf", b"(-inf", b"0", b"(0", b"1", b"(1", b"2", b"(2", b"2.5", b"3",
    b"(3", b"-1", b"(-1", b"", b"(", b" 1", b"( 1", b"1\x00x", b"1e400", b"-1e400", b"0x2", b"(-0",
]  # fmt: skip
NO_BOUNDS = [b"nan", b"(nan", b"x", b"((1", b"1 ", b" ", b"[1"]
LEX_BOUNDS = [
    b"-", b"-", b"+", b"+", b"[a", b"(a", b"[b", b"(b", b"[c", b"(d", b"[", b"(", b"[ab", b"(1", b"[1", b"[zz",
    b"(a\x00", b"[\xff", b"-\x00",
]  # fmt: skip
NO_LEX_BOUNDS = [b"+x", b"-x", b"a", b"", b"++"]
RANKS = [b"0", b"0", b"1", b"2", b"-1", b"-1", b"-2", b"-3", b"5", b"-5", b"100", b"-100", b"9223372036854775807"]
COUNTS = [b"1", b"2", b"3", b"100", b"9223372036854775807"]
NO_COUNTS = [b"0", b"-1", b"x", b"", b"9223372036854775808"]


def mostly(usual: list[bytes], unusual: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of `unusual` in about eight."""
    return st.sampled_from(usual * (1 + 7 * len(unusual) // len(usual)) + unusual)


def perhaps(option: st.SearchStrategy[Command]) -> st.SearchStrategy[Command]:
    return option | st.just(())


OTHER_KEYS = [b"members", b"members", b"none", b"text"]
member = st.sampled_from(MEMBERS)
good_score, score = st.sampled_from(SCORES), mostly(SCORES, NO_SCORES)
bound, lex_bound = mostly(BOUNDS, NO_BOUNDS), mostly(LEX_BOUNDS, NO_LEX_BOUNDS)
rank, count = mostly(RANKS, INTEGERS), mostly(COUNTS, NO_COUNTS)
drawn_count = mostly([*COUNTS, b"-1", b"-5"], NO_COUNTS)
offset = mostly([b"0", b"0", b"1", b"2", b"-1", b"-3", b"100", b"9223372036854775807"], [b"x", b""])
zadd_option = words("NX") | words("XX") | words("GT") | words("LT") | words("CH") | words("INCR")
withscores, rev, limit = words("WITHSCORES"), words("REV"), words("LIMIT", offset, offset)
nothing = words("foo") | words("LIMIT", offset)
end = words("MIN") | words("MAX")
aggregate = words("AGGREGATE", mostly([b"sum", b"MIN", b"Max", b"max"], [b"x", b""]))
scan_options = (
    words("MATCH", st.sampled_from(PATTERNS)), words("COUNT", mostly([b"1000"], [b"0", b"-1", b"x"])), words("COUNT"),
    words("TYPE", st.just(b"zset")),
)  # fmt: skip
HUGE_DRAWS = [b"4611686018427387904", b"-9223372036854775808", b"4611686018427387903", b"x"]


def scored(least: int = 0, each: st.SearchStrategy[bytes] = member) -> st.SearchStrategy[Command]:
    """Pairs of score and member, and now and then something missing or wrong."""
    pairs = st.lists(st.tuples(good_score, each), min_size=least, max_size=5)
    return pairs.map(lambda drawn: tuple(word for pair in drawn for word in pair))


def of_keys(own: list[bytes], each: st.SearchStrategy[bytes]) -> st.SearchStrategy[Command]:
    """Every command but ranges by member, on these keys and members."""
    key, any_key = st.sampled_from(own), mostly(own, OTHER_KEYS)
    keys, some = st.tuples(any_key), st.tuples(each)
    two = words(st.just(b"2"), any_key, any_key)
    counted = st.one_of(
        two, two, two, words(st.just(b"1"), any_key), words(st.just(b"3"), any_key, any_key, any_key),
        joined(words(mostly([b"1", b"2"], NO_COUNTS), any_key), st.lists(any_key, max_size=2).map(tuple)),
    )  # fmt: skip
    weighted = joined(two, words("WEIGHTS", score, score) | words("WEIGHTS", good_score, good_score))
    inputs = joined(weighted | counted, perhaps(aggregate))
    return st.one_of(
        joined(words("ZADD", key), scored(1, each)), joined(words("ZADD", key), scored(1, each)),
        joined(words("ZADD", any_key), scored(0, each)), words("ZADD", key, score, each), words("ZADD", key, score),
        joined(extended(words("ZADD", key), zadd_option, 2), scored(1, each)),
        joined(extended(words("ZADD", any_key), zadd_option, 3), words(score, each)),
        words("ZINCRBY", any_key, score, each), extended(words("ZREM", any_key), some), words("ZREM", key, each),
        words("ZCARD", any_key), words("ZSCORE", any_key, each), extended(words("ZMSCORE", any_key), some),
        words("ZRANK", any_key, each), words("ZREVRANK", any_key, each), words("ZRANK", key),
        words("ZCOUNT", any_key, bound, bound),
        with_options(words("ZRANGE", any_key, rank, rank), withscores, rev),
        with_options(words("ZRANGE", any_key, rank, rank), withscores, rev, limit, nothing, words("BYSCORE")),
        with_options(words("ZRANGE", any_key, bound, bound, st.just(b"BYSCORE")), withscores, rev, limit),
        words("ZRANGE", any_key, bound, bound, st.just(b"BYSCORE"), st.just(b"BYLEX")),
        with_options(words("ZREVRANGE", any_key, rank, rank), withscores), words("ZREVRANGE", key, rank, rank, each),
        joined(words("ZREVRANGE", any_key, rank, rank), limit | rev),
        with_options(words("ZRANGEBYSCORE", any_key, bound, bound), withscores, limit),
        with_options(words("ZREVRANGEBYSCORE", any_key, bound, bound), withscores, limit),
        joined(words("ZREVRANGEBYSCORE", any_key, bound, bound), nothing | words("BYSCORE") | rev),
        with_options(words("ZRANGESTORE", key, any_key, rank, rank), rev),
        with_options(words("ZRANGESTORE", key, any_key, bound, bound, st.just(b"byscore")), rev, limit),
        joined(words("ZRANGESTORE", key, any_key, rank, rank), withscores | limit | nothing),
        words("ZREMRANGEBYRANK", any_key, rank, rank), words("ZREMRANGEBYSCORE", any_key, bound, bound),
        words("ZPOPMIN", any_key), words("ZPOPMAX", any_key), words("ZPOPMIN", any_key, count),
        words("ZPOPMAX", any_key, count), words("ZPOPMIN", key, count, count),
        joined(words("ZMPOP"), counted, end, perhaps(words("COUNT", count))),
        joined(words("ZMPOP"), two, end | nothing | rev, perhaps(words("COUNT")), perhaps(words("COUNT", count))),
        words("ZRANDMEMBER", any_key), words("ZRANDMEMBER", any_key, drawn_count),
        words("ZRANDMEMBER", any_key, drawn_count, withscores.map(lambda option: option[0])),
        words("ZRANDMEMBER", key, st.sampled_from(HUGE_DRAWS), st.just(b"withscores")),
        words("ZRANDMEMBER", key, drawn_count, each), words("ZRANDMEMBER", key, drawn_count, each, each),
        joined(words("ZUNION"), inputs, perhaps(withscores)), joined(words("ZUNION"), inputs, withscores),
        joined(words("ZINTER"), inputs, perhaps(withscores)), joined(words("ZINTER"), inputs, withscores),
        joined(words("ZDIFF"), counted, perhaps(withscores)), joined(words("ZDIFF"), inputs, withscores | nothing),
        joined(words("ZUNIONSTORE", key), inputs), joined(words("ZINTERSTORE", key), inputs),
        joined(words("ZDIFFSTORE", key), counted), joined(words("ZDIFFSTORE", key), inputs),
        joined(words("ZUNIONSTORE", key), inputs, withscores | nothing | words("WEIGHTS", score)),
        joined(words("ZINTERCARD"), counted), joined(words("ZINTERCARD"), counted, words("LIMIT", count)),
        with_options(joined(words("ZINTERCARD"), two), words("LIMIT", count), withscores, words("LIMIT")),
        several("ZUNIONSTORE", keys), several("ZMPOP", keys), several("ZDIFF", keys),
        with_options(words("ZSCAN", any_key, st.just(b"0"), st.just(b"COUNT"), st.just(b"1000")), *scan_options),
        words("ZSCAN", key, st.sampled_from([b"x", b""])), words("ZSCAN", key),
        words("OBJECT", st.just(b"ENCODING"), key), words("TYPE", key), words("DEL", key), words("EXISTS", key),
        words("SET", st.just(b"text"), each), words("RENAME", key, key), words("COPY", key, key), words("GET", key),
        extended(words("SADD", st.just(b"members")), some), words("SREM", st.just(b"members"), each),
        words("PEXPIREAT", key, st.sampled_from([b"1", b"33177117420000"])), words("PERSIST", key),
    )  # fmt: skip


def by_member(own: list[bytes]) -> st.SearchStrategy[Command]:
    """Ranges by member."""
    any_key, stored = mostly(own, OTHER_KEYS), st.sampled_from(own)
    bylex = words(st.just(b"BYLEX"))
    return st.one_of(
        words("ZLEXCOUNT", any_key, lex_bound, lex_bound), words("ZREMRANGEBYLEX", any_key, lex_bound, lex_bound),
        joined(words("ZRANGEBYLEX", any_key, lex_bound, lex_bound), perhaps(limit)),
        joined(words("ZREVRANGEBYLEX", any_key, lex_bound, lex_bound), perhaps(limit)),
        joined(words("ZREVRANGEBYLEX", any_key, lex_bound, lex_bound), nothing | withscores | rev),
        joined(words("ZRANGE", any_key, lex_bound, lex_bound), bylex, perhaps(rev), perhaps(limit)),
        joined(words("ZRANGE", any_key, lex_bound, lex_bound), perhaps(rev), bylex, withscores | limit | bylex),
        joined(words("ZRANGESTORE", stored, any_key, lex_bound, lex_bound), perhaps(rev), bylex, perhaps(limit)),
    )  # fmt: skip


many = st.integers(0, 200).map(
    lambda first: tuple(word for n in range(first, first + 100) for word in (b"%d" % (n * 37 % 50), b"m%d" % n))
)
long_member = st.sampled_from([b"m" * 64, b"m" * 65, b"m1", b"m50", b"m100"]) | member
large, equal = st.sampled_from(LARGE), st.sampled_from(EQUAL)
equally_scored = st.lists(member | long_member, min_size=1, max_size=8).map(
    lambda drawn: tuple(word for each in drawn for word in (b"5", each))
)

command: st.SearchStrategy[Command] = st.one_of(
    of_keys(SMALL, member), of_keys(SMALL, member), by_member(SMALL), of_keys(LARGE, long_member),
    joined(words("ZADD", large), many), joined(words("ZADD", equal), equally_scored), by_member(EQUAL),
)  # fmt: skip


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """Sequences of them."""
    return sequences(command, most)
