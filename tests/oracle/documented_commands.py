"""Random commands as Redis itself documents them: every data command, with every option, on keys of every type.

COMMAND DOCS of a real server says of each command what arguments it takes: tokens, which are optional, which may be
repeated, which exclude each other. What is drawn follows that, so that no option is forgotten and nobody keeps a list.
An argument is mostly a value of its kind, and now and then none. Keys are of all types, so that every command meets
every type; many are taken back into transactions.

Left out is what answers by chance alone, or has families of its own that know what may differ (SORT).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from oracle.commands import FUTURE_MS, FUTURE_S, PATTERNS, Command, cased, joined, often, slipping, with_times_apart
from redraft.rdb import payload
from redraft.rdb.contents import HashContent, ListContent, SetContent, SortedSetContent, StringContent
from support.processes import Connection, RedisServer

GROUPS = {"generic", "string", "list", "hash", "set", "sorted-set", "stream", "bitmap", "hyperloglog", "geo"}
LEFT_OUT = {
    "migrate",
    "object|help",
    "xgroup|help",
    "xinfo|help",
    "randomkey",
    "wait",
    "sort",
    "sort_ro",
    "pfselftest",
    "pfdebug",
    "restore-asking",
}

FIXTURES: list[Command] = [
    (b"SET", b"text", b"foobar"), (b"SET", b"number", b"10"), (b"DEL", b"list"), (b"DEL", b"hash"), (b"DEL", b"zset"),
    (b"RPUSH", b"list", b"a", b"b", b"1", b"2", b"a", b""), (b"HSET", b"hash", b"a", b"1", b"b", b"x", b"c", b"2.5"),
    (b"SADD", b"set", b"a", b"b", b"c", b"1"), (b"SADD", b"ints", b"1", b"2", b"3", b"10"),
    (b"ZADD", b"zset", b"1", b"a", b"2", b"b", b"2", b"c", b"inf", b"1"), (b"PFADD", b"hll", b"a", b"b", b"c"),
    (b"GEOADD", b"geo", b"13.361389", b"38.115556", b"a", b"15.087269", b"37.502669", b"b"), (b"DEL", b"stream"),
    (b"XADD", b"stream", b"1-1", b"a", b"1"), (b"XADD", b"stream", b"2-1", b"b", b"2", b"c", b"3"),
    (b"XADD", b"stream", b"5-0", b"a", b"x"), (b"XGROUP", b"CREATE", b"stream", b"a", b"0"),
    (b"XREADGROUP", b"GROUP", b"a", b"b", b"COUNT", b"2", b"STREAMS", b"stream", b">"),
    (b"SET", b"bits", b"\xff\xf0\x00"),
    (b"SET", b"gone", b"x", b"EX", b"100"), (b"PEXPIREAT", b"gone", b"1"),
]  # fmt: skip
OF_GROUP = {
    "string": [b"text", b"number", b"gone"], "list": [b"list", b"list2"], "hash": [b"hash", b"hash2"],
    "set": [b"set", b"ints", b"set2"], "sorted-set": [b"zset", b"zset2", b"set"], "stream": [b"stream", b"stream2"],
    "bitmap": [b"bits", b"text"], "hyperloglog": [b"hll", b"hll2"], "geo": [b"geo", b"geo2", b"zset"],
}  # fmt: skip
"""The keys that a group's commands mostly get."""
KEYS = sorted({name for names in OF_GROUP.values() for name in names})
WORDS = [b"a", b"b", b"c", b"1", b"2", b"10", b"", b"x", b"2.5", b"-5", b"\x00\xff\r\n", "ключ".encode(), b"foobar"]
INTEGERS = [b"0", b"1", b"2", b"3", b"-1", b"-2", b"10", b"100", b"-100"]
ODD = [b"x", b"", b"1.5", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b" 1", b"1 ", b"nan",
       b"+1", b"-0", b"007", b"1\x00"]  # fmt: skip
