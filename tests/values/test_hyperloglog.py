"""The form of HyperLogLogs, against plain registers; and the estimate."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redraft.values import cardinality, hyperloglog
from redraft.values.cardinality import REGISTERS
from redraft.values.hyperloglog import DENSE, DENSE_BYTES, SPARSE, SPARSE_MAX_BYTES, CorruptedError

places = st.lists(st.tuples(st.integers(0, 200) | st.integers(0, REGISTERS - 1), st.integers(1, 34)), max_size=60)
sparse_places = st.lists(st.tuples(st.integers(0, 80) | st.integers(0, REGISTERS - 1), st.integers(1, 3)), max_size=90)


@given(places | sparse_places, st.booleans())
def test_both_forms_hold_the_highest_rank_of_each_register(raised: list[tuple[int, int]], dense: bool) -> None:
    value = hyperloglog.empty()
    if dense:
        hyperloglog.make_dense(value)
    expected = bytearray(REGISTERS)
    for register, rank in raised:
        assert hyperloglog.raise_register(value, register, rank) == (rank > expected[register])
        expected[register] = max(rank, expected[register])
    assert hyperloglog.registers(value) == bytes(expected)
    if value[4] == SPARSE:
        assert len(value) <= SPARSE_MAX_BYTES
        assert sum(length for _, length, _ in hyperloglog.opcodes(value)) == REGISTERS
    else:
        assert dense or max(expected) > 32
    hyperloglog.make_dense(value)
    assert (value[4], len(value)) == (DENSE, DENSE_BYTES)
    assert hyperloglog.registers(value) == bytes(expected)
    assert [hyperloglog.dense_rank(value, register) for register in range(300)] == list(expected[:300])


@given(places | sparse_places, places | sparse_places, st.booleans())
def test_raising_all_registers_is_raising_one_after_the_other(
    first: list[tuple[int, int]], second: list[tuple[int, int]], dense: bool
) -> None:
    value = hyperloglog.empty()
    if dense:
        hyperloglog.make_dense(value)
    for register, rank in first:
        hyperloglog.raise_register(value, register, rank)
    at_once = bytearray(value)
    for register, rank in sorted(second):
        hyperloglog.raise_register(value, register, rank)
    one_by_one = bytearray(at_once)
    wanted = bytearray(hyperloglog.registers(value))
    for register, rank in enumerate(wanted):
        if rank:
            hyperloglog.raise_register(one_by_one, register, rank)
    hyperloglog.raise_all(at_once, bytes(wanted))
    assert at_once == one_by_one


def test_many_registers_are_raised_as_one_after_the_other_up_to_the_longest_sparse_value() -> None:
    rng = random.Random(5)
    for count in (500, 1200, 1600, 1900):
        ranks = bytearray(REGISTERS)
        for register in rng.sample(range(REGISTERS), count):
            ranks[register] = rng.choice((1, 1, 2, 3))
        at_once, one_by_one = hyperloglog.empty(), hyperloglog.empty()
        hyperloglog.raise_all(at_once, bytes(ranks))
        for register in range(REGISTERS):
            if ranks[register]:
                hyperloglog.raise_register(one_by_one, register, ranks[register])
        assert at_once == one_by_one


@given(st.binary(max_size=30), places)
def test_damaged_opcodes_are_known_by_the_registers_that_they_cover(
    opcodes: bytes, raised: list[tuple[int, int]]
) -> None:
    value = hyperloglog.empty()
    value[16:] = opcodes
    with pytest.raises(CorruptedError):
        hyperloglog.registers(value)
    for register, rank in raised:
        try:
            hyperloglog.raise_register(value, register, rank)
        except CorruptedError:
            continue


def test_runs_of_equal_ranks_share_an_opcode() -> None:
    value = hyperloglog.empty()
    for register in (5, 7, 6, 4, 8):
        hyperloglog.raise_register(value, register, 2)
    assert list(hyperloglog.opcodes(value)) == [(0, 4, False), (2, 4, False), (2, 1, False), (0, REGISTERS - 9, True)]


def test_the_last_register_is_reached_in_both_forms() -> None:
    for dense in (False, True):
        value = hyperloglog.empty()
        if dense:
            hyperloglog.make_dense(value)
        assert hyperloglog.raise_register(value, REGISTERS - 1, 20)
        assert hyperloglog.registers(value) == bytes(REGISTERS - 1) + b"\x14"


def test_the_higher_of_two_is_taken_register_by_register() -> None:
    rng = random.Random(1)
    first = bytes(rng.choices(range(64), k=REGISTERS))
    second = bytes(rng.choices(range(64), k=REGISTERS))
    assert cardinality.highest(first, second) == bytes(map(max, first, second))


@pytest.mark.parametrize("count", [0, 1, 10, 1000, 20_000, 100_000])
def test_the_estimate_is_near_the_count(count: int) -> None:
    ranks = bytearray(REGISTERS)
    for number in range(count):
        register, rank = cardinality.register_and_rank(b"element %d" % number)
        ranks[register] = max(rank, ranks[register])
    assert abs(cardinality.estimate(bytes(ranks)) - count) <= 0.03 * count


def test_registers_that_no_elements_leave_have_an_estimate_too() -> None:
    assert cardinality.estimate(b"\x33" * REGISTERS) == (1 << 63) - 1
    assert cardinality.estimate(b"\x3f" * REGISTERS) >= 0


@pytest.mark.parametrize(
    ("element", "register", "rank"),
    [(b"", 5938, 2), (b"a", 12711, 2), (b"abcdefgh", 1383, 1), (b"a longer element of 37 bytes in total", 9240, 2)],
)
def test_an_element_has_the_register_and_the_rank_that_redis_gives_it(element: bytes, register: int, rank: int) -> None:
    assert cardinality.register_and_rank(element) == (register, rank)
