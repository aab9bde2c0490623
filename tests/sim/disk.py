"""A machine's disk: what was written, what of it is durable, and what is left when the power fails.

It stands for `storage.log_store` and `server.shard_storage`, with their durability. The log of all groups is one file
to which whole batches are appended: a power cut leaves those that were synced, and of the others any number from the
front; the one that was torn is dropped by its checksum. The image changes as a whole or not at all, at the end of a
flush, after the log up to there was synced; so does everything when a snapshot is installed. A process that dies leaves
what it has written, and a start makes that durable (RocksDB writes it to a sorted file).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import msgspec

from redraft.errors import DamagedDataError, StorageError
from redraft.ids import CONFIG_GROUP, FIRST_SHARD_GROUP, GroupId, Index, NodeId
from redraft.keyspace.flush import RecordWriter
from redraft.keyspace.keyspace import Keyspace
from redraft.node.flusher import ImageDigest
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import Entry, HardState, SnapshotMeta
from redraft.shard.shard import AppliedPoint, FlushPoint

GROUPS = (CONFIG_GROUP, FIRST_SHARD_GROUP)
Operation = Callable[[dict[GroupId, MemoryStorage]], None]


class Identity(NamedTuple):
    """What node.json says."""

    node: NodeId
    cluster_id: str
    incarnation: str
    first_voters: tuple[NodeId, ...]
    addresses: dict[NodeId, str]
    founding: bool = False
    """It waits for the others of the list by which it founds the cluster."""


class Image(msgspec.Struct, array_like=True):
    """What the image holds; also what a snapshot is on its way."""

    point: FlushPoint | None = None
    records: dict[bytes, bytes] = {}

    def load(self) -> tuple[Keyspace, AppliedPoint]:
        """The keyspace as the image has it."""
        if self.point is None:
            return Keyspace(), AppliedPoint()
        return Keyspace.load(self.point.keyspace, sorted(self.records.items())), self.point.applied

    def meta(self) -> SnapshotMeta:
        """What a snapshot of it is of."""
        assert self.point is not None
        applied = self.point.applied
        return SnapshotMeta(applied.index, applied.term, applied.conf)


class Disk:
    """One machine's. It survives its processes."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.identity: Identity | None = None
        self.met: dict[NodeId, str] = {}
        self.lives: bytes | None = None
        """What the node knows of its own starts; each change is durable at once."""
        self.promises: bytes | None = None
        """What it knows of others' promises."""
        self.logs = {group: MemoryStorage() for group in GROUPS}
        """As the process sees them."""
        self.durable = {group: MemoryStorage() for group in GROUPS}
        self.image = Image()
        self._unsynced: list[Operation] = []
        self.fails = False
        """Whether every write and fsync fails from now on."""

    # The log.

    def apply(self, operation: Operation) -> None:
        """Write one batch; not durable yet. Raises StorageError."""
        if self.fails:
            raise StorageError("the simulated disk takes nothing")
        operation(self.logs)
        self._unsynced.append(operation)

    def write(self, updates: Sequence[tuple[GroupId, HardState | None, Sequence[Entry]]]) -> None:
        """What a tick persists, as one batch. Raises StorageError."""

        def operation(logs: dict[GroupId, MemoryStorage]) -> None:
            for group, hard_state, entries in updates:
                logs[group].write(hard_state, entries)

        self.apply(operation)

    def mark(self) -> int:
        """How many batches are written and not durable."""
        return len(self._unsynced)

    def sync(self, mark: int | None = None) -> None:
        """Make the first `mark` of the unsynced batches durable, or all. Raises StorageError."""
        if self.fails:
            raise StorageError("the simulated disk takes nothing")
        mark = len(self._unsynced) if mark is None else mark
        for operation in self._unsynced[:mark]:
            operation(self.durable)
        del self._unsynced[:mark]

    def begin_group(self, group: GroupId, voters: tuple[NodeId, ...]) -> None:
        """Begin a new group's log with those voters (`server.app`)."""
        log = self.logs[group]
        if voters and not log.last_index() and not log.start.conf.members():
            meta = SnapshotMeta(conf=msgspec.structs.replace(log.start.conf, voters=tuple(sorted(voters))))
            self.apply(lambda logs: logs[group].restore(meta))

    # The ends of a process.

    def killed(self) -> None:
        """The process is gone; a start finds all that it wrote."""
        self.fails = False
        self.sync()

    def power_lost(self) -> None:
        """What was not synced is lost, but for some of it from the front."""
        self.fails = False
        kept = self._random.randint(0, len(self._unsynced)) if self._random.random() < 0.5 else 0
        self.sync(kept)
        self._unsynced.clear()
        for group in GROUPS:
            self.logs[group] = _copy(self.durable[group])

    def keep_lives(self, data: bytes) -> None:
        """A file that is replaced, durably."""
        self.lives = data

    def keep_promises(self, data: bytes) -> None:
        """A file that is replaced."""
        self.promises = data

    def copy(self) -> Callable[[], None]:
        """A copy of what is durable now; what is returned puts it back, while no process runs."""
        met, lives, promises, image = dict(self.met), self.lives, self.promises, self.image
        identity = self.identity
        logs = {group: _copy(self.durable[group]) for group in GROUPS}

        def put_back() -> None:
            self.identity, self.met, self.lives, self.promises = identity, dict(met), lives, promises
            self.image = image
            self.durable = {group: _copy(log) for group, log in logs.items()}
            self.logs = {group: _copy(log) for group, log in logs.items()}
            self._unsynced.clear()
            self.fails = False

        return put_back

    def founded(self) -> None:
        """All others of the list have let the node in."""
        assert self.identity is not None
        self.identity = self.identity._replace(founding=False)

    def has_durable(self, group: GroupId, entry: Entry) -> bool:
        """Whether an entry, or a snapshot behind it, would be found after a power cut."""
        return has_entry(self.durable[group], entry)


