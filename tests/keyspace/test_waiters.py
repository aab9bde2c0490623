"""Waiters: order of arrival, what is touched, and what an image keeps of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from redraft.keyspace.keyspace import Keyspace
from redraft.keyspace.waiters import Waiter, Waiters

keys = st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=4)


def waiter(token: int, *names: bytes, database: int = 0, local: bool = False) -> Waiter:
    return Waiter(token, database, list(names), [b"BLPOP", *names, b"0"], b"list", 0, local=local)


@given(steps=st.lists(st.one_of(keys, st.integers(0, 9)), max_size=20))
@settings(max_examples=100, deadline=None, print_blob=True)
def test_waiters_stand_in_order_of_arrival(steps: list[list[bytes] | int]) -> None:
    waiters = Waiters()
    model: list[Waiter] = []
    for token, step in enumerate(steps):
        if isinstance(step, list):
            waiters.add(waiter(token, *step))
            model.append(waiter(token, *step))
        else:
            gone = next((each for each in model if each.token == step), None)
            assert waiters.remove(step) == gone
            model = [each for each in model if each.token != step]
        waiters.check()
        assert len(waiters) == len(model)
        for key in (b"a", b"b", b"c"):
            assert waiters.at((0, key)) == [each for each in model if key in each.keys]


def test_only_keys_that_are_waited_for_are_touched() -> None:
    keyspace = Keyspace(4)
    keyspace.databases[0].put(b"b", b"1")
    keyspace.add_waiter(waiter(1, b"b", b"a"))
    keyspace.add_waiter(waiter(2, b"a", database=1))
    for key in (b"a", b"x", b"b", b"a"):
        keyspace.databases[0].put(key, b"2")
    assert keyspace.waiters.take_touched() == [(0, b"a"), (0, b"b")]
    assert keyspace.waiters.take_touched() == []
    keyspace.databases[1].put(b"b", b"2")
    assert keyspace.waiters.take_touched() == []
    keyspace.swap(0, 1)
    assert keyspace.waiters.take_touched() == [(0, b"b"), (0, b"a"), (1, b"a")]
    keyspace.flush_all()
    keyspace.databases[1].put(b"a", b"3")
    assert keyspace.waiters.take_touched()[-1] == (1, b"a"), "a database that was emptied still tells"
    keyspace.check()


def test_keys_of_a_whole_database_are_touched_in_the_order_of_those_who_wait_now() -> None:
    """Not of those who once did, nor of those whom other replicas do not know."""
    keyspace = Keyspace(2)
    for each in (
        waiter(1, b"s"), waiter(2, b"local", b"q", local=True), waiter(3, b"q", b"s"), waiter(4, b"s", b"r"),
    ):  # fmt: skip
        keyspace.add_waiter(each)
    keyspace.remove_waiter(1)
    loaded = Keyspace.load(keyspace.meta(), [])
    for each in (keyspace, loaded):
        each.swap(0, 1)
    assert keyspace.waiters.take_touched() == [(0, b"q"), (0, b"s"), (0, b"r"), (0, b"local")]
    assert loaded.waiters.take_touched() == [(0, b"q"), (0, b"s"), (0, b"r")]


def test_a_keyspace_without_waiters_tells_nobody() -> None:
    keyspace = Keyspace(2)
    assert keyspace.databases[0].on_change is None
    keyspace.add_waiter(waiter(1, b"a"))
    assert keyspace.databases[1].on_change is not None
    keyspace.remove_waiter(1)
    assert [database.on_change for database in keyspace.databases] == [None, None]


def test_watchers_and_waiters_are_both_told() -> None:
    keyspace = Keyspace(1)
    told: list[bytes] = []
    keyspace.watch_changes(lambda database, key: told.append(key))
    keyspace.add_waiter(waiter(1, b"a"))
    keyspace.databases[0].put(b"a", b"1")
    assert told == [b"a"]
    assert keyspace.waiters.take_touched() == [(0, b"a")]
    keyspace.watch_changes(None)
    keyspace.databases[0].put(b"a", b"2")
    assert told == [b"a"]
    assert keyspace.waiters.take_touched() == [(0, b"a")]


def test_an_image_keeps_the_waiters_that_belong_to_the_state() -> None:
    keyspace = Keyspace(2)
    first, second = waiter(7, b"a", b"b"), waiter(3, b"a", database=1)
    for each in (first, waiter(5, b"a", local=True), second):
        keyspace.add_waiter(each)
    loaded = Keyspace.load(keyspace.meta(), [])
    assert loaded.waiters.replicated() == [first, second]
    loaded.databases[1].put(b"a", b"1")
    assert loaded.waiters.take_touched() == [(1, b"a")]
    loaded.check()
