"""Power loss at any instant: every acknowledged write is there, each entry is applied once, there is never a hole."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redraft.commands.all import TABLE
from redraft.ids import GroupId, Index, Term
from redraft.keyspace.keyspace import Keyspace
from redraft.raft.messages import Entry, EntryKind, HardState
from redraft.shard.entry import EntryHeader, LoggedRun
from redraft.shard.executor import Executor
from redraft.storage import group_log, log_store
from redraft.storage.log_store import GroupUpdate, LogStore

GROUP = GroupId(1)
PLACES = (
    "log written",
    "log synced",
    "flushing",
    "image file written",
    "image ingested",
    "image finished",
    "log compacted",
)
SETTINGS = {"flush_dirty_keys": 100, "log_retain_entries": 5}


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have RocksDB change its log files, and use old ones again, every few dozen entries."""
    monkeypatch.setattr(log_store, "WRITE_BUFFER_BYTES", 64 << 10)
    monkeypatch.setattr(group_log, "TAIL_BYTES", 8 << 10)


@pytest.mark.parametrize("seed", range(6))
def test_a_log_keeps_what_was_synced_and_a_prefix_of_the_rest(seed: int, harness: Any, tmp_path: Path) -> None:
    rng = random.Random(seed)
    written: list[Entry] = []
    kept_unsynced = lost_unsynced = 0
    path = tmp_path / "0"
    for cut in range(1, 13):
        store = LogStore(path / "log")
        disk = harness.Disk(path, store, None, rng)
        synced = len(written)
        for _ in range(rng.randint(1, 40)):
            new = []
            for _ in range(rng.randint(1, 3)):
                index = Index(len(written) + 1)
                new.append(Entry(index, Term(cut), EntryKind.NORMAL, rng.randbytes(rng.randint(0, 3000))))
                written.append(new[-1])
            store.write([GroupUpdate(GROUP, HardState(Term(cut), commit=Index(len(written))), new)])
            if rng.random() < 0.3:
                store.sync()
                synced = len(written)
        path = disk.cut_power(tmp_path / f"{cut}")
        store.close()
        store = LogStore(path / "log")
        log = store.group(GROUP)
        last = log.last_index()
        assert synced <= last <= len(written)
        found = store.read(GROUP, Index(1), Index(last + 1), 1 << 30) if last else []
        assert found == written[:last]
        assert log.hard_state.commit == last, "an entry is kept without the state that was written with it"
        kept_unsynced += last - synced
        lost_unsynced += len(written) - last
        del written[last:]
        store.close()
    assert kept_unsynced + lost_unsynced > 0


class History:
    """Commands in the order in which they were sent. Every other one counts: a state tells how many it has seen."""

    COUNTER = b"counter"
    DATABASES = 3

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.sent: list[LoggedRun] = []
        self.acknowledged = 0

    def next_commands(self) -> list[list[bytes]]:
        """A few commands to send, SELECT included."""
        out = []
        for _ in range(self._rng.randint(1, 6)):
            database = self._rng.randrange(self.DATABASES)
            counting = LoggedRun(self.DATABASES, [[b"INCR", self.COUNTER]])
            for command in (counting, LoggedRun(database, [self._random_command()])):
                self.sent.append(command)
                out += [[b"SELECT", b"%d" % command.database], *command.argvs]
        return out

    def _random_command(self) -> list[bytes]:
        rng = self._rng
        key, number = b"key%d" % rng.randrange(150), b"%d" % rng.randrange(1000)
        match rng.randrange(100):
            case 0:
                return [b"FLUSHDB"]
            case 1:
                return [b"SWAPDB", b"%d" % rng.randrange(self.DATABASES), b"%d" % rng.randrange(self.DATABASES)]
            case n if n < 20:
                return [b"DEL", key]
            case n if n < 30:
                return [b"PEXPIREAT", key, b"4000000000000"]
            case n if n < 50:
                return [b"APPEND", key, number]
            case n if n < 65:
                return [b"INCR", b"n" + key]
            case n if n < 75:
                return [b"SET", key, rng.randbytes(5000)]
            case _:
                return [b"SET", key, number]

    def replay(self, count: int) -> Keyspace:
        """The keyspace after the first `count` commands."""
        keyspace = Keyspace()
        executor = Executor(keyspace, TABLE, lambda: 0, random.Random(0))
        executor.apply_logged(EntryHeader(0, 0), self.sent[:count])
        return keyspace

    def find(self, contents: list[dict[bytes, bytes]], describe: Callable[[Keyspace], Any]) -> int:
        """How many of the commands the contents are the result of; fails when they are of none."""
        counted = int(contents[self.DATABASES].get(self.COUNTER, b"\x000")[1:])
        for count in (2 * counted, 2 * counted - 1):
            if 0 <= count <= len(self.sent) and describe(self.replay(count)) == contents:
                return count
        raise AssertionError(f"the contents are not those after any number of commands (the counter says {counted})")


