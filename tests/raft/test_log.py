"""The log's contract: the storage in memory, and one member's view over it."""

from __future__ import annotations

import pytest

from redraft.ids import Index, NodeId, Term
from redraft.raft.errors import CompactedError, DivergedError, UnavailableError
from redraft.raft.log import Log
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import ConfState, Entry, HardState, SnapshotMeta

MUCH = 1 << 30


def entry(index: int, term: int = 1, data: bytes = b"") -> Entry:
    return Entry(Index(index), Term(term), data=data)


def storage_of(*terms: int, start: int = 0) -> MemoryStorage:
    """A storage whose entries after `start` have these terms and ten bytes each; the start has the first one's term."""
    storage = MemoryStorage()
    storage.start = SnapshotMeta(Index(start), Term(terms[0] if start else 0))
    storage.write(None, [entry(start + 1 + i, term, b"x" * 10) for i, term in enumerate(terms)])
    return storage


def log_of(storage: MemoryStorage, committed: int = 0, applied: int = 0) -> Log:
    return Log(storage, Index(committed), Index(applied))


def indexes(entries: list[Entry]) -> list[int]:
    return [entry.index for entry in entries]


# The storage.


def test_an_empty_storage_begins_at_one_and_has_nothing() -> None:
    storage = MemoryStorage()
    assert storage.initial_state() == (HardState(), ConfState())
    assert (storage.first_index(), storage.last_index()) == (1, 0)
    assert storage.term(Index(0)) == 0
    with pytest.raises(UnavailableError):
        storage.term(Index(1))


def test_the_storage_remembers_the_last_hard_state() -> None:
    storage = MemoryStorage()
    storage.write(HardState(Term(3), NodeId(1), Index(0)), [])
    storage.write(None, [entry(1)])
    assert storage.initial_state()[0] == HardState(Term(3), NodeId(1), Index(0))


@pytest.mark.parametrize(
    ("low", "high", "max_bytes", "found"),
    [
        (1, 6, MUCH, [1, 2, 3, 4, 5]),
        (2, 4, MUCH, [2, 3]),
        (5, 6, MUCH, [5]),
        (1, 6, 30, [1, 2, 3]),
        (1, 6, 29, [1, 2]),
        (1, 6, 0, [1]),
        (4, 6, 1, [4]),
    ],
)
def test_entries_are_returned_up_to_a_size_but_at_least_one(
    low: int, high: int, max_bytes: int, found: list[int]
) -> None:
    storage = storage_of(1, 1, 1, 1, 1)
    assert indexes(storage.entries(Index(low), Index(high), max_bytes)) == found


def test_entries_that_are_not_all_there_are_unavailable() -> None:
    storage = storage_of(1, 1, 1)
    for low, high in ((1, 5), (4, 5), (7, 9), (2, 2)):
        with pytest.raises(UnavailableError):
            storage.entries(Index(low), Index(high), MUCH)


def test_writing_entries_replaces_those_of_their_indexes_and_all_later_ones() -> None:
    storage = storage_of(1, 1, 1, 1)
    storage.write(None, [entry(2, term=2)])
    assert (storage.last_index(), storage.term(Index(1)), storage.term(Index(2))) == (2, 1, 2)


def test_entries_cannot_be_written_behind_a_gap_nor_before_the_start() -> None:
    storage = storage_of(1, 1, start=5)
    for index in (9, 5):
        with pytest.raises(AssertionError):
            storage.write(None, [entry(index)])


def test_compaction_lets_go_of_entries_and_keeps_the_last_ones_term() -> None:
    storage = storage_of(1, 2, 3, 3)
    storage.compact(Index(2))
    assert (storage.first_index(), storage.last_index()) == (3, 4)
    assert storage.snapshot_meta() == SnapshotMeta(Index(2), Term(2))
    assert (storage.term(Index(2)), storage.term(Index(3))) == (2, 3)
    assert indexes(storage.entries(Index(3), Index(5), MUCH)) == [3, 4]
    for index in (1, 2):
        with pytest.raises(CompactedError):
            storage.entries(Index(index), Index(4), MUCH)
    with pytest.raises(CompactedError):
        storage.term(Index(1))


