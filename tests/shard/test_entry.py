"""What stands in a log entry: round trips, and that damage is damage and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redraft.errors import DamagedDataError
from redraft.shard import entry
from redraft.shard.entry import LoggedCommand

words = st.binary(max_size=20) | st.sampled_from([b"", b"\r\n", b"$3\r\nabc\r\n", b"*1\r\n"])
name = words.filter(lambda word: word not in (b"SELECT", b"MULTI", b"EXEC"))
argv = st.builds(lambda first, rest: [first, *rest], name, st.lists(words, max_size=4))
logged = st.builds(LoggedCommand, st.integers(0, 20), argv)


def data_of(commands: list[LoggedCommand], time_ms: int = 1, seed: int = 2) -> bytes:
    fragments = []
    selected = 0
    for database, words in commands:
        if database != selected:
            fragments.append(entry.select(database))
            selected = database
        fragments.append(entry.pack(tuple(words)))
    return entry.encode(time_ms, seed, fragments)


@given(
    commands=st.lists(logged, max_size=8),
    time_ms=st.integers(-(2**63), 2**63 - 1),
    seed=st.integers(0, 2**64 - 1),
)
@settings(max_examples=150, deadline=None, print_blob=True)
def test_an_entry_holds_its_header_and_its_commands(commands: list[LoggedCommand], time_ms: int, seed: int) -> None:
    data = data_of(commands, time_ms, seed)
    assert entry.header(data)[:2] == (time_ms, seed)
    assert list(entry.commands(data)) == commands


def test_an_entry_reads_as_redis_would_write_it() -> None:
    data = entry.encode(0x0102, 3, [entry.pack((b"SET", b"k", b"v")), entry.select(7), entry.pack((b"DEL", b"k"))])
    assert data == (
        b"\x02" + b"\0\0\0\0\0\0\1\2" + b"\0\0\0\0\0\0\0\3" + b"\0\0\0\3"
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n"
    )


def test_every_entry_begins_in_database_0_whatever_the_last_one_selected() -> None:
    assert list(entry.commands(data_of([LoggedCommand(3, [b"A"]), LoggedCommand(0, [b"B"])]))) == [
        (3, [b"A"]), (0, [b"B"]),
    ]  # fmt: skip
    assert list(entry.commands(data_of([LoggedCommand(0, [b"C"])]))) == [(0, [b"C"])]


def test_multi_and_exec_mark_a_transaction() -> None:
    fragments = [entry.MULTI, entry.pack((b"INCR", b"a")), entry.select(1), entry.pack((b"FLUSHDB",)), entry.EXEC]
    assert list(entry.commands(entry.encode(1, 2, fragments))) == [
        (0, [b"MULTI"]), (0, [b"INCR", b"a"]), (1, [b"FLUSHDB"]), (1, [b"EXEC"]),
    ]  # fmt: skip


@pytest.mark.parametrize("size", range(entry.HEADER_BYTES))
def test_an_entry_without_a_whole_header_is_damaged(size: int) -> None:
    with pytest.raises(DamagedDataError, match=f"{size} bytes, less than its header"):
        entry.header(data_of([])[:size])


@pytest.mark.parametrize("version", [0, 1, 255])
def test_an_entry_of_another_format_is_refused(version: int) -> None:
    with pytest.raises(DamagedDataError, match=f"has the format {version}; this version reads 2"):
        entry.header(bytes([version]) + data_of([])[1:])


@pytest.mark.parametrize(
    "fragment",
    [
        b":0\r\n",
        b":1\r\n",
        b"+OK\r\n",
        b"-ERR no\r\n",
        b"$3\r\nSET\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*1\r\n:1\r\n",
        b"*2\r\n$3\r\nDEL\r\n:1\r\n",
        b"*2\r\n$3\r\nDEL\r\n$-1\r\n",
        b"*2\r\n$3\r\nDEL\r\n*1\r\n$1\r\na\r\n",
        b"*1\r\n*1\r\n$3\r\nDEL\r\n",
        b"*1\r\n-ERR no\r\n",
        b"%1\r\n$1\r\na\r\n$1\r\nb\r\n",
        b">1\r\n$1\r\na\r\n",
        b"_\r\n",
        b"#t\r\n",
        b",1.5\r\n",
        b"SET k v\r\n",
        b"\0",
        b"*1\r\n",
        b"*1\r\n$3\r\nDE",
        b"*99999999999999999999\r\n",
        b"*1\r\n$99999999999999999999\r\n",
        entry.pack((b"SELECT",)),
        entry.pack((b"SELECT", b"x")),
        entry.pack((b"SELECT", b"-1")),
        entry.pack((b"SELECT", b"")),
    ],
)
def test_what_is_no_command_is_damage(fragment: bytes) -> None:
    whole = entry.pack((b"SET", b"k", b"v"))
    for fragments in ([fragment], [whole, fragment]):
        with pytest.raises(DamagedDataError):
            list(entry.commands(entry.encode(1, 2, fragments)))


SAMPLE = [
    LoggedCommand(0, [b"SET", b"key", b"value"]),
    LoggedCommand(2, [b"DEL", b"\r\n", b""]),
    LoggedCommand(2, [b"FLUSHDB"]),
]


def test_an_entry_that_was_cut_is_damaged() -> None:
    data = data_of(SAMPLE)
    for size in range(len(data)):
        with pytest.raises(DamagedDataError):
            list(entry.commands(data[:size]))


def test_an_entry_with_more_than_it_says_is_damaged() -> None:
    with pytest.raises(DamagedDataError):
        list(entry.commands(data_of(SAMPLE) + entry.pack((b"DEL", b"k"))))


@pytest.mark.parametrize("position", range(entry.HEADER_BYTES, len(data_of(SAMPLE))))
def test_an_entry_with_a_changed_byte_is_damaged_or_holds_other_commands(position: int) -> None:
    """The log's checksums find a changed byte; if they ever do not, nothing but DamagedDataError may come of it."""
    data = bytearray(data_of(SAMPLE))
    for value in (*b"\0\r\n$*:+-0129 S", 0xFF, data[position] ^ 1, data[position] ^ 0x80):
        changed = data.copy()
        changed[position] = value
        try:
            commands = list(entry.commands(bytes(changed)))
        except DamagedDataError:
            continue
        assert all(type(database) is int and database >= 0 for database, _ in commands)
        assert all(argv and all(type(word) is bytes for word in argv) for _, argv in commands)
