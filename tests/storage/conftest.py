"""A whole node without sockets, threads and trio, on a real directory; and a disk that forgets what was not synced."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hiredis
import pytest

from redraft.cluster.config_group import ConfigGroup
from redraft.ids import CONFIG_GROUP, FIRST_SHARD_GROUP, Index, NodeId
from redraft.keyspace.keyspace import Keyspace
from redraft.node import turns
from redraft.node.families.all import TABLE
from redraft.node.flusher import Phase
from redraft.node.node import Node
from redraft.raft.config import RaftConfig
from redraft.raft.node import RaftNode
from redraft.server.shard_storage import DiskShardStorage
from redraft.settings import Settings
from redraft.shard.shard import Shard
from redraft.storage import image as images
from redraft.storage import synced
from redraft.storage.directory import DataDirectory
from redraft.storage.image import NEW_FILE, Image
from redraft.storage.log_store import GroupUpdate, LogStore
from redraft.values import codec

SECTOR_BYTES = 512
QUIET_SECONDS = 10
"""The longest that RocksDB's background work may take here."""


BACKGROUND_WORK = (
    "num-immutable-mem-table",
    "mem-table-flush-pending",
    "num-running-flushes",
    "compaction-pending",
    "num-running-compactions",
)
"""RocksDB's counts, all zero while it does nothing by itself."""


class FakeClock:
    """A clock that goes on by 10 ms whenever it is looked at, so that a flush takes many ticks."""

    def __init__(self) -> None:
        self._now_ns = 1_700_000_000_000_000_000

    def monotonic_ns(self) -> int:
        self._now_ns += 10_000_000
        return self._now_ns

    def now_ms(self) -> int:
        return self.monotonic_ns() // 1_000_000

    def now_us(self) -> int:
        return self.monotonic_ns() // 1000


class PowerCut(BaseException):
    """The power is gone: nothing of what runs may go on. Not an Exception, so that no handler takes it for an error."""


class ShardNode:
    """A node with one client, ticked by hand.

    `at` is called with the name of each place that it passes where the power may be cut.
    """

    def __init__(self, path: Path, **settings: object) -> None:
        self.path = path
        self.at: Callable[[str], None] = lambda place: None
        self.settings = Settings(**settings)
        self.directory = DataDirectory(path)
        self._closers: list[Callable[[], None]] = [self.directory.close]
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        clock, rng = FakeClock(), random.Random(0)
        self.store = LogStore(self.directory.log_path)
        self._closers.insert(0, self.store.close)
        self.image = Image(self.directory.image_path(FIRST_SHARD_GROUP))
        self._closers.insert(0, self.image.close)
        self.storage = DiskShardStorage(self.image, self.store, FIRST_SHARD_GROUP)
        keyspace, applied = self.storage.load()
        self.loaded_index = applied.index
        self.node = Node(self.settings, clock, rng, TABLE)
        raft = RaftNode(RaftConfig(id=NodeId(1)), self.store.group(FIRST_SHARD_GROUP), applied.index)
        self.shard = Shard(FIRST_SHARD_GROUP, raft, keyspace, applied, self.node.table, clock.monotonic_ns, rng)
        config = ConfigGroup(RaftNode(RaftConfig(id=NodeId(1)), self.store.group(CONFIG_GROUP), Index(0)))
        self.node.start(config, self.shard, self.storage)
        assert not self.node.collect()
        self.store.open_for_writing()
        self.image.open_for_writing()
        config.raft.campaign()
        raft.campaign()
        self._persist()
        self.node.serve()
        self._persist()
        self.session = self.node.open_session("client", "node")
        self.answered = 0
        """Replies that the client has."""
        self._reader = hiredis.Reader(replyError=str)

    def execute(self, *commands: list[bytes]) -> None:
        """Receive commands; they are executed in the next tick."""
        self.node.receive(self.session, b"".join(hiredis.pack_command(tuple(argv)) for argv in commands))

    def tick(self) -> list[object]:
        """One tick; the replies that came of it, errors as str."""
        self.node.begin_tick()
        self._persist()
        replies = self._take_replies()
        self.answered += len(replies)
        self.node.end_tick()
        if self.node.flusher.phase is Phase.WRITING:
            self.at("flushing")
        while (job := self.node.jobs.take()) is not None:
            job.run()
            self.at("image finished")
            job.done()
            self.at("log compacted")
        self.node.check()
        return replies

    def _take_replies(self) -> list[object]:
        self._reader.feed(b"".join(self.session.out))
        self.session.out.clear()
        self.node.outgoing.clear()
        replies: list[object] = []
        while (reply := self._reader.gets()) is not False:
            replies.append(reply)
        return replies

    def call(self, *words: bytes) -> object:
        """One command and its reply."""
        self.execute(list(words))
        (reply,) = self.tick()
        return reply

    def flush(self) -> None:
        """Write the memtable to the image, whole."""
        self.node.flusher.request()
        for _ in range(10_000):
            self.tick()
            if not self.node.flusher.active() and self.node.flusher.phase is Phase.IDLE:
                return
        raise AssertionError("the flush does not end")

    def _persist(self) -> None:
        appendfsync = str(self.settings.appendfsync)
        while persists := self.node.collect():
            self.store.write([GroupUpdate(p.group, p.ready.hard_state, p.ready.entries) for p in persists])
            if any(persist.needs_fsync(appendfsync) for persist in persists):
                self.at("log written")
                self.store.sync()
                self.at("log synced")
            self.node.persisted(persists)

    def close(self) -> None:
        while self._closers:
            self._closers.pop(0)()


