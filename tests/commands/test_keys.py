"""Keys of any type: deleting, renaming, copying, moving, whole databases, and looking through keys."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from redraft.errors import CommandError
from redraft.keyspace.cursors import CURSOR_LIMIT
from redraft.keyspace.graveyard import LARGE_MEMBERS
from redraft.resp.reply import OK, Status
from redraft.values.set import Set
from support.shell import AnyShell, Shell, words

FAR_MS = 33_000_000_000_000
SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
OUT_OF_INT = "ERR value is out of range, value must between -2147483648 and 2147483647"
NO_DATABASE = "ERR DB index is out of range"
NO_SUCH_KEY = "ERR no such key"
SAME = "ERR source and destination objects are the same"
BINARY = [b"", b"\x00", b"\r\n*", b"\xff[a]\\", b"?"]


def arity(name: str) -> str:
    return f"ERR wrong number of arguments for '{name}' command"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("DEL", arity("del")),
        ("UNLINK", arity("unlink")),
        ("EXISTS", arity("exists")),
        ("TOUCH", arity("touch")),
        ("TYPE", arity("type")),
        ("TYPE k l", arity("type")),
        ("DBSIZE k", arity("dbsize")),
        ("RENAME k", arity("rename")),
        ("RENAME none l", NO_SUCH_KEY),
        ("RENAME none none", NO_SUCH_KEY),
        ("RENAME due l", NO_SUCH_KEY),
        ("RENAMENX none k", NO_SUCH_KEY),
        ("RENAMENX k", arity("renamenx")),
        ("COPY k", arity("copy")),
        ("COPY k l what", SYNTAX),
        ("COPY k l DB", SYNTAX),
        ("COPY k l REPLACE what", SYNTAX),
        ("COPY k l DB x", NOT_AN_INTEGER),
        ("COPY k l DB 16", NO_DATABASE),
        ("COPY k l DB -1", NO_DATABASE),
        ("COPY k l DB 2147483648", OUT_OF_INT),
        ("COPY k l DB x DB", NOT_AN_INTEGER),
        ("COPY k k", SAME),
        ("COPY none none", SAME),
        ("COPY k k DB 0", SAME),
        ("COPY k k REPLACE", SAME),
        ("MOVE k", arity("move")),
        ("MOVE k x", NOT_AN_INTEGER),
        ("MOVE k 16", NO_DATABASE),
        ("MOVE k -1", NO_DATABASE),
        ("MOVE k -2147483649", OUT_OF_INT),
        ("MOVE k 0", SAME),
        ("MOVE none 0", SAME),
        ("FLUSHDB now", SYNTAX),
        ("FLUSHDB ASYNC SYNC", SYNTAX),
        ("FLUSHALL now", SYNTAX),
        ("SWAPDB 0", arity("swapdb")),
        ("SWAPDB x 0", "ERR invalid first DB index"),
        ("SWAPDB x x", "ERR invalid first DB index"),
        ("SWAPDB 0 x", "ERR invalid second DB index"),
        ("SWAPDB 2147483648 0", "ERR invalid first DB index"),
        ("SWAPDB 0 16", NO_DATABASE),
        ("SWAPDB -1 0", NO_DATABASE),
        ("KEYS", arity("keys")),
        ("KEYS a b", arity("keys")),
        ("RANDOMKEY k", arity("randomkey")),
        ("SCAN", arity("scan")),
        ("SCAN x", "ERR invalid cursor"),
        ("SCAN 18446744073709551616", "ERR invalid cursor"),
        ("SCAN 0 what", SYNTAX),
        ("SCAN 0 what x", SYNTAX),
        ("SCAN 0 COUNT", SYNTAX),
        ("SCAN 0 COUNT 0", SYNTAX),
        ("SCAN 0 COUNT -1", SYNTAX),
        ("SCAN 0 COUNT x", NOT_AN_INTEGER),
        ("SCAN 0 MATCH", SYNTAX),
        ("SCAN 0 COUNT x MATCH", NOT_AN_INTEGER),
    ],
)
def test_what_is_refused_is_refused_in_the_words_of_redis(either: AnyShell, line: str, text: str) -> None:
    either("SET", "k", "v")
    either("SET", "due", "v", "PXAT", 1)
    assert either.error(*words(line)) == text
    assert either("GET", "k") == b"v"


# Asking and deleting.


@pytest.mark.parametrize("name", ["DEL", "UNLINK"])
def test_deleting_counts_the_keys_that_were_there(either: AnyShell, name: str) -> None:
    either("MSET", "a", 1, "b", 2, "c", 3)
    either("SET", "due", "v", "PXAT", 1)
    either.put_collection(b"collection")
    assert either(name, "a", "none", "b", "a", "due", "collection") == 3
    assert either("EXISTS", "a", "b", "c", "due", "collection") == 1
    assert either(name, "a") == 0


@pytest.mark.parametrize("name", ["EXISTS", "TOUCH"])
def test_a_key_that_is_named_twice_is_counted_twice(either: AnyShell, name: str) -> None:
    either("MSET", "a", 1, "b", 2)
    either("SET", "due", "v", "PXAT", 1)
    assert either(name, "a", "a", "b", "none", "due") == 3


def test_a_key_has_the_type_of_its_value(either: AnyShell) -> None:
    either("SET", "s", "v")
    either("SET", "due", "v", "PXAT", 1)
    either("APPEND", "s", "w")
    either.put_collection(b"c")
    assert [either("TYPE", key) for key in ("s", "c", "none", "due")] == [
        Status(b"string"), Status(b"list"), Status(b"none"), Status(b"none"),
    ]  # fmt: skip


def test_the_size_of_a_database_counts_its_own_keys(either: AnyShell) -> None:
    assert either("DBSIZE") == 0
    either("MSET", "a", 1, "b", 2)
    either.select(1)
    either("SET", "c", 3)
    assert either("DBSIZE") == 1
    either.select(0)
    assert either("DBSIZE") == 2


def test_any_bytes_are_a_key(either: AnyShell) -> None:
    for number, key in enumerate(BINARY):
        either("SET", key, number)
    assert sorted(either("KEYS", "*")) == sorted(BINARY)
    for number, key in enumerate(BINARY):
        other = key + b"'"
        assert either("RENAME", key, other) == OK
        assert either("COPY", other, key) == 1
        assert either("MOVE", key, 3) == 1
        either.select(3)
        assert either("GET", key) == b"%d" % number
        assert either("TYPE", key) == Status(b"string")
        either.select(0)
        assert either("DEL", other) == 1
    assert either("DBSIZE") == 0


LOSSES = [
    "DEL large", "UNLINK large", "SET large x", "MSET large x", "SETEX large 10 x", "PEXPIRE large -1",
    "RENAME small large", "COPY small large REPLACE", "SUNIONSTORE large small", "ZUNIONSTORE large 1 small",
    "SORT small STORE large", "BITOP AND large none", "FLUSHDB", "FLUSHALL",
]  # fmt: skip


@pytest.mark.parametrize("line", LOSSES)
def test_a_large_collection_that_its_key_loses_is_freed_in_slices(shell: Shell, line: str) -> None:
    large = crowded(shell)
    shell("SADD", "small", "1")
    assert not isinstance(shell.run(line), CommandError)
    assert len(large) == LARGE_MEMBERS + 1
    assert bury(shell) >= 10
    assert len(large) == 0


def test_a_large_collection_that_is_due_is_freed_in_slices(shell: Shell) -> None:
    large = crowded(shell)
    shell("PEXPIRE", "large", 100)
    shell.now_ms += 100
    assert shell("INCR", "large") == 1
    assert bury(shell) >= 10
    assert len(large) == 0


@pytest.mark.parametrize("line", ["RENAME large other", "MOVE large 1", "SORT large BY nosort", "COPY large other"])
def test_a_large_collection_that_a_key_keeps_is_whole(shell: Shell, line: str) -> None:
    large = crowded(shell)
    shell.run(line)
    bury(shell)
    assert len(large) == LARGE_MEMBERS + 1


def crowded(shell: Shell) -> Set:
    """What `large` holds."""
    shell("SADD", "large", *range(LARGE_MEMBERS + 1))
    large = shell.context.get(b"large")
    assert isinstance(large, Set)
    return large


def bury(shell: Shell) -> int:
    """Free all that nobody needs, a thousand members at a time; how many times."""
    rounds = 0
    while shell.keyspace.graveyard:
        shell.keyspace.bury(1000)
        rounds += 1
    return rounds


# Renaming, copying, moving.


def test_a_renamed_key_keeps_its_deadline_and_takes_the_place_of_the_other(either: AnyShell) -> None:
    either("SET", "a", "1", "PXAT", FAR_MS)
    either("SET", "b", "2", "PXAT", FAR_MS + 9)
    assert either("RENAME", "a", "b") == OK
    assert either("EXISTS", "a") == 0
    assert either("GET", "b") == b"1"
    assert either("PEXPIRETIME", "b") == FAR_MS
    either("SET", "forever", "3")
    assert either("RENAME", "forever", "b") == OK
    assert either("PTTL", "b") == -1


def test_renaming_a_key_to_itself_does_nothing(either: AnyShell) -> None:
    either("SET", "a", "1", "PXAT", FAR_MS)
    assert either("RENAME", "a", "a") == OK
    assert either("RENAMENX", "a", "a") == 0
    assert either("GET", "a") == b"1"
    assert either("PEXPIRETIME", "a") == FAR_MS


def test_renamenx_leaves_a_key_that_is_there_and_takes_the_place_of_one_that_is_due(either: AnyShell) -> None:
    either("MSET", "a", 1, "b", 2)
    either("SET", "due", "v", "PXAT", 1)
    assert either("RENAMENX", "a", "b") == 0
    assert either("MGET", "a", "b") == [b"1", b"2"]
    assert either("RENAMENX", "a", "due") == 1
    assert either("MGET", "a", "due") == [None, b"1"]
    assert either("PTTL", "due") == -1


@pytest.mark.parametrize("name", ["RENAME", "RENAMENX"])
def test_a_collection_is_renamed_as_it_is(either: AnyShell, name: str) -> None:
    either.put_collection(b"c")
    either(name, "c", "d")
    assert either("TYPE", "d") == Status(b"list")
    assert either("EXISTS", "c") == 0


def test_a_copy_has_the_value_and_the_deadline_and_is_a_key_of_its_own(either: AnyShell) -> None:
    either("APPEND", "a", "x")
    either("APPEND", "a", "y")
    either("PEXPIREAT", "a", FAR_MS)
    assert either("COPY", "a", "b") == 1
    either("APPEND", "a", "z")
    assert either("MGET", "a", "b") == [b"xyz", b"xy"]
    assert either("PEXPIRETIME", "b") == FAR_MS
    assert either("OBJECT", "ENCODING", "b") == b"raw"


def test_a_copy_replaces_only_when_it_is_told_to(either: AnyShell) -> None:
    either("SET", "a", "1")
    either("SET", "b", "2", "PXAT", FAR_MS)
    either("SET", "due", "v", "PXAT", 1)
    assert either("COPY", "a", "b") == 0
    assert either("GET", "b") == b"2"
    assert either("COPY", "a", "b", "replace") == 1
    assert either("GET", "b") == b"1"
    assert either("PTTL", "b") == -1, "the deadline is the source's: none"
    assert either("COPY", "a", "due") == 1
    assert either("PTTL", "due") == -1
    assert either("COPY", "none", "b", "REPLACE") == 0
    assert either("GET", "b") == b"1"


def test_a_copy_of_a_key_that_is_due_is_none(either: AnyShell) -> None:
    either("SET", "due", "v", "PXAT", 1)
    assert either("COPY", "due", "b") == 0
    assert either("EXISTS", "b") == 0


def test_a_copy_goes_to_another_database_even_under_its_own_name(either: AnyShell) -> None:
    either("SET", "a", "1", "PXAT", FAR_MS)
    assert either("COPY", "a", "a", "DB", 5) == 1
    assert either("COPY", "a", "a", "db", 5) == 0
    assert either("COPY", "a", "b", "DB", 7, "REPLACE", "DB", 5) == 1, "the last DB counts"
    either.select(5)
    assert either("MGET", "a", "b") == [b"1", b"1"]
    assert either("PEXPIRETIME", "a") == FAR_MS
    either.select(7)
    assert either("DBSIZE") == 0


def test_a_collection_is_copied_not_shared(shell: Shell) -> None:
    shell.put_collection(b"c")
    shell("COPY", "c", "d")
    original, twin = shell.context.get(b"c"), shell.context.get(b"d")
    assert original is not twin
    original.members.clear()  # type: ignore[union-attr]
    assert len(twin) == 3  # type: ignore[arg-type]


def test_a_moved_key_takes_its_deadline_along(either: AnyShell) -> None:
    either("SET", "a", "1", "PXAT", FAR_MS)
    assert either("MOVE", "a", 2) == 1
    assert either("EXISTS", "a") == 0
    either.select(2)
    assert either("GET", "a") == b"1"
    assert either("PEXPIRETIME", "a") == FAR_MS


def test_a_key_is_moved_only_where_there_is_none_of_its_name(either: AnyShell) -> None:
    either("MSET", "a", "new", "b", "new")
    either("SET", "due", "v", "PXAT", 1)
    either.select(2)
    either("SET", "a", "old")
    either("SET", "b", "old", "PXAT", 1)
    either.select(0)
    assert [either("MOVE", key, 2) for key in ("a", "b", "due", "none")] == [0, 1, 0, 0]
    assert either("GET", "a") == b"new"
    either.select(2)
    assert either("MGET", "a", "b", "due") == [b"old", b"new", None]
    assert either("PTTL", "b") == -1


# Whole databases.


def fill(shell: AnyShell) -> None:
    for database in range(3):
        shell.select(database)
        shell("MSET", "k", database, f"only in {database}", "v")
    shell("SET", "deadline", "v", "PXAT", FAR_MS)
    shell.select(0)


@pytest.mark.parametrize("mode", ["", "SYNC", "async"])
def test_flushdb_empties_the_selected_database_only(either: AnyShell, mode: str) -> None:
    fill(either)
    either.select(2)
    assert either.run(f"FLUSHDB {mode}") == OK
    assert either("DBSIZE") == 0
    assert either("KEYS", "*") == []
    assert either("SET", "k", "again") == OK
    assert either("PTTL", "deadline") == -2
    assert either("DBSIZE") == 1
    either.select(1)
    assert either("GET", "k") == b"1"


@pytest.mark.parametrize("mode", ["", "SYNC", "async"])
def test_flushall_empties_every_database(either: AnyShell, mode: str) -> None:
    fill(either)
    assert either.run(f"FLUSHALL {mode}") == OK
    for database in range(16):
        either.select(database)
        assert either("DBSIZE") == 0
    assert either("SET", "k", "again") == OK
    assert either("GET", "k") == b"again"


def test_swapped_databases_have_each_other_s_keys(either: AnyShell) -> None:
    fill(either)
    assert either("SWAPDB", 0, 2) == OK
    assert either("MGET", "k", "only in 2", "only in 0") == [b"2", b"v", None]
    assert either("PEXPIRETIME", "deadline") == FAR_MS
    either.select(2)
    assert either("MGET", "k", "only in 2", "only in 0") == [b"0", None, b"v"]
    assert either("SWAPDB", 1, 2) == OK, "a database may be swapped with the selected one"
    assert either("GET", "k") == b"1"
    assert either("SWAPDB", 5, 5) == OK


# Looking through keys.


def test_keys_are_answered_in_order_without_the_due_ones(shell: Shell) -> None:
    for key in (b"b", b"a", b"\xff", b"", b"B"):
        shell("SET", key, "v")
    shell("SET", "due", "v", "PX", 1)
    shell.now_ms += 1
    assert shell("KEYS", "*") == [b"", b"B", b"a", b"b", b"\xff"]


@pytest.mark.parametrize("pattern", ["*", "user:*", "user:1*", "*:1", "u[r-t]er:?", "user:\\*", "", "nothing", "user"])
def test_a_pattern_chooses_the_same_keys_as_in_redis(either: AnyShell, pattern: str) -> None:
    names = ["user", "user:", "user:1", "user:2", "user:10", "user:*", "uzer:1", "uxer:1", "v:1", ""]
    expected = {
        "*": set(names),
        "user:*": {"user:", "user:1", "user:2", "user:10", "user:*"},
        "user:1*": {"user:1", "user:10"},
        "*:1": {"user:1", "uzer:1", "uxer:1", "v:1"},
        "u[r-t]er:?": {"user:1", "user:2", "user:*"},
        "user:\\*": {"user:*"},
        "": {""},
        "nothing": set(),
        "user": {"user"},
    }
    either("MSET", *(word for name in names for word in (name, "v")))
    either("SET", "user:due", "v", "PXAT", 1)
    assert {key.decode() for key in either("KEYS", pattern)} == expected[pattern]
    cursor, found = either("SCAN", 0, "MATCH", pattern, "COUNT", 1000)
    assert cursor == b"0"
    assert {key.decode() for key in found} == expected[pattern]


def test_randomkey_answers_some_key_that_is_there(either: AnyShell) -> None:
    assert either("RANDOMKEY") is None
    either("MSET", "a", 1, "b", 2)
    either("SET", "due", "v", "PXAT", 1)
    assert {either("RANDOMKEY") for _ in range(60)} == {b"a", b"b"}
    either("DEL", "a", "b")
    assert either("RANDOMKEY") is None, "what is due is not there"


def test_randomkey_finds_the_one_key_among_many_that_are_due(shell: Shell) -> None:
    for number in range(2000):
        shell.context.db.put(b"%d" % number, b"")
        shell.context.db.set_deadline(b"%d" % number, shell.now_ms)
    shell("SET", "one", "v")
    assert shell("RANDOMKEY") == b"one"
    shell("DEL", "one")
    assert shell("RANDOMKEY") is None


# SCAN.


def scan(shell: AnyShell, *options: object) -> Iterator[list[bytes]]:
    """What each call of a whole walk answers."""
    cursor = b"0"
    while True:
        cursor, found = shell("SCAN", cursor, *options)
        yield found
        if cursor == b"0":
            return


@pytest.mark.parametrize("count", [1, 3, 10, 99, 100, 101, 10_000])
def test_a_walk_answers_every_key_once(either: AnyShell, count: int) -> None:
    expected = [b"%03d" % number for number in range(100)]
    either("MSET", *(word for key in expected for word in (key, "v")))
    found = [key for keys in scan(either, "COUNT", count) for key in keys]
    assert sorted(found) == expected


def test_a_walk_looks_at_as_many_keys_a_call_as_count_says(shell: Shell) -> None:
    shell("MSET", *(word for number in range(100) for word in (b"%03d" % number, "v")))
    assert [len(keys) for keys in scan(shell)] == [10] * 10
    assert [len(keys) for keys in scan(shell, "COUNT", 30)] == [30, 30, 30, 10]
    assert [len(keys) for keys in scan(shell, "MATCH", "*5", "COUNT", 50)] == [5, 5], "keys that do not match count"


def test_a_walk_with_a_prefix_looks_at_nothing_else(shell: Shell) -> None:
    for number in range(5000):
        shell.context.db.put(b"%d" % number, b"v")
    shell("MSET", "user:1", "v", "user:2", "v", "user", "v", "uses", "v")
    assert shell("SCAN", 0, "MATCH", "user:*", "COUNT", 3) == [b"0", [b"user:1", b"user:2"]]
    assert shell("SCAN", 0, "MATCH", "user:*", "COUNT", 2) == [b"0", [b"user:1", b"user:2"]]
    assert shell("SCAN", 0, "MATCH", "zebra*", "COUNT", 1) == [b"0", []]


def test_a_walk_may_be_of_one_type(either: AnyShell) -> None:
    either("MSET", "a", 1, "b", 2)
    either.put_collection(b"c")
    either("SET", "due", "v", "PXAT", 1)
    assert sorted(key for keys in scan(either, "TYPE", "string") for key in keys) == [b"a", b"b"]
    assert sorted(key for keys in scan(either, "type", "LIST", "MATCH", "*") for key in keys) == [b"c"]
    assert [key for keys in scan(either, "TYPE", "nothing") for key in keys] == []


@pytest.mark.parametrize("cursor", ["12345", "18446744073709551615", "-1", "+7", ""])
def test_a_cursor_that_is_not_known_starts_over(shell: Shell, cursor: str) -> None:
    shell("MSET", "a", 1, "b", 2)
    assert shell("SCAN", cursor) == [b"0", [b"a", b"b"]]


def test_a_cursor_can_be_used_again(shell: Shell) -> None:
    shell("MSET", *(word for number in range(30) for word in (b"%03d" % number, "v")))
    cursor, _ = shell("SCAN", 0)
    assert shell("SCAN", cursor)[1] == shell("SCAN", cursor)[1] == [b"%03d" % number for number in range(10, 20)]


def test_a_walk_that_was_forgotten_starts_over(shell: Shell) -> None:
    shell("MSET", *(word for number in range(30) for word in (b"%03d" % number, "v")))
    cursor, first = shell("SCAN", 0)
    for _ in range(CURSOR_LIMIT):
        shell.context.cursors.remember(b"")
    assert shell("SCAN", cursor)[1] == first


def test_the_key_where_a_walk_stands_may_be_deleted(shell: Shell) -> None:
    shell("MSET", *(word for number in range(30) for word in (b"%03d" % number, "v")))
    cursor, found = shell("SCAN", 0)
    shell("DEL", *found, b"010")
    assert shell("SCAN", cursor)[1] == [b"%03d" % number for number in range(11, 21)]


def test_a_walk_goes_on_in_a_database_that_was_emptied(shell: Shell) -> None:
    shell("MSET", *(word for number in range(30) for word in (b"%03d" % number, "v")))
    cursor, _ = shell("SCAN", 0)
    shell("FLUSHDB")
    assert shell("SCAN", cursor) == [b"0", []]


@pytest.mark.parametrize("seed", range(10))
def test_a_walk_answers_every_key_that_is_there_throughout(shell: Shell, seed: int) -> None:
    """While a walk goes on, other keys come and go; and it answers no key that is not there at that moment."""
    rng = random.Random(seed)
    universe = [b"%s:%d" % (rng.choice([b"a", b"b"]), number) for number in range(150)]
    keys = set(rng.sample(universe, 100))
    shell("MSET", *(word for key in sorted(keys) for word in (key, "v")))
    options = [[], ["MATCH", "a:*"], ["MATCH", "*7*", "COUNT", 5]][seed % 3]
    matching = {0: universe, 1: [k for k in universe if k[:1] == b"a"], 2: [k for k in universe if b"7" in k]}[seed % 3]
    throughout = keys.copy()
    answered: set[bytes] = set()
    for found in scan(shell, *options):
        assert set(found) <= keys
        answered |= set(found)
        for _ in range(rng.randrange(8)):
            key = rng.choice(universe)
            if key in keys:
                keys.remove(key)
                throughout.discard(key)
                shell("DEL", key)
            else:
                keys.add(key)
                shell("SET", key, "v")
        shell.keyspace.settle(rng.randrange(20))
    assert throughout & set(matching) <= answered <= set(matching)
