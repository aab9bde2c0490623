"""Snapshots on their way to a node that lacks more than the log still has (design section 6).

The sender takes a checkpoint of its image (hard links, milliseconds) and sends it file by file over a connection of
its own, so that no heartbeat waits behind it. The receiver writes the files beside its image, checks their CRCs, makes
them durable, and reads the keyspace from them in a thread, while it goes on as before. Only then it says OK; what is
left for the moment of installing is a few milliseconds (`shard_storage`).

```
length (4 bytes, little endian), msgpack Contents, the bytes of the files one behind the other     ← OK
```
"""

from __future__ import annotations

import logging
import shutil
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec
import trio

from redraft.errors import RedraftError, StorageError
from redraft.ids import NodeId
from redraft.node.node import Node
from redraft.node.peers import FrameError
from redraft.node.session import Session
from redraft.raft.messages import SnapshotMeta
from redraft.resp.reply import OK
from redraft.server.links import GREETING_SECONDS, GreetingError, dial
from redraft.server.reactor import Reactor
from redraft.server.shard_storage import DiskShardStorage
from redraft.server.stream import Stream
from redraft.storage.directory import sync_file

log = logging.getLogger("redraft.snapshots")

CHUNK_BYTES = 256 * 1024
MOST_CONTENTS_BYTES = 16 << 20
ANSWER_SECONDS = 600.0
_LENGTH = struct.Struct("<I")


class File(msgspec.Struct, frozen=True, array_like=True):
    """One file of a snapshot."""

    name: str
    size: int
    crc: int


class Contents(msgspec.Struct, frozen=True, array_like=True):
    """What a snapshot is of, and its files in the order in which they are sent."""

    meta: SnapshotMeta
    files: list[File]


# Sending.


async def send_snapshot(node: Node, reactor: Reactor, storage: DiskShardStorage, peer: NodeId) -> None:
    """Bring a snapshot to a node and have it installed there; Raft hears of it if that fails."""
    directory = storage.image.path.parent / f"sending-{peer}"
    try:
        contents = await trio.to_thread.run_sync(_take, storage, directory)
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
    """A checkpoint of the image in `directory`. Raises StorageError."""
    meta = storage.checkpoint(directory)
    files = [File(path.name, path.stat().st_size, _crc(path)) for path in sorted(directory.iterdir()) if path.is_file()]
    return Contents(meta, files)


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc


