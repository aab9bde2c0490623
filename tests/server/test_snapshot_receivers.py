"""Two nodes that send a snapshot at the same time: their files never mix."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from redraft.ids import Index, NodeId, Term
from redraft.node.peers import FrameError
from redraft.raft.messages import SnapshotMeta
from redraft.server.snapshots import Contents, File, Receivers


class Place:
    """Stands in for the shard's storage: a directory, and what was prepared from it."""

    def __init__(self, directory: Path) -> None:
        self.incoming = directory
        self.prepared: list[tuple[int, bytes]] = []

    def begin_receiving(self) -> None:
        for path in self.incoming.iterdir():
            path.unlink()

    def prepare(self, meta: SnapshotMeta) -> None:
        self.prepared.append((meta.index, (self.incoming / "a").read_bytes()))


class Session:
    def __init__(self) -> None:
        self.killed = self.closed = False
        self.answers: list[Any] = []

    def answer(self, reply: Any) -> None:
        self.answers.append(reply)


class Receiver:
    """A node that receives, and the jobs that it was to run in a thread."""

    def __init__(self, directory: Path) -> None:
        self.jobs: list[tuple[Callable[[], None], Callable[[], None]]] = []
        self.installs = False
        self.place = Place(directory)
        self.node = SimpleNamespace(
            prepared_snapshot=None, outgoing={},
            jobs=SimpleNamespace(add=lambda run, done: self.jobs.append((run, done))),
            shard=SimpleNamespace(raft=SimpleNamespace(installs=False)),
        )  # fmt: skip
        self.accept = Receivers(self.node, self.place)  # type: ignore[arg-type]

    def run_jobs(self) -> None:
        while self.jobs:
            run, done = self.jobs.pop()
            run()
            done()


def stream(index: int, data: bytes) -> bytes:
    contents = Contents(SnapshotMeta(Index(index), Term(1)), [File("a", len(data), zlib.crc32(data))])
    head = msgspec.msgpack.encode(contents)
    return struct.pack("<I", len(head)) + head + data


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    return Receiver(tmp_path)


def test_the_newest_snapshot_takes_the_place_of_one_that_is_on_its_way(receiver: Receiver) -> None:
    old = receiver.accept(Session(), NodeId(1))  # type: ignore[arg-type]
    new = receiver.accept(Session(), NodeId(2))  # type: ignore[arg-type]
    old.receive(stream(10, b"x" * 100)[:-50])
    new.receive(stream(20, b"y" * 100)[:-50])
    with pytest.raises(FrameError, match="another snapshot has taken its place"):
        old.receive(b"x" * 50)
    new.receive(b"y" * 50)
    receiver.run_jobs()
    assert receiver.place.prepared == [(20, b"y" * 100)]
    assert receiver.node.prepared_snapshot == 20


def test_what_is_being_read_or_installed_is_not_replaced(receiver: Receiver) -> None:
    session = Session()
    first = receiver.accept(session, NodeId(1))  # type: ignore[arg-type]
    first.receive(stream(10, b"x" * 100))
    second = receiver.accept(Session(), NodeId(2))  # type: ignore[arg-type]
    with pytest.raises(FrameError, match="another snapshot is being read"):
        second.receive(stream(20, b"y" * 100))
    receiver.run_jobs()
    assert receiver.node.prepared_snapshot == 10
    assert len(session.answers) == 1
    receiver.node.shard.raft.installs = True
    third = receiver.accept(Session(), NodeId(2))  # type: ignore[arg-type]
    with pytest.raises(FrameError, match="another snapshot is being read or installed"):
        third.receive(stream(20, b"y" * 100))
    assert receiver.node.prepared_snapshot == 10
    receiver.node.shard.raft.installs = False
    third = receiver.accept(Session(), NodeId(2))  # type: ignore[arg-type]
    third.receive(stream(20, b"y" * 100))
    receiver.run_jobs()
    assert receiver.node.prepared_snapshot == 20
