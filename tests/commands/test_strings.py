"""Strings: what each command answers, in Redis's words, and what it does to the key and its deadline.

A test that takes `either` runs on redraft and on a real redis-server. On both `SET k v PXAT 1` makes a key that is due,
since its deadline is past.
"""

from __future__ import annotations

import random

import pytest

from redraft.commands import strings
from redraft.keyspace.flush import RecordWriter
from redraft.keyspace.keyspace import Keyspace
from redraft.resp.reply import OK
from redraft.values import codec
from support.processes import RedisServer
from support.shell import AnyShell, RealShell, Shell, words

FAR_MS = 33_000_000_000_000
BINARY = [b"", b"\x00", b"\r\n", b"\xff\xfe\x00\r\n$3\r\n", b"plain", "ключ".encode(), bytes(range(256))]
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NOT_A_FLOAT = "ERR value is not a valid float"
SYNTAX = "ERR syntax error"
OVERFLOW = "ERR increment or decrement would overflow"
TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
NAN = "ERR increment would produce NaN or Infinity"
INT64_MAX = 2**63 - 1


def arity(name: str) -> str:
    return f"ERR wrong number of arguments for '{name}' command"


def invalid_expire(name: str) -> str:
    return f"ERR invalid expire time in '{name}' command"


# Whole values.


@pytest.mark.parametrize("key", BINARY)
@pytest.mark.parametrize("value", BINARY)
def test_any_bytes_are_a_key_and_a_value(either: AnyShell, key: bytes, value: bytes) -> None:
    assert either("GET", key) is None
    assert either("SET", key, value) == OK
    assert either("GET", key) == value
    assert either("STRLEN", key) == len(value)


@pytest.mark.parametrize(
    ("line", "reply", "value", "deadline_ms"),
    [
        # A key that is there: "old", with a deadline.
        ("SET k new", OK, b"new", -1),
        ("set k new", OK, b"new", -1),
        ("SET k new KEEPTTL", OK, b"new", FAR_MS),
        ("SET k new keepTTL XX", OK, b"new", FAR_MS),
        ("SET k new NX", None, b"old", FAR_MS),
        ("SET k new XX", OK, b"new", -1),
        ("SET k new GET", b"old", b"new", -1),
        ("SET k new NX GET", b"old", b"old", FAR_MS),
        ("SET k new GET XX KEEPTTL", b"old", b"new", FAR_MS),
        ("SET k new GET GET XX XX", b"old", b"new", -1),
        (f"SET k new PXAT {FAR_MS + 5}", OK, b"new", FAR_MS + 5),
        (f"SET k new EXAT {FAR_MS // 1000 + 1}", OK, b"new", FAR_MS + 1000),
        (f"SET k new NX PXAT {FAR_MS + 5}", None, b"old", FAR_MS),
        (f"SET k new pxat 7 XX PXAT {FAR_MS + 5} GET", b"old", b"new", FAR_MS + 5),
        ("SETNX k new", 0, b"old", FAR_MS),
        ("GETSET k new", b"old", b"new", -1),
        ("GETDEL k", b"old", None, -2),
        ("GETEX k", b"old", b"old", FAR_MS),
        ("GETEX k PERSIST", b"old", b"old", -1),
        (f"GETEX k PXAT {FAR_MS + 5}", b"old", b"old", FAR_MS + 5),
        (f"GETEX k EXAT {FAR_MS // 1000 + 1}", b"old", b"old", FAR_MS + 1000),
        ("GETEX k PXAT 1", b"old", None, -2),
        ("GETEX k EXAT 1", b"old", None, -2),
        ("MSET k new k newer", OK, b"newer", -1),
        ("MSETNX other 1 k new", 0, b"old", FAR_MS),
        ("APPEND k er", 5, b"older", FAR_MS),
        ('APPEND k ""', 3, b"old", FAR_MS),
        ("SETRANGE k 1 xyz", 4, b"oxyz", FAR_MS),
        ("SETRANGE k 5 x", 6, b"old\0\0x", FAR_MS),
        ('SETRANGE k 9 ""', 3, b"old", FAR_MS),
        ("MGET k none k", [b"old", None, b"old"], b"old", FAR_MS),
    ],
)
def test_a_command_on_a_key_with_a_deadline(
    either: AnyShell, line: str, reply: object, value: bytes | None, deadline_ms: int
) -> None:
    either("SET", "k", "old", "PXAT", FAR_MS)
    assert either.run(line) == reply
    assert either("GET", "k") == value
    assert either("PEXPIRETIME", "k") == deadline_ms


