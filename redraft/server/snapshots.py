"""Snapshots on their way to a node that lacks more than the log still has (design section 6).

The sender takes a checkpoint of its image (hard links, milliseconds) and sends it file by file over a connection of
its own, so that no heartbeat waits behind it. The receiver says first how much of each file it has from an attempt that
broke off (`snapshot_files`), and is sent the rest. It writes the files beside its image, checks their CRCs, makes them
durable, and reads the keyspace from them in a thread, while it goes on as before. Only then it says OK; what is left
for the moment of installing is a few milliseconds (`shard_storage`).

```
→ length (4 bytes, little endian), msgpack Contents        ← array of integers: the bytes of each file that are here
→ the missing bytes of the files one behind the other      ← OK
```
"""

from __future__ import annotations

import logging
import shutil
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeGuard

import msgspec
import trio

from redraft.errors import DamagedDataError, RedraftError, StorageError
from redraft.ids import NodeId
from redraft.node.links import GreetingError
from redraft.node.node import Node
from redraft.node.peers import FrameError
from redraft.node.session import Session
from redraft.raft.messages import SnapshotMeta
from redraft.resp.reply import OK
from redraft.server.links import GREETING_SECONDS, dial, read_reply
from redraft.server.reactor import Reactor
from redraft.server.shard_storage import DiskShardStorage
from redraft.server.snapshot_files import CHUNK_BYTES, File, IncomingFiles, list_files
from redraft.server.stream import Stream

log = logging.getLogger("redraft.snapshots")

MOST_CONTENTS_BYTES = 16 << 20
ANSWER_SECONDS = 600.0
_LENGTH = struct.Struct("<I")


class Contents(msgspec.Struct, frozen=True, array_like=True):
    """What a snapshot is of, and its files in the order in which they are sent."""

    meta: SnapshotMeta
    files: list[File]

    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)


# Sending.


async def send_snapshot(node: Node, reactor: Reactor, storage: DiskShardStorage, peer: NodeId) -> None:
    """Bring a snapshot to a node and have it installed there; Raft hears of it if that fails."""
    directory = storage.image.path.parent / f"sending-{peer}"
    try:
        try:
            contents = await trio.to_thread.run_sync(_take, storage, directory)
        except DamagedDataError as error:
            # What is sent is read first, or a node that joins is sent the damage again and again.
            node.flusher.image_is_damaged(error)
            raise
        # The log after it is needed until the other node has caught up; a later flush lets go of it.
        node.flusher.needed_behind[peer] = contents.meta.index
        log.warning("node %d is sent a snapshot of entry %d", peer, contents.meta.index)
        address, context = node.members.address(peer), reactor.peer_context()
        with trio.fail_after(GREETING_SECONDS):
            stream = await dial(node, peer, address, b"SNAPSHOT", context)
        async with stream:
            await _send(stream, directory, contents, partial(node.sending_snapshots.__setitem__, peer))
        node.snapshot_brought(peer, contents.meta)
        await trio.sleep(1.0)
    except (OSError, GreetingError, RedraftError, trio.TooSlowError) as error:
        log.warning("the snapshot for node %d did not arrive: %s", peer, error or "it took too long")
        await trio.sleep(0.5)
        node.snapshot_failed(peer)
    finally:
        node.flusher.needed_behind.pop(peer, None)
        node.sending_snapshots.pop(peer, None)
        shutil.rmtree(directory, ignore_errors=True)
        reactor.wake()


def _take(storage: DiskShardStorage, directory: Path) -> Contents:
    """A checkpoint of the image in `directory`, which is whole. Raises StorageError, DamagedDataError."""
    meta = storage.checkpoint(directory)
    return Contents(meta, list_files(directory))


async def _send(
    stream: Stream, directory: Path, contents: Contents, progress: Callable[[tuple[int, int]], None]
) -> None:
    """`progress` is told how many bytes of the files have left, and how many there are."""
    head = msgspec.msgpack.encode(contents)
    await stream.send_all(_LENGTH.pack(len(head)) + head)
    with trio.fail_after(ANSWER_SECONDS):
        held = await read_reply(stream)
    if not _fits(held, contents):
        raise GreetingError("it cannot have what it says that it has")
    whole, sent = contents.size(), sum(held)
    for file, there in zip(contents.files, held, strict=True):
        with (directory / file.name).open("rb") as source:
            source.seek(there)
            while chunk := source.read(CHUNK_BYTES):
                progress((sent, whole))
                await stream.send_all(chunk)
                sent += len(chunk)
    progress((whole, whole))
    with trio.fail_after(ANSWER_SECONDS):
        await read_reply(stream)


def _fits(held: object, contents: Contents) -> TypeGuard[list[int]]:
    """Whether an answer says how much of each file is there."""
    return (
        isinstance(held, list)
        and len(held) == len(contents.files)
        and all(isinstance(n, int) and 0 <= n <= file.size for n, file in zip(held, contents.files, strict=True))
    )


# Receiving.


