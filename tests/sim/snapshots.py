"""Snapshots on their way, as in `server.snapshots`, but not made of files: the image's records, in a few pieces."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from redraft.ids import NodeId
from redraft.node.links import framed
from redraft.node.peers import FrameError
from redraft.node.session import Session
from redraft.resp.reply import OK
from sim.dials import PeerDial
from sim.disk import Image
from sim.events import SECOND

if TYPE_CHECKING:
    from sim.machine import Machine

ANSWER_NS = 600 * SECOND
PIECES = 3
_LENGTH = struct.Struct("<I")


class SnapshotDial(PeerDial):
    """A connection that a snapshot is sent over."""

    purpose = b"SNAPSHOT"

    def __init__(
        self,
        machine: Machine,
        peer: NodeId,
        to: int,
        image: Image,
        brought: Callable[[Image], None],
        fail: Callable[[str], None],
    ) -> None:
        self._image = image
        self._brought = brought
        self._fail = fail
        super().__init__(machine, peer, to)

    def open(self) -> None:
        self.machine.cluster.tell(self.machine, f"sends node {self.peer} a snapshot of {self._image.meta().index}")
        data = framed(msgspec.msgpack.encode(self._image))
        size = len(data) // PIECES + 1
        for start in range(0, len(data), size):
            self.send(data[start : start + size])
        self.machine.later(ANSWER_NS, lambda: self.fail("no answer"))

    def answered(self, reply: Any) -> None:
        if not self.opened:
            super().answered(reply)
            return
        self.close()
        self._brought(self._image)

    def failed(self, reason: str) -> None:
        if self.machine.up:
            self._fail(reason)


_decode_image = msgspec.msgpack.Decoder(Image).decode


class SnapshotReceiver:
    """Takes a snapshot that another node sends; implements `node.links.Link`."""

    def __init__(self, machine: Machine, session: Session, peer: NodeId) -> None:
        self.peer = peer
        self._machine = machine
        self._session = session
        self._data = bytearray()
        self._begun = False
        self.is_being_read = False
        self.gave_way = False

    def receive(self, data: bytes) -> None:
        """Bytes have come. Raises FrameError."""
        if self.gave_way:
            raise FrameError("another snapshot has taken its place")
        machine = self._machine
        if not self._begun:
            self._begun = True
            self._take_place()
            machine.storage.forget_prepared()
            machine.node.prepared_snapshot = None
        self._data += data
        if len(self._data) < _LENGTH.size:
            return
        (size,) = _LENGTH.unpack_from(self._data)
        if len(self._data) - _LENGTH.size < size:
            return
        if len(self._data) - _LENGTH.size > size:
            raise FrameError("more bytes than the snapshot has")
        image = _decode_image(bytes(self._data[_LENGTH.size :]))
        self.is_being_read = True
        machine.node.jobs.add(lambda: machine.storage.prepare(image, image.meta()), lambda: self._done(image))

    def _take_place(self) -> None:
        """One at a time has the place beside the image. Raises FrameError."""
        newest = self._machine.receiver
        if (newest is not None and newest.is_being_read) or self._machine.node.shard.raft.installs:
            raise FrameError("another snapshot is being read or installed")
        if newest is not None:
            newest.gave_way = True
        self._machine.receiver = self

    def _done(self, image: Image) -> None:
        self.is_being_read = False
        session = self._session
        if not session.closed:
            self._machine.node.prepared_snapshot = image.meta().index
            session.answer(OK)
            self._machine.node.outgoing[session] = None

    def close(self) -> None:
        """The connection has ended."""