async def _send(
    stream: Stream, directory: Path, contents: Contents, progress: Callable[[tuple[int, int]], None]
) -> None:
    """`progress` is told how many bytes of the files have left, and how many there are."""
    whole, sent = sum(file.size for file in contents.files), 0
    head = msgspec.msgpack.encode(contents)
    await stream.send_all(_LENGTH.pack(len(head)) + head)
    for file in contents.files:
        with (directory / file.name).open("rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                progress((sent, whole))
                await stream.send_all(chunk)
                sent += len(chunk)
    progress((whole, whole))
    with trio.fail_after(ANSWER_SECONDS):
        reply = await stream.receive_some()
    if reply != b"+OK\r\n":
        raise GreetingError(reply.decode("latin-1").strip() or "it closes the connection")


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
        self._number = 0
        self._file: BinaryIO | None = None
        self._written = 0
        self._crc = 0
        self._error = ""

    def receive(self, data: bytes) -> None:
        """Bytes have come. Raises FrameError."""
        if self._gave_way:
            raise FrameError("another snapshot has taken its place")
        rest = memoryview(data)
        try:
            if self._contents is None:
                rest = self._take_head(data)
            while rest and self._contents is not None and self._number < len(self._contents.files):
                rest = self._take_file(rest)
        except (OSError, StorageError) as error:
            raise FrameError(f"the snapshot cannot be kept: {error}") from error
        if rest:
            raise FrameError("more bytes than the snapshot has")

    def _take_head(self, data: bytes) -> memoryview:
        head = self._head
        head += data
        if len(head) < _LENGTH.size:
            return memoryview(b"")
        (size,) = _LENGTH.unpack_from(head)
        if size > MOST_CONTENTS_BYTES:
            raise FrameError(f"a list of files of {size} bytes")
        if len(head) < _LENGTH.size + size:
            return memoryview(b"")
        try:
            contents = msgspec.msgpack.decode(bytes(head[_LENGTH.size : _LENGTH.size + size]), type=Contents)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FrameError(f"a list of files that cannot be read: {error}") from error
        for file in contents.files:
            if "/" in file.name or file.name in ("", ".", ".."):
                raise FrameError(f"a file of the name {file.name!r}")
        log.warning("node %d sends a snapshot of entry %d", self.peer, contents.meta.index)
        self._take_place(self)
        self._storage.begin_receiving()
        self._node.prepared_snapshot = None
        self._contents = contents
        rest = memoryview(bytes(head[_LENGTH.size + size :]))
        self._skip_empty()
        return rest

    def _take_file(self, data: memoryview) -> memoryview:
        assert self._contents is not None
        wanted = self._contents.files[self._number]
        if self._file is None:
            self._file = (self._storage.incoming / wanted.name).open("wb")
        taken = data[: wanted.size - self._written]
        self._file.write(taken)
        self._crc = zlib.crc32(taken, self._crc)
        self._written += len(taken)
        if self._written == wanted.size:
            self._end_file()
        return data[len(taken) :]

    def _end_file(self) -> None:
        assert self._contents is not None
        assert self._file is not None
        self._file.close()
        self._file = None
        if self._crc != self._contents.files[self._number].crc:
            raise FrameError(f"the file {self._contents.files[self._number].name} was changed on its way")
        self._number, self._written, self._crc = self._number + 1, 0, 0
        self._skip_empty()

    def _skip_empty(self) -> None:
        """Make the files that have no bytes; behind the last one, make all ready."""
        contents = self._contents
        assert contents is not None
        while self._number < len(contents.files) and contents.files[self._number].size == 0:
            (self._storage.incoming / contents.files[self._number].name).touch()
            self._number += 1
        if self._number == len(contents.files):
            self.is_being_read = True
            self._node.jobs.add(self._prepare, self._prepared)

    def _prepare(self) -> None:
        """In a thread."""
        assert self._contents is not None
        try:
            for file in self._contents.files:
                sync_file(self._storage.incoming / file.name)
            self._storage.prepare(self._contents.meta)
        except (StorageError, OSError) as error:
            self._error = str(error)

    def _prepared(self) -> None:
        assert self._contents is not None
        self.is_being_read = False
        session = self._session
        if self._error:
            log.error("the snapshot of node %d cannot be used: %s", self.peer, self._error)
            session.killed = True
        elif not session.closed:
            self._node.prepared_snapshot = self._contents.meta.index
            session.answer(OK)
        if not session.closed:
            self._node.outgoing[session] = None

    def give_way(self) -> None:
        """Another snapshot takes this one's place."""
        self._gave_way = True
        self.close()

    def close(self) -> None:
        """The connection has ended."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Receivers:
    """What a node calls when another wants to send a snapshot. One at a time has the place beside the image: the newest
    that comes, since an earlier one is of a leader that is none any more or of a link that broke."""

    def __init__(self, node: Node, storage: DiskShardStorage) -> None:
        self._node = node
        self._storage = storage
        self._newest: SnapshotReceiver | None = None

    def __call__(self, session: Session, peer: NodeId) -> SnapshotReceiver:
        return SnapshotReceiver(self._node, self._storage, session, peer, self._take_place)

    def _take_place(self, receiver: SnapshotReceiver) -> None:
        """Raises FrameError."""
        newest = self._newest
        if (newest is not None and newest.is_being_read) or self._node.shard.raft.installs:
            raise FrameError("another snapshot is being read or installed")
        if newest is not None:
            newest.give_way()
        self._newest = receiver
