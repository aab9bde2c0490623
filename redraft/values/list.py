"""Lists: elements in blocks.

Theory: Redis links small packed nodes. Here a list is a row of blocks of about a thousand elements each: both ends are
changed within one block, and an element in the middle is found by bisecting the positions at which the blocks begin.
These are worked out when they are needed, some 30 µs for a million elements, and kept until a change moves them; as
they count from the end of the first block, changes within the first and the last block do not.

Invariants (`check`): no block is empty; `size` is the sum of their lengths; `_starts`, when it is there, is right.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, chain
from typing import ClassVar, Self

from redraft.values import codec, slices
from redraft.values.members import sampled_bytes

FULL_BLOCK = 1024
"""A push into a block of so many elements begins a new one."""
SPLIT_BLOCK = 2 * FULL_BLOCK
"""A block that insertions made larger than this is cut in two."""


@codec.register
class List:
    """Elements in order; positions count from 0.

    >>> queue = List([b"a", b"b"])
    >>> queue.push([b"x", b"y"], left=True)
    >>> queue.slice(0, 4)
    [b'y', b'x', b'a', b'b']
    """

    __slots__ = ("_starts", "blocks", "size")

    type_name: ClassVar[bytes] = b"list"
    tag: ClassVar[int] = codec.TAG_LIST

    def __init__(self, elements: list[bytes] | None = None) -> None:
        elements = elements or []
        self.size = len(elements)
        self.blocks = [elements[start : start + FULL_BLOCK] for start in range(0, self.size, FULL_BLOCK)]
        self._starts: list[int] | None = None
        """Where the blocks behind the first one begin, counted from its end."""

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(self.blocks)

    # Both ends.

    def push(self, elements: list[bytes], *, left: bool) -> None:
        """Put elements, one after the other, at an end: the last one stands outermost."""
        self.size += len(elements)
        blocks = self.blocks
        if left:
            if len(elements) == 1 and blocks and len(blocks[0]) < FULL_BLOCK:
                blocks[0].insert(0, elements[0])
                return
            elements = elements[::-1]
            if blocks and (room := FULL_BLOCK - len(blocks[0])) > 0:
                blocks[0][:0] = elements[-room:]
                del elements[-room:]
            if elements:
                blocks[:0] = _cut(elements)
                self._starts = None
            return
        if blocks and (room := FULL_BLOCK - len(blocks[-1])) > 0:
            blocks[-1] += elements[:room]
            elements = elements[room:]
        if elements:
            blocks += _cut(elements)
            self._starts = None

    def pop(self, count: int, *, left: bool) -> list[bytes]:
        """Take up to `count` elements from an end, the outermost first."""
        count = min(count, self.size)
        popped: list[bytes] = []
        blocks = self.blocks
        while len(popped) < count:
            block = blocks[0 if left else -1]
            wanted = count - len(popped)
            if wanted >= len(block):
                del blocks[0 if left else -1]
                self._starts = None
                popped += block if left else block[::-1]
            elif left:
                popped += block[:wanted]
                del block[:wanted]
            else:
                popped += block[: -wanted - 1 : -1]
                del block[-wanted:]
        self.size -= count
        return popped

    # By position.

    def get(self, position: int) -> bytes:
        """The element at a position from 0 to the size less 1."""
        number, offset = self._find(position)
        return self.blocks[number][offset]

    def set(self, position: int, element: bytes) -> None:
        """Replace the element at a position."""
        number, offset = self._find(position)
        self.blocks[number][offset] = element

    def insert(self, position: int, element: bytes) -> None:
        """Put an element before the one at a position; at the end when the position is the size."""
        if position == self.size:
            self.push([element], left=False)
            return
        number, offset = self._find(position)
        block = self.blocks[number]
        block.insert(offset, element)
        if len(block) > SPLIT_BLOCK:
            self.blocks[number : number + 1] = [block[:FULL_BLOCK], block[FULL_BLOCK:]]
        self.size += 1
        self._starts = None

    def slice(self, start: int, end: int) -> list[bytes]:
        """The elements at positions from `start` up to but not including `end`."""
        if start >= end:
            return []
        if end <= len(self.blocks[0]):
            return self.blocks[0][start:end]
        first, offset = self._find(start)
        last, end_offset = self._find(end - 1)
        blocks = self.blocks
        if first == last:
            return blocks[first][offset : end_offset + 1]
        found = blocks[first][offset:]
        for block in blocks[first + 1 : last]:
            found += block
        return found + blocks[last][: end_offset + 1]

    def keep(self, start: int, end: int) -> None:
        """Remove everything outside of the positions from `start` up to but not including `end`."""
        self.pop(self.size - end, left=False)
        self.pop(start, left=True)

    def position(self, element: bytes, start: int = 0) -> int:
        """The first position of an equal element, from `start` on; -1 when there is none."""
        if start >= self.size:
            return -1
        number, offset = self._find(start)
        passed = start - offset
        for block in self.blocks[number:]:
            if element in block:
                try:
                    return passed + block.index(element, offset)
                except ValueError:
                    pass  # only before `start`
            passed += len(block)
            offset = 0
        return -1

    def remove(self, element: bytes, most: int, *, left: bool) -> int:
        """Remove up to `most` equal elements, beginning at an end; how many."""
        removed = 0
        numbers = range(len(self.blocks))
        for number in numbers if left else reversed(numbers):
            if removed == most:
                break
            block = self.blocks[number]
            found = block.count(element)
            if not found:
                continue
            if removed + found <= most:
                self.blocks[number] = [each for each in block if each != element]
            else:
                found = most - removed
                self.blocks[number] = _without(block, element, found, left=left)
            removed += found
        if removed:
            self.blocks = [block for block in self.blocks if block]
            self.size -= removed
            self._starts = None
        return removed

    def _find(self, position: int) -> tuple[int, int]:
        """The block that holds a position, and where in it."""
        blocks = self.blocks
        if position < len(blocks[0]):
            return 0, position
        offset = position - self.size + len(blocks[-1])
        if offset >= 0:
            return len(blocks) - 1, offset
        starts = self._starts
        if starts is None:
            starts = self._starts = [0, *accumulate(map(len, blocks[1:]))]
        position -= len(blocks[0])
        number = bisect_right(starts, position)
        return number, position - starts[number - 1]

    # What a value must be able to do.

    def release(self, count: int) -> int:
        """Free up to `count` elements of a list that nothing refers to any more; how many."""
        return len(self.pop(count, left=False))

    def freeze(self) -> slices.FrozenRows:
        """A copy to encode later: about 5 ms for a million elements."""
        return slices.FrozenRows(list(self))

    def copy(self) -> Self:
        """An independent list."""
        return type(self)(list(self))

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """The list whose pieces joined to `payload`. Raises DamagedDataError."""
        (elements,) = slices.decode(payload, 1)
        return cls(elements)

    def encoding(self) -> bytes:
        """`quicklist`, the only encoding of lists in Redis 7.0."""
        return b"quicklist"

    def memory_bytes(self) -> int:
        """Estimated from the first block and the last."""
        ends = self.blocks[:1] + self.blocks[1:][-1:]
        sampled = sum([sys.getsizeof(block) + sampled_bytes(block) for block in ends])
        return sys.getsizeof(self.blocks) + sampled * self.size // max(1, sum(map(len, ends)))

    def check(self) -> None:
        """Assert the invariants."""
        assert all(self.blocks)
        assert self.size == sum(map(len, self.blocks))
        assert all(len(block) <= SPLIT_BLOCK for block in self.blocks)
        if self._starts is not None:
            assert self._starts[: len(self.blocks) - 1] == [0, *accumulate(map(len, self.blocks[1:]))][:-1]


def _cut(elements: list[bytes]) -> list[list[bytes]]:
    return [elements[start : start + FULL_BLOCK] for start in range(0, len(elements), FULL_BLOCK)]


def _without(block: list[bytes], element: bytes, count: int, *, left: bool) -> list[bytes]:
    """A block less its first `count` equal elements, or its last."""
    kept = []
    for each in block if left else reversed(block):
        if count and each == element:
            count -= 1
        else:
            kept.append(each)
    return kept if left else kept[::-1]
