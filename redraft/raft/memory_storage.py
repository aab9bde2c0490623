"""A log in memory, for tests and the simulator: the contract of `raft.log.LogStorage`, and nothing durable."""

from __future__ import annotations

from collections.abc import Sequence

from redraft.ids import Index, Term
from redraft.raft.errors import CompactedError, UnavailableError
from redraft.raft.messages import ConfState, Entry, HardState, SnapshotMeta


class MemoryStorage:
    """One group's log."""

    def __init__(self) -> None:
        self.hard_state = HardState()
        self.start = SnapshotMeta()
        self._entries: list[Entry] = []

    def initial_state(self) -> tuple[HardState, ConfState]:
        """What was persisted last."""
        return self.hard_state, self.start.conf

    def snapshot_meta(self) -> SnapshotMeta:
        """Where the log begins."""
        return self.start

    def first_index(self) -> Index:
        """The first entry that is still there."""
        return Index(self.start.index + 1)

    def last_index(self) -> Index:
        """The last entry, or the start's index."""
        return Index(self.start.index + len(self._entries))

    def held_from(self) -> Index:
        """The first entry: all are in memory."""
        return self.first_index()

    def term(self, index: Index) -> Term:
        """An entry's term. Raises CompactedError, UnavailableError."""
        if index == self.start.index:
            return self.start.term
        return self.entries(index, Index(index + 1), 0)[0].term

    def entries(self, low: Index, high: Index, max_bytes: int) -> list[Entry]:
        """Entries [low, high), at least one, about `max_bytes` at most."""
        if low <= self.start.index:
            raise CompactedError(f"entry {low} was let go")
        if high > self.last_index() + 1 or low >= high:
            raise UnavailableError(f"entries {low} to {high - 1} are not all there")
        found = self._entries[low - self.start.index - 1 : high - self.start.index - 1]
        size = 0
        for count, entry in enumerate(found):
            size += len(entry.data)
            if size > max_bytes and count:
                return found[:count]
        return found

    def write(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        """Persist what a Ready asks for."""
        if hard_state is not None:
            self.hard_state = hard_state
        if entries:
            assert self.start.index < entries[0].index <= self.last_index() + 1
            self._entries[entries[0].index - self.start.index - 1 :] = entries

    def compact(self, index: Index) -> None:
        """Let go of the entries up to and including `index`."""
        start = SnapshotMeta(index, self.term(index), self.start.conf)
        self._entries = self._entries[index - self.start.index :]
        self.start = start

    def restore(self, meta: SnapshotMeta) -> None:
        """Begin anew after an installed snapshot."""
        self.start = meta
        self._entries = []
