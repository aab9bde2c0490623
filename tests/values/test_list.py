"""A list in blocks is a plain list, whatever is done to it; and it reads back from its pieces."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redraft.errors import DamagedDataError
from redraft.values.list import FULL_BLOCK, SPLIT_BLOCK, List

elements = st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), min_size=1, max_size=6)
step = st.one_of(
    st.tuples(st.just("push"), elements, st.booleans()),
    st.tuples(st.just("many"), st.integers(1, 3 * FULL_BLOCK), st.booleans()),
    st.tuples(st.just("pop"), st.integers(0, 2 * FULL_BLOCK), st.booleans()),
    st.tuples(st.just("set"), st.floats(0, 1, exclude_max=True)),
    st.tuples(st.just("insert"), st.floats(0, 1), st.sampled_from([1, 1, FULL_BLOCK + 10])),
    st.tuples(st.just("remove"), st.sampled_from([b"a", b"x"]), st.sampled_from([1, 3, 10_000]), st.booleans()),
    st.tuples(st.just("keep"), st.floats(0, 0.5), st.floats(0.5, 1)),
)


def apply(held: List, model: list[bytes], what: tuple[object, ...]) -> list[bytes]:
    """Do the same to both; the new model."""
    match what:
        case ("push", list() as pushed, bool() as left):
            held.push(pushed, left=left)
            return [*reversed(pushed), *model] if left else [*model, *pushed]
        case ("many", int() as count, bool() as left):
            pushed = [b"%d" % number for number in range(count)]
            held.push(pushed, left=left)
            return [*reversed(pushed), *model] if left else [*model, *pushed]
        case ("pop", int() as count, bool() as left):
            popped = held.pop(count, left=left)
            if left:
                assert popped == model[:count]
                return model[count:]
            assert popped == model[::-1][:count]
            return model[: max(0, len(model) - count)]
        case ("set", float() as where) if model:
            position = int(where * len(model))
            held.set(position, b"set")
            model[position] = b"set"
        case ("insert", float() as where, int() as times):
            for _ in range(times):
                position = round(where * len(model))
                held.insert(position, b"in")
                model.insert(position, b"in")
        case ("remove", bytes() as element, int() as most, bool() as left):
            positions = [position for position, each in enumerate(model) if each == element]
            gone = set(positions[:most] if left else positions[-most:])
            assert held.remove(element, most, left=left) == len(gone)
            return [each for position, each in enumerate(model) if position not in gone]
        case ("keep", float() as low, float() as high):
            start, end = int(low * len(model)), int(high * len(model))
            held.keep(start, end)
            return model[start:end]
    return model


@given(steps=st.lists(step, max_size=15), seed=st.integers(0, 2**32))
@settings(max_examples=100, deadline=None, print_blob=True)
def test_a_list_is_a_list(steps: list[tuple[object, ...]], seed: int) -> None:
    held, model, drawn = List(), list[bytes](), random.Random(seed)
    for what in steps:
        model = apply(held, model, what)
        held.check()
        assert len(held) == len(model)
        for _ in range(3):
            start = drawn.randrange(len(model) + 1)
            end = drawn.randrange(start, len(model) + 1)
            assert held.slice(start, end) == model[start:end]
            if start < len(model):
                assert held.get(start) == model[start]
                found = held.position(model[start], start)
                assert found == start
            absent = model.index(b"c", start) if b"c" in model[start:] else -1
            assert held.position(b"c", start) == absent
    assert list(held) == model
    assert list(List.decode(b"".join(held.freeze().pieces()))) == model


def test_a_copy_and_a_frozen_list_do_not_change_with_the_list() -> None:
    held = List([b"%d" % number for number in range(3000)])
    twin, frozen = held.copy(), held.freeze()
    held.set(1500, b"new")
    held.pop(10, left=True)
    expected = [b"%d" % number for number in range(3000)]
    assert list(twin) == expected
    assert list(List.decode(b"".join(frozen.pieces()))) == expected


def test_a_block_that_grows_too_large_is_cut() -> None:
    held = List([b"a", b"b"])
    for _ in range(3 * SPLIT_BLOCK):
        held.insert(1, b"x")
    held.check()
    assert len(held.blocks) > 2


def test_release_frees_in_slices() -> None:
    held = List([b"x"] * 10_000)
    freed = 0
    while len(held):
        freed += held.release(300)
    assert freed == 10_000


def test_the_estimate_of_memory_is_near_the_truth() -> None:
    held = List([b"%100d" % number for number in range(20_000)])
    truth = 20_000 * (33 + 100 + 8)
    assert truth / 2 < held.memory_bytes() < truth * 2


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x02\0\0\0\0", b"\x01\1\0\0\0", b"\x01\1\0\0\0\xff\0\0\0\x91"])
def test_damage_is_refused(payload: bytes) -> None:
    with pytest.raises(DamagedDataError):
        List.decode(payload)
