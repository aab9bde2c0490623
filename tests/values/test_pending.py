"""The map of pending entries against a dict, with copies and frozen states that later changes must not reach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redraft.values import pending
from redraft.values.pending import Chunk, Pending, PendingEntries

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 40)),
        st.tuples(st.just("append"), st.integers(1, 12)),
        st.tuples(st.just("pop"), st.integers(0, 60)),
        st.tuples(st.just("leave"), st.integers(0, 2)),
        st.tuples(st.sampled_from(["share", "copy", "turn to the copy"]), st.just(0)),
    ),
    max_size=60,
)


def state(count: int) -> Pending:
    return Pending(b"%d" % (count % 3), count, 1)


def rows(chunks: list[Chunk]) -> list[tuple[int, Pending]]:
    return [row for chunk in chunks for row in chunk.items()]


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pending, "CHUNK_ENTRIES", 4)
        yield


@given(STEPS)
def test_it_is_a_map_in_order_of_ids(steps: list[tuple[str, int]]) -> None:
    entries, model = PendingEntries(), dict[int, Pending]()
    kept: list[tuple[list[Chunk], list[tuple[int, Pending]]]] = []
    copies: list[tuple[PendingEntries, dict[int, Pending]]] = []
    for count, (step, number) in enumerate(steps):
        match step:
            case "put":
                entries.put(number, state(count))
                model[number] = state(count)
            case "append":
                for above in range(max(model, default=0) + 1, max(model, default=0) + 1 + number):
                    entries.put(above, state(count))
                    model[above] = state(count)
            case "pop":
                assert entries.pop(number) == model.pop(number, None)
            case "leave":
                entries.remove_all_of(b"%d" % number)
                model = {each: held for each, held in model.items() if held.consumer != b"%d" % number}
            case "share":
                kept.append((entries.share(), sorted(model.items())))
            case "copy":
                copies.append((entries.copy(), model.copy()))
            case _ if copies:
                copies.append((entries, model))
                entries, model = copies.pop(0)
        entries.check()
        assert list(entries) == sorted(model)
        assert all(entries[each] == entries.get(each) == model[each] for each in model)
        assert len(entries) == len(model)
    for chunks, expected in kept:
        assert rows(chunks) == expected
    for twin, expected_map in copies:
        twin.check()
        assert rows(twin.share()) == sorted(expected_map.items())


@given(st.sets(st.integers(0, 50)), st.integers(0, 50), st.integers(0, 50))
def test_ranges_and_ends(ids: set[int], low: int, high: int) -> None:
    entries = PendingEntries()
    for number in ids:
        entries.put(number, state(number))
    assert list(entries.irange(low, high)) == [number for number in sorted(ids) if low <= number <= high]
    assert [number in entries for number in range(51)] == [number in ids for number in range(51)]
    if ids:
        assert entries.ends == (min(ids), max(ids))
    with pytest.raises(KeyError):
        entries[51]


def test_it_is_released_a_slice_at_a_time() -> None:
    entries = PendingEntries()
    for number in range(100):
        entries.put(number, state(0))
    released = 0
    while len(entries):
        slice_size = entries.release(10)
        assert 10 <= slice_size < 14 or not len(entries)
        released += slice_size
    assert released == 100
    assert entries.release(10) == 0
