"""Distinct byte strings in a row, found by name and by position: what sets and hashes are made of.

Theory. Redis draws a random member from its hash table and scans it by bucket; a Python dict offers neither. So the
members stand in a list, and dicts tell the position of each. To remove one, the last moves into its place. That makes
every operation O(1), the order a function of the commands alone (the same on every replica, and kept on disk), and
gives a scan that needs no memory: it walks *down* the positions, and its cursor is the count of members still to be
seen. A removal moves a member only to a lower position, never past the cursor from the part that is still to be seen
into the part that was; so whoever is there from the scan's start to its end is seen.

The dicts come in three sizes. Up to `LINEAR_MEMBERS` there is none: to look through a short list is as fast, and most
collections are short. Then there is one. Beyond `ONE_SEGMENT_MEMBERS` there are 64, because a dict that grows is copied
at once: 60 to 190 ms for one of a million keys, in which no client would be served. Which form it is shows in nothing
but time and memory.

Invariants (`check`): members are distinct; the index, where there is one, has exactly the position of each member.

What this leaves out: what belongs to a member (the hash's values), encodings, the form on disk.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

LINEAR_MEMBERS = 16
"""Up to here there is no index."""
ONE_SEGMENT_MEMBERS = 16_384
"""Up to here the index is one dict. (To split one of this size takes about 3 ms.)"""
SEGMENTS = 64
SEGMENT_SHIFT = 57
"""A segment is named by high bits of a member's hash, since a dict places its keys by the low ones."""
SAMPLE_MEMBERS = 16
"""Members that an estimate of memory looks at."""


class Members:
    """Distinct byte strings, in an order that only `append` and `discard` change."""

    __slots__ = ("_mask", "_segments", "compact", "members")

    def __init__(self, members: list[bytes] | None = None) -> None:
        """`members` are distinct, and the list is this object's from now on."""
        self.members: list[bytes] = [] if members is None else members
        """In order; for reading only."""
        self.compact = True
        """Whether Redis would hold it in the smaller of its encodings, which it leaves for good once it has grown."""
        self._segments: list[dict[bytes, int]] = []
        self._mask = 0
        self._reindex()

    def __len__(self) -> int:
        return len(self.members)

    # Looking.

    def position(self, member: bytes) -> int:
        """Where the member stands, or -1."""
        if self._segments:
            return self._segments[hash(member) >> SEGMENT_SHIFT & self._mask].get(member, -1)
        return self.members.index(member) if member in self.members else -1

    def __contains__(self, member: bytes) -> bool:
        if self._segments:
            return member in self._segments[hash(member) >> SEGMENT_SHIFT & self._mask]
        return member in self.members

    def common(self, others: list[bytes]) -> list[bytes]:
        """Those of `others` that are members, in their order."""
        segments, mask = self._segments, self._mask
        if mask:
            return [other for other in others if other in segments[hash(other) >> SEGMENT_SHIFT & mask]]
        held = segments[0] if segments else self.members
        return [other for other in others if other in held]

    def lacking(self, others: list[bytes]) -> list[bytes]:
        """Those of `others` that are no members, in their order."""
        segments, mask = self._segments, self._mask
        if mask:
            return [other for other in others if other not in segments[hash(other) >> SEGMENT_SHIFT & mask]]
        held = segments[0] if segments else self.members
        return [other for other in others if other not in held]

    # Changing.

    def append(self, member: bytes) -> None:
        """Add a member that is not there yet, at the end."""
        members = self.members
        position = len(members)
        members.append(member)
        if self._segments:
            self._segments[hash(member) >> SEGMENT_SHIFT & self._mask][member] = position
            if position >= ONE_SEGMENT_MEMBERS and not self._mask:
                self._reindex()
        elif position >= LINEAR_MEMBERS:
            self._reindex()

    def discard(self, member: bytes) -> int:
        """Remove a member; the position at which the last one stands now (its own, if it was the last), or -1."""
        position = self.position(member)
        if position < 0:
            return -1
        members = self.members
        last = members.pop()
        if self._segments:
            del self._segments[hash(member) >> SEGMENT_SHIFT & self._mask][member]
        if position < len(members):
            members[position] = last
            if self._segments:
                self._segments[hash(last) >> SEGMENT_SHIFT & self._mask][last] = position
        return position

    def release(self, count: int) -> int:
        """Free up to `count` (at least 1) members of a value that is not needed any more; how many it were."""
        tail = self.members[-count:]
        del self.members[-count:]
        if self._segments:
            for member in tail:
                del self._segments[hash(member) >> SEGMENT_SHIFT & self._mask][member]
        return len(tail)

    # Scanning.

    def scan(self, cursor: int, count: int) -> range:
        """The positions that a scan sees next: `count` at most, those that end below `cursor` (0: from the start).
        The first of them is the next cursor."""
        end = len(self.members) if cursor == 0 else min(cursor, len(self.members))
        return range(max(end - count, 0), end)

    # The whole.

    def are_distinct(self) -> bool:
        """Whether the members given to the constructor are what it demands; to be asked before any change."""
        indexed = sum(map(len, self._segments)) if self._segments else len(set(self.members))
        return indexed == len(self.members)

    def memory_of_members(self) -> int:
        """Estimated bytes of the members with their index."""
        sizes = sys.getsizeof(self) + sys.getsizeof(self.members) + sum(map(sys.getsizeof, self._segments))
        positions = sys.getsizeof(1 << 20) * len(self.members) if self._segments else 0
        return sizes + positions + sampled_bytes(self.members)

    def _copy_into(self, twin: Members) -> None:
        twin.members = self.members.copy()
        twin._segments = [segment.copy() for segment in self._segments]
        twin._mask = self._mask

    def _reindex(self) -> None:
        members = self.members
        if len(members) <= LINEAR_MEMBERS:
            return
        if len(members) <= ONE_SEGMENT_MEMBERS:
            self._segments = [dict(zip(members, range(len(members)), strict=True))]
            return
        segments: list[dict[bytes, int]] = [{} for _ in range(SEGMENTS)]
        mask = SEGMENTS - 1
        for position, member in enumerate(members):
            segments[hash(member) >> SEGMENT_SHIFT & mask][member] = position
        self._segments, self._mask = segments, mask

    def check(self) -> None:
        """Assert the invariants."""
        assert len(set(self.members)) == len(self.members)
        if not self._segments:
            assert len(self.members) <= LINEAR_MEMBERS
            return
        assert len(self._segments) == self._mask + 1
        assert sum(map(len, self._segments)) == len(self.members)
        for position, member in enumerate(self.members):
            assert self.position(member) == position


def sampled_bytes(items: list[bytes]) -> int:
    """Estimated bytes of the objects in a list."""
    step = max(1, len(items) // SAMPLE_MEMBERS)
    sample = items[::step]
    return sum(map(sys.getsizeof, sample)) * len(items) // max(1, len(sample))


def longest(items: Iterable[bytes]) -> int:
    """The length of the longest, 0 if there is none."""
    return max(map(len, items), default=0)
