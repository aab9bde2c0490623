"""A keyspace: whole databases emptied and exchanged, loaded from records, and large things freed in slices."""

from __future__ import annotations

from typing import Any

import pytest

from redraft.errors import DamagedDataError
from redraft.keyspace.graveyard import LARGE_MEMBERS
from redraft.keyspace.keyspace import Keyspace, KeyspaceMeta
from redraft.values import codec


def keyspace_of(*databases: dict[bytes, bytes]) -> Keyspace:
    keyspace = Keyspace(len(databases))
    for database, values in zip(keyspace.databases, databases, strict=True):
        for key, value in values.items():
            database.put(key, value)
    return keyspace


def keys(keyspace: Keyspace) -> list[list[bytes]]:
    return [list(database.keys_from(b"")) for database in keyspace.databases]


def record(generation: int, key: bytes, value: bytes, deadline_ms: int | None = None) -> tuple[bytes, bytes]:
    return generation.to_bytes(4, "big") + key, codec.encode(value, deadline_ms)


def bury_all(keyspace: Keyspace, members: int) -> int:
    """How many rounds of `bury` it takes to free everything."""
    for rounds in range(10_000):
        if not keyspace.statistics()["graveyard"]:
            return rounds
        keyspace.bury(members)
    raise AssertionError("the graveyard is never empty")


# Whole databases.


def test_flushing_a_database_empties_that_one_only() -> None:
    keyspace = keyspace_of({b"a": b"1"}, {b"b": b"2"}, {b"c": b"3"})
    keyspace.flush_database(1)
    assert keys(keyspace) == [[b"a"], [], [b"c"]]
    keyspace.check()


def test_flushing_all_empties_every_database() -> None:
    keyspace = keyspace_of({b"a": b"1"}, {}, {b"c": b"3"})
    keyspace.flush_all()
    assert keys(keyspace) == [[], [], []]
    assert keyspace.statistics()["keys"] == 0
    keyspace.check()


def test_an_emptied_database_gets_a_generation_that_was_never_used() -> None:
    keyspace = keyspace_of({b"a": b"1"}, {b"b": b"2"})
    used = set(keyspace.meta().generations)
    for round_ in range(5):
        keyspace.flush_database(round_ % 2)
        new = keyspace.meta().generations[round_ % 2]
        assert new not in used
        used.add(new)
        keyspace.databases[round_ % 2].put(b"a", b"again")
    keyspace.check()


def test_flushing_a_database_that_was_always_empty_changes_nothing() -> None:
    keyspace = Keyspace(2)
    before = keyspace.meta()
    keyspace.flush_all()
    assert keyspace.meta() == before


def test_flushing_a_database_that_holds_nothing_any_more_keeps_its_generation_flushed_or_not(image: Any) -> None:
    """Whether it was flushed since its last key went is one replica's own business."""
    keyspace, other = keyspace_of({b"a": b"1"}, {}), keyspace_of({b"a": b"1"}, {})
    for each in (keyspace, other):
        each.databases[0].delete(b"a")
    assert other.begin_flush(image).step(1 << 20)
    for each in (keyspace, other):
        each.flush_all()
        assert each.meta().generations == [0, 1]
    assert keyspace.databases[0].dirty == {b"a"}, "what the image may still have of it is still to be removed"
    assert keyspace.meta() == other.meta()


def test_an_emptied_database_takes_keys_and_deadlines_like_a_new_one() -> None:
    keyspace = keyspace_of({b"a": b"1"})
    keyspace.databases[0].set_deadline(b"a", 10)
    keyspace.flush_database(0)
    keyspace.databases[0].put(b"a", b"2")
    assert keyspace.databases[0].deadline(b"a") is None
    assert keyspace.databases[0].reap(now_ms=10, limit=10) == 0
    keyspace.check()


def test_swapped_databases_have_exchanged_their_keys() -> None:
    keyspace = keyspace_of({b"a": b"1"}, {b"b": b"2"}, {})
    keyspace.swap(0, 1)
    assert keys(keyspace) == [[b"b"], [b"a"], []]
    keyspace.swap(1, 2)
    assert keys(keyspace) == [[b"b"], [], [b"a"]]
    keyspace.swap(2, 2)
    assert keys(keyspace) == [[b"b"], [], [b"a"]]
    keyspace.check()


def test_a_watcher_hears_of_every_key_of_an_emptied_or_swapped_database() -> None:
    keyspace = keyspace_of({b"a": b"", b"b": b""}, {b"c": b""})
    heard: list[bytes] = []
    keyspace.watch_changes(lambda _, key: heard.append(key))
    keyspace.swap(0, 1)
    assert sorted(heard) == [b"a", b"b", b"c"]
    heard.clear()
    keyspace.flush_database(1)
    assert sorted(heard) == [b"a", b"b"]


def test_a_watcher_still_hears_of_changes_in_a_database_that_was_emptied() -> None:
    keyspace = keyspace_of({b"a": b""})
    heard: list[bytes] = []
    keyspace.watch_changes(lambda _, key: heard.append(key))
    keyspace.flush_database(0)
    heard.clear()
    keyspace.databases[0].put(b"new", b"")
    assert heard == [b"new"]
    keyspace.watch_changes(None)
    keyspace.databases[0].put(b"newer", b"")
    assert heard == [b"new"]


# Loading.


def test_loaded_records_are_the_keys_of_the_databases_that_have_their_generations() -> None:
    meta = KeyspaceMeta(generations=[5, 2], next_generation=6, limit=2)
    records = [record(2, b"a", b"1"), record(2, b"b", b"2", 77), record(5, b"", b"empty key"), record(5, b"a", b"")]
    keyspace = Keyspace.load(meta, records)
    assert keys(keyspace) == [[b"", b"a"], [b"a", b"b"]]
    assert keyspace.databases[1].get(b"b", now_ms=76) == b"2"
    assert keyspace.databases[1].get(b"b", now_ms=77) is None
    assert keyspace.meta() == meta
    keyspace.check()


