"""The pending entries of a consumer group, in order of their ids: those that were delivered and not yet acknowledged.

Theory. They stand in chunks of neighbouring ids, as a stream's entries stand in nodes, and a chunk belongs to one map,
named by its `epoch`: a map that was frozen or copied has a new epoch, and copies a chunk that it still shares before it
changes it. So freezing a million of them copies some thousand pointers. (A dict of a million takes 24 ms to copy, and
100 where the memory for it is new to the process.)

Invariants (`check`): ids ascend within a chunk and from one to the next; no chunk is empty; a chunk's ids are at or
above its bound in `_bounds`, and below the next one's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, Self

from redraft.integers import INT64_MAX, INT64_MIN
from redraft.values.stream_node import MAX_ID

CHUNK_ENTRIES = 256


class Pending(NamedTuple):
    """An entry that was delivered and not yet acknowledged."""

    consumer: bytes
    delivered_ms: int
    """When it was delivered last."""
    deliveries: int

    def delivered_again(self) -> int:
        """How often it was delivered after one more time; the count wraps round as Redis's does."""
        return self.deliveries + 1 if self.deliveries < INT64_MAX else INT64_MIN


class Chunk:
    """Pending entries with neighbouring ids."""

    __slots__ = ("epoch", "ids", "states")

    def __init__(self, epoch: object, ids: list[int], states: list[Pending]) -> None:
        self.epoch = epoch
        self.ids = ids
        self.states = states

    def __len__(self) -> int:
        return len(self.ids)

    def items(self) -> Iterator[tuple[int, Pending]]:
        """Ids and states, in order."""
        return zip(self.ids, self.states, strict=True)


class PendingEntries:
    """A map from ids to their states, in order of the ids.

    >>> entries = PendingEntries()
    >>> entries.put(7, Pending(b"worker", 0, 1))
    >>> list(entries), entries.get(8), entries.pop(7).consumer
    ([7], None, b'worker')
    """

    __slots__ = ("_bounds", "_chunks", "_epoch", "_size")

    def __init__(self) -> None:
        self._epoch = object()
        self._chunks: list[Chunk] = []
        self._bounds: list[int] = []
        """The id that each chunk began with."""
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        return self.irange(0, MAX_ID)

    def __contains__(self, number: int) -> bool:
        return self._find(number)[1] >= 0

    def __getitem__(self, number: int) -> Pending:
        place, position = self._find(number)
        if position < 0:
            raise KeyError(number)
        return self._chunks[place].states[position]

    def get(self, number: int) -> Pending | None:
        """An entry's state, if it is pending."""
        place, position = self._find(number)
        return self._chunks[place].states[position] if position >= 0 else None

    def irange(self, minimum: int, maximum: int) -> Iterator[int]:
        """The ids from `minimum` to `maximum`, both included, as SortedList's. The map must not change meanwhile."""
        for place in range(max(bisect_right(self._bounds, minimum) - 1, 0), len(self._chunks)):
            ids = self._chunks[place].ids
            if ids[0] > maximum:
                return
            yield from ids[bisect_left(ids, minimum) : bisect_right(ids, maximum)]

    @property
    def ends(self) -> tuple[int, int]:
        """The first id and the last; there must be one."""
        return self._chunks[0].ids[0], self._chunks[-1].ids[-1]

    def put(self, number: int, state: Pending) -> None:
        """Give an id a state."""
        place, position = self._find(number)
        if position >= 0:
            self._own(place).states[position] = state
            return
        self._size += 1
        last = len(self._chunks) - 1
        if place < 0 and last >= 0:
            place = 0
            self._bounds[0] = number
        if place < 0 or (place == last and len(self._chunks[last]) >= CHUNK_ENTRIES and number > self.ends[1]):
            self._insert(place + 1, [number], [state])
            return
        chunk = self._own(place)
        position = bisect_left(chunk.ids, number)
        chunk.ids.insert(position, number)
        chunk.states.insert(position, state)
        if len(chunk) > CHUNK_ENTRIES:
            half = len(chunk) // 2
            self._insert(place + 1, chunk.ids[half:], chunk.states[half:])
            del chunk.ids[half:], chunk.states[half:]

    def pop(self, number: int) -> Pending | None:
        """Have an id pending no longer; its state, if it was."""
        place, position = self._find(number)
        if position < 0:
            return None
        self._size -= 1
        chunk = self._own(place)
        del chunk.ids[position]
        if len(chunk.states) == 1:
            del self._chunks[place], self._bounds[place]
        return chunk.states.pop(position)

    def remove_all_of(self, consumer: bytes) -> None:
        """Have no entry of a consumer pending; all chunks are looked at."""
        chunks = []
        for chunk in self._chunks:
            kept = [(number, state) for number, state in chunk.items() if state.consumer != consumer]
            if len(kept) == len(chunk):
                chunks.append(chunk)
            elif kept:
                chunks.append(Chunk(self._epoch, [number for number, _ in kept], [state for _, state in kept]))
        self._chunks = chunks
        self._bounds = [chunk.ids[0] for chunk in chunks]
        self._size = sum(map(len, chunks))

    def release(self, count: int) -> int:
        """Free some of the last entries, `count` or a few more, of a map that is not needed any more; how many."""
        released = 0
        while self._chunks and released < count:
            released += len(self._chunks.pop())
        self._size -= released
        return released

    def share(self) -> list[Chunk]:
        """The chunks as they are now; they stay as they are."""
        self._epoch = object()
        return self._chunks.copy()

    def copy(self) -> Self:
        """An independent map. Both copy the chunks that they change."""
        twin = type(self)()
        twin._chunks, twin._bounds, twin._size = self.share(), self._bounds.copy(), self._size
        return twin

    def _find(self, number: int) -> tuple[int, int]:
        """The chunk that may hold an id (-1: it is below all) and its position there (-1: it is not)."""
        place = bisect_right(self._bounds, number) - 1
        if place < 0:
            return -1, -1
        ids = self._chunks[place].ids
        position = bisect_left(ids, number)
        return place, position if position < len(ids) and ids[position] == number else -1

    def _own(self, place: int) -> Chunk:
        chunk = self._chunks[place]
        if chunk.epoch is not self._epoch:
            chunk = self._chunks[place] = Chunk(self._epoch, chunk.ids.copy(), chunk.states.copy())
        return chunk

    def _insert(self, place: int, ids: list[int], states: list[Pending]) -> None:
        self._chunks.insert(place, Chunk(self._epoch, ids, states))
        self._bounds.insert(place, ids[0])

    def check(self) -> None:
        """Assert the invariants."""
        ids = [number for chunk in self._chunks for number in chunk.ids]
        assert all(low < high for low, high in pairwise(ids))
        assert len(ids) == self._size == sum(len(chunk.states) for chunk in self._chunks)
        assert all(chunk.ids for chunk in self._chunks)
        assert all(bound <= chunk.ids[0] for bound, chunk in zip(self._bounds, self._chunks, strict=True))
        assert all(chunk.ids[-1] < bound for chunk, bound in zip(self._chunks, self._bounds[1:], strict=False))
