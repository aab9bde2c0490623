"""A database: keys in order, deadlines that hide and remove, and who is told before a change."""

from __future__ import annotations

import random

import pytest

from redraft.keyspace.database import Database

NOW_MS = 1_000


@pytest.fixture
def database() -> Database:
    return Database(generation=7)


def keys(database: Database) -> list[bytes]:
    return list(database.keys_from(b""))


def test_what_was_put_is_found_and_what_was_not_is_not(database: Database) -> None:
    database.put(b"a", b"1")
    assert database.get(b"a", NOW_MS) == b"1"
    assert database.exists(b"a", NOW_MS)
    assert database.get(b"b", NOW_MS) is None
    assert not database.exists(b"b", NOW_MS)
    assert len(database) == 1


def test_put_keeps_the_deadline_and_replace_drops_it(database: Database) -> None:
    for key in (b"put", b"replaced"):
        database.put(key, b"1")
        database.set_deadline(key, NOW_MS + 1)
    database.put(b"put", b"2")
    database.replace(b"replaced", b"2")
    assert database.deadline(b"put") == NOW_MS + 1
    assert database.deadline(b"replaced") is None
    assert database.get(b"put", NOW_MS) == database.get(b"replaced", NOW_MS) == b"2"
    database.check()


def test_delete_tells_whether_the_key_was_there(database: Database) -> None:
    database.put(b"a", b"1")
    assert database.delete(b"a")
    assert not database.delete(b"a")
    assert len(database) == 0


def test_a_key_does_not_exist_from_the_instant_of_its_deadline_on(database: Database) -> None:
    database.put(b"a", b"1")
    database.set_deadline(b"a", NOW_MS)
    assert database.get(b"a", NOW_MS - 1) == b"1"
    assert database.exists(b"a", NOW_MS - 1)
    for now_ms in (NOW_MS, NOW_MS + 1):
        assert database.get(b"a", now_ms) is None
        assert not database.exists(b"a", now_ms)


def test_reading_a_due_key_does_not_remove_it(database: Database) -> None:
    database.put(b"a", b"1")
    database.set_deadline(b"a", NOW_MS)
    assert database.get(b"a", NOW_MS) is None
    assert len(database) == 1
    assert database.get(b"a", NOW_MS - 1) == b"1"


def test_a_deadline_that_is_taken_back_does_nothing(database: Database) -> None:
    database.put(b"a", b"1")
    database.set_deadline(b"a", NOW_MS)
    database.set_deadline(b"a", None)
    assert database.deadline(b"a") is None
    assert database.get(b"a", NOW_MS) == b"1"
    assert database.reap(NOW_MS, 10) == 0
    database.check()


def test_a_new_deadline_takes_the_place_of_the_old(database: Database) -> None:
    database.put(b"a", b"1")
    database.set_deadline(b"a", NOW_MS)
    database.set_deadline(b"a", NOW_MS + 5)
    assert database.reap(NOW_MS, 10) == 0
    assert database.reap(NOW_MS + 5, 10) == 1
    database.check()


def test_a_key_that_comes_back_has_no_deadline_of_its_earlier_life(database: Database) -> None:
    database.put(b"a", b"1")
    database.set_deadline(b"a", NOW_MS)
    database.delete(b"a")
    database.put(b"a", b"2")
    assert database.get(b"a", NOW_MS) == b"2"
    assert database.reap(NOW_MS, 10) == 0
    database.check()


def test_reap_removes_due_keys_earliest_first_and_no_more_than_asked(database: Database) -> None:
    for deadline_ms in (30, 10, 40, 20):
        key = b"%d" % deadline_ms
        database.put(key, b"")
        database.set_deadline(key, deadline_ms)
    database.put(b"forever", b"")
    assert database.reap(35, 2) == 2
    assert keys(database) == [b"30", b"40", b"forever"]
    assert database.reap(35, 2) == 1
    assert database.reap(35, 2) == 0
    assert keys(database) == [b"40", b"forever"]
    database.check()


def test_drop_if_due_removes_only_what_is_due(database: Database) -> None:
    for key in (b"due", b"later", b"forever"):
        database.put(key, b"")
    database.set_deadline(b"due", NOW_MS)
    database.set_deadline(b"later", NOW_MS + 1)
    assert [database.drop_if_due(key, NOW_MS) for key in (b"due", b"later", b"forever", b"none")] == [True] + [
        False
    ] * 3
    assert keys(database) == [b"forever", b"later"]


