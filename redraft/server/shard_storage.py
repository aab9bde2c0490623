"""A shard's storage as the node's flusher sees it, over the image and the log store."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from redraft.errors import DamagedDataError
from redraft.ids import GroupId, Index
from redraft.keyspace.keyspace import Keyspace
from redraft.node.flusher import ImageWriter
from redraft.shard.shard import AppliedPoint, FlushPoint
from redraft.storage import image as images
from redraft.storage.image import Image, ImageMeta
from redraft.storage.log_store import LogStore

_decode_point = msgspec.msgpack.Decoder(FlushPoint).decode


class DiskShardStorage:
    """One shard's image and its place in the log store; implements `node.flusher.ShardStorage`."""

    def __init__(self, image: Image, store: LogStore, group: GroupId) -> None:
        self.image = image
        self._store = store
        self._group = group
        self._generations: set[int] = set()
        """Those that the image's meta record names."""

    def writer(self) -> ImageWriter:
        """Begin to write a flush."""
        return _PointWriter(self, self.image.writer())

    def compact_log(self, index: Index) -> None:
        """Let go of the log up to and including `index`."""
        self._store.compact(self._group, index, self._store.group(self._group).start.conf)

    def load(self, progress: Callable[[int], None] | None = None) -> tuple[Keyspace, AppliedPoint]:
        """Read the image: the keyspace and the point that it is of. Raises DamagedDataError."""
        meta = self.image.meta()
        log = self._store.group(self._group)
        if meta is None:
            if log.start.index:
                raise DamagedDataError(
                    f"the log of shard {self._group} begins after entry {log.start.index}, but its image is empty"
                )
            return Keyspace(), AppliedPoint()
        try:
            point = _decode_point(meta.state)
        except msgspec.MsgspecError as error:
            raise DamagedDataError(f"the image {self.image.path} has no readable state: {error}") from error
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
        self.image.drop_generations(garbage)
        self._generations = set(point.keyspace.generations)
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


class _PointWriter:
    """An image writer that records a FlushPoint."""

    def __init__(self, storage: DiskShardStorage, writer: images.ImageWriter) -> None:
        self._storage = storage
        self._writer = writer
        self.put = writer.put
        self.delete = writer.delete
        self.abort = writer.abort

    def finish(self, point: FlushPoint) -> None:
        """Make the flush durable."""
        self._storage.finish(self._writer, point)