def test_compaction_keeps_the_configuration() -> None:
    storage = storage_of(1, 1)
    conf = ConfState(voters=(NodeId(1),))
    storage.start = SnapshotMeta(conf=conf)
    storage.compact(Index(1))
    assert storage.initial_state()[1] == conf


def test_compacting_everything_leaves_a_log_that_goes_on_where_it_ended() -> None:
    storage = storage_of(1, 2)
    storage.compact(Index(2))
    assert (storage.first_index(), storage.last_index()) == (3, 2)
    storage.write(None, [entry(3, term=4)])
    assert storage.term(Index(3)) == 4


def test_compacting_to_the_same_index_again_changes_nothing() -> None:
    storage = storage_of(1, 2, 3)
    storage.compact(Index(2))
    storage.compact(Index(2))
    assert (storage.first_index(), storage.last_index()) == (3, 3)


def test_compacting_what_is_not_there_is_refused_and_changes_nothing() -> None:
    storage = storage_of(1, 2, 3)
    with pytest.raises(UnavailableError):
        storage.compact(Index(4))
    assert (storage.first_index(), storage.last_index()) == (1, 3)


# A member's view.


def test_a_new_log_stands_where_its_storage_does() -> None:
    log = log_of(storage_of(1, 1, 1), committed=2, applied=1)
    assert (log.stable, log.last_index, log.committed, log.applying) == (3, 3, 2, 1)
    assert not log.has_unstable()
    assert log.take_unstable() == []


@pytest.mark.parametrize(
    ("committed", "applied", "expected"),
    [
        pytest.param(0, 0, (5, 5), id="what was compacted is committed and applied"),
        pytest.param(6, 0, (6, 5), id="the commit index on disk"),
        pytest.param(0, 7, (7, 7), id="what is applied is committed"),
        pytest.param(7, 6, (7, 6), id="both"),
    ],
)
def test_a_log_starts_from_the_most_that_is_known(committed: int, applied: int, expected: tuple[int, int]) -> None:
    log = log_of(storage_of(2, 2, start=5), committed, applied)
    assert (log.committed, log.applying) == expected


def test_appended_entries_are_handed_out_once_to_be_written() -> None:
    log = log_of(storage_of(1))
    log.append(entry(2))
    log.append(entry(3))
    assert log.has_unstable()
    assert indexes(log.take_unstable()) == [2, 3]
    assert not log.has_unstable()
    assert log.take_unstable() == []
    log.append(entry(4))
    assert indexes(log.take_unstable()) == [4]


def test_a_gap_in_the_log_is_refused() -> None:
    log = log_of(storage_of(1))
    with pytest.raises(AssertionError):
        log.append(entry(3))


def test_terms_are_found_in_memory_and_on_disk() -> None:
    storage = storage_of(1, 2)
    log = log_of(storage)
    log.append(entry(3, term=3))
    log.append(entry(4, term=4))
    assert [log.term(Index(i)) for i in range(1, 5)] == [1, 2, 3, 4]
    with pytest.raises(UnavailableError):
        log_of(storage).term(Index(3))


def test_entries_become_stable_one_write_after_the_other() -> None:
    storage = storage_of(1)
    log = log_of(storage)
    for index in (2, 3, 4):
        log.append(entry(index))
    storage.write(None, log.take_unstable())
    log.stable_to(Index(3))
    assert (log.stable, log.last_index, log.term(Index(4))) == (3, 4, 1)
    log.stable_to(Index(4))
    assert (log.stable, log.last_index) == (4, 4)
    log.stable_to(Index(2))
    assert log.stable == 4


