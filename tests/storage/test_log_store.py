"""The log store: what was written is there after a reopening, entries are contiguous, and either end may be cut off."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from redraft.errors import DamagedDataError, StorageError
from redraft.ids import GroupId, Index, NodeId, Term
from redraft.raft.errors import CompactedError, UnavailableError
from redraft.raft.messages import ConfState, Entry, EntryKind, HardState, SnapshotMeta
from redraft.storage import group_log, log_records, log_store
from redraft.storage.log_store import GroupUpdate, LogStore, measure_fsync_us

ONE = GroupId(1)
TWO = GroupId(2)
CONF = ConfState(voters=(NodeId(1),))
ALL = 1 << 30


def entry(index: int, term: int = 1, data: bytes | None = None, kind: EntryKind = EntryKind.NORMAL) -> Entry:
    return Entry(Index(index), Term(term), kind, b"data %d" % index if data is None else data)


def entries(first: int, last: int, term: int = 1) -> list[Entry]:
    return [entry(index, term) for index in range(first, last + 1)]


def write(store: LogStore, written: list[Entry], group: GroupId = ONE, hard_state: HardState | None = None) -> None:
    store.write([GroupUpdate(group, hard_state, written)])
    store.check()


def read(store: LogStore, group: GroupId = ONE) -> list[Entry]:
    """All entries of a group, through the memory and from disk, which must agree."""
    log = store.group(group)
    low, high = log.first_index(), Index(log.last_index() + 1)
    if low == high:
        return []
    through_memory = log.entries(low, high, ALL)
    assert store.read(group, low, high, ALL) == through_memory
    return through_memory


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[], LogStore]]:
    """Open the store; if it is open already, close it first: a restart."""
    opened: list[LogStore] = []

    def reopen() -> LogStore:
        while opened:
            opened.pop().close()
        opened.append(LogStore(tmp_path / "log"))
        opened[0].check()
        return opened[0]

    yield reopen
    for store in opened:
        store.close()


def before_and_after(store: LogStore, open_store: Callable[[], LogStore]) -> Iterator[LogStore]:
    """The store as it is, then as it is after a restart."""
    yield store
    yield open_store()


@pytest.fixture
def store(open_store: Callable[[], LogStore]) -> LogStore:
    return open_store()


# Writing and reading.


def test_a_group_that_was_never_written_is_empty(store: LogStore) -> None:
    log = store.group(ONE)
    assert log.initial_state() == (HardState(), ConfState())
    assert log.snapshot_meta() == SnapshotMeta()
    assert (log.first_index(), log.last_index(), log.term(Index(0))) == (1, 0, 0)


def test_what_was_written_and_synced_is_there_after_a_reopening(open_store: Callable[[], LogStore]) -> None:
    store = open_store()
    written = [entry(1, 1, b"", EntryKind.NOOP), entry(2, 1, b"\x00" * 1000), entry(3, 2, b"c", EntryKind.CHANGE)]
    hard_state = HardState(Term(2), NodeId(1), Index(3))
    write(store, written, hard_state=hard_state)
    store.sync()
    assert read(store) == written
    store = open_store()
    assert read(store) == written
    assert store.group(ONE).initial_state() == (hard_state, ConfState())
    assert [store.group(ONE).term(Index(index)) for index in (1, 2, 3)] == [1, 1, 2]


def test_closing_syncs(open_store: Callable[[], LogStore]) -> None:
    write(open_store(), entries(1, 3))
    assert read(open_store()) == entries(1, 3)


def test_the_last_hard_state_counts_and_none_leaves_it(open_store: Callable[[], LogStore]) -> None:
    store = open_store()
    write(store, [], hard_state=HardState(Term(1), NodeId(1), Index(0)))
    write(store, [], hard_state=HardState(Term(3), NodeId(2), Index(0)))
    write(store, entries(1, 1))
    for opened in before_and_after(store, open_store):
        assert opened.group(ONE).initial_state()[0] == HardState(Term(3), NodeId(2), Index(0))


def test_groups_do_not_see_each_other(open_store: Callable[[], LogStore]) -> None:
    store = open_store()
    one, two = entries(1, 5), entries(1, 9, term=4)
    hard_state = HardState(Term(4), NodeId(7), Index(2))
    store.write([GroupUpdate(ONE, None, one), GroupUpdate(TWO, hard_state, two)])
    store.compact(TWO, Index(4), CONF)
    for opened in before_and_after(store, open_store):
        assert read(opened, ONE) == one
        assert read(opened, TWO) == two[4:]
        assert opened.group(ONE).hard_state == HardState()
        assert opened.group(TWO).hard_state == hard_state


def test_group_numbers_beyond_one_byte_keep_apart(open_store: Callable[[], LogStore]) -> None:
    store = open_store()
    groups = [GroupId(number) for number in (1, 255, 256, 65536, 2**40)]
    for number, group in enumerate(groups, 1):
        write(store, entries(1, number, term=number), group)
    store = open_store()
    for number, group in enumerate(groups, 1):
        assert read(store, group) == entries(1, number, term=number)


def test_entries_come_within_the_bytes_asked_for_but_at_least_one(store: LogStore) -> None:
    write(store, [entry(index, data=b"x" * 100) for index in range(1, 11)])
    log = store.group(ONE)

    def indexes(max_bytes: int) -> list[int]:
        found = log.entries(Index(3), Index(9), max_bytes)
        assert found == store.read(ONE, Index(3), Index(9), max_bytes)
        return [e.index for e in found]

    assert indexes(0) == [3]
    assert indexes(199) == [3]
    assert indexes(200) == [3, 4]
    assert indexes(ALL) == [3, 4, 5, 6, 7, 8]


def test_entries_that_are_not_all_there_are_refused(store: LogStore) -> None:
    write(store, entries(1, 5))
    store.compact(ONE, Index(2), CONF)
    log = store.group(ONE)
    with pytest.raises(CompactedError):
        log.entries(Index(2), Index(4), ALL)
    with pytest.raises(CompactedError):
        log.term(Index(1))
    with pytest.raises(UnavailableError):
        log.entries(Index(4), Index(7), ALL)
    with pytest.raises(UnavailableError):
        log.term(Index(6))
    with pytest.raises(UnavailableError):
        log.entries(Index(4), Index(4), ALL)


def test_more_than_the_memory_keeps_is_read_from_disk(
    monkeypatch: pytest.MonkeyPatch, open_store: Callable[[], LogStore]
) -> None:
    monkeypatch.setattr(group_log, "TAIL_BYTES", 1000)
    store = open_store()
    written = [entry(index, data=b"%d" % index * 20) for index in range(1, 101)]
    for one in written:
        write(store, [one])
    assert read(store) == written
    assert store.group(ONE).entries(Index(90), Index(101), ALL) == written[89:]
    assert store.group(ONE).term(Index(1)) == 1


def test_a_term_is_told_without_reading_what_was_written_or_was_read_before(
    monkeypatch: pytest.MonkeyPatch, open_store: Callable[[], LogStore]
) -> None:
    """Each heartbeat asks for one, and an entry may be large."""
    monkeypatch.setattr(group_log, "TAIL_BYTES", 1)
    store = open_store()
    write(store, entries(1, 5, term=1))
    write(store, entries(6, 9, term=3))
    write(store, entries(8, 12, term=4))
    terms = [1, 1, 1, 1, 1, 3, 3, 4, 4, 4, 4, 4]
    reads: list[Index] = []

    def counted(group: GroupId, low: Index, high: Index, most: int) -> list[Entry]:
        reads.append(low)
        return store.read(group, low, high, most)

    monkeypatch.setattr(store.group(ONE), "_read", counted)
    assert [store.group(ONE).term(Index(index)) for index in range(1, 13)] == terms
    assert reads == []
    store = open_store()
    monkeypatch.setattr(store.group(ONE), "_read", counted)
    for _ in range(3):
        assert [store.group(ONE).term(Index(index)) for index in range(1, 13)] == terms
    assert reads == list(range(1, 13))
    write(store, entries(4, 6, term=5))
    assert [store.group(ONE).term(Index(index)) for index in range(1, 7)] == [1, 1, 1, 5, 5, 5]
    store.compact(ONE, Index(2), CONF)
    with pytest.raises(CompactedError):
        store.group(ONE).term(Index(1))
    store.restore(ONE, SnapshotMeta(Index(20), Term(7), CONF))
    with pytest.raises(CompactedError):
        store.group(ONE).term(Index(5))
    assert store.group(ONE).term(Index(20)) == 7


def test_no_entry_is_read_beyond_the_last_that_was_asked_for(monkeypatch: pytest.MonkeyPatch, store: LogStore) -> None:
    write(store, entries(1, 3))
    looked: list[int] = []
    items = store._items
    monkeypatch.setattr(
        store,
        "_items",
        lambda start: (looked.append(int.from_bytes(key[9:], "big")) or (key, value) for key, value in items(start)),
    )
    assert [each.index for each in store.read(ONE, Index(1), Index(3), ALL)] == [1, 2]
    assert looked == [1, 2]


# Where entries may go.


@pytest.mark.parametrize("first", [5, 6, 100])
def test_entries_beyond_a_gap_are_refused_and_leave_no_trace(open_store: Callable[[], LogStore], first: int) -> None:
    store = open_store()
    write(store, entries(1, 3))
    with pytest.raises(StorageError, match="contiguous"):
        store.write([GroupUpdate(ONE, HardState(Term(9)), entries(first, first + 1))])
    write(store, entries(4, 4))
    for opened in before_and_after(store, open_store):
        assert read(opened) == entries(1, 4)
        assert opened.group(ONE).hard_state == HardState()


def test_entries_that_were_let_go_are_not_written_again(store: LogStore) -> None:
    write(store, entries(1, 5))
    store.compact(ONE, Index(3), CONF)
    with pytest.raises(StorageError, match="contiguous"):
        store.write([GroupUpdate(ONE, None, entries(3, 6))])
    assert read(store) == entries(4, 5)


def test_entries_with_a_gap_among_them_are_refused(store: LogStore) -> None:
    with pytest.raises(StorageError, match="contiguous"):
        store.write([GroupUpdate(ONE, None, [*entries(1, 2), *entries(4, 5)])])
    assert read(store) == []


# Cutting the end off.


@pytest.mark.parametrize("first", [1, 2, 4, 5])
def test_new_entries_replace_all_that_have_their_indexes_or_later_ones(
    open_store: Callable[[], LogStore], first: int
) -> None:
    store = open_store()
    write(store, entries(1, 5, term=1))
    write(store, entries(first, first, term=2))
    expected = entries(1, first - 1, term=1) + entries(first, first, term=2)
    for opened in before_and_after(store, open_store):
        assert read(opened) == expected
        assert opened.group(ONE).last_index() == first


def test_a_replaced_suffix_does_not_come_back_when_the_log_grows_again(open_store: Callable[[], LogStore]) -> None:
    store = open_store()
    write(store, entries(1, 9, term=1))
    store = open_store()
    write(store, entries(3, 3, term=2))
    write(store, entries(4, 4, term=2))
    for opened in before_and_after(store, open_store):
        assert read(opened) == entries(1, 2, term=1) + entries(3, 4, term=2)


# Cutting the beginning off.


def test_a_compacted_log_begins_after_the_entry_and_knows_its_term(open_store: Callable[[], LogStore]) -> None:
    store = open_store()
    write(store, entries(1, 4, term=3) + entries(5, 8, term=4))
    store.compact(ONE, Index(4), CONF)
    for opened in before_and_after(store, open_store):
        log = opened.group(ONE)
        assert read(opened) == entries(5, 8, term=4)
        assert log.snapshot_meta() == SnapshotMeta(Index(4), Term(3), CONF)
        assert (log.first_index(), log.last_index(), log.term(Index(4))) == (5, 8, 3)
        assert log.initial_state()[1] == CONF


def test_a_log_that_was_let_go_whole_goes_on_where_it_was(open_store: Callable[[], LogStore]) -> None:
    store = open_store()
    write(store, entries(1, 4, term=3))
    store.compact(ONE, Index(4), CONF)
    for opened in before_and_after(store, open_store):
        assert opened.group(ONE).last_index() == 4
        assert read(opened) == []
    store = open_store()
    write(store, entries(5, 6, term=3))
    assert read(open_store()) == entries(5, 6, term=3)


def test_compacting_to_where_the_log_begins_already_changes_nothing(store: LogStore) -> None:
    write(store, entries(1, 6))
    store.compact(ONE, Index(4), CONF)
    store.compact(ONE, Index(4), ConfState())
    store.compact(ONE, Index(2), ConfState())
    assert store.group(ONE).snapshot_meta() == SnapshotMeta(Index(4), Term(1), CONF)
    assert read(store) == entries(5, 6)


def test_compacting_beyond_the_end_is_refused(store: LogStore) -> None:
    write(store, entries(1, 3))
    with pytest.raises(UnavailableError):
        store.compact(ONE, Index(4), CONF)
    assert read(store) == entries(1, 3)


def test_an_installed_snapshot_takes_the_place_of_all_entries(open_store: Callable[[], LogStore]) -> None:
    store = open_store()
    write(store, entries(1, 6))
    for start in (SnapshotMeta(Index(4), Term(2), CONF), SnapshotMeta(Index(50), Term(3), CONF)):
        store.restore(ONE, start)
        for opened in before_and_after(store, open_store):
            log = opened.group(ONE)
            assert (log.snapshot_meta(), log.last_index()) == (start, start.index)
            store = opened
    write(store, entries(51, 52, term=3))
    assert read(store) == entries(51, 52, term=3)


def test_a_log_may_begin_anywhere(open_store: Callable[[], LogStore]) -> None:
    store = open_store()
    store.restore(ONE, SnapshotMeta(Index(1000), Term(7), CONF))
    write(store, entries(1001, 1003, term=7))
    for opened in before_and_after(store, open_store):
        assert read(opened) == entries(1001, 1003, term=7)
        assert opened.group(ONE).term(Index(1000)) == 7


# Failure, and the rest.


def test_after_a_failed_write_nothing_is_accepted(store: LogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk:
        def __init__(self, db: Any) -> None:
            self._db = db

        def __getattr__(self, name: str) -> Any:
            return getattr(self._db, name)

        def write(self, batch: object) -> None:
            raise Exception("IO error: No space left on device: While appending to file: 000004.log")

    write(store, entries(1, 1))
    monkeypatch.setattr(store, "_db", FullDisk(store._db))
    with pytest.raises(StorageError, match="the disk is full"):
        write(store, entries(2, 2))
    monkeypatch.undo()
    for attempt in (
        lambda: write(store, entries(2, 2)),
        lambda: store.compact(ONE, Index(1), CONF),
        store.sync,
    ):
        with pytest.raises(StorageError, match="takes nothing any more"):
            attempt()
    assert read(store) == entries(1, 1)


def test_a_store_that_is_open_is_not_opened_twice(store: LogStore, tmp_path: Path) -> None:
    store.open_for_writing()
    with pytest.raises(StorageError, match="another process has it open"):
        LogStore(tmp_path / "log").open_for_writing()


def test_statistics_count_groups_and_entries(store: LogStore) -> None:
    write(store, entries(1, 5))
    write(store, entries(1, 2), TWO)
    store.compact(ONE, Index(3), CONF)
    statistics = store.statistics()
    assert (statistics["log_groups"], statistics["log_entries"]) == (2, 4)
    assert statistics["log_bytes_on_disk"] > 0


def test_measuring_the_fsync_leaves_no_file_behind(tmp_path: Path) -> None:
    assert measure_fsync_us(tmp_path, rounds=3) > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", range(6))
def test_a_group_log_behaves_as_a_list(
    seed: int, monkeypatch: pytest.MonkeyPatch, open_store: Callable[[], LogStore]
) -> None:
    """With small buffers, so that RocksDB writes its files and the memory lets entries go."""
    monkeypatch.setattr(log_store, "WRITE_BUFFER_BYTES", 64 << 10)
    monkeypatch.setattr(group_log, "TAIL_BYTES", 4000)
    rng = random.Random(seed)
    store = open_store()
    start = 0
    model: list[Entry] = []
    term = 1
    for _ in range(250):
        last = start + len(model)
        match rng.randrange(10):
            case 0:
                store = open_store()
            case 1 if model:
                index = rng.randint(start + 1, last)
                store.compact(ONE, Index(index), CONF)
                del model[: index - start]
                start = index
            case 2 | 3:
                term += 1
                first = rng.randint(start + 1, last + 1)
                new = [entry(i, term, rng.randbytes(900)) for i in range(first, first + rng.randint(1, 4))]
                write(store, new)
                model[first - start - 1 :] = new
            case 4:
                store.sync()
            case _:
                new = [entry(i, term, rng.randbytes(900)) for i in range(last + 1, last + 1 + rng.randint(1, 6))]
                write(store, new)
                model += new
        assert read(store) == model
        assert store.group(ONE).first_index() == start + 1
        assert store.group(ONE).last_index() == start + len(model)
    assert read(open_store()) == model


def test_a_hole_found_at_the_start_is_refused(open_store: Callable[[], LogStore], tmp_path: Path) -> None:
    store = open_store()
    write(store, entries(1, 9))
    store._db.delete(log_records.entry_key(ONE, 4))
    with pytest.raises(DamagedDataError, match="group 1 lacks the entries 4 to 4"):
        open_store()
