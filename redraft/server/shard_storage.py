"""A shard's storage as the node's flusher sees it, over the image and the log store."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from redraft.errors import DamagedDataError, StorageError
from redraft.ids import GroupId, Index
from redraft.keyspace.keyspace import Keyspace
from redraft.node.flusher import ImageDigest, ImageWriter
from redraft.raft.messages import SnapshotMeta
from redraft.shard.shard import AppliedPoint, FlushPoint
from redraft.storage import image as images
from redraft.storage.directory import sync_directory, sync_file
from redraft.storage.image import Image, ImageMeta
from redraft.storage.log_store import LogStore
from redraft.storage.rocks import translated

SNAPSHOT_MARKER = "INSTALL"
"""The file that says that the snapshot in `incoming` is to be the image."""
NEW_IMAGE = "new-image"
NEW_IMAGE_MARKER = "REPLACE"
"""The file that says that the image in `new-image` is to take the place of the damaged one."""

REST_EVERY = 500
REST_SECONDS = 0.001
"""After so many records a digest lets the node's own thread have the interpreter, which would wait 5 ms for it else."""

_decode_point = msgspec.msgpack.Decoder(FlushPoint).decode


class DiskShardStorage:
    """One shard's image and its place in the log store; implements `node.flusher.ShardStorage`."""

    def __init__(self, image: Image, store: LogStore, group: GroupId) -> None:
        self.image = image
        self._store = store
        self._group = group
        self._prepared: _Prepared | None = None
        self._replacing = threading.Lock()
        """Held by who copies the image for another node, and by who puts a new one in its place."""
        self._generations: set[int] = set()
        """Those that the image has records of, or may have: a flush drops those that it does not name."""

    def writer(self) -> ImageWriter:
        """Begin to write a flush."""
        return _PointWriter(self, self.image.writer())

    def new_image(self) -> ImageWriter:
        """Begin to write an image that takes the place of this one, which is damaged, when it is finished."""
        directory = self.image.path.with_name(NEW_IMAGE)
        with translated(f"making the image {self.image.path} anew"):
            shutil.rmtree(directory, ignore_errors=True)
        return _NewImageWriter(self, Image(directory))

    def compact_log(self, index: Index) -> None:
        """Let go of the log up to and including `index`."""
        self._store.compact(self._group, index, self._store.group(self._group).start.conf)

    def digest(self) -> Callable[[], ImageDigest]:
        """A digest of the image as it is now, to be computed in any thread. Raises StorageError."""
        meta = self.image.meta()
        assert meta is not None
        return partial(_digest, point_of(self.image.path, meta), self.image.items())

    # Snapshots of others.

    @property
    def incoming(self) -> Path:
        """Where the files of a snapshot are put together."""
        return self.image.path.parent / "incoming"

    def set_incoming_aside(self) -> Path | None:
        """Where what was left of a snapshot is now, to be removed in any thread; None when there was nothing."""
        aside = self.incoming.with_name("aside")
        if not aside.exists():
            if not self.incoming.exists():
                return None
            self.incoming.rename(aside)
        return aside

    def let_go(self) -> None:
        """Let go of a snapshot that was prepared: its files may be changed from now on."""
        if self._prepared is not None:
            self._prepared.image.close()
            self._prepared = None

    def checkpoint(self, directory: Path) -> SnapshotMeta:
        """A copy of the image in `directory`, by hard links, and what it is of; in any thread. The copy is read once.
        Raises StorageError, and DamagedDataError when the image is damaged."""
        taken = self._copy_to(directory)
        _check_snapshot(directory, taken, rests=True)
        return taken

    def _copy_to(self, directory: Path) -> SnapshotMeta:
        with self._replacing:
            while True:
                meta = self.image.meta()
                if meta is None:
                    raise StorageError(f"there is nothing in the image {self.image.path}")
                shutil.rmtree(directory, ignore_errors=True)
                self.image.checkpoint(directory)
                if self.image.meta() == meta:
                    applied = point_of(self.image.path, meta).applied
                    return SnapshotMeta(applied.index, applied.term, applied.conf)

    def prepare(self, meta: SnapshotMeta) -> None:
        """Read a snapshot whose files are all there and durable. Slow; in any thread. Raises StorageError."""
        with translated(f"receiving a snapshot in {self.incoming}"):
            sync_directory(self.incoming)
        image = Image(self.incoming)
        try:
            point = _point_of_snapshot(image, meta)
            keyspace = Keyspace.load(point.keyspace, image.items())
        except BaseException:
            image.close()
            raise
        self._prepared = _Prepared(image, keyspace, point)

    def install(self, meta: SnapshotMeta) -> tuple[Keyspace, AppliedPoint]:
        """Make the prepared snapshot the image, and begin the log anew after it. Raises StorageError.

        From the moment that the marker is durable, a start that finds it does what is left of this.
        """
        prepared = self._prepared
        assert prepared is not None
        assert prepared.point.applied.index == meta.index
        self._prepared = None
        prepared.image.close()
        self.image.close()
        path = self.image.path
        _mark(path, SNAPSHOT_MARKER, meta)
        complete_install(path, self._store, self._group, is_whole=True)
        self.image.reopen()
        self.image.open_for_writing()
        self._generations = set(prepared.point.keyspace.generations)
        return prepared.keyspace, prepared.point.applied

    def load(self, progress: Callable[[int], None] | None = None) -> tuple[Keyspace, AppliedPoint]:
        """Read the image: the keyspace and the point that it is of. Nothing is written; what there is to tidy up is
        left to the next flush. Raises DamagedDataError."""
        meta = self.image.meta()
        log = self._store.group(self._group)
        if meta is None:
            if log.start.index:
                raise DamagedDataError(
                    f"the log of shard {self._group} begins after entry {log.start.index}, but its image is empty"
                )
            return Keyspace(), AppliedPoint()
        point = point_of(self.image.path, meta)
        if point.applied.index < log.start.index:
            raise DamagedDataError(
                f"the image of shard {self._group} ends at entry {point.applied.index},"
                f" but its log begins after entry {log.start.index}"
            )
        if point.applied.index > log.last_index():
            raise DamagedDataError(
                f"the image of shard {self._group} is of entry {point.applied.index},"
                f" but its log ends at entry {log.last_index()}: log files are missing"
            )
        garbage: list[int] = []
        keyspace = Keyspace.load(point.keyspace, self.image.items(), progress, on_garbage=garbage.append)
        self._generations = {*point.keyspace.generations, *garbage}
        return keyspace, point.applied

    def finish(self, writer: images.ImageWriter, point: FlushPoint) -> None:
        """Make a flush durable, and let go of the generations that it names no more. In any thread.

        The log up to the flush's index must be durable before the image is, which `appendfsync always` has seen to
        and the others have not: a start would find an image of an entry that the log does not have.
        """
        self._store.sync()
        writer.finish(ImageMeta(images.FORMAT, point.applied.index, msgspec.msgpack.encode(point)))
        generations = set(point.keyspace.generations)
        self.image.drop_generations(sorted(self._generations - generations))
        self._generations = generations

    def finish_new(self, new: Image, writer: images.ImageWriter, point: FlushPoint) -> None:
        """Make a new image durable, read it, and have it take the place of the damaged one. In any thread. From the
        moment that the marker is durable, a start that finds it does what is left of this."""
        self._store.sync()
        writer.finish(ImageMeta(images.FORMAT, point.applied.index, msgspec.msgpack.encode(point)))
        new.close()
        applied = point.applied
        meta = SnapshotMeta(applied.index, applied.term, applied.conf)
        _check_snapshot(new.path, meta, rests=True)
        with self._replacing:
            self.image.close()
            _mark(self.image.path, NEW_IMAGE_MARKER, meta)
            complete_install(self.image.path, self._store, self._group, is_whole=True)
            self.image.reopen()
            self.image.open_for_writing()
        self._generations = set(point.keyspace.generations)


