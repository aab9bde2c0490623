"""The Raft logs of all groups of a node, in one RocksDB: one write batch and one fsync a tick for all of them.

The records are those of `log_records`.

Durability. `write` puts the batch into RocksDB's write-ahead log without an fsync; `sync` is the fsync. Log files are
recycled, which saves a third of each fsync (155 against 234 µs at the median in one run of 300, the file's length not
changing).

Damage. RocksDB recovers to the last point at which its log is whole. A torn tail is what was never synced, and is
dropped. A hole in the middle would drop synced entries just as silently, so the sequence number of each sync is also
kept beside the log (`synced`): if less than that is recovered, acknowledged entries are missing, and the store refuses
to open. Indexes must be contiguous.

Looking changes nothing. What RocksDB drops it deletes, as soon as it opens a log for writing; so a store is looked at
first, in a mirror, checked as a whole, and read from there until somebody writes (`open_for_writing`). A start that
ends before that, for whatever reason, leaves every byte as it was. It costs that the write-ahead log, at most three
write buffers, is read twice.

After a failed write or fsync nothing is accepted any more: what the kernel dropped cannot be written again.

Invariant: what a `GroupLog` says that it has is in the database.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec
from rocksdict import Rdict, WriteBatch

from redraft.errors import DamagedDataError, StorageError
from redraft.ids import GroupId, Index
from redraft.raft.messages import ConfState, Entry, HardState, SnapshotMeta
from redraft.storage.directory import make_directory
from redraft.storage.group_log import GroupLog
from redraft.storage.log_records import (
    ENTRY_HEAD,
    decode_entry,
    decode_hard,
    decode_start,
    encode_hard,
    entry_key,
    place_of,
)
from redraft.storage.mirror import Mirror
from redraft.storage.rocks import base_options, close_database, translated
from redraft.storage.sizes import bytes_of_files
from redraft.storage.synced import FILES, Promise, SyncedMark, read_promise

RECYCLED_LOG_FILES = 4
WRITE_BUFFER_BYTES = 8 << 20


class GroupUpdate(NamedTuple):
    """What one group must persist: entries replace whatever has their indexes or later ones."""

    group: GroupId
    hard_state: HardState | None
    entries: Sequence[Entry]


class LogStore:
    """All logs of one node. `sync` may run in another thread than the rest; everything else in one."""

    _db: Rdict
    """The mirror's until the store is written to; there is none while nothing has been written."""

    def __init__(self, path: Path) -> None:
        """Look at the store at `path`, or at the place for one. Raises StorageError, DamagedDataError."""
        self._path = path
        self._failed: str | None = None
        self._groups: dict[GroupId, GroupLog] = {}
        self._promise = Promise(0, (False,) * len(FILES))
        self._found_sequence = 0
        self._mirror: Mirror | None = None
        self._synced: SyncedMark | None = None
        """Once the store is open for writing."""
        doing = f"opening the log {path}"
        with translated(doing):
            had_log = (path / "CURRENT").exists()
            if not had_log and (any(path.glob("*.sst")) or any(path.glob("*.log"))):
                raise DamagedDataError(f"{doing}: it has data files but no CURRENT file")
            if had_log:
                self._promise = self._read_promise(doing)
        if not had_log:
            return
        self._mirror = Mirror(path, "log", "opening")
        self._db = self._mirror.db
        try:
            self._recover(doing)
        except BaseException:
            self._mirror.close()
            raise

    def _read_promise(self, doing: str) -> Promise:
        try:
            return read_promise(self._path)
        except DamagedDataError as error:
            raise DamagedDataError(f"{doing}: {error}") from error

    def open_for_writing(self) -> None:
        """Have what is written from now on kept. It is done by the first write too. Raises StorageError,
        DamagedDataError, DirectoryInUseError."""
        if self._synced is not None:
            return
        doing = f"opening the log {self._path}"
        with translated(doing):
            make_directory(self._path)
            options = base_options()
            options.set_write_buffer_size(WRITE_BUFFER_BYTES)
            options.set_max_write_buffer_number(3)
            options.set_recycle_log_file_num(RECYCLED_LOG_FILES)
            options.set_level_zero_file_num_compaction_trigger(8)
            synced = SyncedMark(self._path, self._promise)
            database = Rdict(str(self._path), options)
        sequence = database.latest_sequence_number()
        if sequence < self._found_sequence:
            database.close()
            synced.close()
            raise DamagedDataError(
                f"{doing}: {self._found_sequence} writes were found, and {sequence} when it was opened for writing"
            )
        self._db, self._synced = database, synced
        self._close_mirror()

    def _close_mirror(self) -> None:
        if self._mirror is not None:
            self._mirror.close()
            self._mirror = None

    def _told(self, doing: str) -> AbstractContextManager[None]:
        return translated(doing) if self._mirror is None else self._mirror.told(doing)

    def _recover(self, doing: str) -> None:
        self._found_sequence = sequence = self._db.latest_sequence_number()
        promised = self._promise.sequence
        if sequence < promised:
            raise DamagedDataError(
                f"{doing}: writes up to {promised} were synced, only those up to {sequence} can be read back:"
                " a log file is damaged or cut short"
            )
        with self._told(doing):
            starts = {g: decode_start(v) for g, v in self._scan(b"S")}
            hard_states = {g: decode_hard(v) for g, v in self._scan(b"H")}
            found = self._scan_entries(doing, starts)
        for group in sorted({*starts, *hard_states, *found}):
            start = starts.get(group, SnapshotMeta())
            last = found.get(group, start.index)
            self.group(group).recovered(hard_states.get(group, HardState()), start, last)

    def _items(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        iterator = self._db.iter()
        iterator.seek(start)
        key, value, step, valid = iterator.key, iterator.value, iterator.next, iterator.valid
        while valid():
            yield key(), value()
            step()
        # An iterator that meets damage ends early, and says so only here.
        iterator.status()

    def _keys(self, start: bytes) -> Iterator[bytes]:
        iterator = self._db.iter()
        iterator.seek(start)
        key, step, valid = iterator.key, iterator.next, iterator.valid
        while valid():
            yield key()
            step()
        iterator.status()

    def _scan(self, prefix: bytes) -> list[tuple[GroupId, bytes]]:
        out = []
        for key, value in self._items(prefix):
            if key[:1] != prefix:
                break
            out.append((GroupId(int.from_bytes(key[1:9], "big")), value))
        return out

    def _scan_entries(self, doing: str, starts: dict[GroupId, SnapshotMeta]) -> dict[GroupId, Index]:
        last: dict[GroupId, Index] = {}
        for key in self._keys(b"E"):
            if key[:1] != b"E":
                break
            group, index = place_of(key)
            start = starts.get(group, SnapshotMeta()).index
            if index <= start:
                continue
            expected = last.get(group, start) + 1
            if index != expected:
                raise DamagedDataError(f"{doing}: group {group} lacks the entries {expected} to {index - 1}")
            last[group] = index
        return last

    # Reading.

    def group(self, group: GroupId) -> GroupLog:
        """A group's log, made when it is not there."""
        if group not in self._groups:
            self._groups[group] = GroupLog(group, self.read)
        return self._groups[group]

    def read(self, group: GroupId, low: Index, high: Index, max_bytes: int) -> list[Entry]:
        """Entries from disk. Raises DamagedDataError for a hole."""
        found: list[Entry] = []
        size = 0
        with self._told("reading the log"):
            for key, value in self._items(entry_key(group, low)):
                index = Index(int.from_bytes(key[9:], "big"))
                if key[:9] != entry_key(group, 0)[:9] or index >= high:
                    break
                entry = decode_entry(index, value)
                size += len(entry.data)
                if found and size > max_bytes:
                    return found
                if index != low + len(found):
                    break
                found.append(entry)
                if index + 1 == high:
                    # The next value may be large, and is not looked at.
                    break
        if len(found) < high - low and (not found or size <= max_bytes):
            raise DamagedDataError(f"reading the log: group {group} lacks the entry {low + len(found)}")
        return found

    # Writing.

    def write(self, updates: Sequence[GroupUpdate]) -> None:
        """Write all groups' updates as one batch; durable after the next `sync`. Raises StorageError, also for entries
        that would leave a gap."""
        self._check_usable()
        batch = WriteBatch(raw_mode=True)
        for group, hard_state, entries in updates:
            own = self.group(group)
            if hard_state is not None:
                batch.put(b"H" + group.to_bytes(8, "big"), encode_hard(hard_state))
            if entries:
                first, end = entries[0].index, own.last_index() + 1
                if not own.start.index < first <= end or entries[-1].index - first != len(entries) - 1:
                    raise StorageError(
                        f"writing the log: the entries {first} to {entries[-1].index} of group {group} are not"
                        f" contiguous with those that it has, {own.first_index()} to {own.last_index()}"
                    )
                if first < end:
                    batch.delete_range(entry_key(group, first), entry_key(group, end))
                prefix = b"E" + group.to_bytes(8, "big")
                for entry in entries:
                    value = ENTRY_HEAD.pack(entry.term, entry.kind) + entry.data
                    batch.put(prefix + entry.index.to_bytes(8, "big"), value)
        self._write(batch, "writing the log")
        for group, hard_state, entries in updates:
            own = self.group(group)
            if hard_state is not None:
                own.hard_state = hard_state
            if entries:
                own.added(entries)

    def restore(self, group: GroupId, start: SnapshotMeta) -> None:
        """Begin a group's log anew after `start`, without any entry: a snapshot was installed. Not synced."""
        own = self.group(group)
        batch = WriteBatch(raw_mode=True)
        batch.put(b"S" + group.to_bytes(8, "big"), msgspec.msgpack.encode(start))
        batch.delete_range(entry_key(group, 0), entry_key(group, own.last_index() + 1))
        self._write(batch, "beginning the log anew")
        own.restored(start)

    def compact(self, group: GroupId, index: Index, conf: ConfState) -> None:
        """Let go of a group's entries up to and including `index`; not synced, since losing it is harmless."""
        own = self.group(group)
        if index <= own.start.index:
            return
        start = SnapshotMeta(index, own.term(index), conf)
        batch = WriteBatch(raw_mode=True)
        batch.put(b"S" + group.to_bytes(8, "big"), msgspec.msgpack.encode(start))
        batch.delete_range(entry_key(group, own.start.index), entry_key(group, index + 1))
        self._write(batch, "compacting the log")
        own.let_go(start)

    def _write(self, batch: WriteBatch, doing: str) -> None:
        self._check_usable()
        if self._synced is None:
            self.open_for_writing()
        try:
            self._db.write(batch)
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower; all of it is raised again
            self._fail(doing, error)

    def sync(self) -> None:
        """Make all that was written durable. Raises StorageError; then nothing is accepted any more."""
        self._check_usable()
        if self._synced is None:
            self.open_for_writing()
        assert self._synced is not None
        sequence = self._db.latest_sequence_number()
        try:
            self._db.flush_wal(True)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail("syncing the log", error)
        self._synced.raise_to(sequence)

    def _fail(self, doing: str, error: Exception) -> NoReturn:
        """Accept nothing any more, and raise `error` in redraft's words."""
        try:
            with translated(doing):
                raise error
        except StorageError as told:
            self._failed = str(told)
            raise

    def _check_usable(self) -> None:
        if self._failed is not None:
            raise StorageError(f"the log takes nothing any more since a write failed: {self._failed}")

    # The rest.

    def statistics(self) -> dict[str, int]:
        """Sizes for INFO."""
        return {
            "log_groups": len(self._groups),
            "log_entries": sum(g.last_index() - g.start.index for g in self._groups.values()),
            "log_bytes_on_disk": bytes_of_files(self._path),
        }

    def check(self) -> None:
        """Assert the invariants."""
        for group in self._groups.values():
            group.check()

    def close(self) -> None:
        """Close the files; what was not synced is synced first if nothing failed. Raises StorageError."""
        if self._synced is None:
            self._close_mirror()
            return
        try:
            if self._failed is None:
                self.sync()
        finally:
            close_database(self._db, f"closing the log {self._path}")
            self._synced.close()


def measure_fsync_us(directory: Path, rounds: int = 32) -> float:
    """The median time, in microseconds, of a small append and its fdatasync in a directory."""
    path = directory / "fsync-probe"
    times = []
    with translated(f"writing to {directory}"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, 1 << 20)
            os.fsync(descriptor)
            for _ in range(rounds):
                os.write(descriptor, b"x" * 512)
                began = time.monotonic_ns()
                os.fdatasync(descriptor)
                times.append((time.monotonic_ns() - began) / 1000)
        finally:
            os.close(descriptor)
            path.unlink()
    return statistics.median(times)
