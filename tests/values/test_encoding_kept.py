"""A collection that has grown keeps its larger encoding when it shrinks, and through an image too."""

from __future__ import annotations

import pytest

from redraft.values import codec
from redraft.values.hash import Hash
from redraft.values.set import Set
from redraft.values.sorted_set import SortedSet
from redraft.values.value import Value


def grown_hash() -> Hash:
    value = Hash()
    for number in range(600):
        value.set(b"%d" % number, b"x")
    for number in range(1, 600):
        value.remove(b"%d" % number)
    return value


def grown_set() -> Set:
    value = Set([b"1", b"2"])
    value.add(b"word")
    value.remove(b"word")
    return value


def grown_sorted_set() -> SortedSet:
    value = SortedSet()
    value.put(b"x" * 65, 1.0)
    value.put(b"y", 2.0)
    value.remove(b"x" * 65)
    return value


@pytest.mark.parametrize("deadline_ms", [None, 5])
@pytest.mark.parametrize(
    ("grown", "small"),
    [
        (grown_hash(), Hash([b"0"], [b"x"])),
        (grown_set(), Set([b"1", b"2"])),
        (grown_sorted_set(), SortedSet([(2.0, b"y")])),
    ],
    ids=["hash", "set", "sorted set"],
)
def test_the_encoding_comes_back_from_an_image(grown: Value, small: Value, deadline_ms: int | None) -> None:
    records = [codec.encode(value, deadline_ms) for value in (grown, small)]
    assert records[0] != records[1]
    for value, record in zip((grown, small), records, strict=True):
        read, deadline = codec.decode(record)
        assert not isinstance(read, (bytes, bytearray))
        assert (read.encoding(), deadline) == (value.encoding(), deadline_ms)
        assert codec.encode(read, deadline) == record
    assert grown.encoding() != small.encoding()