ON_NO_KEY = [
    ("GET k", None, None),
    ("SET k new NX", OK, b"new"),
    ("SET k new XX", None, None),
    ("SET k new GET", None, b"new"),
    ("SET k new NX GET", None, b"new"),
    ("SET k new XX GET", None, None),
    ("SET k new KEEPTTL", OK, b"new"),
    ("SETNX k new", 1, b"new"),
    ("GETSET k new", None, b"new"),
    ("GETDEL k", None, None),
    ("GETEX k", None, None),
    ("GETEX k PERSIST", None, None),
    ("GETEX k EX 0", None, None),
    ("GETEX k EX hello", None, None),
    ("MGET k", [None], None),
    ("MSET k new", OK, b"new"),
    ("MSETNX k new other 1", 1, b"new"),
    ("MSETNX k one k two", 1, b"two"),
    ("APPEND k new", 3, b"new"),
    ('APPEND k ""', 0, b""),
    ("STRLEN k", 0, None),
    ("GETRANGE k 0 -1", b"", None),
    ("SUBSTR k 0 -1", b"", None),
    ("SETRANGE k 0 new", 3, b"new"),
    ("SETRANGE k 2 new", 5, b"\0\0new"),
    ('SETRANGE k 2 ""', 0, None),
    ("INCR k", 1, b"1"),
    ("DECR k", -1, b"-1"),
    ("INCRBY k 5", 5, b"5"),
    ("DECRBY k 5", -5, b"-5"),
    ("INCRBYFLOAT k 1.50", b"1.5", b"1.5"),
]


@pytest.mark.parametrize("before", ["none", "due"])
@pytest.mark.parametrize(("line", "reply", "value"), ON_NO_KEY)
def test_a_command_on_a_key_that_is_due_is_one_on_no_key(
    either: AnyShell, before: str, line: str, reply: object, value: bytes | None
) -> None:
    if before == "due":
        either("SET", "k", "77", "PXAT", 1)
    assert either.run(line) == reply
    assert either("GET", "k") == value
    assert either("PTTL", "k") == (-2 if value is None else -1), "the old deadline is not the new key's"


@pytest.mark.parametrize(("line", "reply", "value"), ON_NO_KEY)
def test_a_write_of_a_due_key_leaves_nothing_of_it_in_memory(
    shell: Shell, line: str, reply: object, value: bytes | None
) -> None:
    shell("SET", "k", "77", "PX", 10)
    shell.now_ms += 10
    assert shell.run(line) == reply
    kept = line.split()[0] in ("GET", "MGET", "STRLEN", "GETRANGE", "SUBSTR")
    if kept:
        assert shell.in_memory() == [b"k"], "a read changes nothing"
    elif value is not None:
        assert shell.context.db.deadline(b"k") is None
        assert not shell.context.db.due


def test_a_key_is_there_until_its_deadline_and_not_at_it(shell: Shell) -> None:
    shell("SET", "k", "v", "PX", 10)
    shell.now_ms += 9
    assert shell("GET", "k") == b"v"
    shell.now_ms += 1
    assert shell("GET", "k") is None