class Crashes:
    """Runs a node on a disk whose power fails, again and again, and compares what is left with what was sent."""

    def __init__(self, seed: int, open_node: Callable[..., Any], harness: Any, tmp_path: Path) -> None:
        self.rng = random.Random(seed)
        self.open_node = open_node
        self.harness = harness
        self.tmp_path = tmp_path
        self.history = History(self.rng)
        self.path = tmp_path / "data"
        self.cuts = 0
        self.places: set[str] = set()
        self.unacknowledged_kept = 0
        self.start()

    def start(self) -> None:
        self.node = self.open_node(self.path, **SETTINGS)
        self.disk = self.harness.Disk(self.path, self.node.store, self.node.image, self.rng)
        self.harness.watch(self.node)

    def run_until_the_power_fails(self, place: str) -> None:
        passes = self.rng.randint(1, 40 if place.startswith("log ") and place != "log compacted" else 3)

        def at(passed: str) -> None:
            nonlocal passes
            if passed == place:
                passes -= 1
                if passes == 0:
                    self.places.add(place)
                    raise self.harness.PowerCut

        self.node.at = at
        acknowledged = self.history.acknowledged
        with pytest.raises(self.harness.PowerCut):
            self.live(ticks=1000)
        self.history.acknowledged = acknowledged + self.node.answered // 2  # every other reply is SELECT's

    def live(self, ticks: int) -> None:
        for _ in range(ticks):
            self.node.execute(*self.history.next_commands())
            assert not [reply for reply in self.node.tick() if isinstance(reply, str)], "an error reply"

    def restart_from_what_is_left(self) -> None:
        self.cuts += 1
        left = self.disk.cut_power(self.tmp_path / f"left-{self.cuts}")
        self.node.at = lambda place: None
        self.node.close()
        self.harness.remove(self.path)
        self.path = left
        self.start()
        history, contents = self.history, self.harness.contents
        count = history.find(contents(self.node.shard.keyspace), contents)
        assert count >= history.acknowledged, "an acknowledged write is lost"
        self.unacknowledged_kept += count - history.acknowledged
        del history.sent[count:]
        history.acknowledged = count

    def check_the_image(self) -> None:
        """Flush, and compare what the image holds with the memtable."""
        self.node.flush()
        contents = self.harness.contents
        keyspace, applied = self.node.storage.load(16)
        assert contents(keyspace) == contents(self.node.shard.keyspace)
        assert applied == self.node.shard.applied
        assert keyspace.meta() == self.node.shard.keyspace.meta()


@pytest.mark.parametrize("place", PLACES)
def test_a_power_cut_there_loses_nothing_acknowledged_and_applies_nothing_twice(
    place: str, open_node: Callable[..., Any], harness: Any, tmp_path: Path
) -> None:
    crashes = Crashes(PLACES.index(place), open_node, harness, tmp_path)
    for _ in range(3):
        crashes.run_until_the_power_fails(place)
        crashes.restart_from_what_is_left()
    crashes.check_the_image()


@pytest.mark.parametrize("seed", range(6))
def test_power_cuts_anywhere_lose_nothing_acknowledged_and_apply_nothing_twice(
    seed: int, open_node: Callable[..., Any], harness: Any, tmp_path: Path
) -> None:
    crashes = Crashes(1000 + seed, open_node, harness, tmp_path)
    for _ in range(10):
        crashes.run_until_the_power_fails(crashes.rng.choice(PLACES))
        crashes.restart_from_what_is_left()
        if crashes.rng.random() < 0.2:
            crashes.check_the_image()
    crashes.check_the_image()
    assert len(crashes.places) >= 4


@pytest.mark.parametrize("seed", range(6))
def test_without_fsync_a_power_cut_loses_the_newest_writes_only_and_the_node_starts(
    seed: int, open_node: Callable[..., Any], harness: Any, tmp_path: Path
) -> None:
    """`appendfsync no`: the image of a flush must not become durable before the log that it is of."""
    rng = random.Random(seed)
    node = open_node(tmp_path / "data", appendfsync="no")
    disk = harness.Disk(tmp_path / "data", node.store, node.image, rng)
    states = [harness.contents(node.shard.keyspace)]
    for number in range(rng.randint(5, 60)):
        node.call(b"INCR", b"counter")
        states.append(harness.contents(node.shard.keyspace))
        if number == 20:
            node.flush()
    node.flush()
    left = disk.cut_power(tmp_path / "left")
    again = open_node(left, appendfsync="no")
    assert harness.contents(again.shard.keyspace) in states