def has_entry(log: MemoryStorage, entry: Entry) -> bool:
    """Whether an entry is in a log, or was let go of."""
    if entry.index <= log.start.index:
        return True
    return entry.index <= log.last_index() and log.term(entry.index) == entry.term


def _copy(log: MemoryStorage) -> MemoryStorage:
    copy = MemoryStorage()
    copy.hard_state, copy.start = log.hard_state, log.start
    if log.last_index() >= log.first_index():
        copy.write(None, log.entries(log.first_index(), Index(log.last_index() + 1), 1 << 60))
    return copy


class SimShardStorage:
    """The shard's image on a disk; implements `node.flusher.ShardStorage`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.prepared: Image | None = None
        self._prepared_keyspace: tuple[Keyspace, AppliedPoint] | None = None

    def load(self) -> tuple[Keyspace, AppliedPoint]:
        """Read the image. Raises DamagedDataError where log and image do not go together."""
        log = self._disk.logs[FIRST_SHARD_GROUP]
        image = self._disk.image
        index = image.point.applied.index if image.point else 0
        if not log.start.index <= index <= log.last_index():
            raise DamagedDataError(f"the image is of {index}, the log of {log.first_index()} to {log.last_index()}")
        return image.load()

    def writer(self) -> SimImageWriter:
        """Begin to write a flush."""
        return SimImageWriter(self._disk)

    def new_image(self) -> SimImageWriter:
        """Images are not damaged here."""
        raise NotImplementedError

    def digest(self) -> Callable[[], ImageDigest]:
        """DEBUG DIGEST is not simulated."""
        raise NotImplementedError

    def compact_log(self, index: Index) -> None:
        """Let go of the log up to and including `index`."""

        def operation(logs: dict[GroupId, MemoryStorage]) -> None:
            if index > logs[FIRST_SHARD_GROUP].start.index:
                logs[FIRST_SHARD_GROUP].compact(index)

        self._disk.apply(operation)

    def prepare(self, image: Image, meta: SnapshotMeta) -> None:
        """Read a snapshot that has arrived."""
        loaded = image.load()
        if (loaded[1].index, loaded[1].term) != (meta.index, meta.term):
            raise DamagedDataError(f"a snapshot of entry {loaded[1].index} instead of {meta.index}")
        self.prepared, self._prepared_keyspace = image, loaded

    def forget_prepared(self) -> None:
        """Another snapshot is about to arrive."""
        self.prepared = self._prepared_keyspace = None

    def install(self, meta: SnapshotMeta) -> tuple[Keyspace, AppliedPoint]:
        """Make the prepared snapshot the image, and begin the log anew after it: durable, whole or not at all."""
        assert self.prepared is not None
        assert self._prepared_keyspace is not None
        assert self.prepared.meta().index == meta.index
        disk = self._disk
        if disk.logs[FIRST_SHARD_GROUP].start.index < meta.index:
            disk.apply(lambda logs: logs[FIRST_SHARD_GROUP].restore(meta))
        disk.sync()
        disk.image = self.prepared
        loaded = self._prepared_keyspace
        self.forget_prepared()
        return loaded


class SimImageWriter(RecordWriter):
    """A flush in the making; implements `node.flusher.ImageWriter`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._image = disk.image
        self._changes: dict[bytes, bytes | None] = {}
        self._last = b""
        self._aborted = False

    def put(self, key: bytes, value: bytes) -> None:
        self._add(key, value)

    def delete(self, key: bytes) -> None:
        self._add(key, None)

    def _add(self, key: bytes, value: bytes | None) -> None:
        assert key > self._last, "keys come in strictly ascending order"
        self._last = key
        self._changes[key] = value

    def finish(self, point: FlushPoint) -> None:
        """The log is synced first, then the file becomes part of the image."""
        disk = self._disk
        disk.sync()
        if self._aborted or disk.image is not self._image:
            raise StorageError("the file of a flush that was broken off")
        named = {generation.to_bytes(4, "big") for generation in point.keyspace.generations}
        records = {key: value for key, value in disk.image.records.items() if key[:4] in named}
        for key, value in self._changes.items():
            if value is None:
                records.pop(key, None)
            elif key[:4] in named:
                records[key] = value
        disk.image = Image(point, records)

    def abort(self) -> None:
        self._aborted = True
        self._changes.clear()