def test_nothing_that_was_loaded_is_dirty() -> None:
    keyspace = Keyspace.load(KeyspaceMeta([0], 1, 1), [record(0, b"a", b"1"), record(0, b"b", b"2", 77)])
    assert keyspace.dirty_keys() == 0
    keyspace.databases[0].put(b"a", b"2")
    assert keyspace.dirty_keys() == 1


def test_loaded_deadlines_come_due() -> None:
    keyspace = Keyspace.load(KeyspaceMeta([0], 1, 1), [record(0, b"a", b"1", 5), record(0, b"b", b"2", 3)])
    assert keyspace.databases[0].reap(now_ms=4, limit=10) == 1
    assert keys(keyspace) == [[b"a"]]


def test_records_of_a_generation_that_no_database_has_are_passed_by() -> None:
    records = [record(0, b"old", b""), record(1, b"a", b""), record(2, b"b", b"")]
    garbage: list[int] = []
    keyspace = Keyspace.load(KeyspaceMeta([1], 3, 1), records, on_garbage=garbage.append)
    assert keys(keyspace) == [[b"a"]]
    assert garbage == [0, 2]


def test_two_databases_of_one_generation_are_damage() -> None:
    with pytest.raises(DamagedDataError, match="one generation"):
        Keyspace.load(KeyspaceMeta([0, 1, 0], 2, 3), [])


def test_a_record_that_cannot_be_decoded_is_damage() -> None:
    with pytest.raises(DamagedDataError, match="unknown type 126"):
        Keyspace.load(KeyspaceMeta([0], 1, 1), [(b"\0\0\0\0key", b"\x7epayload")])


def test_an_empty_record_is_damage() -> None:
    with pytest.raises(DamagedDataError, match="empty"):
        Keyspace.load(KeyspaceMeta([0], 1, 1), [(b"\0\0\0\0key", b"")])


def test_progress_is_told_every_so_many_keys() -> None:
    told: list[int] = []
    records = [record(0, b"%03d" % number, b"") for number in range(25)]
    Keyspace.load(KeyspaceMeta([0], 1, 1), records, told.append, progress_keys=10)
    assert told == [10, 20]


def test_a_loaded_keyspace_never_gives_a_generation_that_was_used_before_the_restart() -> None:
    keyspace = keyspace_of({b"a": b"1"}, {})
    keyspace.flush_database(0)
    again = Keyspace.load(keyspace.meta(), [])
    again.databases[0].put(b"b", b"")
    again.flush_database(0)
    assert again.meta().generations[0] not in [0, 1, *keyspace.meta().generations]


# Freeing.


def test_an_emptied_database_is_freed_in_slices() -> None:
    keyspace = keyspace_of({b"%d" % number: b"" for number in range(1000)})
    keyspace.flush_database(0)
    keyspace.databases[0].put(b"new", b"1")
    rounds = bury_all(keyspace, members=100)
    assert 20 <= rounds <= 24, "the values, then the set of dirty keys"
    assert keys(keyspace) == [[b"new"]]


def test_a_large_collection_is_freed_in_slices_and_a_small_one_at_once(bag_type: Any) -> None:
    keyspace = Keyspace(1)
    keyspace.graveyard.retire(bag_type([b""] * LARGE_MEMBERS))
    keyspace.graveyard.retire(b"x" * (LARGE_MEMBERS + 1))
    assert keyspace.statistics()["graveyard"] == 0
    large = bag_type([b""] * (LARGE_MEMBERS + 1))
    keyspace.graveyard.retire(large)
    keyspace.bury(1000)
    assert len(large) == LARGE_MEMBERS - 999
    assert 10 <= bury_all(keyspace, members=1000) <= 12
    assert len(large) == 0


def test_a_large_collection_in_an_emptied_database_is_freed_in_slices(bag_type: Any) -> None:
    keyspace = Keyspace(1)
    large = bag_type([b""] * (LARGE_MEMBERS + 1))
    keyspace.databases[0].put(b"large", large)
    keyspace.databases[0].set_deadline(b"large", 10)
    keyspace.flush_all()
    assert 10 <= bury_all(keyspace, members=1000) <= 12
    assert len(large) == 0


def test_a_database_that_is_emptied_during_a_flush_is_freed_once_it_was_written(image: Any) -> None:
    keyspace = keyspace_of({b"%d" % number: b"v" for number in range(1000)})
    old = keyspace.databases[0]
    flush = keyspace.begin_flush(image)
    keyspace.flush_all()
    keyspace.bury(10_000)
    assert sum(map(len, old.segments)) == 1000
    assert flush.step(10_000)
    keyspace.bury(100)
    assert 9 <= bury_all(keyspace, members=100) <= 11
    assert sum(map(len, old.segments)) == 0
    assert len(image.file) == 1000


def test_burying_nothing_does_nothing() -> None:
    keyspace = keyspace_of({b"a": b"1"})
    keyspace.bury(1000)
    assert keys(keyspace) == [[b"a"]]


# Counting.


def test_statistics_count_keys_deadlines_and_dirty_keys_of_all_databases() -> None:
    keyspace = keyspace_of({b"a": b"1", b"b": b"2"}, {b"c": b"3"})
    keyspace.databases[1].set_deadline(b"c", 10)
    keyspace.databases[0].delete(b"b")
    statistics = keyspace.statistics()
    assert {name: statistics[name] for name in ("keys", "expires", "dirty_keys", "graveyard")} == {
        "keys": 2, "expires": 1, "dirty_keys": 3, "graveyard": 0,
    }  # fmt: skip