DOUBLES = [b"0", b"1", b"2", b"2.5", b"-1", b"inf", b"-inf", b"+inf", b"1e3", b"-0", b"0.1", b"1e300"]
ODD_DOUBLES = [b"nan", b"x", b"", b"1e400", b" 1", b"(1", b"0x10"]
SCORES = [b"-inf", b"+inf", b"0", b"(1", b"1", b"2", b"(2"]
MEMBERS = [b"-", b"+", b"[a", b"(b", b"[c", b"(", b"["]
IDS = [b"1-1", b"2-1", b"5-0", b"3", b"6-1", b"7", b"9-*", b"0"]
ODD_IDS = [b"x", b"", b"-", b"+", b"$", b">", b"(1-1", b"0-0", b"18446744073709551615-18446744073709551615", b"1-1-1"]
COORDINATES = [b"13.361389", b"38.115556", b"15", b"37.5", b"0", b"-85", b"85"]
PAYLOADS = [
    payload.dump(content)
    for content in (
        StringContent(b"12"), ListContent([b"a", b"1"]), SetContent([b"1", b"2"]), HashContent([b"a"], [b"b"]),
        SortedSetContent([(1.5, b"a"), (2.0, b"b")]),
    )
]  # fmt: skip
TIMES = [b"200000", b"0", b"-1", FUTURE_MS, b"x", b"9223372036854775807"]
GOOD_AND_ODD: dict[str, tuple[list[bytes], list[bytes]]] = {
    "string": (WORDS, [b"x" * 70, b"\xff" * 30]),
    "pattern": (PATTERNS, [b"[", b"\\"]),
    "integer": (INTEGERS, ODD),
    "double": (DOUBLES, ODD_DOUBLES),
    "unix-time": ([FUTURE_S, FUTURE_MS], [b"1", b"0", b"-1", b"x", b"99999999999999999999"]),
}
"""By type of argument."""
OF_NAME: dict[str, tuple[list[bytes], list[bytes]]] = {
    **dict.fromkeys(("id", "last-id", "threshold", "max_deleted_entry_id"), (IDS, ODD_IDS)),
    **dict.fromkeys(("group", "groupname"), ([b"a", b"a", b"b"], [b"none"])),
    **dict.fromkeys(("consumer", "consumername"), ([b"a", b"b"], [b""])),
    **dict.fromkeys(("longitude", "latitude"), (COORDINATES, [b"181", b"-181", b"x", b"nan", b"86"])),
    **dict.fromkeys(("radius", "width", "height"), ([b"0", b"1", b"200", b"1e6"], [b"-1", b"x", b"nan"])),
    **dict.fromkeys(("milliseconds", "seconds", "ttl"), ([b"100000"], TIMES)),
    "timeout": ([b"0.001", b"0.01"], [b"-1", b"x", b"nan", b"1e400", b"inf"]),
    "numkeys": ([b"1", b"2"], [b"0", b"-1", b"3", b"x", b"9223372036854775808"]),
    "cursor": ([b"0"], [b"x", b"", b"-1", b"18446744073709551616"]),
    "encoding": ([b"u4", b"i8", b"u63", b"i64", b"i5"], [b"u64", b"i65", b"x", b"u0"]),
    "operation": ([b"AND", b"or", b"XOR", b"NOT"], [b"NAND"]),
    "serialized-value": (PAYLOADS, [b"", b"x" * 20, PAYLOADS[0][:-1] + b"\x00"]),
    "destination-db": ([b"0", b"1"], [b"16", b"-1", b"x"]),
    "db": ([b"0", b"1"], [b"16", b"-1", b"x"]),
    "type": ([b"string", b"list", b"stream", b"ZSET"], [b"x"]),
    "bit": ([b"0", b"1"], [b"2", b"x"]),
    "min-idle-time": ([b"0", b"100000"], [b"-1", b"x"]),
}
"""By name, for arguments that are more than their type."""
OF_COMMAND_AND_NAME: dict[tuple[str, str], tuple[list[bytes], list[bytes]]] = {
    ("setbit", "offset"): ([b"0", b"7", b"100"], [b"-1", b"4294967296", b"x"]),
    ("setbit", "value"): ([b"0", b"1"], [b"2", b"x"]),
    ("setrange", "offset"): ([b"0", b"5", b"100"], [b"-1", b"536870912", b"x"]),
    ("xread", "milliseconds"): ([b"1"], [b"-1", b"x"]),
    ("xreadgroup", "milliseconds"): ([b"1"], [b"-1", b"x"]),
    ("lcs", "len"): ([b"1", b"3"], ODD),
    **{(name, side): (INTEGERS, ODD) for name in ("zrevrange", "zremrangebyrank") for side in ("start", "stop")},
    **{(name, side): ([*INTEGERS, *SCORES, *MEMBERS], ODD) for name in ("zrange", "zrangestore")
       for side in ("start", "stop", "min", "max")},
    **{(name, side): (MEMBERS, [b"a", b""])
       for name in ("zlexcount", "zrangebylex", "zrevrangebylex", "zremrangebylex") for side in ("min", "max")},
    **{(name, side): (SCORES, ODD_DOUBLES)
       for name in ("zcount", "zremrangebyscore", "zrevrangebyscore", "zrangebyscore") for side in ("min", "max")},
    **{(name, side): ([*IDS, b"-", b"+", b"(1-1"], ODD_IDS)
       for name in ("xrange", "xrevrange", "xpending", "xautoclaim") for side in ("start", "end")},
}  # fmt: skip

any_key = st.sampled_from([*KEYS, b"none"])


