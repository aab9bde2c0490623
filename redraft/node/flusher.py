"""When the memtable is written to the image, and in what slices.

Theory (design section 6). A flush is started when enough keys are dirty or enough log has been written since the last
one, so that both the dirty set and the log that a restart replays stay bounded; or because somebody asked (SAVE,
SHUTDOWN, DEBUG RELOAD). It goes through three phases:

    idle → writing   (a slice a tick: about `SLICE_NS`, more when keys become dirty faster than they are written)
         → finishing (the file is fsynced and ingested, which takes a disk's time: a background job)
         → idle      (the log up to the image's index, less a margin for slow followers, is let go)

The image may turn out to be damaged while the node runs: when a flush enters it, when it is copied for another node, or
read (DEBUG RELOAD, DEBUG DIGEST). What is in memory is not touched by that, nor is the log. So the node says so, has
another node lead if one can, and its next flush writes all keys to a new image, which is read once before it takes the
place of the damaged one. If that is damaged as well, the disk is of no use: the node stops.

Invariants: one flush at a time; the log is compacted only up to an index whose image is durable; a snapshot takes the
image's place only while no other thread works on it.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from redraft.errors import DamagedDataError
from redraft.ids import Index, NodeId
from redraft.keyspace.flush import RecordWriter
from redraft.keyspace.keyspace import Keyspace
from redraft.raft.messages import SnapshotMeta
from redraft.shard.shard import AppliedPoint, FlushPoint, Shard

if TYPE_CHECKING:
    from redraft.node.node import Node

log = logging.getLogger("redraft.flush")

SLICE_NS = 1_000_000
"""The time that a tick gives to a flush."""
SLICE_UNITS = 64
"""Units of work between two looks at the clock."""


class ImageWriter(RecordWriter, Protocol):
    """A flush's file in the making; implemented by the storage floor."""

    def finish(self, point: FlushPoint) -> None:
        """Make all that was written, and `point`, part of the image: durable and atomic. Slow; in any thread."""

    def abort(self) -> None:
        """Forget what was written."""


class ImageDigest(NamedTuple):
    """What an image holds, in a few bytes."""

    point: FlushPoint
    keys: int
    sha256: str
    """Of all keys and records in the order of the keys, with their lengths, and of what is recorded beside them."""


class ShardStorage(Protocol):
    """What a node needs of the disk beside Raft's log; implemented by the storage floor."""

    def writer(self) -> ImageWriter:
        """Begin to write a flush."""

    def new_image(self) -> ImageWriter:
        """Begin to write an image of its own, of all keys; when it is finished it takes the place of the image."""

    def compact_log(self, index: Index) -> None:
        """Let go of the log up to and including `index`."""

    def digest(self) -> Callable[[], ImageDigest]:
        """A digest of the image as it is now; what is returned computes it. Slow; in any thread."""

    def install(self, meta: SnapshotMeta) -> tuple[Keyspace, AppliedPoint]:
        """Make the snapshot of `meta`, which was prepared, the image, and begin the log anew after it: durable, and
        whole or not at all, whenever the power fails. What it holds."""


class Phase(enum.Enum):
    """Where a flush is."""

    IDLE = "idle"
    WRITING = "writing"
    FINISHING = "finishing"


