"""Random stream commands: explicit ids that are close together, at both ends of what there is, and malformed; trims,
deletions and groups on the same few streams."""

from __future__ import annotations

from hypothesis import strategies as st

from oracle.commands import Command, extended, joined, often, slipping, with_options, words

KEYS = [b"s1", b"s1", b"s2", b"text", b"none"]
IDS = [b"1-1", b"1-2", b"1", b"2-0", b"3-5", b"5", b"7-7", b"9-1", b"10"]
ODD_IDS = [
    b"150",
    b"1060-1",
    b"10050",
    b"0-0",
    b"0",
    b"0-1",
    b"-",
    b"+",
    b"$",
    b"*",
    b">",
    b"x",
    b"",
    b"1-",
    b"-1",
    b"1-x",
    b"18446744073709551615-18446744073709551615",
    b"18446744073709551616",
    b"1-*",
    b"4-*",
    b"1-1-1",
    b"(2",
    b"(",
    b"(1-1",
    b"(0-0",
    b"+5",
    b"1 ",
    b"(-",
    b"(+",
]
COUNTS = [b"0", b"1", b"2", b"3", b"-1", b"100", b"x"]
GROUPS = [b"g1", b"g1", b"g2"]
CONSUMERS = [b"c1", b"c2", b"c3"]

key = st.sampled_from(KEYS)
near = st.sampled_from(IDS)
number = often(2, near, st.sampled_from(ODD_IDS))
new = often(
    2, near, st.sampled_from([b"11-*", b"1-*", b"12-1", b"13", b"14-9", b"20-*"]),
    st.sampled_from([word for word in ODD_IDS if word != b"*"]),
)  # fmt: skip
field = st.sampled_from([b"f", b"g", b"", b"12", b"-100000", b"x" * 100])
count = st.sampled_from(COUNTS)
group = st.sampled_from(GROUPS)
consumer = st.sampled_from(CONSUMERS)
idle = st.sampled_from([b"0", b"0", b"0", b"1000000", b"-5", b"x"])
trims = st.one_of(
    words("MAXLEN", count),
    words("MAXLEN", st.just(b"~"), count),
    words("MAXLEN", st.just(b"="), count),
    words("MINID", number),
    words("MINID", st.just(b"~"), number),
    words("MINID", st.just(b"="), near),
)
limit = words("LIMIT", count)


block = words("BLOCK", st.sampled_from([b"1", b"2", b"x", b"-1"]))
reading = (words("COUNT", count), words("NOACK"), block)
one_stream, two_streams = words("STREAMS", key, number), words("STREAMS", key, key, number, number)
new_of_one = words("STREAMS", key, st.just(b">"))
of_group = words("GROUP", group, consumer)
crowd = st.builds(
    lambda name, first, text: [(b"XADD", name, b"%d-1" % number, b"f", text) for number in range(first, first + 120)],
    st.sampled_from([b"s1", b"s2"]), st.sampled_from([100, 1000, 10000]), st.sampled_from([b"", b"x" * 100]),
)  # fmt: skip
"""More entries than a node of Redis's takes, by count or by bytes."""
added = extended(words("XADD", key, new, field, field), st.tuples(field, field), 2)