@pytest.mark.parametrize(
    ("line", "left_ms"),
    [
        ("SET k v EX 3", 3000),
        ("SET k v px 3", 3),
        ("SETEX k 3 v", 3000),
        ("PSETEX k 3 v", 3),
        ("GETEX k EX 3", 3000),
        ("GETEX k PX 3", 3),
        ("SET k v EX 2 ex 3", 3000),
    ],
)
def test_a_relative_time_counts_from_the_time_of_the_entry(shell: Shell, line: str, left_ms: int) -> None:
    shell("SET", "k", "v")
    shell.run(line)
    assert shell.context.db.deadline(b"k") == shell.now_ms + left_ms
    shell.now_ms += left_ms
    assert shell("EXISTS", "k") == 0


@pytest.mark.parametrize("unit", ["PX", "EX"])
def test_the_farthest_deadline_is_the_end_of_64_bits(shell: Shell, unit: str) -> None:
    unit_ms = {"PX": 1, "EX": 1000}[unit]
    most = (INT64_MAX - shell.now_ms) // unit_ms
    assert shell("SET", "k", "v", unit, most) == OK
    assert shell("PTTL", "k") == most * unit_ms
    assert shell.error("SET", "k", "v", unit, most + 1) == invalid_expire("set")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("GET", arity("get")),
        ("get k k", arity("get")),
        ("SET k", arity("set")),
        ("SET k v what", SYNTAX),
        ("SET k v NX XX", SYNTAX),
        ("SET k v XX NX", SYNTAX),
        ("SET k v EX", SYNTAX),
        ("SET k v EX 1 PX 1", SYNTAX),
        ("SET k v EX 1 KEEPTTL", SYNTAX),
        ("SET k v KEEPTTL PXAT 1", SYNTAX),
        ("SET k v PERSIST", SYNTAX),
        ("SET k v EX EX", NOT_AN_INTEGER),
        ("SET k v EX 1.5", NOT_AN_INTEGER),
        ("SET k v PX 07", NOT_AN_INTEGER),
        ("SET k v PX +7", NOT_AN_INTEGER),
        ('SET k v PX ""', NOT_AN_INTEGER),
        ("SET k v EX 9223372036854775808", NOT_AN_INTEGER),
        ("SET k v EX 0", invalid_expire("set")),
        ("SET k v PX -1", invalid_expire("set")),
        ("SET k v EXAT 0", invalid_expire("set")),
        ("SET k v PXAT -5", invalid_expire("set")),
        ("SET k v EX 9223372036854775807", invalid_expire("set")),
        ("SET k v PX 9223372036854775807", invalid_expire("set")),
        ("SETNX k", arity("setnx")),
        ("SETEX k 1", arity("setex")),
        ("SETEX k 0 v", invalid_expire("setex")),
        ("SETEX k -1 v", invalid_expire("setex")),
        ("SETEX k x v", NOT_AN_INTEGER),
        ("psetex k 0 v", invalid_expire("psetex")),
        ("PSETEX k 9223372036854775807 v", invalid_expire("psetex")),
        ("GETSET k", arity("getset")),
        ("GETDEL", arity("getdel")),
        ("GETEX", arity("getex")),
        ("GETEX s EX 0", invalid_expire("getex")),
        ("GETEX s EX x", NOT_AN_INTEGER),
        ("GETEX s EX", SYNTAX),
        ("GETEX s EX 1 PERSIST", SYNTAX),
        ("GETEX s PERSIST EX 1", SYNTAX),
        ("GETEX s KEEPTTL", SYNTAX),
        ("GETEX s NX", SYNTAX),
        ("GETEX k what", SYNTAX),
        ("MGET", arity("mget")),
        ("MSET", arity("mset")),
        ("MSET k", arity("mset")),
        ("MSET k 1 other", arity("mset")),
        ("MSETNX k 1 other", arity("msetnx")),
        ("APPEND k", arity("append")),
        ("STRLEN", arity("strlen")),
        ("GETRANGE k 0", arity("getrange")),
        ("GETRANGE k x 1", NOT_AN_INTEGER),
        ("GETRANGE k 1 1.0", NOT_AN_INTEGER),
        ("SUBSTR k 0", arity("substr")),
        ("SETRANGE k 0", arity("setrange")),
        ("SETRANGE k x v", NOT_AN_INTEGER),
        ("SETRANGE k -1 v", "ERR offset is out of range"),
        ('SETRANGE k -1 ""', "ERR offset is out of range"),
        ("SETRANGE k 536870912 v", TOO_LONG),
        ("SETRANGE s 536870909 long", TOO_LONG),
        ("SETRANGE s 9223372036854775807 v", TOO_LONG),
        ("INCR", arity("incr")),
        ("INCR s", NOT_AN_INTEGER),
        ("DECR s", NOT_AN_INTEGER),
        ("INCRBY k x", NOT_AN_INTEGER),
        ("INCRBY k 9223372036854775808", NOT_AN_INTEGER),
        ("INCRBY k 1.0", NOT_AN_INTEGER),
        ("DECRBY k -9223372036854775808", "ERR decrement would overflow"),
        ("DECRBY k x", NOT_AN_INTEGER),
        ("INCR most", OVERFLOW),
        ("INCRBY most 1", OVERFLOW),
        ("DECRBY most -1", OVERFLOW),
        ("DECR least", OVERFLOW),
        ("INCRBY least -1", OVERFLOW),
        ("INCRBY least -9223372036854775808", OVERFLOW),
        ("INCRBYFLOAT k", arity("incrbyfloat")),
        ("INCRBYFLOAT k x", NOT_A_FLOAT),
        ("INCRBYFLOAT s 1", NOT_A_FLOAT),
        ("INCRBYFLOAT s x", NOT_A_FLOAT),
        ("INCRBYFLOAT k nan", NOT_A_FLOAT),
        ('INCRBYFLOAT k ""', NOT_A_FLOAT),
        ("INCRBYFLOAT k inf", NAN),
        ("INCRBYFLOAT k -INFINITY", NAN),
    ],
)
def test_what_is_refused_is_refused_in_the_words_of_redis(either: AnyShell, line: str, text: str) -> None:
    either("MSET", "s", "text", "most", INT64_MAX, "least", -(2**63))
    assert either.error(*words(line)) == text
    assert either("MGET", "k", "s") == [None, b"text"]


