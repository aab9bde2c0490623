"""A consumer group of a stream: how far it has read, and which entries were delivered and not yet acknowledged.

Theory: Redis has a radix tree of pending entries for the group and one for each consumer, both in order of ids. Here
the group has a dict of them, which a flush copies at C speed, and the order of their ids beside it; a consumer has only
the ids of its own ones. Who a pending entry belongs to is the entry's own business, so the lists of the consumers
follow from the dict and are not stored.

Invariants (`check`): `order` has exactly the ids of `pending`; a consumer's list has exactly the ids of the entries
that name it; every consumer that an entry names is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sortedcontainers import SortedList

from redraft.integers import INT64_MAX, INT64_MIN


class Pending(NamedTuple):
    """An entry that was delivered and not yet acknowledged."""

    consumer: bytes
    delivered_ms: int
    """When it was delivered last."""
    deliveries: int

    def delivered_again(self) -> int:
        """How often it was delivered after one more time; the count wraps round as Redis's does."""
        return self.deliveries + 1 if self.deliveries < INT64_MAX else INT64_MIN


class Group:
    """A consumer group. Its length is the number of its pending entries."""

    __slots__ = ("entries_read", "last_id", "order", "owned", "pending", "seen_ms")

    def __init__(self, last_id: int, entries_read: int | None = None) -> None:
        self.last_id = last_id
        """The highest id that was delivered."""
        self.entries_read = entries_read
        """How many entries of the stream were read up to `last_id`; None when it is not known."""
        self.pending: dict[int, Pending] = {}
        self.order: SortedList[int] = SortedList()
        """The ids of `pending`."""
        self.seen_ms: dict[bytes, int] = {}
        """The consumers: when each was heard of last."""
        self.owned: dict[bytes, SortedList[int]] = {}
        """The ids of each consumer's pending entries. A consumer that never had one is not in it."""

    def __len__(self) -> int:
        return len(self.pending)

    # Consumers.

    def see(self, consumer: bytes, now_ms: int) -> bool:
        """Note that a consumer was heard of; whether it is new."""
        new = consumer not in self.seen_ms
        self.seen_ms[consumer] = now_ms
        return new

    def consumers(self) -> list[bytes]:
        """All consumers, in order of their names."""
        return sorted(self.seen_ms)

    def owned_by(self, consumer: bytes) -> SortedList[int]:
        """The ids of the consumer's pending entries; not to be changed."""
        found = self.owned.get(consumer)
        return SortedList() if found is None else found

    def remove_consumer(self, consumer: bytes) -> int:
        """Forget a consumer and its pending entries; how many these were."""
        self.seen_ms.pop(consumer, None)
        owned = self.owned.pop(consumer, None)
        if not owned:
            return 0
        for number in owned:
            del self.pending[number]
        if len(owned) > len(self.pending):
            self.order = SortedList(self.pending)
        else:
            for number in owned:
                self.order.remove(number)
        return len(owned)

    # Pending entries.

    def assign(self, number: int, pending: Pending) -> None:
        """Make an entry pending, or give a pending one another state. The consumer must be known."""
        old = self.pending.get(number)
        self.pending[number] = pending
        if old is None:
            self.order.add(number)
        elif old.consumer == pending.consumer:
            return
        else:
            self.owned[old.consumer].remove(number)
        owned = self.owned.get(pending.consumer)
        if owned is None:
            owned = self.owned[pending.consumer] = SortedList()
        owned.add(number)

    def forget(self, number: int) -> bool:
        """Make an entry no longer pending; whether it was."""
        old = self.pending.pop(number, None)
        if old is None:
            return False
        self.order.remove(number)
        self.owned[old.consumer].remove(number)
        return True

    # Copies.

    def copy(self) -> Group:
        """An independent group."""
        twin = Group(self.last_id, self.entries_read)
        twin.pending = self.pending.copy()
        twin.order = self.order.copy()
        twin.seen_ms = self.seen_ms.copy()
        twin.owned = {consumer: ids.copy() for consumer, ids in self.owned.items()}
        return twin

    def freeze(self) -> FrozenGroup:
        """A copy to store later: some 30 ms for a million pending entries."""
        return FrozenGroup(self.last_id, self.entries_read, self.seen_ms.copy(), list(self.order), self.pending.copy())

    def release(self, count: int) -> int:
        """Free up to `count` pending entries of a group that nothing refers to any more; how many."""
        count = min(count, len(self.pending))
        for _ in range(count):
            self.pending.popitem()
        return count

    def check(self) -> None:
        """Assert the invariants."""
        assert list(self.order) == sorted(self.pending)
        assert set(self.owned) <= set(self.seen_ms)
        held = {number: consumer for consumer, ids in self.owned.items() for number in ids}
        assert held == {number: pending.consumer for number, pending in self.pending.items()}
        assert sum(map(len, self.owned.values())) == len(self.pending)


class FrozenGroup(NamedTuple):
    """A group as of one instant. Its collections are its own."""

    last_id: int
    entries_read: int | None
    seen_ms: dict[bytes, int]
    order: list[int]
    pending: dict[int, Pending]

    def take(self, start: int, count: int) -> Iterator[tuple[int, Pending]]:
        """The pending entries at some positions of the order, which are let go of."""
        for number in self.order[start : start + count]:
            yield number, self.pending.pop(number)
