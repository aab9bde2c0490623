"""The log as a group member sees it: what is on disk, and the entries that are not yet.

Invariants: `applying` ≤ `committed` ≤ `last_index`; `stable` ≤ `last_index`; entries after `stable` are in memory.
"""

from __future__ import annotations

from typing import Protocol

from redraft.ids import Index, Term
from redraft.raft.errors import CompactedError, DivergedError, UnavailableError
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

    def held_from(self) -> Index:
        """Entries from here on are in memory: `entries` does not read the disk for them."""

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
        self.epoch = 0
        """Raised whenever entries are replaced: what was handed out before may be overwritten by what comes after."""
        self._unstable: list[Entry] = []
        self._handed_out = self.stable
        self._restored: SnapshotMeta | None = None
        """A snapshot that the storage may not have yet."""

    @property
    def last_index(self) -> Index:
        """The last entry, durable or not."""
        return self._unstable[-1].index if self._unstable else self.stable

    @property
    def last_term(self) -> Term:
        """The last entry's term."""
        return self._unstable[-1].term if self._unstable else self.term(self.stable)

    @property
    def durable(self) -> Index:
        """Everything up to here would be there after a crash; 0 while a snapshot is being installed."""
        return self.stable if self._restored is None else Index(0)

    @property
    def first_index(self) -> Index:
        """The first entry that is still there (or would be)."""
        return Index(self._restored.index + 1) if self._restored else self._storage.first_index()

    def term(self, index: Index) -> Term:
        """An entry's term. Raises CompactedError, UnavailableError."""
        if self._unstable and index >= self._unstable[0].index:
            if index > self._unstable[-1].index:
                raise UnavailableError(f"entry {index} is not there")
            return self._unstable[index - self._unstable[0].index].term
        if self._restored is not None:
            if index == self._restored.index:
                return self._restored.term
            if index < self._restored.index:
                raise CompactedError(f"entry {index} is in the snapshot")
        if index > self.stable:
            raise UnavailableError(f"entry {index} is not there")
        return self._storage.term(index)

    def matches(self, index: Index, term: Term) -> bool:
        """Whether the entry at `index` is here, and of `term`."""
        try:
            return self.term(index) == term
        except (CompactedError, UnavailableError):
            return False

    def contradicts(self, index: Index, term: Term) -> bool:
        """Whether the entry at `index` is here, and of another term than `term`."""
        return self.known_term(index) not in (term, 0)

    def known_term(self, index: Index) -> Term:
        """An entry's term; 0 where the entry was let go or is not there."""
        try:
            return self.term(index)
        except (CompactedError, UnavailableError):
            return Term(0)

    def is_up_to_date(self, last_index: Index, last_term: Term) -> bool:
        """Whether a log that ends like that is at least as up to date as this one (paper, section 5.4.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    @property
    def held_from(self) -> Index:
        """Entries from here on are in memory."""
        return self._storage.held_from()

    def entries(self, low: Index, max_bytes: int) -> list[Entry]:
        """Entries from `low` to the end, durable or not, at least one, about `max_bytes` at most."""
        if low <= self.stable:
            found = self._storage.entries(low, Index(self.stable + 1), max_bytes)
            if found[-1].index < self.stable:
                return found
        else:
            found = []
        size = sum(len(entry.data) for entry in found)
        for entry in self._unstable[max(0, low - self.stable - 1) :]:
            size += len(entry.data)
            if size > max_bytes and found:
                break
            found.append(entry)
        return found

    # Growing.

    def append(self, entry: Entry) -> None:
        """Add an entry of this member's own term at the end."""
        assert entry.index == self.last_index + 1
        self._unstable.append(entry)

    def try_append(self, prev_index: Index, prev_term: Term, entries: list[Entry]) -> Index | None:
        """Take a leader's entries if the one before them is here; entries of another past give way (paper, section
        5.3). The first index that is new, or None if the entry before them is not here, or was let go and none of
        the others can be compared with what is here. Raises DivergedError if a committed entry would have to give
        way."""
        let_go = self.first_index - 1 - prev_index
        if 0 < let_go <= len(entries):
            # What was let go cannot be compared; the entry that it ends with can, and vouches for it.
            prev_index, prev_term = entries[let_go - 1].index, entries[let_go - 1].term
            entries = entries[let_go:]
        if not self.matches(prev_index, prev_term):
            return None
        for place, entry in enumerate(entries):
            if self.matches(entry.index, entry.term):
                continue
            if entry.index <= self.last_index:
                if entry.index <= self.committed:
                    raise DivergedError(f"entry {entry.index} is committed here and another in the leader's log")
                self._truncate(entry.index)
            self._unstable += entries[place:]
            return entry.index
        return Index(prev_index + len(entries) + 1)

    def _truncate(self, index: Index) -> None:
        """Let go of the entries from `index` on."""
        self._unstable = [entry for entry in self._unstable if entry.index < index]
        self.stable = Index(min(self.stable, index - 1))
        self._handed_out = Index(min(self._handed_out, index - 1))
        self.epoch += 1

    def possible_match(self, index: Index, term: Term) -> tuple[Index, Term]:
        """The last entry up to `index` whose term is `term` at most, and its term: no later one can match in a log
        whose entry at `index` has `term`. It takes a conflict back by whole terms (paper, end of section 5.3)."""
        index = Index(min(index, self.last_index))
        while index >= self.first_index:
            own = self.term(index)
            if own <= term:
                return index, own
            index = Index(index - 1)
        return Index(self.first_index - 1), self.term(Index(self.first_index - 1))

    def restore(self, meta: SnapshotMeta) -> None:
        """A snapshot takes the place of everything."""
        self._unstable.clear()
        self._restored = meta
        self.epoch += 1
        self.stable = self._handed_out = self.committed = self.applying = meta.index

    # Output.

    def take_unstable(self) -> list[Entry]:
        """The entries to be made durable that were not handed out yet."""
        if not self._unstable or self._handed_out >= self._unstable[-1].index:
            return []
        fresh = [entry for entry in self._unstable if entry.index > self._handed_out]
        self._handed_out = fresh[-1].index
        return fresh

    def stable_to(self, index: Index, epoch: int | None = None) -> None:
        """Entries up to `index` are durable, if none was replaced since they were handed out: then what replaced
        them is handed out later, and becomes durable after them."""
        if epoch is not None and epoch != self.epoch:
            return
        self._unstable = [entry for entry in self._unstable if entry.index > index]
        self.stable = Index(max(self.stable, index))

    def storage_restored(self, meta: SnapshotMeta) -> None:
        """The storage begins with the snapshot now."""
        if self._restored is not None and self._restored.index == meta.index:
            self._restored = None

    def take_committed(self, max_bytes: int) -> list[Entry]:
        """The committed and durable entries that were not handed out yet."""
        end = min(self.committed, self.stable)
        if end <= self.applying or self._restored is not None:
            return []
        entries = self._storage.entries(Index(self.applying + 1), Index(end + 1), max_bytes)
        self.applying = entries[-1].index
        return entries

    def has_committed(self) -> bool:
        """Whether `take_committed` would return anything."""
        return min(self.committed, self.stable) > self.applying and self._restored is None

    def has_unstable(self) -> bool:
        """Whether `take_unstable` would return anything."""
        return bool(self._unstable) and self._handed_out < self._unstable[-1].index
