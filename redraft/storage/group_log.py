"""One group's Raft log as Raft reads it: what is persisted, with the newest entries kept in memory.

Raft sends what is new to each follower; that never has to come from disk. The store (`log_store`) says what it has
written, and reads what is older.

Terms are asked for far more often than entries, with each heartbeat for one; an entry may be half a gigabyte. So the
terms of what was written since the start are kept, as runs, and so are those that were read.

Invariants (`check`): the entries are contiguous from the start + 1 to the last index; those in memory are a suffix;
each run of a term begins behind the one before it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from redraft.ids import GroupId, Index, Term
from redraft.raft.errors import CompactedError, UnavailableError
from redraft.raft.messages import ConfState, Entry, HardState, SnapshotMeta

TAIL_BYTES = 8 << 20
"""The newest entries kept in memory for sending, a group."""

MOST_TERMS_READ = 1024
"""Terms that were read from disk, and are kept."""

Reader = Callable[[GroupId, Index, Index, int], list[Entry]]
"""Reads a group's entries from one index up to but not including another, of so many bytes, from disk."""


class GroupLog:
    """One group's log; implements `raft.log.LogStorage`."""

    def __init__(self, group: GroupId, read: Reader) -> None:
        self._read = read
        self.group = group
        self.hard_state = HardState()
        self.start = SnapshotMeta()
        self._last = Index(0)
        self._tail: list[Entry] = []
        self._tail_bytes = 0
        self._runs: list[tuple[Index, Term]] = []
        """The first entry of each term, and the term, of those that were written by this process."""
        self._terms_read: dict[Index, Term] = {}

    def initial_state(self) -> tuple[HardState, ConfState]:
        """What was persisted last."""
        return self.hard_state, self.start.conf

    def snapshot_meta(self) -> SnapshotMeta:
        """Where the log begins."""
        return self.start

    def first_index(self) -> Index:
        """The first entry that is still there (or would be)."""
        return Index(self.start.index + 1)

    def last_index(self) -> Index:
        """The last entry, or the start's index when there is none."""
        return self._last

    def held_from(self) -> Index:
        """The first entry that is in memory, or would be."""
        return self._tail[0].index if self._tail else Index(self._last + 1)

    def term(self, index: Index) -> Term:
        """The term of an entry, or of the start. Raises CompactedError, UnavailableError."""
        if index == self.start.index:
            return self.start.term
        runs = self._runs
        if runs and self._last >= index >= runs[0][0] and index > self.start.index:
            return runs[bisect_right(runs, index, key=_first) - 1][1]
        term = self._terms_read.get(index)
        if term is None or index <= self.start.index:
            term = self.entries(index, Index(index + 1), 1)[0].term
            if len(self._terms_read) >= MOST_TERMS_READ:
                self._terms_read.clear()
            self._terms_read[index] = term
        return term

    def entries(self, low: Index, high: Index, max_bytes: int) -> list[Entry]:
        """Entries [low, high), at least one, and no more than `max_bytes` of data beyond the first."""
        if low <= self.start.index:
            raise CompactedError(f"entry {low} was let go; the log begins at {self.start.index + 1}")
        if high > self._last + 1 or low >= high:
            raise UnavailableError(f"entries {low} to {high - 1} are not all there; the last is {self._last}")
        if self._tail and low >= self._tail[0].index:
            offset = low - self._tail[0].index
            found = self._tail[offset : offset + high - low]
        else:
            found = self._read(self.group, low, high, max_bytes)
        size = 0
        for count, entry in enumerate(found):
            size += len(entry.data)
            if size > max_bytes and count:
                return found[:count]
        return found

    def added(self, entries: Sequence[Entry]) -> None:
        """Entries were written: keep the newest in memory."""
        first = entries[0].index
        tail = self._tail
        while tail and tail[-1].index >= first:
            self._tail_bytes -= len(tail.pop().data)
        if tail and tail[-1].index + 1 != first:
            tail.clear()
            self._tail_bytes = 0
        tail += entries
        self._tail_bytes += sum(len(entry.data) for entry in entries)
        if first <= self._last:
            self._terms_read = {index: term for index, term in self._terms_read.items() if index < first}
            while self._runs and self._runs[-1][0] >= first:
                self._runs.pop()
        for entry in entries:
            if not self._runs or self._runs[-1][1] != entry.term:
                self._runs.append((entry.index, entry.term))
        self._last = entries[-1].index
        if self._tail_bytes > TAIL_BYTES and len(tail) > 1:
            drop = 0
            while self._tail_bytes > TAIL_BYTES // 2 and drop < len(tail) - 1:
                self._tail_bytes -= len(tail[drop].data)
                drop += 1
            del tail[:drop]

    def let_go(self, start: SnapshotMeta) -> None:
        """The log begins after `start` now."""
        self.start = start
        keep = [entry for entry in self._tail if entry.index > start.index]
        self._tail = keep
        self._tail_bytes = sum(len(entry.data) for entry in keep)
        self._last = Index(max(self._last, start.index))

    def restored(self, start: SnapshotMeta) -> None:
        """The log is empty and begins after `start` now."""
        self.start, self._last = start, start.index
        self._tail, self._tail_bytes = [], 0
        self._runs.clear()
        self._terms_read.clear()

    def recovered(self, hard_state: HardState, start: SnapshotMeta, last: Index) -> None:
        """What was found on disk."""
        self.hard_state, self.start, self._last = hard_state, start, last

    def check(self) -> None:
        """Assert the invariants."""
        indexes = [entry.index for entry in self._tail]
        assert indexes == list(range(indexes[0], indexes[0] + len(indexes))) if indexes else True
        assert not indexes or indexes[-1] == self._last
        assert self._last >= self.start.index
        assert all(before < after for before, after in zip(self._runs, self._runs[1:], strict=False))


def _first(run: tuple[Index, Term]) -> Index:
    return run[0]