@pytest.mark.parametrize(
    "line",
    [
        "GET c", "SET c v GET", "SET c v NX GET", "GETSET c v", "GETDEL c", "GETEX c", "GETEX c PERSIST",
        "GETEX c EX 0", "APPEND c v", "STRLEN c", "GETRANGE c 0 1", "SUBSTR c 0 1", "SETRANGE c 0 v", 'SETRANGE c 0 ""',
        "INCR c", "DECR c", "INCRBY c 1", "DECRBY c 1", "INCRBYFLOAT c 1", "INCRBYFLOAT c x",
    ],
)  # fmt: skip
def test_a_collection_is_the_wrong_type(either: AnyShell, line: str) -> None:
    either.put_collection(b"c")
    assert either.error(*words(line)) == WRONG_TYPE
    assert either.error("GET", "c") == WRONG_TYPE, "it is still there"


@pytest.mark.parametrize(
    ("line", "reply", "value"),
    [
        ("SET c v", OK, b"v"),
        ("SET c v XX", OK, b"v"),
        ("SETEX c 100 v", OK, b"v"),
        ("MSET c v", OK, b"v"),
        ("MGET c none", [None, None], None),
        ("SETNX c v", 0, None),
        ("SET c v NX", None, None),
        ("MSETNX c v", 0, None),
    ],
)
def test_what_only_asks_whether_a_key_is_there_takes_a_collection_for_one(
    either: AnyShell, line: str, reply: object, value: bytes | None
) -> None:
    either.put_collection(b"c")
    assert either.run(line) == reply
    if value is None:
        assert either.error("GET", "c") == WRONG_TYPE
    else:
        assert either("GET", "c") == value