def test_a_value_may_be_changed_in_place_through_mutable(database: Database) -> None:
    database.put(b"a", bytearray(b"1"))
    value = database.mutable(b"a", NOW_MS)
    assert isinstance(value, bytearray)
    value += b"2"
    assert database.get(b"a", NOW_MS) == b"12"


def test_mutable_removes_a_due_key(database: Database) -> None:
    database.put(b"a", bytearray(b"1"))
    database.set_deadline(b"a", NOW_MS)
    assert database.mutable(b"a", NOW_MS) is None
    assert len(database) == 0
    assert database.mutable(b"never there", NOW_MS) is None


def test_keys_come_in_the_order_of_their_bytes(database: Database) -> None:
    for key in (b"b", b"", b"\xff", b"a\x00", b"a", b"B"):
        database.put(key, b"")
    assert keys(database) == [b"", b"B", b"a", b"a\x00", b"b", b"\xff"]
    assert list(database.keys_from(b"a")) == [b"a", b"a\x00", b"b", b"\xff"]
    assert list(database.keys_from(b"a", after=True)) == [b"a\x00", b"b", b"\xff"]
    assert list(database.keys_from(b"aa")) == [b"b", b"\xff"]


def test_loaded_keys_are_there_with_their_deadlines_and_are_not_dirty(database: Database) -> None:
    database.load([(b"a", b"1", None), (b"b", bytearray(b"2"), NOW_MS)])
    assert keys(database) == [b"a", b"b"]
    assert database.deadline(b"b") == NOW_MS
    assert database.get(b"a", NOW_MS) == b"1"
    assert database.get(b"b", NOW_MS) is None
    assert not database.dirty
    database.check()


def test_every_change_makes_its_key_dirty(database: Database) -> None:
    letters = b"abcde"
    database.load([(bytes((letter,)), bytearray(b"1"), None) for letter in letters])
    database.put(b"a", b"2")
    database.replace(b"b", b"2")
    database.delete(b"c")
    database.set_deadline(b"d", NOW_MS)
    database.mutable(b"e", NOW_MS)
    assert sorted(database.dirty) == [b"a", b"b", b"c", b"d", b"e"]


def test_a_watcher_is_called_before_each_change_and_never_for_a_read(database: Database) -> None:
    seen: list[tuple[bytes, object]] = []
    database.put(b"a", bytearray(b"old"))
    database.on_change = lambda where, key: seen.append((key, where.get(key, 0)))
    database.get(b"a", 0)
    database.exists(b"a", 0)
    keys(database)
    database.delete(b"not there")
    assert seen == []
    database.mutable(b"a", 0)
    database.put(b"a", b"new")
    database.set_deadline(b"a", NOW_MS)
    database.replace(b"a", b"newer")
    database.delete(b"a")
    database.put(b"a", b"again")
    values = [b"old", b"old", b"new", b"new", b"newer", None]
    assert seen == [(b"a", value) for value in values]


@pytest.mark.parametrize("seed", range(8))
def test_a_database_behaves_as_two_dicts(seed: int) -> None:
    rng = random.Random(seed)
    database = Database(0)
    values: dict[bytes, bytes] = {}
    deadlines: dict[bytes, int] = {}
    for now_ms in range(300):
        key = b"%d" % rng.randrange(12)
        match rng.randrange(6):
            case 0:
                database.put(key, b"%d" % now_ms)
                values[key] = b"%d" % now_ms
            case 1:
                database.replace(key, b"%d" % now_ms)
                values[key] = b"%d" % now_ms
                deadlines.pop(key, None)
            case 2:
                assert database.delete(key) == (values.pop(key, None) is not None)
                deadlines.pop(key, None)
            case 3 if key in values:
                deadlines[key] = now_ms + rng.randrange(20)
                database.set_deadline(key, deadlines[key])
            case 4:
                due = sorted((deadline, key) for key, deadline in deadlines.items() if deadline <= now_ms)[:2]
                assert database.reap(now_ms, 2) == len(due)
                for _, dead in due:
                    del values[dead], deadlines[dead]
            case _:
                start = b"%d" % rng.randrange(12)
                assert list(database.keys_from(start)) == sorted(key for key in values if key >= start)
        for key in (b"%d" % number for number in range(12)):
            alive = key in values and deadlines.get(key, now_ms + 1) > now_ms
            assert database.exists(key, now_ms) == alive
            assert database.get(key, now_ms) == (values[key] if alive else None)
            assert database.deadline(key) == deadlines.get(key)
        assert len(database) == len(values)
        database.check()