class Disk:
    """What a power cut leaves of a node's directory (or of one that has no more than a log in `log`).

    Of a log file, each sector that was written since the last sync is there or is not, by chance, whatever its order; a
    file made since then may be missing. `SYNCED` and its copy hold any value that they had. The file of an unfinished
    flush holds anything. All else is taken to be there as it stands: RocksDB syncs its other files before it relies on
    them.
    """

    def __init__(self, path: Path, log: LogStore, image: Image | None, rng: random.Random) -> None:
        self._path = path
        log.open_for_writing()
        self._databases = [log._db] if image is None else [log._db, image._db]
        # Its own: what it draws depends on which files RocksDB has just now, and must not change what the test does.
        self._rng = random.Random(rng.getrandbits(64))
        self._log = path / "log"
        self._marks: list[bytes] = []
        self._synced: dict[int, bytes] = {}
        self._sync_log = log.sync
        log.sync = self._sync  # type: ignore[method-assign]
        self._sync()

    def _sync(self) -> None:
        """Sync the log, and remember what its files hold."""
        self._sync_log()
        self._synced = {path.stat().st_ino: path.read_bytes() for path in self._log.glob("*.log")}
        self._marks.append((self._log / "SYNCED").read_bytes())

    def cut_power(self, destination: Path) -> Path:
        """Copy what is left to a directory of its own."""
        for _ in range(100):
            for database in self._databases:
                wait_until_quiet(database)
            before = self._files()
            self._copy(destination)
            if self._files() == before:
                return destination
            shutil.rmtree(destination)
        raise AssertionError("RocksDB is never quiet")

    def _files(self) -> list[tuple[Path, int, int, int]]:
        """What tells whether anything was written, made or removed meanwhile."""
        found = []
        for path in sorted(self._path.rglob("*")):
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((path, status.st_ino, status.st_size, 0 if path.name == "LOG" else status.st_mtime_ns))
        return found

    def _copy(self, destination: Path) -> None:
        destination.mkdir()
        for path in sorted(self._path.rglob("*")):
            copy = destination / path.relative_to(self._path)
            if path.is_dir():
                copy.mkdir(parents=True, exist_ok=True)
                continue
            data = self._left_of(path)
            if data is not None:
                copy.write_bytes(data)

    def _left_of(self, path: Path) -> bytes | None:
        try:
            data, inode = path.read_bytes(), path.stat().st_ino
        except FileNotFoundError:
            return None  # RocksDB has removed it by now: nothing needs it
        if path.name in synced.FILES:
            return self._rng.choice(self._marks[-20:])
        if path.name == NEW_FILE:
            return self._rng.choice([None, b"", data[: self._rng.randint(0, len(data))], data])
        if path.suffix == ".log" and path.parent == self._log:
            return self._torn(self._synced.get(inode), data)
        return data

    def _torn(self, old: bytes | None, new: bytes) -> bytes | None:
        rng = self._rng
        if old is None:
            if rng.random() < 0.3:
                return None
            old = b""
        kept = rng.choice([0.0, 0.5, 0.9, 1.0])
        length = rng.choice([len(old), rng.randint(len(old), len(new)), len(new)]) if len(new) > len(old) else len(new)
        torn = bytearray(new[:length])
        for at in range(0, length, SECTOR_BYTES):
            was, now = old[at : at + SECTOR_BYTES], new[at : at + SECTOR_BYTES]
            if was != now and rng.random() >= kept:
                torn[at : at + SECTOR_BYTES] = was.ljust(SECTOR_BYTES, b"\0")[: len(torn) - at]
        return bytes(torn)


def wait_until_quiet(database: Any) -> None:
    """Wait until RocksDB does nothing in the background."""
    deadline = time.monotonic() + QUIET_SECONDS
    while any(database.property_int_value(f"rocksdb.{name}") for name in BACKGROUND_WORK):
        assert time.monotonic() < deadline, "RocksDB's background work does not end"


@pytest.fixture(autouse=True)
def _turns_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `FakeClock` every command would take a client's whole turn."""
    monkeypatch.setattr(turns, "TURN_NS", 1 << 60)


@pytest.fixture(scope="session", name="wait_until_quiet")
def wait_until_quiet_fixture() -> Callable[[Any], None]:
    """The function that waits until RocksDB does nothing in the background."""
    return wait_until_quiet


def contents(keyspace: Keyspace) -> list[dict[bytes, bytes]]:
    """All that a keyspace holds, deadlines included: by database and key, as records."""
    return [
        {key: codec.encode(database.get(key, -1), database.deadline(key)) for key in database.keys_from(b"")}  # type: ignore[arg-type]
        for database in keyspace.databases
    ]


@pytest.fixture
def open_node(tmp_path: Path) -> Iterator[Callable[..., ShardNode]]:
    """Open nodes, by default all in one directory, one after the other."""
    nodes: list[ShardNode] = []

    def open_one(path: Path | None = None, **settings: object) -> ShardNode:
        nodes.append(ShardNode(path or tmp_path / "data", **settings))
        return nodes[-1]

    yield open_one
    for node in nodes:
        node.close()


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the tests of this folder need of this module, and places to stop at inside the making of an image."""
    current: list[ShardNode] = []
    real_options, real_sync = images.IngestExternalFileOptions, images.sync_directory

    def options() -> object:
        current[-1].at("image file written")
        return real_options()

    def sync(path: Path) -> None:
        current[-1].at("image ingested")
        real_sync(path)

    def watch(node: ShardNode) -> None:
        """Have `node` pass the places inside the making of an image too."""
        current.append(node)
        monkeypatch.setattr(images, "IngestExternalFileOptions", options)
        monkeypatch.setattr(images, "sync_directory", sync)

    return SimpleNamespace(Disk=Disk, PowerCut=PowerCut, contents=contents, watch=watch, remove=shutil.rmtree)
