"""A node without sockets, disk or wall clock: a test sends bytes, moves time, holds back the disk, and reads replies.

`World.tick` does what `server.reactor` does at a wake-up, in the same order. What the reactor leaves to the machine is
the test's here: when time passes (`advance`), when an fsync ends (`hold`, `release`) and when a job runs (`run_jobs`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

import hiredis

from redraft.cluster.config_group import ConfigGroup
from redraft.ids import CONFIG_GROUP, FIRST_SHARD_GROUP, Index, NodeId
from redraft.keyspace.flush import RecordWriter
from redraft.keyspace.keyspace import Keyspace
from redraft.levels import NEWEST
from redraft.node.flusher import ImageDigest
from redraft.node.jobs import Job
from redraft.node.node import Node, Persist
from redraft.node.pace import raft_config
from redraft.node.session import Session
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import SnapshotMeta
from redraft.raft.node import RaftNode
from redraft.settings import Settings
from redraft.shard.shard import AppliedPoint, FlushPoint, Shard
from support.newer import commands_of
from support.processes import NOTHING, ReplyError, as_bytes

START_MS = 1_700_000_000_000
MOST_TICKS = 1000
"""After so many ticks without rest something is wrong."""


class FakeClock:
    """Time that the test moves. Each look at the monotonic clock may take some, so that work seems to last."""

    def __init__(self) -> None:
        self.ns = 0
        self.look_ns = 0
        self.wall_ms = START_MS
        """What the wall clock shows when the monotonic one shows 0: to change it is to set the wall clock."""

    def now_ms(self) -> int:
        return self.wall_ms + self.ns // 1_000_000

    def now_us(self) -> int:
        return self.wall_ms * 1000 + self.ns // 1000

    def monotonic_ns(self) -> int:
        self.ns += self.look_ns
        return self.ns


class DictStorage:
    """An image in a dict; implements `node.flusher.ShardStorage`."""

    def __init__(self, log: MemoryStorage) -> None:
        self.records: dict[bytes, bytes] = {}
        self.point: FlushPoint | None = None
        self._log = log

    def writer(self) -> DictWriter:
        return DictWriter(self)

    def new_image(self) -> DictWriter:
        return DictWriter(self, is_new=True)

    def compact_log(self, index: Index) -> None:
        self._log.compact(index)

    def digest(self) -> Callable[[], ImageDigest]:
        records, point = sorted(self.records.items()), self.point
        assert point is not None

        def compute() -> ImageDigest:
            whole = hashlib.sha256(b"".join(key + record for key, record in records)).hexdigest()
            return ImageDigest(point, len(records), whole)

        return compute

    def load(self) -> tuple[Keyspace, AppliedPoint]:
        """The keyspace as the image has it."""
        if self.point is None:
            return Keyspace(), AppliedPoint()
        return Keyspace.load(self.point.keyspace, sorted(self.records.items())), self.point.applied


class DictWriter(RecordWriter):
    """A flush in the making; implements `node.flusher.ImageWriter`."""

    def __init__(self, storage: DictStorage, *, is_new: bool = False) -> None:
        self._storage = storage
        self._is_new = is_new
        self._changes: dict[bytes, bytes | None] = {}
        self._last = b""

    def put(self, key: bytes, value: bytes) -> None:
        self._add(key, value)

    def delete(self, key: bytes) -> None:
        self._add(key, None)

    def _add(self, key: bytes, value: bytes | None) -> None:
        assert key > self._last, "keys come in strictly ascending order"
        self._last = key
        self._changes[key] = value

    def finish(self, point: FlushPoint) -> None:
        if self._is_new:
            self._storage.records.clear()
        for key, value in self._changes.items():
            if value is None:
                self._storage.records.pop(key, None)
            else:
                self._storage.records[key] = value
        self._storage.point = point

    def abort(self) -> None:
        self._changes.clear()


class Client:
    """A client of a world: what it sends is taken by the next tick."""

    def __init__(self, world: World, session: Session) -> None:
        self.world = world
        self.session = session
        self.closed = False
        """Whether the node has closed the connection."""
        self.raw = b""
        """Every byte that came back."""
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=NOTHING)

    @property
    def id(self) -> int:
        return self.session.id

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.world.inbox.append((self, data))

    def ask(self, *commands: str) -> None:
        """Send commands, each a line of words, in one chunk: `ask("MULTI", "SET key value")`."""
        self.send(b"".join(hiredis.pack_command(tuple(map(as_bytes, line.split()))) for line in commands))

    def feed(self, data: bytes) -> None:
        """Bytes have come back."""
        self.raw += data
        self._reader.feed(data)

    def replies(self) -> list[Any]:
        """The replies that have come since the last call; an error is a `ReplyError`."""
        found = []
        while (reply := self._reader.gets()) is not NOTHING:
            found.append(reply)
        return found

    def __call__(self, *words: bytes | str | int) -> Any:
        """Send one command, let the world come to rest, and read the one reply. A single string is split into words."""
        if len(words) == 1 and isinstance(words[0], str):
            words = tuple(words[0].split())
        self.send(hiredis.pack_command(tuple(map(as_bytes, words))))
        self.world.settle()
        replies = self.replies()
        assert len(replies) == 1, (words, replies)
        return replies[0]

    def pipeline(self, *commands: str) -> list[Any]:
        """Send commands in one chunk, let the world come to rest, and read what was answered."""
        self.ask(*commands)
        self.world.settle()
        return self.replies()

    def hang_up(self) -> None:
        """Close the connection from the client's side."""
        self.world.close(self)


