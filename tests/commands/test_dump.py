"""DUMP and RESTORE: a value goes into a payload and comes back, in Redis's words where it does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from redraft.commands.dump_contents import content_of, value_of
from redraft.rdb import payload
from redraft.rdb.decode import decode
from redraft.rdb.encode import encode
from redraft.rdb.errors import PayloadError
from redraft.resp.reply import OK
from redraft.values import codec
from redraft.values.pending import Pending
from redraft.values.stream import Stream
from redraft.values.stream_groups import Group
from redraft.values.stream_node import MAX_ID
from support.payloads import contents, damaged_bodies
from support.shell import NOW_MS, AnyShell, Shell

WRONG_SEAL = "ERR DUMP payload version or checksum are wrong"
BAD_DATA = "ERR Bad data format"
BUSY = "BUSYKEY Target key name already exists."
SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
TEXT = payload.seal(b"\x00\x05hello")

VALUES: list[tuple[str, list[Any]]] = [
    ("int", ["SET", "k", -70000]),
    ("embstr", ["SET", "k", "text"]),
    ("raw", ["SET", "k", "x" * 45]),
    ("quicklist", ["RPUSH", "k", *range(2000), "x" * 9000, ""]),
    ("intset", ["SADD", "k", 3, 1, 70000, -(1 << 40)]),
    ("hashtable", ["SADD", "k", "b", "a", 1, ""]),
    ("hashtable", ["SADD", "k", *range(600)]),
    ("listpack", ["HSET", "k", "f", "v", "", "", "n", -5]),
    ("hashtable", ["HSET", "k", "f", "v" * 65, "n", -5]),
    ("listpack", ["ZADD", "k", 1.5, "b", "-inf", "a", 3, "c", 1e300, "d", 0.1, ""]),
    ("skiplist", ["ZADD", "k", 1.5, "b" * 65, "inf", "a", -1e-300, "c"]),
]
"""An encoding, and the command that makes a value of it."""


@pytest.mark.parametrize(("encoding", "command"), VALUES)
def test_a_value_comes_back_in_its_encoding(shell: Shell, encoding: str, command: list[Any]) -> None:
    shell(*command)
    dumped = shell("DUMP", "k")
    assert shell("RESTORE", "twin", 0, dumped) == OK
    assert shell("OBJECT", "ENCODING", "twin") == encoding.encode()
    assert shell("TYPE", "twin") == shell("TYPE", "k")
    assert shell("DUMP", "twin") == dumped


def test_a_string_that_was_changed_in_place_is_dumped(shell: Shell) -> None:
    shell("SET", "k", "1")
    shell("APPEND", "k", "2")
    assert shell("DUMP", "k") == payload.seal(b"\x00\xc0\x0c")


def test_what_was_restored_is_independent(shell: Shell) -> None:
    shell("RPUSH", "k", "a")
    shell("RESTORE", "twin", 0, shell("DUMP", "k"))
    shell("RPUSH", "twin", "b")
    assert shell("LRANGE", "k", 0, -1) == [b"a"]
    assert shell("LRANGE", "twin", 0, -1) == [b"a", b"b"]


def test_a_zero_below_zero_is_restored_as_zero(shell: Shell) -> None:
    body = b"\x05\x01\x01m" + bytes(7) + b"\x80"
    assert shell("RESTORE", "k", 0, payload.seal(body)) == OK
    assert repr(shell("ZSCORE", "k", "m")) == "0.0"


def test_a_key_that_is_not_there_has_no_payload(either: AnyShell) -> None:
    assert either("DUMP", "none") is None


def test_a_due_key_has_no_payload_and_is_in_nobodys_way(shell: Shell) -> None:
    shell("SET", "k", "old", "PX", 10)
    shell.now_ms += 10
    assert shell("DUMP", "k") is None
    assert shell("RESTORE", "k", 0, TEXT) == OK
    assert shell("PTTL", "k") == -1


# Errors.


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (BUSY, ["taken", "x", b"nonsense"]),
        (BUSY, ["taken", 0, TEXT, "ABSTTL"]),
        (NOT_AN_INTEGER, ["k", "x", b"nonsense"]),
        (NOT_AN_INTEGER, ["k", "1.5", TEXT]),
        (NOT_AN_INTEGER, ["k", 1 << 63, TEXT]),
        ("ERR Invalid TTL value, must be >= 0", ["k", -1, b"nonsense"]),
        ("ERR Invalid TTL value, must be >= 0", ["taken", -1, TEXT, "REPLACE"]),
        (SYNTAX, ["taken", "x", b"nonsense", "WHAT"]),
        (SYNTAX, ["k", 0, TEXT, "REPLACE", "IDLETIME"]),
        (SYNTAX, ["k", 0, TEXT, "FREQ"]),
        (SYNTAX, ["k", 0, TEXT, "IDLETIME", 1, "FREQ", 1]),
        (SYNTAX, ["k", 0, TEXT, "FREQ", 1, "IDLETIME", 1]),
        (SYNTAX, ["k", 0, TEXT, ""]),
        (NOT_AN_INTEGER, ["k", 0, TEXT, "IDLETIME", "x", "WHAT"]),
        (NOT_AN_INTEGER, ["k", 0, TEXT, "FREQ", "REPLACE"]),
        ("ERR Invalid IDLETIME value, must be >= 0", ["k", 0, TEXT, "IDLETIME", -1]),
        ("ERR Invalid FREQ value, must be >= 0 and <= 255", ["k", 0, TEXT, "FREQ", -1]),
        ("ERR Invalid FREQ value, must be >= 0 and <= 255", ["k", 0, TEXT, "freq", 256]),
        (WRONG_SEAL, ["k", 0, b""]),
        (WRONG_SEAL, ["k", 0, b"nonsense and more"]),
        (WRONG_SEAL, ["k", 0, TEXT[:-1]]),
        (WRONG_SEAL, ["k", 0, TEXT[:-1] + b"x"]),
        (WRONG_SEAL, ["k", 0, TEXT.replace(b"hello", b"hullo")]),
        (BAD_DATA, ["k", 0, payload.seal(b"")]),
        (BAD_DATA, ["k", 0, payload.seal(b"\x07")]),
        (BAD_DATA, ["k", 0, payload.seal(b"\xff")]),
        (BAD_DATA, ["k", 0, payload.seal(b"\x01\x00")]),
        (BAD_DATA, ["k", 0, payload.seal(b"\x02\x02\x01a\x01a")]),
        (BAD_DATA, ["taken", 0, payload.seal(b"\x0b\x02xx"), "REPLACE"]),
        ("ERR wrong number of arguments for 'restore' command", ["k", 0]),
    ],
)
def test_a_refusal_is_worded_as_redis_words_it(either: AnyShell, error: str, arguments: list[Any]) -> None:
    either("SET", "taken", "old")
    assert either.error("RESTORE", *arguments) == error
    assert either("GET", "taken") == b"old"
    assert either("EXISTS", "k") == 0


@pytest.mark.parametrize(
    "options",
    [["REPLACE"], ["replace", "ABSTTL"], ["IDLETIME", 0], ["idletime", 1 << 40, "IDLETIME", 2], ["FREQ", 255],
     ["FREQ", 0, "REPLACE", "FREQ", 1, "REPLACE"], ["ABSTTL"]],
)  # fmt: skip
def test_options_that_ask_for_nothing_are_taken(either: AnyShell, options: list[Any]) -> None:
    assert either("RESTORE", "k", 0, TEXT, *options) == OK
    assert either("GET", "k") == b"hello"
    assert either("TTL", "k") == -1


def test_a_key_is_replaced_whatever_it_was(either: AnyShell) -> None:
    either("SADD", "k", "a")
    either("EXPIRE", "k", 100)
    assert either("RESTORE", "k", 0, TEXT, "REPLACE") == OK
    assert either("GET", "k") == b"hello"
    assert either("TTL", "k") == -1


# Times to live.


def test_a_time_to_live_counts_from_now_in_milliseconds(shell: Shell) -> None:
    shell("RESTORE", "k", 1500, TEXT)
    assert shell("PEXPIRETIME", "k") == NOW_MS + 1500
    shell("RESTORE", "k", NOW_MS + 2, TEXT, "REPLACE", "ABSTTL")
    assert shell("PTTL", "k") == 2
    assert shell("DUMP", "k") == TEXT


def test_what_would_be_due_at_once_is_not_made_and_what_it_replaces_goes(either: AnyShell) -> None:
    assert either("RESTORE", "k", 1, TEXT, "ABSTTL") == OK
    assert either("EXISTS", "k") == 0
    either("SET", "k", "old")
    assert either("RESTORE", "k", 1, TEXT, "ABSTTL", "REPLACE") == OK
    assert either("EXISTS", "k") == 0


def test_a_time_to_live_past_all_time_is_over(either: AnyShell) -> None:
    assert either("RESTORE", "k", (1 << 63) - 1, TEXT) == OK
    assert either("EXISTS", "k") == 0
    assert either("RESTORE", "k", (1 << 63) - 1, TEXT, "ABSTTL") == OK
    assert either("PEXPIRETIME", "k") == (1 << 63) - 1


def test_a_value_that_is_not_well_keeps_the_old_one(shell: Shell) -> None:
    shell("SET", "k", "old", "PX", 100)
    assert shell.error("RESTORE", "k", 0, payload.seal(b"\x01"), "REPLACE") == BAD_DATA
    assert shell("GET", "k") == b"old"
    assert shell("PTTL", "k") == 100


# What was restored is a value like any other.


@given(damaged_bodies() | contents.map(encode))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_restored_keeps_its_invariants_and_is_the_same_from_disk(body: bytes) -> None:
    try:
        value: Any = value_of(decode(body))
    except PayloadError:
        return
    dumped = encode(content_of(value))
    if not isinstance(value, bytes):
        value.check()
    read, _ = codec.decode(codec.encode(value, None))
    assert encode(content_of(read)) == dumped
    assert encode(content_of(value_of(decode(dumped)))) == dumped


def test_a_stream_comes_back_with_its_groups(shell: Shell) -> None:
    stream = Stream()
    for number in range(1, 250):
        stream.append(number << 64, (b"f", b"%d" % number))
    for number in (1, 100, 101, 249):
        stream.delete(number << 64)
    group = stream.groups[b"g"] = Group(7 << 64, 7)
    group.see(b"consumer", NOW_MS)
    group.see(b"another", NOW_MS + 1)
    group.assign(9 << 64, Pending(b"consumer", NOW_MS, 3))
    shell.context.db.replace(b"k", stream)
    assert shell("RESTORE", "twin", 0, shell("DUMP", "k")) == OK
    twin = shell.context.get(b"twin")
    assert isinstance(twin, Stream)
    twin.check()
    assert list(twin.walk(0, MAX_ID)) == list(stream.walk(0, MAX_ID))
    assert (twin.last_id, twin.max_deleted_id, twin.entries_added) == (249 << 64, 249 << 64, 249)
    assert [(node.first, node.last, node.deleted) for node in twin.nodes] == [
        (node.first, node.last, node.deleted) for node in stream.nodes
    ]
    read = twin.groups[b"g"]
    assert (read.last_id, read.entries_read, list(read.pending)) == (7 << 64, 7, [9 << 64])
    assert read.pending[9 << 64] == group.pending[9 << 64]
    assert read.seen_ms == group.seen_ms