@cache
def documents() -> dict[str, Any]:
    """What COMMAND DOCS of a real server says of the data commands, by the command's full name."""
    with tempfile.TemporaryDirectory() as directory:
        real = RedisServer(Path(directory))
        try:
            connection = Connection(real.port)
            connection("HELLO", 3)
            whole = connection("COMMAND", "DOCS")
            connection.close()
        finally:
            real.stop()
    found: dict[str, Any] = {}
    for name, document in sorted(whole.items()):
        if document[b"group"].decode() in GROUPS:
            found[name.decode()] = document
            found |= {sub.decode(): text for sub, text in sorted(document.get(b"subcommands", {}).items())}
    return {name: document for name, document in found.items() if name not in LEFT_OUT}


@dataclass(frozen=True)
class Grammar:
    """The words that one command takes."""

    name: str
    key: st.SearchStrategy[bytes]

    def word(self, argument: dict[bytes, Any]) -> st.SearchStrategy[Command]:
        """One word that stands for an argument."""
        name, kind = argument[b"name"].decode(), argument[b"type"].decode()
        if kind == "key":
            return st.tuples(self.key)
        good, odd = OF_COMMAND_AND_NAME.get((self.name, name)) or OF_NAME.get(name) or GOOD_AND_ODD[kind]
        return st.tuples(often(15, st.sampled_from(good), st.sampled_from(odd)))

    def words(self, argument: dict[bytes, Any]) -> st.SearchStrategy[Command]:
        """The words of an argument: none if it is optional, several if it may be repeated, its token before them."""
        kind, flags = argument[b"type"].decode(), {flag.decode() for flag in argument.get(b"flags", ())}
        head = st.tuples(cased(argument[b"token"].decode())) if b"token" in argument else None
        if kind == "pure-token":
            assert head is not None
            one = head
        elif kind == "oneof":
            one = st.one_of([self.words(each) for each in argument[b"arguments"]])
        elif kind == "block":
            one = self.row(argument[b"arguments"])
        else:
            one = self.word(argument)
        if head is not None and kind != "pure-token":
            one = joined(head, one if "multiple_token" in flags else repeated(one, flags))
            flags -= {"multiple"}
        one = repeated(one, flags)
        return one | st.just(()) if "optional" in flags else one

    def row(self, arguments: Sequence[dict[bytes, Any]]) -> st.SearchStrategy[Command]:
        """Arguments one after the other; before keys stands how many there are, mostly."""
        parts: list[st.SearchStrategy[Command]] = []
        for before, argument, following in zip([{}, *arguments], arguments, [*arguments[1:], {}], strict=False):
            if argument[b"name"] == b"numkeys":
                keys = self.words(following)
                right = keys.map(lambda drawn: (b"%d" % len(drawn), *drawn))
                parts.append(often(9, right, joined(self.word(argument), keys)))
            elif before.get(b"name") != b"numkeys":
                parts.append(self.words(argument))
        return joined(*parts)


def repeated(one: st.SearchStrategy[Command], flags: set[str]) -> st.SearchStrategy[Command]:
    """Several times what may be repeated."""
    if not flags & {"multiple", "multiple_token"}:
        return one
    return st.lists(one, min_size=1, max_size=3).map(lambda rows: tuple(word for row in rows for word in row))


@cache
def commands() -> dict[str, st.SearchStrategy[Command]]:
    """By full name, every data command."""
    found = {}
    for name, document in documents().items():
        if b"subcommands" in document:
            continue
        own = OF_GROUP.get(document[b"group"].decode())
        grammar = Grammar(name, often(6, st.sampled_from(own), any_key) if own else any_key)
        head = st.tuples(*(cased(word.upper()) for word in name.split("|")))
        found[name] = slipping(joined(head, grammar.row(document.get(b"arguments", ()))))
    return found


def _steps() -> st.SearchStrategy[list[Command]]:
    """What comes one after the other. Ids that are made of the time are nobody's to compare."""
    known = commands()
    one = st.sampled_from(sorted(known)).flatmap(known.__getitem__).filter(lambda drawn: b"*" not in drawn[1:])
    transaction = st.lists(one.map(with_what_follows), min_size=1, max_size=6).map(
        lambda drawn: [(b"MULTI",), *(each for step in drawn for each in step), (b"EXEC",)]
    )
    part = st.sampled_from([(b"MULTI",), (b"EXEC",), (b"DISCARD",), (b"WATCH", b"text", b"list"), *FIXTURES])
    return often(20, one.map(with_what_follows), transaction, part.map(lambda drawn: [drawn]))


def with_what_follows(command: Command) -> list[Command]:
    """A command, and the deletion of what is left behind a draw."""
    if command[0].upper() == b"SPOP" and len(command) > 1:
        return [command, (b"DEL", command[1])]
    return [command]


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """One key of each type, and from half of `most` commands to `most`."""
    drawn = st.deferred(lambda: st.lists(_steps(), min_size=most // 2, max_size=most))
    return drawn.map(lambda steps: [*FIXTURES, *with_times_apart([each for step in steps for each in step])])