def test_only_what_is_both_committed_and_durable_is_handed_out_to_be_applied() -> None:
    storage = storage_of(1, 1)
    log = log_of(storage)
    log.append(entry(3))
    assert not log.has_committed()
    assert log.take_committed(MUCH) == []
    log.committed = Index(3)
    assert log.has_committed()
    assert indexes(log.take_committed(MUCH)) == [1, 2]
    assert not log.has_committed()
    assert log.take_committed(MUCH) == []
    storage.write(None, log.take_unstable())
    log.stable_to(Index(3))
    assert indexes(log.take_committed(MUCH)) == [3]


def test_committed_entries_are_handed_out_in_pieces() -> None:
    log = log_of(storage_of(1, 1, 1), committed=3)
    assert indexes(log.take_committed(20)) == [1, 2]
    assert log.has_committed()
    assert indexes(log.take_committed(20)) == [3]


# A leader's entries.


def test_entries_of_another_past_give_way() -> None:
    log = log_of(storage_of(1, 1, 1))
    assert log.try_append(Index(1), Term(1), [entry(2), entry(3, term=2)]) == 3
    assert (log.last_index, log.last_term, log.stable) == (3, 2, 2)
    assert indexes(log.take_unstable()) == [3]


def test_entries_that_are_there_are_not_new() -> None:
    log = log_of(storage_of(1, 1, 1))
    assert log.try_append(Index(0), Term(0), [entry(1), entry(2)]) == 3
    assert (log.last_index, log.epoch) == (3, 0)


def test_entries_behind_one_that_is_not_there_are_refused() -> None:
    log = log_of(storage_of(1, 1))
    assert log.try_append(Index(3), Term(1), [entry(4)]) is None
    assert log.try_append(Index(2), Term(2), [entry(3, term=2)]) is None


def test_a_committed_entry_never_gives_way() -> None:
    log = log_of(storage_of(1, 1), committed=2)
    with pytest.raises(DivergedError):
        log.try_append(Index(1), Term(1), [entry(2, term=2)])


def test_entries_replaced_while_they_were_written_are_not_durable_then() -> None:
    """Entries 2 to 4 are being written when term 2 replaces 3 and 4, and term 3 brings the old ones back."""
    log = log_of(storage_of(1))
    old = [entry(2), entry(3), entry(4)]
    log.try_append(Index(1), Term(1), old)
    log.take_unstable()
    epoch = log.epoch
    log.try_append(Index(2), Term(1), [entry(3, term=2)])
    log.take_unstable()
    second = log.epoch
    log.try_append(Index(2), Term(1), old[1:])
    log.take_unstable()
    log.stable_to(Index(4), epoch)
    assert log.stable == 1
    log.stable_to(Index(3), second)
    assert log.stable == 1
    log.stable_to(Index(4), log.epoch)
    assert log.stable == 4


@pytest.mark.parametrize(
    ("index", "term", "expected"),
    [(5, 9, (5, 4)), (5, 3, (3, 3)), (4, 2, (2, 2)), (9, 1, (1, 1)), (3, 0, (0, 0))],
)
def test_where_two_logs_may_match(index: int, term: int, expected: tuple[int, int]) -> None:
    assert log_of(storage_of(1, 2, 3, 4, 4)).possible_match(Index(index), Term(term)) == expected


def test_a_snapshot_takes_the_place_of_everything() -> None:
    storage = storage_of(1, 1)
    log = log_of(storage)
    meta = SnapshotMeta(Index(9), Term(3))
    log.restore(meta)
    assert (log.first_index, log.last_index, log.last_term, log.committed) == (10, 9, 3, 9)
    with pytest.raises(CompactedError):
        log.term(Index(2))
    log.try_append(Index(9), Term(3), [entry(10, term=3)])
    log.committed = Index(10)
    assert not log.has_committed()
    storage.restore(meta)
    storage.write(None, log.take_unstable())
    log.storage_restored(meta)
    log.stable_to(Index(10), log.epoch)
    assert indexes(log.take_committed(MUCH)) == [10]