class Flusher:
    """Flushes of one shard."""

    def __init__(self, node: Node, shard: Shard, storage: ShardStorage) -> None:
        self._node = node
        self._shard = shard
        self._storage = storage
        self.phase = Phase.IDLE
        self.writer: ImageWriter | None = None
        self._point: FlushPoint | None = None
        self._wanted = False
        self._waiting: list[Callable[[], None]] = []
        self._waiting_for_next: list[Callable[[], None]] = []
        self.needed_behind: dict[NodeId, Index] = {}
        """Nodes that are being sent a snapshot of an index, and will need the log after it."""
        self.last_flush_ms = node.now_ms
        self.last_duration_ms = 0
        self._started_ns = 0
        self.flushes = 0
        self._seen_logged_bytes = 0
        self._digests = 0
        """Digests that are being computed."""
        self._damage: DamagedDataError | None = None
        """What the flush that was being finished has found."""
        self.makes_anew = False
        """Whether the image is damaged, and the next flush makes a new one."""
        self._is_new = False
        """Whether the flush under way makes a new one."""

    def request(self, on_done: Callable[[], None] | None = None) -> None:
        """Flush all that is applied by now; `on_done` is called when it is durable."""
        if on_done is not None:
            (self._waiting if self.phase is Phase.IDLE else self._waiting_for_next).append(on_done)
        self._wanted = True

    def digest(self, on_done: Callable[[ImageDigest], None]) -> None:
        """Flush all that is applied by now, and compute a digest of the image."""
        self.request(lambda: self._digest(on_done))

    def _digest(self, on_done: Callable[[ImageDigest], None]) -> None:
        compute = self._storage.digest()
        found: list[ImageDigest | DamagedDataError] = []
        self._digests += 1

        def run() -> None:
            try:
                found.append(compute())
            except DamagedDataError as error:
                found.append(error)

        def computed() -> None:
            self._digests -= 1
            if isinstance(found[0], DamagedDataError):
                self.image_is_damaged(found[0])
                self.digest(on_done)
            else:
                on_done(found[0])

        self._node.jobs.add(run, computed)

    def image_is_damaged(self, error: DamagedDataError) -> None:
        """Reading or changing the image has found that it is damaged: make a new one of what is in memory."""
        if self.makes_anew:
            return
        # Its text alone: with the error, whoever keeps the record would keep the image's iterators, and so its files.
        log.error(
            "the image of this node is damaged: %s; another node shall lead, and the image is made anew of what is in"
            " memory", str(error),
        )  # fmt: skip
        self.makes_anew = True
        self._break_off()
        self._shard.break_off_flush()
        self._wanted = True
        self._node.leadership.give_up()

    def uses_image(self) -> bool:
        """Whether something in another thread works on the image."""
        return self.phase is Phase.FINISHING or self._digests > 0

    def step(self) -> None:
        """A tick's share of the work."""
        if self._shard.raft.installs:
            # The image is about to be replaced: nothing may begin to use it.
            return
        if self.phase is Phase.IDLE and (self._wanted or self._due()):
            self._begin()
        if self.phase is Phase.WRITING:
            self._write_slice()
        self._shard.keyspace.bury(500)

    def active(self) -> bool:
        """Whether the next tick has work to do even if nobody calls."""
        wanted = self._wanted and self.phase is Phase.IDLE
        return wanted or self.phase is Phase.WRITING or bool(self._shard.keyspace.graveyard)

    def run_to_end(self) -> None:
        """Flush everything now, in this thread (SHUTDOWN). Raises StorageError."""
        self._finish_writing()
        while self._shard.applied.index != self._shard.flushed or self.makes_anew:
            self._begin()
            self._finish_writing()

    def install(self, meta: SnapshotMeta) -> None:
        """A snapshot takes the place of the image and of the keyspace; a flush of the old one is broken off."""
        assert not self.uses_image()
        self._break_off()
        self.makes_anew = False
        keyspace, applied = self._storage.install(meta)
        self._shard.install(keyspace, applied)

    def _break_off(self) -> None:
        if self.phase is Phase.WRITING:
            assert self.writer is not None
            self.writer.abort()
            self.phase = Phase.IDLE
            self.writer = self._point = None
            self._wanted = bool(self._waiting)

    def _finish_writing(self) -> None:
        while self._shard.flush is not None and self.phase is Phase.WRITING:
            self._write_slice(waits=False)
        self._node.jobs.finish()

    def _due(self) -> bool:
        logged = self._shard.logged_bytes_since_flush
        if logged == self._seen_logged_bytes:
            return False
        self._seen_logged_bytes = logged
        settings = self._node.settings
        return logged >= settings.flush_log_bytes or self._shard.keyspace.dirty_keys() >= settings.flush_dirty_keys

    def _begin(self) -> None:
        self._wanted = False
        self._started_ns = self._node.clock.monotonic_ns()
        self._is_new = self.makes_anew
        self.writer = self._storage.new_image() if self._is_new else self._storage.writer()
        self._point = self._shard.begin_flush(self.writer)
        self.phase = Phase.WRITING

    def _write_slice(self, *, waits: bool = True) -> None:
        flush = self._shard.flush
        assert flush is not None
        monotonic_ns = self._node.clock.monotonic_ns
        behind = 1 + self._shard.keyspace.dirty_keys() // max(1, self._node.settings.flush_dirty_keys)
        end_ns = monotonic_ns() + SLICE_NS * min(behind, 8)
        while not flush.step(SLICE_UNITS):
            if monotonic_ns() >= end_ns:
                return
        if self._is_new and self._digests and waits:
            # Files that another thread reads are not replaced.
            return
        self.phase = Phase.FINISHING
        writer, point = self.writer, self._point
        assert writer is not None
        assert point is not None

        def finish() -> None:
            try:
                writer.finish(point)
            except DamagedDataError as error:
                self._damage = error

        self._node.jobs.add(finish, self._finished)

    def _finished(self) -> None:
        point = self._point
        assert point is not None
        damage, self._damage = self._damage, None
        if damage is not None and self._is_new:
            raise damage
        if damage is not None:
            self.phase = Phase.IDLE
            self.image_is_damaged(damage)
        if self.makes_anew and not self._is_new:
            # What was finished is in the damaged image, or is not: it counts for nothing.
            self.phase = Phase.IDLE
            self.writer = self._point = None
            return
        if self._is_new:
            log.warning("the image of this node was made anew, as of entry %d", point.applied.index)
            self.makes_anew = False
        self._shard.end_flush(point)
        end = point.applied.index - self._node.settings.log_retain_entries
        end = min(end, *self.needed_behind.values()) if self.needed_behind else end
        if end > 0:
            self._storage.compact_log(Index(end))
        self.flushes += 1
        self.last_flush_ms = self._node.now_ms
        self.last_duration_ms = (self._node.clock.monotonic_ns() - self._started_ns) // 1_000_000
        log.debug("the image is of index %d now, after %d ms", point.applied.index, self.last_duration_ms)
        self.phase = Phase.IDLE
        self.writer = self._point = None
        done = self._waiting
        self._waiting = self._waiting_for_next
        self._waiting_for_next = []
        if self._waiting:
            self._wanted = True
        for callback in done:
            callback()
        self._node.on_flushed()
