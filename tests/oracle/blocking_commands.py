"""Random steps of three clients, of which some wait for elements: pushes and whatever else brings a key or takes it
away, waits on several keys, transactions, clients that hang up, are killed or unblocked.

A step is a command with one word more: which client sends it. Three are not Redis's: HANGUP, and KILL and UNBLOCK with
the number of another client. No wait ends by time: when would be chance.
"""

from __future__ import annotations

from hypothesis import strategies as st

from oracle.commands import Command, extended, joined, often, words

CLIENTS = [b"0", b"1", b"2"]
LISTS = [b"l1", b"l2", b"l3"]
SORTED_SETS = [b"z1", b"z2"]
STREAMS = [b"s1", b"s2"]
KEYS = [*LISTS, *SORTED_SETS, *STREAMS]
IDS = [b"1-1", b"1-2", b"2-0", b"3-5", b"5-0", b"7-7", b"9-1", b"12-*"]

client = st.sampled_from(CLIENTS)
some_list, other_key = st.sampled_from(LISTS), st.sampled_from(KEYS)
a_list = often(9, some_list, other_key)
a_sorted_set = often(9, st.sampled_from(SORTED_SETS), other_key)
a_stream = often(9, st.sampled_from(STREAMS), other_key)
element = st.sampled_from([b"a", b"b", b"c", b"1", b""])
score = st.sampled_from([b"1", b"2", b"-1", b"inf"])
number = st.sampled_from(IDS)
side = st.sampled_from([b"LEFT", b"RIGHT"])
end = st.sampled_from([b"MIN", b"MAX"])
count = st.sampled_from([b"1", b"2", b"10"])
zero = st.just(b"0")
consumer = words("GROUP", st.just(b"g"), st.sampled_from([b"c1", b"c2"]))
one_stream = words("STREAMS", a_stream, st.sampled_from([b"$", b"0", b"1-1", b"5-0"]))
two_streams = words("STREAMS", a_stream, a_stream, st.sampled_from([b"$", b"1-1"]), st.just(b"$"))
new_of_group = words("STREAMS", a_stream, st.just(b">"))

waits: st.SearchStrategy[Command] = st.one_of(
    words("BLPOP", a_list, zero), words("BLPOP", a_list, a_list, zero), words("BRPOP", a_list, a_list, a_list, zero),
    words("BLMOVE", a_list, a_list, side, side, zero), words("BRPOPLPUSH", a_list, a_list, zero),
    words("BLMPOP", zero, st.just(b"1"), a_list, side), words("BLMPOP", zero, st.just(b"2"), a_list, a_list, side,
                                                             "COUNT", count),
    words("BZPOPMIN", a_sorted_set, zero), words("BZPOPMAX", a_sorted_set, a_sorted_set, zero),
    words("BZMPOP", zero, st.just(b"2"), a_sorted_set, a_sorted_set, end, "COUNT", count),
    joined(words("XREAD", "BLOCK", zero), one_stream | two_streams),
    joined(words("XREAD", "COUNT", count, "BLOCK", zero), one_stream),
    joined(words("XREADGROUP"), consumer, words("BLOCK", zero), new_of_group),
    joined(words("XREADGROUP"), consumer, words("BLOCK", zero, "NOACK"), new_of_group),
)  # fmt: skip
feeds: st.SearchStrategy[Command] = st.one_of(
    extended(words("RPUSH", a_list, element), st.tuples(element)), words("LPUSH", a_list, element, element),
    words("RPUSHX", a_list, element), words("LINSERT", a_list, "BEFORE", element, element),
    words("LMOVE", a_list, a_list, side, side), words("RPOPLPUSH", a_list, a_list),
    extended(words("ZADD", a_sorted_set, score, element), st.tuples(score, element)),
    words("ZINCRBY", a_sorted_set, score, element), words("ZUNIONSTORE", a_sorted_set, st.just(b"1"), a_sorted_set),
    words("ZRANGESTORE", a_sorted_set, a_sorted_set, zero, st.just(b"-1")),
    words("GEOADD", a_sorted_set, st.just(b"13"), st.just(b"38"), element),
    words("XADD", a_stream, number, element, element),
    words("XADD", a_stream, "MAXLEN", count, number, element, element),
    words("XGROUP", "CREATE", a_stream, st.just(b"g"), st.just(b"$"), "MKSTREAM"),
    words("XGROUP", "CREATE", a_stream, st.just(b"g"), zero, "MKSTREAM"),
    words("RPUSH", st.just(b"source"), element), words("SORT", st.just(b"source"), "ALPHA", "STORE", other_key),
)  # fmt: skip
changes: st.SearchStrategy[Command] = st.one_of(
    words("DEL", other_key), words("UNLINK", other_key, other_key), words("SET", other_key, element),
    words("RENAME", other_key, other_key), words("RENAMENX", other_key, other_key), words("COPY", other_key, other_key),
    words("COPY", other_key, other_key, "REPLACE"), words("LPOP", a_list), words("RPOP", a_list, count),
    words("ZPOPMIN", a_sorted_set), words("LTRIM", a_list, zero, zero), words("XDEL", a_stream, number),
    words("XGROUP", "DESTROY", a_stream, st.just(b"g")), words("XGROUP", "SETID", a_stream, st.just(b"g"), zero),
    words("PEXPIREAT", other_key, st.just(b"1")), words("SADD", other_key, element), words("XLEN", a_stream),
    words("SUNIONSTORE", other_key, other_key), words("LLEN", a_list), words("FLUSHDB"),
    words("MOVE", other_key, st.just(b"1")), words("SWAPDB", zero, st.just(b"1")), words("GET", other_key),
    words("SELECT", st.sampled_from([b"0", b"0", b"1"])), words("CLIENT", "SETNAME", element),
)  # fmt: skip
transactions = st.sampled_from([(b"MULTI",), (b"EXEC",), (b"EXEC",), (b"DISCARD",)]) | words("WATCH", other_key)
ends: st.SearchStrategy[Command] = st.one_of(
    words("HANGUP"), words("KILL", client), words("UNBLOCK", client), words("UNBLOCK", client, "ERROR"),
    words("UNBLOCK", client, "TIMEOUT"),
)  # fmt: skip

command = often(8, st.one_of(waits, feeds), often(4, feeds, changes), changes, often(2, transactions, ends))
step: st.SearchStrategy[Command] = st.builds(lambda words, sender: (*words, sender), command, client)


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """From half of `most` steps to `most`."""
    return st.lists(step, min_size=most // 2, max_size=most)
