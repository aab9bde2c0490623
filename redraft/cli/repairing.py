"""Making a directory anew from what can be read of a damaged one, of a node that is alone in its cluster.

Theory. The state is the image and then the log's entries behind it. What the image lacks is lost, key by key, and so is
what an entry did that cannot be read. Its place in the log is kept by an entry that does nothing, so that what stands
behind it keeps its index; those entries are executed on a state that lacks what is lost (an INCR counts from what is
left). A node that is its own majority has nobody whom such a log could contradict. A member of a cluster has: it may
have acknowledged what is lost, so it is not repaired but replaced.

Nothing is written to the old directory; the new one is whole, and on disk, before it takes the other's place.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec

from redraft.cli.log_dump import decoded
from redraft.errors import DamagedDataError, StorageError
from redraft.ids import CONFIG_GROUP, FIRST_SHARD_GROUP, NO_NODE, GroupId, Index, NodeId, Term
from redraft.keyspace.keyspace import Keyspace
from redraft.raft.errors import RaftError
from redraft.raft.membership import Configurations, decode_change
from redraft.raft.messages import ConfState, Entry, EntryKind, HardState, SnapshotMeta
from redraft.server.shard_storage import DiskShardStorage, point_of
from redraft.shard.shard import AppliedPoint, FlushPoint
from redraft.storage.directory import DataDirectory, NodeIdentity
from redraft.storage.image import PART_BYTES, Image
from redraft.storage.image_reader import ImageReader
from redraft.storage.log_reader import LAST_NUMBER, GroupState, Hole, LogReader
from redraft.storage.log_store import GroupUpdate, LogStore
from redraft.storage.salvage import LostKeys, open_log, readable
from redraft.storage.stopped import StoppedDirectory
from redraft.values import codec

BATCH_BYTES = 4 << 20
OTHER_FILES = ("peers.json", "starts.json")


class Found(NamedTuple):
    """What was kept of a directory, and what was not."""

    damage: list[str]
    """What is wrong with the stores as a whole, in sentences."""
    keys: int
    """Keys of the image that were kept."""
    image_index: Index
    """The entry that the new image is of."""
    lost_keys: list[LostKeys]
    entries: dict[GroupId, tuple[int, Index]]
    """How many entries of the log were kept, by group, and the last one."""
    lost_entries: list[tuple[GroupId, Hole]]
    databases: dict[bytes, int]
    """The numbers of the databases, by what their keys begin with in the image."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing was damaged."""
        return not (self.damage or self.lost_keys or self.lost_entries)


def members_of(directory: StoppedDirectory, scratch: Path) -> set[NodeId]:
    """Every member that the newest configurations name that can be read, and the node itself. Raises StorageError."""
    own = NodeId(directory.identity.node_id)
    members = {own}
    with ExitStack() as stack:
        log, _ = open_log(directory.path / "log", scratch)
        stack.enter_context(log)
        point = _point(directory, [])
        for state in log.groups():
            applied = point.applied if point is not None and state.group == FIRST_SHARD_GROUP else AppliedPoint()
            members |= set(_conf(directory.identity, log, state, applied).members())
    return members


def _conf(identity: NodeIdentity, log: LogReader, state: GroupState, applied: AppliedPoint) -> ConfState:
    index, conf = max((applied.index, applied.conf), (state.start.index, state.start.conf), key=lambda pair: pair[0])
    if not conf.members():
        conf = ConfState(voters=tuple(NodeId(number) for number in sorted(identity.first_voters)))
    confs = Configurations(index, conf)
    for entry in log.entries(state, Index(index + 1), Index(LAST_NUMBER)):
        if isinstance(entry, Entry) and entry.kind is EntryKind.CHANGE:
            try:
                confs.append(entry.index, decode_change(entry.data))
            except RaftError:
                continue  # damage, told when the entries are read to be kept
    return confs.current


def _point(directory: StoppedDirectory, damage: list[str]) -> FlushPoint | None:
    """What the shard's image is of; None when nobody can tell, or nothing was ever flushed."""
    try:
        with directory.image(FIRST_SHARD_GROUP) as image:
            meta = image.meta()
            return None if meta is None else point_of(image.path, meta)
    except StorageError as error:
        damage.append(f"{error}: nothing of the image is kept")
        return None


