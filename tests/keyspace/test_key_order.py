"""The order of keys, compared with a plain set that is sorted whenever somebody asks."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from redraft.keyspace import key_order
from redraft.keyspace.key_order import KeyOrder

STEPS = 600


@pytest.fixture(params=["few", "many"])
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs so short that a test closes, merges, deletes from, settles and overflows many of them."""
    run_keys, small, merged, runs = {"few": (4, 1, 8, 2), "many": (16, 3, 3, 50)}[request.param]
    monkeypatch.setattr(key_order, "RUN_KEYS", run_keys)
    monkeypatch.setattr(key_order, "SMALL_RUN_KEYS", small)
    monkeypatch.setattr(key_order, "RUNS_MERGED", merged)
    monkeypatch.setattr(key_order, "MAX_RUNS", runs)


def spread(order: KeyOrder) -> tuple[int, int, int, int]:
    """How many keys are settled, in runs, fresh, and gone."""
    return len(order._settled), sum(map(len, order.runs)), len(order._fresh), len(order._gone)


def with_keys_everywhere() -> tuple[KeyOrder, set[bytes]]:
    """An order with some keys settled, some in runs and some fresh, and a few deleted from each; and its keys."""
    order = KeyOrder(b"%03d" % number for number in range(0, 300, 3))
    keys = {b"%03d" % number for number in range(0, 300, 3)}
    for number in [*range(1, 300, 3), *range(2, 300, 3), 300, 301]:
        order.add(b"%03d" % number)
        keys.add(b"%03d" % number)
    for number in range(0, 300, 7):
        order.discard(b"%03d" % number)
        keys.discard(b"%03d" % number)
    assert all(spread(order)), "a key of every kind"
    order.check()
    return order, keys


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.usefixtures("limits")
def test_it_is_a_sorted_set_whatever_is_done_to_it(seed: int) -> None:
    rng = random.Random(seed)
    universe = [bytes(rng.choices(b"ab\x00\xff", k=rng.randrange(5))) for _ in range(300)]
    first = set(rng.sample(universe, 20))
    order = KeyOrder(first)
    keys = set(first)
    asked = rng.choice([0.02, 0.2])
    for _ in range(STEPS):
        if rng.random() < asked:
            start, after = rng.choice(universe), rng.random() < 0.5
            expected = sorted(key for key in keys if key > start or (key == start and not after))
            assert list(order.keys_from(start, after=after)) == expected
        elif rng.random() < asked:
            order.settle(rng.randrange(12))
        elif rng.random() < asked and keys:
            assert order.random(rng) in keys
        else:
            key = rng.choice(universe)
            if key in keys:
                keys.remove(key)
                order.discard(key)
            else:
                keys.add(key)
                order.add(key)
        assert len(order) == len(keys)
        order.check()
    assert list(order.keys_from(b"")) == sorted(keys)


@pytest.mark.usefixtures("limits")
def test_settling_leads_to_a_plain_sorted_list_and_then_has_nothing_to_do() -> None:
    order, keys = with_keys_everywhere()
    rounds = 0
    while order.runs:
        order.settle(5)
        order.check()
        assert list(order._settled) == sorted(set(order._settled))
        rounds += 1
        assert rounds < 300, "each round settles some"
    settled, in_runs, fresh, gone = spread(order)
    assert (settled + fresh, in_runs, gone) == (len(keys), 0, 0)
    order.settle(5)
    assert list(order.keys_from(b"")) == sorted(keys)


def test_settling_takes_about_as_many_keys_as_it_is_told() -> None:
    order = KeyOrder()
    for number in range(key_order.RUN_KEYS):
        order.add(b"%d" % number)
    order.settle(100)
    assert spread(order) == (100, key_order.RUN_KEYS - 100, 0, 0)


@pytest.mark.usefixtures("limits")
def test_there_are_never_many_more_runs_than_the_limit() -> None:
    order = KeyOrder()
    for number in range(1000):
        order.add(b"%d" % (number * 7919 % 1000))
        assert len(order.runs) <= key_order.MAX_RUNS + key_order.RUNS_MERGED
        order.check()
    assert len(order) == 1000


@pytest.mark.usefixtures("limits")
def test_a_key_that_comes_back_while_its_old_place_is_in_a_run_stands_there_once() -> None:
    order, keys = with_keys_everywhere()
    gone = sorted(order._gone)
    for key in gone:
        order.add(key)
        order.check()
    assert not order._gone
    assert list(order.keys_from(b"")) == sorted(keys | set(gone))


@pytest.mark.usefixtures("limits")
def test_keys_are_drawn_evenly_from_all_places_and_never_a_deleted_one() -> None:
    order, keys = with_keys_everywhere()
    rng = random.Random(1)
    draws = 40 * len(keys)
    counts = dict.fromkeys(keys, 0)
    for _ in range(draws):
        counts[order.random(rng)] += 1
    mean, squares = 40, sum((count - 40) ** 2 for count in counts.values())
    assert 0.7 < squares / mean / len(keys) < 1.3, "chi squared per degree of freedom is near 1"


@pytest.mark.usefixtures("limits")
def test_drawing_from_no_keys_is_an_index_error_even_where_deleted_ones_stand() -> None:
    order, keys = with_keys_everywhere()
    for key in sorted(keys):
        order.discard(key)
    assert len(order) == 0
    with pytest.raises(IndexError):
        order.random(random.Random(0))
    assert list(order.keys_from(b"")) == []
    with pytest.raises(IndexError):
        KeyOrder().random(random.Random(0))


def released(order: KeyOrder, keys: int) -> Iterator[int]:
    """What each call of `release` says, until nothing is left."""
    while len(order):
        yield order.release(keys)
        order.check()


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.usefixtures("limits")
def test_a_set_that_nobody_needs_is_let_go_in_slices_until_nothing_is_left(step: int) -> None:
    order, _ = with_keys_everywhere()
    settled, in_runs, fresh, _ = spread(order)
    told = list(released(order, step))
    assert sum(told) == settled + in_runs + fresh, "deleted keys that still stand in a run are let go of too"
    assert all(count > 0 for count in told)
    assert spread(order) == (0, 0, 0, 0)


def test_a_set_most_of_whose_keys_were_deleted_is_let_go_like_any_other() -> None:
    order = KeyOrder()
    for number in range(key_order.RUN_KEYS):
        order.add(b"%d" % number)
    for number in range(key_order.RUN_KEYS - 10):
        order.discard(b"%d" % number)
    assert sum(released(order, 100)) == key_order.RUN_KEYS
