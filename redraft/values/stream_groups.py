"""A consumer group of a stream: how far it has read, and which entries were delivered and not yet acknowledged.

Theory: Redis has a radix tree of pending entries for the group and one for each consumer, both in order of ids. Here
the group has them all (`values.pending`), and a consumer only the ids of its own ones. Who a pending entry belongs to
is the entry's own business, so the lists of the consumers follow and are not stored.

Invariants (`check`): a consumer's list has exactly the ids of the entries that name it; every consumer that an entry
names is known.
"""

from __future__ import annotations

from typing import NamedTuple

from sortedcontainers import SortedList

from redraft.values.pending import Chunk, Pending, PendingEntries

FEW_OF = 16
"""A consumer's pending entries are removed one by one when they are less than one in so many."""


class Group:
    """A consumer group. Its length is the number of its pending entries."""

    __slots__ = ("entries_read", "last_id", "owned", "pending", "seen_ms")

    def __init__(self, last_id: int, entries_read: int | None = None) -> None:
        self.last_id = last_id
        """The highest id that was delivered."""
        self.entries_read = entries_read
        """How many entries of the stream were read up to `last_id`; None when it is not known."""
        self.pending = PendingEntries()
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
        if len(owned) * FEW_OF > len(self.pending):
            self.pending.remove_all_of(consumer)
        else:
            for number in owned:
                self.pending.pop(number)
        return len(owned)

    # Pending entries.

    def assign(self, number: int, pending: Pending) -> None:
        """Make an entry pending, or give a pending one another state. The consumer must be known."""
        old = self.pending.get(number)
        self.pending.put(number, pending)
        if old is not None:
            if old.consumer == pending.consumer:
                return
            self.owned[old.consumer].remove(number)
        owned = self.owned.get(pending.consumer)
        if owned is None:
            owned = self.owned[pending.consumer] = SortedList()
        owned.add(number)

    def forget(self, number: int) -> bool:
        """Make an entry no longer pending; whether it was."""
        old = self.pending.pop(number)
        if old is None:
            return False
        self.owned[old.consumer].remove(number)
        return True

    # Copies.

    def copy(self) -> Group:
        """An independent group."""
        twin = Group(self.last_id, self.entries_read)
        twin.pending = self.pending.copy()
        twin.seen_ms = self.seen_ms.copy()
        twin.owned = {consumer: ids.copy() for consumer, ids in self.owned.items()}
        return twin

    def freeze(self) -> FrozenGroup:
        """A copy to store later. It shares the pending entries."""
        return FrozenGroup(self.last_id, self.entries_read, self.seen_ms.copy(), self.pending.share())

    def release(self, count: int) -> int:
        """Free about `count` pending entries of a group that nothing refers to any more; how many."""
        return self.pending.release(count)

    def check(self) -> None:
        """Assert the invariants."""
        self.pending.check()
        assert set(self.owned) <= set(self.seen_ms)
        held = {number: consumer for consumer, ids in self.owned.items() for number in ids}
        assert held == {number: self.pending[number].consumer for number in self.pending}
        assert sum(map(len, self.owned.values())) == len(self.pending)


class FrozenGroup(NamedTuple):
    """A group as of one instant. Its collections are its own."""

    last_id: int
    entries_read: int | None
    seen_ms: dict[bytes, int]
    pending: list[Chunk]