class SnapshotReceiver:
    """Takes a snapshot that another node sends; implements `node.links.Link`."""

    def __init__(
        self,
        node: Node,
        storage: DiskShardStorage,
        session: Session,
        peer: NodeId,
        take_place: Callable[[SnapshotReceiver], None],
    ) -> None:
        self.peer = peer
        self.is_being_read = False
        """Whether all has come, and a thread works on it."""
        self._take_place = take_place
        self._gave_way = False
        self._node = node
        self._storage = storage
        self._session = session
        self._head = bytearray()
        self._contents: Contents | None = None
        self._files: IncomingFiles | None = None
        """Once it is known what of them is here."""
        self._error = ""

    def receive(self, data: bytes) -> None:
        """Bytes have come. Raises FrameError."""
        if self._gave_way:
            raise FrameError("another snapshot has taken its place")
        try:
            if self._contents is None:
                self._take_head(data)
            elif self._files is None or self.is_being_read:
                raise FrameError("bytes that were not asked for")
            else:
                self._files.write(memoryview(data))
                self._maybe_prepare()
        except (OSError, StorageError) as error:
            raise FrameError(f"the snapshot cannot be kept: {error}") from error

    def _take_head(self, data: bytes) -> None:
        head = self._head
        head += data
        if len(head) < _LENGTH.size:
            return
        (size,) = _LENGTH.unpack_from(head)
        if size > MOST_CONTENTS_BYTES:
            raise FrameError(f"a list of files of {size} bytes")
        if len(head) < _LENGTH.size + size:
            return
        if len(head) > _LENGTH.size + size:
            raise FrameError("bytes that were not asked for")
        try:
            contents = msgspec.msgpack.decode(bytes(head[_LENGTH.size :]), type=Contents)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(f"a list of files that cannot be read: {error}") from error
        for file in contents.files:
            if "/" in file.name or file.name in ("", ".", ".."):
                raise FrameError(f"a file of the name {file.name!r}")
        self._take_place(self)
        self._storage.let_go()
        self._node.prepared_snapshot = None
        self._contents = contents
        self._in_a_thread(self._look, self._ask)

    def _in_a_thread(self, run: Callable[[], None], done: Callable[[], None]) -> None:
        """Have `run` done in a thread, then `done` in a tick if it went well and the connection is still there."""
        self.is_being_read = True
        self._node.jobs.add(partial(self._run, run), partial(self._ran, done))

    def _run(self, run: Callable[[], None]) -> None:
        try:
            run()
        except (StorageError, OSError) as error:
            self._error = str(error)

    def _ran(self, done: Callable[[], None]) -> None:
        self.is_being_read = False
        session = self._session
        if self._error:
            log.error("the snapshot of node %d cannot be used: %s", self.peer, self._error)
            session.killed = True
        elif session.closed:
            self.close()
            return
        else:
            done()
        self._node.outgoing[session] = None

    def _look(self) -> None:
        assert self._contents is not None
        self._files = IncomingFiles(self._storage.incoming, self._contents.files)

    def _ask(self) -> None:
        assert self._contents is not None
        assert self._files is not None
        index, held, whole = self._contents.meta.index, sum(self._files.held), self._contents.size()
        log.warning(
            "node %d sends a snapshot of entry %d: %d bytes, %d are here already", self.peer, index, whole, held
        )
        self._session.answer(self._files.held)
        self._maybe_prepare()

    def _maybe_prepare(self) -> None:
        assert self._files is not None
        if self._files.is_whole():
            self._in_a_thread(self._prepare, self._prepared)

    def _prepare(self) -> None:
        assert self._files is not None
        assert self._contents is not None
        self._files.sync()
        self._storage.prepare(self._contents.meta)

    def _prepared(self) -> None:
        assert self._contents is not None
        self._node.prepared_snapshot = self._contents.meta.index
        self._session.answer(OK)

    def is_open(self) -> bool:
        """Whether it may still go on, or a thread works on it."""
        return self.is_being_read or not (self._gave_way or self._session.closed)

    def give_way(self) -> None:
        """Another snapshot takes this one's place."""
        self._gave_way = True
        self.close()

    def close(self) -> None:
        """The connection has ended."""
        if self._files is not None and not self.is_being_read:
            self._files.close()


class Receivers:
    """What a node calls when another wants to send a snapshot. One at a time has the place beside the image: the newest
    that comes, since an earlier one is of a leader that is none any more or of a link that broke."""

    def __init__(self, node: Node, storage: DiskShardStorage) -> None:
        self._node = node
        self._storage = storage
        self._newest: SnapshotReceiver | None = None

    def __call__(self, session: Session, peer: NodeId) -> SnapshotReceiver:
        return SnapshotReceiver(self._node, self._storage, session, peer, self._take_place)

    def tidy(self) -> None:
        """A flush has ended, so this node follows by its log. What is left of a snapshot that broke off is of no use
        then, nor is one that was received, and not installed before its entry was applied here."""
        node = self._node
        prepared = node.prepared_snapshot
        is_open = self._newest is not None and self._newest.is_open() and prepared is None
        is_needed = prepared is not None and prepared > node.shard.flushed
        if is_open or is_needed or node.shard.raft.installs or node.shutdown_requested is not None:
            return
        if prepared is not None:
            self._storage.let_go()
            node.prepared_snapshot = None
        aside = self._storage.set_incoming_aside()
        if aside is not None:
            node.jobs.add(lambda: shutil.rmtree(aside, ignore_errors=True), lambda: None)

    def _take_place(self, receiver: SnapshotReceiver) -> None:
        """Raises FrameError."""
        newest = self._newest
        if (newest is not None and newest.is_being_read) or self._node.shard.raft.installs:
            raise FrameError("another snapshot is being read or installed")
        if newest is not None:
            newest.give_way()
        self._newest = receiver
