"""A node's log store that is only read (see `log_store`), as far as it can be.

What is damaged does not end the reading: entries that are missing or whose block cannot be read are a `Hole` among the
others. What an entry's data means is not this floor's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from redraft.errors import DamagedDataError, StorageError
from redraft.ids import GroupId, Index
from redraft.raft.messages import Entry, HardState, SnapshotMeta
from redraft.storage.log_records import decode_entry, decode_hard, decode_start, entry_key, place_of
from redraft.storage.mirror import Mirror
from redraft.storage.synced import read_promise

LAST_NUMBER = (1 << 64) - 1
MOST_FAILURES = 10_000
"""Entries in a row that cannot be read: then the rest is given up. It is far more than a damaged block holds."""
_MISSING = "it is missing"


class GroupState(NamedTuple):
    """What a log store says of one group beside its entries."""

    group: GroupId
    hard_state: HardState | None
    """None when none was ever written."""
    start: SnapshotMeta
    """The last entry that was let go."""
    last: Index
    """The last entry that is there, or the start's index when there is none."""


class Hole(NamedTuple):
    """Entries that should be there and cannot be read."""

    first: Index
    last: Index
    reason: str


class LogReader(Mirror):
    """A log store. `damage` has in sentences what is wrong with it beside its entries; a node does not start then."""

    def __init__(self, path: Path, *, past_damage: bool = False) -> None:
        """Open the store at `path`. `past_damage`: as for a Mirror. Raises StorageError, DamagedDataError."""
        super().__init__(path, "log", past_damage=past_damage)
        self.damage: list[str] = []
        promised = self._promised()
        found = self.db.latest_sequence_number()
        if found < promised:
            self.damage.append(
                f"writes up to {promised} were synced, only those up to {found} can be read back:"
                " a log file is damaged or cut short"
            )

    def _promised(self) -> int:
        try:
            return read_promise(self.path).sequence
        except OSError as error:
            self.damage.append(f"its file SYNCED, which tells what must be there, cannot be read: {error.strerror}")
        except DamagedDataError as error:
            self.damage.append(str(error))
        return 0

    def groups(self) -> list[GroupState]:
        """All groups in order. What cannot be read of them is added to `damage`."""
        hard_states: dict[GroupId, HardState] = self._states(b"H", decode_hard)
        starts: dict[GroupId, SnapshotMeta] = self._states(b"S", decode_start)
        found = []
        for group in sorted({*hard_states, *starts, *self._groups_with_entries()}):
            start = starts.get(group, SnapshotMeta())
            last = max(start.index, self._last(group))
            found.append(GroupState(group, hard_states.get(group), start, Index(last)))
        return found

    def _states(self, prefix: bytes, decode: Any) -> dict[GroupId, Any]:
        """The records of a kind that there is one of for each group."""
        found = {}
        iterator = self.db.iter()
        iterator.seek(prefix)
        while iterator.valid() and iterator.key()[:1] == prefix:
            group = GroupId(int.from_bytes(iterator.key()[1:9], "big"))
            try:
                found[group] = decode(iterator.value())
            except msgspec.MsgspecError as error:
                self.damage.append(f"group {group}'s record {prefix.decode()} is damaged: {error}")
            iterator.next()
        self._note_trouble(iterator)
        return found

    def _groups_with_entries(self) -> list[GroupId]:
        found: list[GroupId] = []
        iterator = self.db.iter()
        iterator.seek(b"E")
        while iterator.valid() and iterator.key()[:1] == b"E":
            found.append(place_of(iterator.key())[0])
            iterator.seek(entry_key(GroupId(found[-1] + 1), 0))
        self._note_trouble(iterator)
        return found

    def _last(self, group: GroupId) -> Index:
        iterator = self.db.iter()
        iterator.seek_for_prev(entry_key(group, LAST_NUMBER))
        if self._note_trouble(iterator):
            return max((found[0] for found in self._walk(group, 0) if not isinstance(found, str)), default=Index(0))
        if iterator.valid() and iterator.key()[:9] == entry_key(group, 0)[:9]:
            return place_of(iterator.key())[1]
        return Index(0)

    def entries(self, state: GroupState, first: Index, last: Index) -> Iterator[Entry | Hole]:
        """A group's entries from `first` to `last`, as far as they should be there, in order."""
        expected = Index(max(first, state.start.index + 1))
        last = min(last, state.last)
        reason = _MISSING
        for found in self._walk(state.group, expected):
            if isinstance(found, str):
                reason = found
                continue
            index, record = found
            if expected < index and expected <= last:
                yield Hole(expected, Index(min(index - 1, last)), reason)
            if index > last:
                return
            try:
                yield decode_entry(index, record)
            except DamagedDataError as error:
                yield Hole(index, index, str(error))
            expected, reason = Index(index + 1), _MISSING
        if expected <= last:
            yield Hole(expected, last, reason)

    def _walk(self, group: GroupId, first: int) -> Iterator[tuple[Index, bytes] | str]:
        """The indexes and records of entries from `first` on; and where one or more cannot be read, why.

        An iterator reads from all files at once, and is of no use while one of them is damaged at its place. There
        entries are read one by one, until it is good again.
        """
        prefix = entry_key(group, 0)[:9]
        iterator = self.db.iter()
        iterator.seek(entry_key(group, first))
        failures = 0
        while failures < MOST_FAILURES:
            if iterator.valid() and iterator.key()[:9] == prefix:
                index = place_of(iterator.key())[1]
                yield index, iterator.value()
                first = index + 1
                iterator.next()
                continue
            if self._trouble(iterator) is None:
                return
            key = entry_key(group, first)
            try:
                with self.told():
                    record = self.db.get(key)
                if record is not None:
                    yield Index(first), record
                failures = 0 if record is not None else failures + 1
            except StorageError as error:
                yield str(error)
                failures += 1
            first += 1
            iterator.seek(entry_key(group, first))

    def _trouble(self, iterator: Any) -> str | None:
        """Why an iterator has ended, if that was not the end of the data."""
        try:
            with self.told():
                iterator.status()
        except StorageError as error:
            return str(error)
        return None

    def _note_trouble(self, iterator: Any) -> bool:
        trouble = self._trouble(iterator)
        if trouble is not None and trouble not in self.damage:
            self.damage.append(trouble)
        return trouble is not None
