"""The log as a group member sees it: what is on disk, and the entries that are not yet.

Invariants: `applying` ≤ `committed` ≤ `last_index`; `stable` ≤ `last_index`; entries after `stable` are in memory.
"""

from __future__ import annotations

from typing import Protocol

from redraft.ids import Index, Term
from redraft.raft.messages import ConfState, Entry, HardState, SnapshotMeta


class LogStorage(Protocol):
    """A group's durable log; the storage floor implements it."""

    def initial_state(self) -> tuple[HardState, ConfState]:
        """What was persisted last."""

    def snapshot_meta(self) -> SnapshotMeta:
        """Where the log begins."""

    def first_index(self) -> Index:
        """The first entry that is still there (or would be)."""

    def last_index(self) -> Index:
        """The last entry, or the start's index."""

    def term(self, index: Index) -> Term:
        """An entry's term. Raises CompactedError, UnavailableError."""

    def entries(self, low: Index, high: Index, max_bytes: int) -> list[Entry]:
        """Entries [low, high), at least one, about `max_bytes` at most."""


class Log:
    """One member's view."""

    def __init__(self, storage: LogStorage, committed: Index, applied: Index) -> None:
        self._storage = storage
        self.stable = storage.last_index()
        """Everything up to here is durable."""
        self.committed = Index(max(committed, applied, storage.first_index() - 1))
        self.applying = Index(max(applied, storage.first_index() - 1))
        """Everything up to here was handed out to be applied."""
        self._unstable: list[Entry] = []
        self._handed_out = self.stable

    @property
    def last_index(self) -> Index:
        """The last entry, durable or not."""
        return self._unstable[-1].index if self._unstable else self.stable

    def append(self, entry: Entry) -> None:
        """Add an entry of this member's own term at the end."""
        assert entry.index == self.last_index + 1
        self._unstable.append(entry)

    def term(self, index: Index) -> Term:
        """An entry's term."""
        if self._unstable and index >= self._unstable[0].index:
            return self._unstable[index - self._unstable[0].index].term
        return self._storage.term(index)

    def take_unstable(self) -> list[Entry]:
        """The entries to be made durable that were not handed out yet."""
        if not self._unstable or self._handed_out >= self._unstable[-1].index:
            return []
        fresh = [entry for entry in self._unstable if entry.index > self._handed_out]
        self._handed_out = fresh[-1].index
        return fresh

    def stable_to(self, index: Index) -> None:
        """Entries up to `index` are durable."""
        self._unstable = [entry for entry in self._unstable if entry.index > index]
        self.stable = Index(max(self.stable, index))

    def take_committed(self, max_bytes: int) -> list[Entry]:
        """The committed and durable entries that were not handed out yet."""
        end = min(self.committed, self.stable)
        if end <= self.applying:
            return []
        entries = self._storage.entries(Index(self.applying + 1), Index(end + 1), max_bytes)
        self.applying = entries[-1].index
        return entries

    def has_committed(self) -> bool:
        """Whether `take_committed` would return anything."""
        return min(self.committed, self.stable) > self.applying

    def has_unstable(self) -> bool:
        """Whether `take_unstable` would return anything."""
        return bool(self._unstable) and self._handed_out < self._unstable[-1].index