def point_of(path: Path, meta: ImageMeta) -> FlushPoint:
    """What the meta record of the image at `path` says. Raises DamagedDataError."""
    try:
        return _decode_point(meta.state)
    except msgspec.MsgspecError as error:
        raise DamagedDataError(f"the image {path} has no readable state: {error}") from error


def _digest(point: FlushPoint, records: Iterator[tuple[bytes, bytes]]) -> ImageDigest:
    named = {generation.to_bytes(4, "big") for generation in point.keyspace.generations}
    whole = hashlib.sha256(msgspec.msgpack.encode(point))
    keys = 0
    for key, record in records:
        if key[:4] in named:
            whole.update(b"%d %d " % (len(key), len(record)) + key + record)
            keys += 1
            if keys % REST_EVERY == 0:
                time.sleep(REST_SECONDS)
    return ImageDigest(point, keys, whole.hexdigest())


class _Prepared(NamedTuple):
    """A snapshot that was received and read."""

    image: Image
    keyspace: Keyspace
    point: FlushPoint


def _point_of_snapshot(image: Image, expected: SnapshotMeta) -> FlushPoint:
    meta = image.meta()
    if meta is None:
        raise DamagedDataError("a snapshot without anything in it")
    point = point_of(image.path, meta)
    if point.applied.index != expected.index or point.applied.term != expected.term:
        raise DamagedDataError(f"a snapshot of entry {point.applied.index} instead of {expected.index}")
    return point


