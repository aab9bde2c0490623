"""One numbered database: ordered live keys, their deadlines, and which of them changed since the last flush.

Theory. Values are held in dicts and keys in order beside them (`keyspace.key_order`): order is what makes a prefix
scan walk only its prefix. There are 64 dicts, the segments, because a dict that grows is copied at once: 50 to 100 ms
for one of 700,000 keys, in which no client would be served. Deadlines are kept apart from values, since most keys
have none. A key whose deadline is at or before the time of the running command (`now_ms`, the entry's time, never a
clock) does not exist for that command; a write removes it, a read passes it by (design section 5).

Copy on write. While a flush of log index N is under way, `flushing` holds the keys that it has not written yet. Whoever
is about to change a key calls one of the methods below *before* the change; they put the key's state as of N aside.
That is why a value may be changed in place only between `mutable()` (which freezes) and the end of the handler.

Invariants (`check`): `order` has exactly the keys of the segments; `deadlines` only has live keys; `due` mirrors
`deadlines`; every changed key is in `dirty` or, with its string, in `dirty_strings`.

What this leaves out: which database a client selected, key patterns, types' commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING

from sortedcontainers import SortedSet

from redraft.keyspace.graveyard import Graveyard
from redraft.keyspace.key_order import KeyOrder
from redraft.values.value import AnyValue

if TYPE_CHECKING:
    from redraft.keyspace.flush import DatabaseFlush


SEGMENTS = 64
SEGMENT_MASK = SEGMENTS - 1
HASH_SHIFT = 57
"""A segment is named by high bits of a key's hash, since a dict places its keys by the low ones."""


def segment_of(key: bytes) -> int:
    """The number of the segment that a key belongs to. The hot methods below have it written out."""
    return hash(key) >> HASH_SHIFT & SEGMENT_MASK