def test_a_due_collection_is_no_wrong_type(either: AnyShell) -> None:
    for line, reply in [("GET c", None), ("APPEND c v", 1), ("INCR c", 1), ("SETRANGE c 0 v", 1), ("GETDEL c", None)]:
        either.put_collection(b"c")
        if isinstance(either, Shell):
            either.context.db.set_deadline(b"c", either.now_ms)
        else:
            either("PEXPIREAT", "c", 1)
        assert either.run(line) == reply
        either("DEL", "c")


# Parts of values.


def part(value: bytes, start: int, end: int) -> bytes:
    """What GETRANGE answers: both ends included, negative ones from the end, whatever lies before the start taken for
    the start (of both, so that `-9 -8` is the first byte of a short string, except where they are the wrong way round).
    """
    if start < 0 and end < 0 and start > end:
        return b""
    first, last = (max(at + len(value), 0) if at < 0 else at for at in (start, end))
    return bytes(byte for at, byte in enumerate(value) if first <= at <= last)


@pytest.mark.parametrize("value", [b"", b"a", b"abc"])
def test_a_range_is_given_by_its_two_ends(either: AnyShell, value: bytes) -> None:
    either("SET", "k", value)
    places = [*range(-6, 7), INT64_MAX, -(2**63)]
    for start in places:
        for end in places:
            assert either("GETRANGE", "k", start, end) == part(value, start, end), (start, end)
    assert either("SUBSTR", "k", 1, -1) == part(value, 1, -1)


