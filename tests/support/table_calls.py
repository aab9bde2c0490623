"""Calls of every data command of the table, as a client may send them: words that mean something here and there."""

from __future__ import annotations

from random import Random

from redraft.commands.all import TABLE
from redraft.commands.table import Command, Kind

EVERY = [
    each
    for declared in TABLE
    for each in (declared, *declared.subcommands.values())
    if each.kind is not Kind.SESSION and each.handler is not None
]
KEYS = [b"text", b"number", b"list", b"hash", b"set", b"ints", b"zset", b"stream", b"hll", b"geo", b"gone", b""]
WORDS = [
    b"0", b"1", b"2", b"3", b"-1", b"10", b"100", b"1.5", b"inf", b"nan", b"x", b"", b"a", b"b", b"1-1", b"2-1", b"*",
    b"$", b">", b"-", b"+", b"(1", b"[a", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808",
    b"4294967296", b"\x00\xff\r\n", b"*3\r\n$3\r\nSET\r\n", b"LEFT", b"RIGHT", b"COUNT", b"LIMIT", b"GET", b"EX",
    b"PX", b"NX", b"XX", b"GT", b"CH", b"INCR", b"WITHSCORES", b"BYSCORE", b"REV", b"STREAMS", b"GROUP", b"BLOCK",
    b"MAXLEN", b"~", b"=", b"MINID", b"NOMKSTREAM", b"MKSTREAM", b"CREATE", b"AGGREGATE", b"WEIGHTS", b"STORE", b"BY",
    b"ALPHA", b"DESC", b"REPLACE", b"DB", b"ABSTTL", b"FREQ", b"FROMMEMBER", b"BYRADIUS", b"BYBOX", b"m", b"km", b"ASC",
    b"u8", b"i5", b"#1", b"OVERFLOW", b"SAT", b"FAIL", b"AND", b"NOT", b"BEFORE", b"FIELDS", b"MATCH", b"ALL",
    b"TIMEOUT", b"ERROR", b"FORCE", b"JUSTID", b"IDLE", b"ASYNC", b"MIN", b"MAX", b"RANK", b"g", b"c",
]  # fmt: skip
FIXTURES = [
    "SET text foobar", "SET number 10", "RPUSH list a b 1 2", "HSET hash a 1 b x", "SADD set a b c", "SADD ints 1 2 3",
    "ZADD zset 1 a 2 b 2 c", "XADD stream 1-1 a 1", "XADD stream 2-1 b 2", "XGROUP CREATE stream g 0", "PFADD hll a b",
    "XREADGROUP GROUP g c COUNT 1 STREAMS stream >", "GEOADD geo 13.36 38.11 a 15.08 37.50 b", "SET gone x PX 300",
]  # fmt: skip


def drawn(random: Random, command: Command) -> list[bytes]:
    """A call of a command, as a client may send it: its keys where it has them, and the right number of words."""
    name, _, sub = command.name.upper().encode().partition(b"|")
    argv = [name, *([sub] if sub else [])]
    count = abs(command.arity) + (random.choice([0, 0, 1, 2, 3, 4, 6]) if command.arity < 0 else 0)
    while len(argv) < count:
        argv.append(random.choice(KEYS if random.random() < 0.3 else WORDS))
    first, last = command.first_key, command.last_key if command.last_key >= 0 else len(argv) + command.last_key
    for position in range(first, min(last, len(argv) - 1) + 1, command.key_step) if first else ():
        argv[position] = random.choice(KEYS)
    if command.find_keys is not None and random.random() < 0.7:
        argv[2 if command.name in ("zunionstore", "zinterstore", "zdiffstore", "blmpop", "bzmpop") else 1] = b"1"
    if command.name == "redraft|databases":
        argv[2] = random.choice([b"1", b"16", b"20", b"0", b"x", b"99999999999"])
    return argv