def _check_snapshot(path: Path, expected: SnapshotMeta, *, rests: bool = False) -> None:
    """Read all of a snapshot, or of an image. `rests`: the node's own thread goes on meanwhile. Raises
    DamagedDataError."""
    image = Image(path)
    try:
        _point_of_snapshot(image, expected)
        for number, _ in enumerate(image.items(), 1):
            if rests and number % REST_EVERY == 0:
                time.sleep(REST_SECONDS)
    finally:
        image.close()


def _mark(image: Path, name: str, meta: SnapshotMeta) -> None:
    """Say, durably, that something is to take the image's place. Raises StorageError."""
    with translated(f"replacing the image {image}"):
        marker = image.with_name(name)
        marker.write_bytes(msgspec.msgpack.encode(meta))
        sync_file(marker)
        sync_directory(image.parent)


def complete_install(image: Path, store: LogStore, group: GroupId, *, is_whole: bool = False) -> None:
    """Do what is left of an installation of a snapshot, or of an image that was made anew, if one was begun; before the
    image is opened. What is to be the image is read first, unless it is known to be whole: the old one, and for a
    snapshot the log, go when it takes their place. Raises StorageError."""
    for name, directory in ((SNAPSHOT_MARKER, "incoming"), (NEW_IMAGE_MARKER, NEW_IMAGE)):
        marker, incoming = image.with_name(name), image.with_name(directory)
        if not marker.exists():
            continue
        with translated(f"replacing the image {image}"):
            meta = msgspec.msgpack.decode(marker.read_bytes(), type=SnapshotMeta)
            if incoming.exists() and not is_whole:
                _check_snapshot(incoming, meta)
            if name == SNAPSHOT_MARKER and store.group(group).start.index < meta.index:
                store.restore(group, meta)
                store.sync()
            old = image.parent / "old"
            if incoming.exists():
                shutil.rmtree(old, ignore_errors=True)
                if image.exists():
                    image.rename(old)
                incoming.rename(image)
                sync_directory(image.parent)
            shutil.rmtree(old, ignore_errors=True)
            marker.unlink()
            sync_directory(image.parent)


class _NewImageWriter:
    """Writes an image of its own."""

    def __init__(self, storage: DiskShardStorage, image: Image) -> None:
        self._storage = storage
        self._image = image
        self._writer = writer = image.writer()
        self.put = writer.put
        self.put_all = writer.put_all
        self.put_pieces = writer.put_pieces
        self.delete = writer.delete

    def finish(self, point: FlushPoint) -> None:
        """Have it take the image's place."""
        self._storage.finish_new(self._image, self._writer, point)

    def abort(self) -> None:
        """Forget it."""
        self._image.close()
        shutil.rmtree(self._image.path, ignore_errors=True)


class _PointWriter:
    """An image writer that records a FlushPoint."""

    def __init__(self, storage: DiskShardStorage, writer: images.ImageWriter) -> None:
        self._storage = storage
        self._writer = writer
        self.put = writer.put
        self.put_all = writer.put_all
        self.put_pieces = writer.put_pieces
        self.delete = writer.delete
        self.abort = writer.abort

    def finish(self, point: FlushPoint) -> None:
        """Make the flush durable."""
        self._storage.finish(self._writer, point)