def test_a_string_takes_up_to_512_mb_and_no_more(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert strings.MAX_STRING_BYTES == 512 * 1024 * 1024
    monkeypatch.setattr(strings, "MAX_STRING_BYTES", 10)
    assert shell("APPEND", "a", "x" * 8) == 8
    assert shell("APPEND", "a", "xx") == 10
    assert shell.error("APPEND", "a", "x") == TOO_LONG
    assert shell("SETRANGE", "b", 9, "x") == 10
    assert shell.error("SETRANGE", "b", 10, "x") == TOO_LONG
    assert shell.error("SETRANGE", "none", 10, "x") == TOO_LONG
    assert shell("STRLEN", "a") == shell("STRLEN", "b") == 10


@pytest.mark.parametrize("change", ["APPEND k !", "SETRANGE k 0 !!!!"])
@pytest.mark.parametrize("question", ["GET k", "MGET k", "GETRANGE k 0 -1", "GETSET k v", "GETDEL k", "GETEX k"])
def test_a_reply_does_not_change_with_the_value(shell: Shell, change: str, question: str) -> None:
    shell("APPEND", "k", "a")
    shell("APPEND", "k", "b")
    assert isinstance(shell.context.get(b"k"), bytearray), "the value is changed in place"
    reply = shell.run(question)
    shell.run(change)
    assert reply == ([b"ab"] if question.startswith("MGET") else b"ab")


class Writer(RecordWriter):
    """What a flush wrote."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: bytes) -> None:
        self.records[key[4:]] = value

    def delete(self, key: bytes) -> None:
        self.records.pop(key[4:], None)


IN_PLACE = ["APPEND k more", "SETRANGE k 0 XXXXXXX", "SETRANGE k 9 far"]
WRITES = [
    *IN_PLACE, "SET k new", "GETSET k new", "GETDEL k", "GETEX k PERSIST", "INCRBYFLOAT k 1", "INCR k", "SETEX k 9 new",
    "DEL k", "RENAME k l", "RENAME l k", "MOVE k 3", "PERSIST k", "PEXPIRE k 5000", "PEXPIREAT k 1", "FLUSHDB",
    "SWAPDB 0 1", "COPY l k REPLACE", "MSET k a l b",
]  # fmt: skip


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("line", WRITES)
def test_a_flush_writes_what_was_there_when_it_began(shell: Shell, line: str, in_place: bool) -> None:
    shell("SET", "k", "10", "PXAT", FAR_MS)
    shell("SET", "l", "20")
    if in_place:
        shell("APPEND", "k", "0")
    expected = {key: codec.encode(shell("GET", key), None)[1:] for key in (b"k", b"l")}
    writer = Writer()
    flush = shell.keyspace.begin_flush(writer)
    for again in (line, "APPEND k again"):
        shell.run(again)
    while not flush.step(1):
        pass
    found = {key: codec.decode(record) for key, record in writer.records.items()}
    assert {key: bytes(value) for key, (value, _) in found.items()} == expected  # type: ignore[arg-type]
    assert found[b"k"][1] == FAR_MS


def test_a_value_that_was_changed_in_place_reads_back_as_one(shell: Shell) -> None:
    shell("APPEND", "k", "1")
    shell("APPEND", "k", "2")
    writer = Writer()
    flush = shell.keyspace.begin_flush(writer)
    while not flush.step(10):
        pass
    records = [(bytes(4) + key, record) for key, record in writer.records.items()]
    again = Keyspace.load(shell.keyspace.meta(), records)
    assert again.databases[0].get(b"k", 0) == b"12"
    assert isinstance(again.databases[0].get(b"k", 0), bytearray), "OBJECT ENCODING answers raw before and after"


# Numbers.


@pytest.mark.parametrize(
    ("value", "line", "reply"),
    [
        ("10", "INCR k", 11),
        ("-1", "INCR k", 0),
        ("0", "DECR k", -1),
        ("10", "INCRBY k -20", -10),
        ("10", "DECRBY k 20", -10),
        ("-1", "INCRBY k 9223372036854775807", 9223372036854775806),
        ("0", "DECRBY k 9223372036854775807", -9223372036854775807),
        ("-1", "INCRBY k -9223372036854775807", -9223372036854775808),
        ("9223372036854775806", "INCR k", 9223372036854775807),
    ],
)
def test_counters_count(either: AnyShell, value: str, line: str, reply: int) -> None:
    either("SET", "k", value, "PXAT", FAR_MS)
    assert either.run(line) == reply
    assert either("GET", "k") == b"%d" % reply
    assert either("PEXPIRETIME", "k") == FAR_MS


@pytest.mark.parametrize(
    "value", [b"", b" 1", b"1 ", b"+1", b"01", b"-0", b"1.0", b"1e3", b"0x1", b"9223372036854775808"]
)
def test_only_the_canonical_form_of_a_64_bit_integer_is_counted_on(either: AnyShell, value: bytes) -> None:
    either("SET", "k", value)
    assert either.error("INCR", "k") == NOT_AN_INTEGER
    assert either("GET", "k") == value


@pytest.mark.parametrize(
    ("value", "increment", "reply"),
    [
        ("10.5", "0.1", b"10.6"),
        ("0.1", "0.2", b"0.3"),
        ("5.0e3", "2.0e2", b"5200"),
        ("0", "3.0e-5", b"0.00003"),
        ("3", "-3", b"0"),
        ("1", "-1.5", b"-0.5"),
        ("-0", "0", b"0"),
        ("-0", "-0.0", b"0"),
        ("0", "1e-17", b"0.00000000000000001"),
        ("0", "1e-18", b"0"),
        ("0", "-1e-18", b"0"),
        ("0", "5e-18", b"0"),
        ("0", "6e-18", b"0.00000000000000001"),
        ("1", "1e-4950", b"1"),
        ("1", "0x1.8p-16446", b"1"),
        ("1", "0x1p-16446", NOT_A_FLOAT),
        ("1", "1e-5000", NOT_A_FLOAT),
        ("1", "1e-99999999999999999999", NOT_A_FLOAT),
        ("1", "1e99999999999999999999", NOT_A_FLOAT),
        ("1", "0e99999999999999999999", b"1"),
        ("1", "0e-99999999999999999999", b"1"),
        ("1", "1e" + "0" * 5000 + "1", b"11"),
        ("0", "1" + "0" * 4950 + "e-4950", b"1"),
        ("0." + "0" * 4950 + "1e4951", "0", b"1"),
        ("9223372036854775807", "1", b"9223372036854775808"),
        ("18446744073709551615", "1", b"18446744073709551616"),
        ("18446744073709551616", "1", b"18446744073709551616"),
        ("1e20", "0.1", b"100000000000000000000"),
        ("1e22", "1", b"10000000000000000000000"),
        ("1e30", "0", b"1000000000000000000024696061952"),
        ("0.3", "1e-16", b"0.3000000000000001"),
        ("3.14", "2.71", b"5.85"),
        ("1", "0x10", b"17"),
        ("0x1p-3", "0", b"0.125"),
        ("1.", ".5", b"1.5"),
        ("+1", "+2", b"3"),
        ("1e4932", "1e4932", NAN),
        ("1e4933", "1", NOT_A_FLOAT),
        ("inf", "1", NAN),
        ("-inf", "inf", NAN),
        ("1", " 1", NOT_A_FLOAT),
        ("1 ", "1", NOT_A_FLOAT),
        ("1", ".", NOT_A_FLOAT),
        ("1", "1e", NOT_A_FLOAT),
        ("1", "0x", NOT_A_FLOAT),
        ("1", "1_0", NOT_A_FLOAT),
        ("1", "infinit", NOT_A_FLOAT),
        ("1", "nan", NOT_A_FLOAT),
        ("1", "0" * 5119, b"1"),
        ("1", "0" * 5120, NOT_A_FLOAT),
        ("1", "9" * 5119, NOT_A_FLOAT),
    ],
)
def test_floating_point_numbers_are_the_long_doubles_of_x86(
    either: AnyShell, value: str, increment: str, reply: bytes | str
) -> None:
    either("SET", "k", value, "PXAT", FAR_MS)
    if isinstance(reply, str):
        assert either.error("INCRBYFLOAT", "k", increment) == reply
        assert either("GET", "k") == value.encode()
    else:
        assert either("INCRBYFLOAT", "k", increment) == reply
        assert either("GET", "k") == reply
    assert either("PEXPIRETIME", "k") == FAR_MS


def test_the_largest_numbers_are_shown_with_all_their_digits(either: AnyShell) -> None:
    reply = either("INCRBYFLOAT", "k", "1e4931")
    assert len(reply) == 4932
    assert reply.startswith(b"10000000000000000000060189493879638913238377742545331")
    assert either("INCRBYFLOAT", "k", "-1e4931") == b"0"


@pytest.mark.redis_server
@pytest.mark.parametrize("seed", range(3))
def test_sums_of_random_numbers_are_those_of_redis(shell: Shell, redis_server: RedisServer, seed: int) -> None:
    rng = random.Random(seed)

    def number() -> str:
        digits = "".join(rng.choices("0123456789", k=rng.randrange(1, 25)))
        fraction = "." + "".join(rng.choices("0123456789", k=rng.randrange(25))) if rng.random() < 0.6 else ""
        exponent = f"e{rng.randrange(-40, 40)}" if rng.random() < 0.4 else ""
        return rng.choice(["", "", "-", "+"]) + digits + fraction + exponent

    real = RealShell(redis_server.port)
    try:
        for _ in range(150):
            first, second = number(), number()
            for each in (shell, real):
                each("SET", "k", first)
            assert shell("INCRBYFLOAT", "k", second) == real("INCRBYFLOAT", "k", second), (seed, first, second)
    finally:
        real.close()
