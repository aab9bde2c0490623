"""Snapshots that come in: files of two nodes never mix, and what came before a link broke is not sent again."""

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
from redraft.resp.reply import OK
from redraft.server.snapshot_files import File
from redraft.server.snapshots import Contents, Receivers, SnapshotReceiver


class Place:
    """Stands in for the shard's storage: a directory, and what was prepared from it."""

    def __init__(self, directory: Path) -> None:
        self.incoming = directory
        self.prepared: list[tuple[int, bytes]] = []
        self.let_go_of: list[tuple[int, bytes]] = []

    def let_go(self) -> None:
        self.let_go_of = [*self.prepared]

    def set_incoming_aside(self) -> Path | None:
        if not self.incoming.exists():
            return None
        return self.incoming.rename(self.incoming.with_name("aside"))

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
            prepared_snapshot=None, outgoing={}, shutdown_requested=None,
            jobs=SimpleNamespace(add=lambda run, done: self.jobs.append((run, done))),
            shard=SimpleNamespace(raft=SimpleNamespace(installs=False), flushed=0),
        )  # fmt: skip
        self.accept = Receivers(self.node, self.place)  # type: ignore[arg-type]

    def run_jobs(self) -> None:
        while self.jobs:
            run, done = self.jobs.pop()
            run()
            done()


def head(index: int, data: bytes) -> bytes:
    contents = Contents(SnapshotMeta(Index(index), Term(1)), [File("a", len(data), zlib.crc32(data))])
    encoded = msgspec.msgpack.encode(contents)
    return struct.pack("<I", len(encoded)) + encoded


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    return Receiver(tmp_path / "incoming")


def begin(receiver: Receiver, node: int, first: bytes) -> tuple[SnapshotReceiver, Session]:
    session = Session()
    link = receiver.accept(session, NodeId(node))  # type: ignore[arg-type]
    link.receive(first)
    return link, session


def test_the_newest_snapshot_takes_the_place_of_one_that_is_on_its_way(receiver: Receiver) -> None:
    old, _ = begin(receiver, 1, head(10, b"x" * 100))
    receiver.run_jobs()
    old.receive(b"x" * 50)
    new, session = begin(receiver, 2, head(20, b"y" * 100))
    receiver.run_jobs()
    assert session.answers == [[0]]
    new.receive(b"y" * 50)
    with pytest.raises(FrameError, match="another snapshot has taken its place"):
        old.receive(b"x" * 50)
    new.receive(b"y" * 50)
    receiver.run_jobs()
    assert receiver.place.prepared == [(20, b"y" * 100)]
    assert receiver.node.prepared_snapshot == 20


def test_what_is_being_read_or_installed_is_not_replaced(receiver: Receiver) -> None:
    first, session = begin(receiver, 1, head(10, b"x" * 100))
    with pytest.raises(FrameError, match="another snapshot is being read"):
        begin(receiver, 2, head(20, b"y" * 100))
    receiver.run_jobs()
    first.receive(b"x" * 100)
    with pytest.raises(FrameError, match="another snapshot is being read"):
        begin(receiver, 2, head(20, b"y" * 100))
    receiver.run_jobs()
    assert receiver.node.prepared_snapshot == 10
    assert session.answers == [[0], OK]
    receiver.node.shard.raft.installs = True
    with pytest.raises(FrameError, match="another snapshot is being read or installed"):
        begin(receiver, 2, head(20, b"y" * 100))
    assert receiver.node.prepared_snapshot == 10
    receiver.node.shard.raft.installs = False
    third, _ = begin(receiver, 2, head(20, b"y" * 100))
    receiver.run_jobs()
    third.receive(b"y" * 100)
    receiver.run_jobs()
    assert receiver.node.prepared_snapshot == 20


def test_a_link_that_broke_is_followed_by_one_that_brings_the_rest(receiver: Receiver) -> None:
    data = bytes(range(100))
    first, _ = begin(receiver, 1, head(10, data))
    receiver.run_jobs()
    first.receive(data[:70])
    first.close()
    second, session = begin(receiver, 1, head(10, data))
    receiver.run_jobs()
    assert session.answers == [[70]]
    second.receive(data[70:])
    receiver.run_jobs()
    assert receiver.place.prepared == [(10, data)]
    _, session = begin(receiver, 1, head(11, data))
    receiver.run_jobs()
    assert session.answers == [[100], OK]
    assert receiver.place.prepared == [(10, data), (11, data)]


def test_what_is_left_of_a_snapshot_goes_when_the_node_follows_by_its_log(receiver: Receiver) -> None:
    link, session = begin(receiver, 1, head(10, b"x" * 100))
    receiver.run_jobs()
    link.receive(b"x" * 50)
    receiver.accept.tidy()
    receiver.run_jobs()
    assert (receiver.place.incoming / "a").exists()  # it is still coming
    session.closed = True
    link.close()
    receiver.accept.tidy()
    receiver.run_jobs()
    assert [path.name for path in receiver.place.incoming.parent.iterdir()] == ["incoming.files"]  # a few bytes


def test_a_snapshot_that_was_not_installed_goes_when_its_entry_was_applied(receiver: Receiver) -> None:
    link, _ = begin(receiver, 1, head(10, b"x" * 100))
    receiver.run_jobs()
    link.receive(b"x" * 100)
    receiver.run_jobs()
    receiver.node.shard.flushed = 9
    receiver.accept.tidy()
    assert receiver.node.prepared_snapshot == 10
    receiver.node.shard.flushed = 10
    receiver.accept.tidy()
    receiver.run_jobs()
    assert receiver.node.prepared_snapshot is None
    assert receiver.place.let_go_of == [(10, b"x" * 100)]
    assert [path.name for path in receiver.place.incoming.parent.iterdir()] == ["incoming.files"]  # a few bytes


def test_bytes_that_were_not_asked_for_are_refused(receiver: Receiver) -> None:
    with pytest.raises(FrameError, match="bytes that were not asked for"):
        begin(receiver, 1, head(10, b"x" * 100) + b"x" * 10)
    link, _ = begin(receiver, 1, head(10, b"x" * 100))
    with pytest.raises(FrameError, match="bytes that were not asked for"):
        link.receive(b"x")
    receiver.run_jobs()
    link, _ = begin(receiver, 1, head(10, b"x" * 100))
    receiver.run_jobs()
    with pytest.raises(FrameError, match="more bytes than the snapshot has"):
        link.receive(b"x" * 101)


def test_files_that_were_changed_on_their_way_are_sent_anew(receiver: Receiver) -> None:
    data = bytes(range(100))
    first, _ = begin(receiver, 1, head(10, data))
    receiver.run_jobs()
    with pytest.raises(FrameError, match="the file a was changed on its way"):
        first.receive(b"?" * 100)
    _, session = begin(receiver, 1, head(10, data))
    receiver.run_jobs()
    assert session.answers == [[0]]