class World:
    """One node, its clients and its make-believe machine."""

    def __init__(self, seed: int = 0, node_id: int = 1, start: SnapshotMeta | None = None, **settings: object) -> None:
        self.clock = FakeClock()
        self.frames: list[tuple[NodeId, bytes]] = []
        """What the node says to others."""
        self.settings = Settings(**{"enable_debug_command": "yes", **settings})
        self.random = Random(seed)
        self.log, self.config_log = MemoryStorage(), MemoryStorage()
        self.log.start = self.config_log.start = start or SnapshotMeta()
        self.id = NodeId(node_id)
        self.image = DictStorage(self.log)
        self._is_put_back = False
        self.lives: bytes | None = None
        self.promises: bytes | None = None
        self.clients: dict[Session, Client] = {}
        self.inbox: list[tuple[Client, bytes]] = []
        self.jobs: list[Job] = []
        """Taken from the node and not run yet."""
        self.hold = False
        """Whether an fsync that begins now lasts until `release`."""
        self.level = NEWEST
        """The newest feature level that the version knows which is started next."""
        self._persisting: list[Persist] = []
        self._open()

    def _open(self) -> None:
        """As `server.app` does it: read the image, replay the log after it, serve."""
        keyspace, applied = self.image.load()
        self.node = Node(self.settings, self.clock, self.random, commands_of(self.level))
        config_of_raft = raft_config(self.settings, self.id)
        raft = RaftNode(config_of_raft, self.log, applied.index, applied.conf, self.random)
        raft_of_config = RaftNode(config_of_raft, self.config_log, Index(0), random=self.random)
        config = ConfigGroup(raft_of_config, self.level)
        group = FIRST_SHARD_GROUP
        shard = Shard(group, raft, keyspace, applied, self.node.table, self.clock.monotonic_ns, self.random)
        self.node.memory.read(self.lives, self.promises)
        self.node.memory.keep_lives = lambda data: setattr(self, "lives", data)
        self.node.memory.keep_others = lambda data: setattr(self, "promises", data)
        self.node.start(config, shard, self.image)
        self.node.reload = lambda: self.image.load()[0]
        for each in (config.raft, raft):
            if each.is_alone:
                each.campaign()
        while persists := self.node.collect():
            self._write(persists)
            self.node.persisted(persists)
        self.node.serve()

    def copy(self) -> Callable[[], None]:
        """A copy of the disk as it is; what is returned puts it back, for the next start."""
        kept = deepcopy((self.log, self.config_log, self.image.records, self.image.point, self.lives, self.promises))

        def put_back() -> None:
            self.log, self.config_log, records, point, self.lives, self.promises = deepcopy(kept)
            self.image = DictStorage(self.log)
            self.image.records, self.image.point = records, point
            self._is_put_back = True

        return put_back

    def restart(self) -> None:
        """Lose the process and all its memory, and start again from the log and the image."""
        if not self._is_put_back:
            self.promises = self.node.memory.take_unsaved() or self.promises
        self._is_put_back = False
        for client in list(self.clients.values()):
            client.closed = True
        self.clients.clear()
        self.inbox.clear()
        self.jobs.clear()
        self._persisting = []
        self.hold = False
        self._open()

    def connect(self, address: str = "", *, unix: bool = False) -> Client:
        """A client connects."""
        address = address or f"127.0.0.1:{40_000 + len(self.node.sessions)}"
        session = self.node.open_session(address, "127.0.0.1:6379", unix=unix)
        client = self.clients[session] = Client(self, session)
        return client

    def close(self, client: Client) -> None:
        """A connection ends, whoever ended it."""
        client.closed = True
        if self.clients.pop(client.session, None) is not None:
            self.node.close_session(client.session)

    # A tick.

    def tick(self) -> None:
        """What the reactor does at a wake-up."""
        node = self.node
        node.begin_tick()
        inbox, self.inbox = self.inbox, []
        for client, data in inbox:
            if not client.closed:
                node.receive(client.session, data)
        self._persist()
        node.end_tick(idle=not inbox)
        self.frames += node.take_frames()
        self._send_all()
        while (job := node.jobs.take()) is not None:
            self.jobs.append(job)
        node.check()

    def _persist(self) -> None:
        node = self.node
        if self._persisting:
            if self.hold:
                return
            persists, self._persisting = self._persisting, []
            self._write(persists)
            node.persisted(persists)
        while persists := node.collect():
            if self.hold:
                self._persisting = persists
                return
            self._write(persists)
            node.persisted(persists)

    def _write(self, persists: list[Persist]) -> None:
        for group, _, ready in persists:
            log = self.config_log if group == CONFIG_GROUP else self.log
            log.write(ready.hard_state, ready.entries)

    def _send_all(self) -> None:
        node = self.node
        while node.outgoing:
            sessions, node.outgoing = node.outgoing, {}
            for session in sessions:
                client = self.clients.get(session)
                if client is None:
                    continue
                out, session.out = session.out, []
                client.feed(b"".join(out))
                ends = session.close_after_reply and session.blocked is None
                if session.killed or (ends and not session.segments):
                    self.close(client)

    # Time, disk, jobs.

    def advance(self, milliseconds: int) -> None:
        """Time passes, and what has come due is done."""
        self.clock.ns += milliseconds * 1_000_000
        self.tick()

    def release(self) -> None:
        """The fsync under way ends, and later ones are instant."""
        self.hold = False
        self.settle()

    def run_jobs(self) -> None:
        """Run the jobs that the node has asked for, to their end."""
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job.run()
            job.done()
        self.tick()

    def wants_tick(self) -> bool:
        """Whether another tick would do something, before time passes or a disk that is held lets go."""
        return bool(self.inbox) or (not self._persisting and self.node.wants_tick())

    def settle(self) -> None:
        """Tick until nothing is left to be done before time passes, a disk that is held lets go, or a job runs."""
        for _ in range(MOST_TICKS):
            self.tick()
            if not self.wants_tick():
                return
        raise AssertionError("the node never comes to rest")

    def finish(self) -> None:
        """Come to rest, and run jobs until none is left."""
        self.settle()
        while self.jobs:
            self.run_jobs()
            self.settle()