def make_anew(old: StoppedDirectory, new: Path, scratch: Path) -> Found:
    """Make the directory `new` of what can be read of `old`; it is durable, and a node starts from it. Raises
    StorageError."""
    damage: list[str] = []
    lost_keys: list[LostKeys] = []
    lost_entries: list[tuple[GroupId, Hole]] = []
    with ExitStack() as stack:
        log, reason = open_log(old.path / "log", scratch)
        stack.enter_context(log)
        directory = stack.enter_context(DataDirectory(new, old.identity))
        for name in OTHER_FILES:
            if (old.path / name).exists():
                shutil.copyfile(old.path / name, new / name)
        store, image = LogStore(directory.log_path), Image(directory.image_path(FIRST_SHARD_GROUP))
        stack.callback(store.close)
        stack.callback(image.close)
        states = {state.group: state for state in log.groups()}
        reader: ImageReader | None = None
        damage += [reason] if reason else []
        damage += log.damage
        point = _point(old, damage)
        start = states[FIRST_SHARD_GROUP].start if FIRST_SHARD_GROUP in states else SnapshotMeta()
        if point is None and start.index:
            damage.append(f"what the entries up to {start.index} have done is lost: only the image had it")
            point = FlushPoint(AppliedPoint(start.index, start.term, 0, start.conf), Keyspace().meta())
        elif point is not None:
            reader = stack.enter_context(old.image(FIRST_SHARD_GROUP))
        applied = AppliedPoint() if point is None else point.applied
        entries = {}
        for group in sorted({*states, CONFIG_GROUP, FIRST_SHARD_GROUP}):
            state = states.get(group, GroupState(group, None, SnapshotMeta(), Index(0)))
            base = state.start
            if group == FIRST_SHARD_GROUP and applied.index > base.index:
                base = SnapshotMeta(applied.index, applied.term, applied.conf)
            entries[group] = _copy_log(log, state, base, store, lost_entries)
        keys = 0
        if point is not None:
            storage = DiskShardStorage(image, store, FIRST_SHARD_GROUP)
            keys = _copy_image(reader, storage, point, lost_keys)
        store.sync()
    _check(new)
    generations = [] if point is None else point.keyspace.generations
    databases = {generation.to_bytes(4, "big"): number for number, generation in enumerate(generations)}
    return Found(damage, keys, applied.index, lost_keys, entries, lost_entries, databases)


def _copy_image(reader: ImageReader | None, storage: DiskShardStorage, point: FlushPoint, lost: list[LostKeys]) -> int:
    """Make the new image of the old one's records, or an empty one; how many there are."""
    writer = storage.writer()
    named = {generation.to_bytes(4, "big") for generation in point.keyspace.generations}
    keys = 0
    for found in () if reader is None else readable(reader):
        if isinstance(found, LostKeys):
            lost.append(found)
            continue
        key, record = found
        if key[:4] not in named:
            continue
        try:
            codec.decode(record)
        except DamagedDataError as error:
            lost.append(LostKeys(b"", b"", str(error), key))
            continue
        keys += 1
        if len(record) > PART_BYTES:
            for _ in writer.put_pieces(key, (record,)):
                pass
        else:
            writer.put(key, record)
    writer.finish(point)
    return keys


def _copy_log(
    log: LogReader, state: GroupState, base: SnapshotMeta, store: LogStore, lost: list[tuple[GroupId, Hole]]
) -> tuple[int, Index]:
    """Begin a group's log behind `base` with what can be read of the old one; how many entries there are, and the last
    one."""
    group, term = state.group, base.term
    store.restore(group, base)
    kept = size = 0
    batch: list[Entry] = []
    last = base.index
    for entry, hole in _filled(log, state, base):
        if hole is not None and (not lost or lost[-1] != (group, hole)):
            lost.append((group, hole))
        kept += hole is None
        term, last = max(term, entry.term), entry.index
        batch.append(msgspec.structs.replace(entry, term=term))
        size += len(entry.data)
        if size > BATCH_BYTES:
            store.write([GroupUpdate(group, None, batch)])
            batch, size = [], 0
    hard = state.hard_state or HardState()
    if state.hard_state is not None or last:
        hard = HardState(max(hard.term, term), NO_NODE if term > hard.term else hard.vote, last)
    store.write([GroupUpdate(group, hard, batch)])
    return kept, last


def _filled(log: LogReader, state: GroupState, base: SnapshotMeta) -> Iterator[tuple[Entry, Hole | None]]:
    """The entries behind `base`; for each that cannot be read, one that does nothing, and the hole that it is in."""
    for found in log.entries(state, Index(base.index + 1), Index(LAST_NUMBER)):
        if isinstance(found, Entry):
            damage = decoded(state.group, found).damage
            if not damage:
                yield found, None
                continue
            found = Hole(found.index, found.index, damage)
        for index in range(found.first, found.last + 1):
            yield Entry(Index(index), Term(0), EntryKind.NOOP), found


def _check(path: Path) -> None:
    """See that a node finds the log and the image whole and in step. Raises StorageError."""
    with ExitStack() as stack:
        directory = stack.enter_context(DataDirectory(path))
        store = LogStore(directory.log_path)
        stack.callback(store.close)
        image = Image(directory.image_path(FIRST_SHARD_GROUP))
        stack.callback(image.close)
        DiskShardStorage(image, store, FIRST_SHARD_GROUP).load()