class Database:
    """The keys of one database.

    A database is known to the image by its `generation`, a number that is never used twice: FLUSHDB drops the whole
    object and makes one of a new generation, SWAPDB exchanges two, both without touching a key.
    """

    __slots__ = (
        "deadlines",
        "dirty",
        "dirty_strings",
        "due",
        "expired",
        "flushing",
        "generation",
        "graveyard",
        "on_change",
        "order",
        "segments",
        "size",
    )

    def __init__(self, generation: int, graveyard: Graveyard | None = None) -> None:
        self.generation = generation
        self.graveyard = Graveyard() if graveyard is None else graveyard
        """Where large values go that keys have lost."""
        self.segments: list[dict[bytes, AnyValue]] = [{} for _ in range(SEGMENTS)]
        """The value of each key, in the segment that `segment` names. Only the methods below change them."""
        self.size = 0
        """Keys."""
        self.order = KeyOrder()
        self.deadlines: dict[bytes, int] = {}
        self.due: SortedSet[tuple[int, bytes]] = SortedSet()
        self.dirty: set[bytes] = set()
        """Keys whose record of the next flush is made of what they have then."""
        self.dirty_strings: dict[bytes, bytes] = {}
        """Keys that were set to a string without a deadline, and the string: that is what the next flush writes,
        unless the key is in `dirty` as well."""
        self.expired = 0
        """Keys removed because their deadline had come."""
        self.flushing: DatabaseFlush | None = None
        self.on_change: Callable[[Database, bytes], None] | None = None
        """Called with each key just before it changes, while anybody watches keys (WATCH)."""

    def __len__(self) -> int:
        return self.size

    # Reading.

    def get(self, key: bytes, now_ms: int) -> AnyValue | None:
        """The key's value, or None when it does not exist at `now_ms`. Not to be changed in place."""
        if self.deadlines and key in self.deadlines and self.deadlines[key] <= now_ms:
            return None
        return self.segments[hash(key) >> HASH_SHIFT & SEGMENT_MASK].get(key)

    def peek(self, key: bytes) -> AnyValue | None:
        """The key's value whatever its deadline, or None. Not to be changed in place."""
        return self.segments[hash(key) >> HASH_SHIFT & SEGMENT_MASK].get(key)

    def exists(self, key: bytes, now_ms: int) -> bool:
        """Whether the key exists at `now_ms`."""
        if key not in self.segments[hash(key) >> HASH_SHIFT & SEGMENT_MASK]:
            return False
        deadline = self.deadlines.get(key)
        return deadline is None or deadline > now_ms

    def deadline(self, key: bytes) -> int | None:
        """The key's deadline in Unix ms, or None."""
        return self.deadlines.get(key)

    def keys_from(self, start: bytes, *, after: bool = False) -> Iterator[bytes]:
        """Keys in order from `start` on (`after`: without `start` itself), due ones included."""
        return self.order.keys_from(start, after=after)

    def random_key(self, random: Random) -> bytes | None:
        """A key drawn uniformly, due ones included; None when there is none."""
        return self.order.random(random) if self.size else None

    # Changing. Every method first puts aside what a running flush still needs.

    def put(self, key: bytes, value: AnyValue) -> None:
        """Set a key's value and leave its deadline as it is."""
        if self.flushing is not None or self.on_change is not None:
            self._before_change(key)
        self.dirty.add(key)
        segment = self.segments[hash(key) >> HASH_SHIFT & SEGMENT_MASK]
        old = segment.get(key)
        if old is None:
            self.order.add(key)
            self.size += 1
        elif type(old) is not bytes and old is not value:
            self.graveyard.retire(old)
        segment[key] = value

    def replace(self, key: bytes, value: AnyValue) -> None:
        """Set a key's value and drop its deadline (SET)."""
        if self.flushing is not None or self.on_change is not None:
            self._before_change(key)
        self.dirty.add(key)
        segment = self.segments[hash(key) >> HASH_SHIFT & SEGMENT_MASK]
        old = segment.get(key)
        if old is None:
            self.order.add(key)
            self.size += 1
        elif type(old) is not bytes and old is not value:
            self.graveyard.retire(old)
        segment[key] = value
        if self.deadlines and key in self.deadlines:
            self.due.remove((self.deadlines.pop(key), key))

    def replace_all(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """As `replace` for each key and its string, in order; half the time a key."""
        if self.flushing is not None:
            self.flushing.save_all(keys)
        if self.on_change is not None:
            for key in keys:
                self.on_change(self, key)
        self.dirty_strings.update(zip(keys, values, strict=True))
        segments = self.segments
        new = []
        for key, value in zip(keys, values, strict=True):
            segment = segments[hash(key) >> HASH_SHIFT & SEGMENT_MASK]
            old = segment.get(key)
            segment[key] = value
            if old is None:
                new.append(key)
            elif type(old) is not bytes:
                self.graveyard.retire(old)
        if new:
            self.size += len(new)
            self.order.add_all(new)
        if self.deadlines:
            for key in self.deadlines.keys() & set(keys):
                self.due.remove((self.deadlines.pop(key), key))

    def delete(self, key: bytes) -> bool:
        """Remove a key whatever its deadline; whether it was there."""
        value = self.take(key)
        if value is None:
            return False
        if type(value) is not bytes:
            self.graveyard.retire(value)
        return True

    def take(self, key: bytes) -> AnyValue | None:
        """Remove a key whatever its deadline; its value, which lives on elsewhere, or None when it was not there."""
        segment = self.segments[hash(key) >> HASH_SHIFT & SEGMENT_MASK]
        if key not in segment:
            return None
        if self.flushing is not None or self.on_change is not None:
            self._before_change(key)
        self.dirty.add(key)
        value = segment.pop(key)
        self.size -= 1
        self.order.discard(key)
        if self.deadlines and key in self.deadlines:
            self.due.remove((self.deadlines.pop(key), key))
        return value

    def set_deadline(self, key: bytes, deadline_ms: int | None) -> None:
        """Give a live key a deadline (Unix ms), or none."""
        if self.flushing is not None or self.on_change is not None:
            self._before_change(key)
        self.dirty.add(key)
        old = self.deadlines.pop(key, None)
        if old is not None:
            self.due.remove((old, key))
        if deadline_ms is not None:
            self.deadlines[key] = deadline_ms
            self.due.add((deadline_ms, key))

    def mutable(self, key: bytes, now_ms: int) -> AnyValue | None:
        """The key's value to be changed in place by this command, or None when it does not exist (a due key is
        removed first). A flush under way gets a frozen copy."""
        if self.deadlines and key in self.deadlines and self.deadlines[key] <= now_ms:
            self.drop_if_due(key, now_ms)
            return None
        value = self.peek(key)
        if value is None:
            return None
        if self.flushing is not None or self.on_change is not None:
            self._before_change(key)
        self.dirty.add(key)
        return value

    def drop_if_due(self, key: bytes, now_ms: int) -> bool:
        """Remove the key if its deadline has come; whether it did. Writes call it for the keys that they touch."""
        if self.deadlines and key in self.deadlines and self.deadlines[key] <= now_ms:
            self.expired += 1
            return self.delete(key)
        return False

    def is_due(self, now_ms: int) -> bool:
        """Whether there is a key whose deadline has come."""
        return bool(self.deadlines) and self.due[0][0] <= now_ms

    def count_due(self, now_ms: int) -> int:
        """How many keys there are whose deadline has come. O(log n)."""
        return self.due.bisect_left((now_ms + 1, b"")) if self.is_due(now_ms) else 0

    def falls_due(self, after_ms: int, by_ms: int) -> bool:
        """Whether there is a key whose deadline comes after one time and by another."""
        if not self.is_due(by_ms):
            return False
        place = self.due.bisect_left((after_ms + 1, b""))
        return place < len(self.due) and self.due[place][0] <= by_ms

    def reap(self, now_ms: int, limit: int) -> int:
        """Remove up to `limit` keys that are due, earliest deadline first; how many it removed."""
        due = self.due
        reaped = 0
        while reaped < limit and due and due[0][0] <= now_ms:
            self.delete(due[0][1])
            reaped += 1
        self.expired += reaped
        return reaped

    def load(self, items: Iterable[tuple[bytes, AnyValue, int | None]]) -> None:
        """Add keys to an empty database: each with its value and its deadline (Unix ms), in ascending order as they
        are read back from the image. They are not dirty."""
        assert not self.size
        segments = self.segments
        keys: list[bytes] = []
        for key, value, deadline_ms in items:
            segments[hash(key) >> HASH_SHIFT & SEGMENT_MASK][key] = value
            keys.append(key)
            if deadline_ms is not None:
                self.deadlines[key] = deadline_ms
        self.size = len(keys)
        self.order = KeyOrder(keys)
        self.due.update((deadline_ms, key) for key, deadline_ms in self.deadlines.items())

    def dirty_all(self) -> None:
        """Have the next flush write every key: there is an image to be made anew. O(n)."""
        self.dirty = {key for segment in self.segments for key in segment}
        self.dirty_strings = {}

    def abandon(self) -> None:
        """Free all that is here in slices: nobody needs this database any more."""
        self.graveyard.take_in(*self.segments, self.order, self.deadlines, self.due, self.dirty, self.dirty_strings)

    def _before_change(self, key: bytes) -> None:
        if self.flushing is not None:
            self.flushing.save(key)
        if self.on_change is not None:
            self.on_change(self, key)

    def check(self) -> None:
        """Assert the invariants; O(n log n)."""
        if not self.size:
            assert not any(self.segments)
            assert not self.deadlines
            assert not self.due
            assert not len(self.order)
            self.order.check()
            return
        live = {key for segment in self.segments for key in segment}
        assert all(segment_of(key) == number for number, part in enumerate(self.segments) for key in part)
        assert self.size == len(live)
        assert set(self.deadlines) <= live
        assert set(self.due) == {(deadline, key) for key, deadline in self.deadlines.items()}
        assert len(self.order) == len(live)
        assert list(self.order.keys_from(b"")) == sorted(live)
        self.order.check()
        for segment in self.segments:
            for value in segment.values():
                if not isinstance(value, (bytes, bytearray)):
                    value.check()