command: st.SearchStrategy[Command] = st.one_of(
    added,
    added,
    added,
    joined(words("XADD", key), trims, words(new, field, field)),
    joined(words("XADD", key, "NOMKSTREAM"), words(new, field, field)),
    joined(words("XADD", key), trims, limit, words(new, field, field)),
    words("XADD", key, new, field, field, field),
    words("XLEN", key),
    words("XRANGE", key, number, number),
    words("XREVRANGE", key, number, number),
    words("XRANGE", key, st.just(b"-"), st.just(b"+"), "COUNT", count),
    words("XREVRANGE", key, st.just(b"+"), st.just(b"-"), "COUNT", count),
    joined(words("XREAD"), one_stream),
    with_options(words("XREAD"), words("COUNT", count), block).flatmap(
        lambda head: two_streams.map(lambda tail: head + tail)
    ),
    extended(words("XDEL", key), st.tuples(number)),
    extended(words("XDEL", key, near), st.tuples(near)),
    joined(words("XTRIM", key), trims),
    joined(words("XTRIM", key), trims, limit),
    joined(words("XTRIM", key), trims, trims),
    words("XSETID", key, number),
    words("XSETID", key, near, "ENTRIESADDED", count),
    words("XSETID", key, near, "ENTRIESADDED", count, "MAXDELETEDID", near),
    words("XSETID", key, near, "MAXDELETEDID", number),
    words("XINFO", st.just(b"GROUPS"), key),
    words("XINFO", st.just(b"STREAM"), key),
    words("XINFO", st.just(b"STREAM"), key, "FULL"),
    words("XINFO", st.just(b"STREAM"), key, "FULL", "COUNT", count),
    words("XINFO", st.just(b"CONSUMERS"), key, group),
    words("XINFO", st.just(b"STREAM"), key, number),
    words("XGROUP", st.just(b"CREATE"), key, group, number),
    words("XGROUP", st.just(b"CREATE"), key, group, near, "MKSTREAM"),
    words("XGROUP", st.just(b"CREATE"), key, group, st.just(b"0")),
    words("XGROUP", st.just(b"CREATE"), key, group, st.just(b"$"), "MKSTREAM"),
    words("XGROUP", st.just(b"CREATE"), key, group, near, "ENTRIESREAD", count),
    words("XGROUP", st.just(b"SETID"), key, group, number),
    words("XGROUP", st.just(b"SETID"), key, group, near, "ENTRIESREAD", count),
    words("XGROUP", st.just(b"DESTROY"), key, group),
    words("XGROUP", st.just(b"CREATECONSUMER"), key, group, consumer),
    words("XGROUP", st.just(b"DELCONSUMER"), key, group, consumer),
    joined(words("XREADGROUP"), of_group, new_of_one),
    joined(words("XREADGROUP"), of_group, new_of_one),
    joined(words("XREADGROUP"), of_group, words("COUNT", count), new_of_one),
    joined(words("XREADGROUP"), of_group, one_stream),
    with_options(joined(words("XREADGROUP"), of_group), *reading).flatmap(
        lambda head: two_streams.map(lambda tail: head + tail)
    ),
    joined(words("XREADGROUP"), of_group, words("NOACK"), new_of_one),
    extended(words("XACK", key, group), st.tuples(number)),
    extended(words("XACK", key, group, near), st.tuples(near)),
    words("XPENDING", key, group),
    words("XPENDING", key, group, number, number, count),
    words("XPENDING", key, group, st.just(b"-"), st.just(b"+"), st.just(b"10"), consumer),
    words("XPENDING", key, group, "IDLE", idle, st.just(b"-"), st.just(b"+"), count),
    words("XPENDING", key, group, number),
    with_options(
        words("XCLAIM", key, group, consumer, idle, near),
        words("FORCE"),
        words("JUSTID"),
        words("RETRYCOUNT", count),
        words("LASTID", number),
        words("IDLE", count),
        words(near),
    ),
    with_options(
        words("XCLAIM", key, group, consumer, st.just(b"0"), near, near), words("FORCE"), words("JUSTID"), words("x")
    ),
    with_options(
        words("XAUTOCLAIM", key, group, consumer, idle, number), words("COUNT", count), words("JUSTID"), words("x")
    ),
    words("DEL", key),
    words("COPY", key, key),
    words("RENAME", key, key),
    words("SET", st.just(b"text"), field),
    words("TYPE", key),
    words("OBJECT", st.just(b"ENCODING"), key),
)


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """From half of `most` steps to `most`: commands, and entries by the dozen."""
    step = often(30, slipping(command).map(lambda each: [each]), crowd)
    return st.lists(step, min_size=most // 2, max_size=most).map(
        lambda taken: [each for step in taken for each in step]
    )
