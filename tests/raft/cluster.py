"""Some members in one process: their disks, a network that does what it is told, and what must always hold.

The driver keeps Ready's contract and no more: `urgent` messages leave at once, the others when what was written before
them is synced; a crash loses what was not. Applied entries are each member's state machine. After every step `check`
asserts what Raft promises (paper, figure 3): one leader a term, logs that match, nothing committed that is lost or
replaced, the same entries applied everywhere, and a lease that no other leader overlaps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from random import Random

from msgspec import structs

from redraft.ids import Index, NodeId, Term
from redraft.raft.config import RaftConfig
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import AnyMessage, ConfState, Entry, EntryKind, InstallSnapshot, SnapshotMeta
from redraft.raft.node import RaftNode
from redraft.raft.ready import ReadState, Ready
from redraft.raft.status import Role

TICK_MS = 100


class Member:
    """One member with its disk, and its state machine: the entries that it has applied."""

    def __init__(self, config: RaftConfig, conf: ConfState, seed: int) -> None:
        self.config = config
        self.seed = seed
        self.disk = MemoryStorage()
        self.disk.start = SnapshotMeta(conf=conf)
        self.image: tuple[list[Entry], ConfState] = ([], conf)
        self.unsynced: deque[Ready] = deque()
        self.up = True
        self.start()

    def start(self) -> None:
        """Start from the disk and the image."""
        self.unsynced.clear()
        entries, conf = self.image
        self.applied = list(entries)
        self.conf = conf
        """As of what is applied."""
        self.seed += 1000
        self.raft = RaftNode(self.config, self.disk, Index(len(entries)), conf, Random(self.seed))
        self.reads: list[ReadState] = []
        self.up = True

    def configure(self, **options: int) -> None:
        """It goes by other settings from now on, running or not."""
        self.config = structs.replace(self.config, **options)
        if self.up:
            self.raft.reconfigure(self.config)

    def flush(self) -> None:
        """Put the state machine's present state on disk."""
        self.image = (list(self.applied), self.conf)

    def compact(self) -> None:
        """Let go of the log that the image has, but for what the state machine has not applied."""
        entries, conf = self.image
        if len(entries) > self.disk.start.index:
            index = Index(len(entries))
            start = SnapshotMeta(index, self.disk.term(index), conf)
            self.disk.compact(index)
            self.disk.start = start


class Cluster:
    """Members 1 to `size`, of which the first `voters` form the group."""

    def __init__(self, size: int, voters: int | None = None, seed: int = 0, **options: int | bool) -> None:
        conf = ConfState(voters=tuple(NodeId(n) for n in range(1, (voters or size) + 1)))
        self.members = {
            NodeId(n): Member(RaftConfig(NodeId(n), **options), conf, seed + n)  # type: ignore[arg-type]
            for n in range(1, size + 1)
        }
        self.now_ms = 0
        self.network: list[AnyMessage] = []
        self.cut: Callable[[AnyMessage], bool] = lambda message: False
        """Whether a message is lost now."""
        self.committed: list[Entry] = []
        self.leaders: dict[Term, NodeId] = {}
        self.snapshots: dict[tuple[NodeId, Index], tuple[list[Entry], ConfState]] = {}

    def running(self) -> list[Member]:
        """Those that are up."""
        return [member for member in self.members.values() if member.up]

    # One step of one member.

    def take(self, member: Member, *, entries_first: bool = False) -> None:
        """Take a Ready: send what is urgent, apply what is committed."""
        ready = member.raft.ready(entries_first=entries_first)
        self.network += ready.urgent
        for entry in ready.committed:
            self._apply(member, entry)
        if ready.committed:
            member.raft.applied_to(ready.committed[-1].index)
        member.reads += ready.reads
        member.unsynced.append(ready)
        for follower in ready.wanting_snapshot:
            self._send_snapshot(member, follower)

    def sync(self, member: Member) -> None:
        """Make the oldest Ready durable, and send what waited for that."""
        ready = member.unsynced.popleft()
        if ready.snapshot is not None:
            entries, conf = self.snapshots[member.config.id, ready.snapshot.index]
            member.image = (list(entries), conf)
            member.applied = list(entries)
            member.conf = conf
            member.disk.restore(ready.snapshot)
        if ready.must_sync:
            member.disk.write(ready.hard_state, ready.entries)
        self.network += ready.messages
        member.raft.advance(ready)

    def _apply(self, member: Member, entry: Entry) -> None:
        assert entry.index == len(member.applied) + 1
        member.applied.append(entry)
        if entry.index <= len(self.committed):
            assert self.committed[entry.index - 1] == entry, "what was committed is another entry now"
        else:
            self.committed.append(entry)
        if entry.kind is EntryKind.CHANGE:
            member.conf = member.raft.apply_change(entry)

    def _send_snapshot(self, member: Member, follower: NodeId) -> None:
        entries, conf = member.image
        index = Index(len(entries))
        self.snapshots[follower, index] = (list(entries), conf)
        member.raft.send_snapshot(follower, SnapshotMeta(index, entries[-1].term, conf))

    def deliver(self, message: AnyMessage) -> None:
        """Hand a message to its receiver, if there is a way."""
        receiver = self.members[message.to]
        if receiver.up and not self.cut(message):
            receiver.raft.step(message)
        else:
            self.lose(message)

    def lose(self, message: AnyMessage) -> None:
        """A message never arrives. A driver sees to it that the sender hears of a snapshot that was lost."""
        if isinstance(message, InstallSnapshot):
            self.members[message.sender].raft.lost(message.to)

    def crash(self, member: Member) -> None:
        """What was not synced is gone, and the others see their connections break."""
        member.up = False
        for other in self.running():
            other.raft.lost(member.config.id)

    # Many steps.

    def settle(self) -> None:
        """Until nobody has anything to do."""
        for _ in range(10_000):
            busy = False
            for member in self.running():
                while member.raft.has_ready() or member.unsynced:
                    busy = True
                    if member.unsynced:
                        self.sync(member)
                    else:
                        self.take(member)
            messages, self.network = self.network, []
            for message in messages:
                busy = True
                self.deliver(message)
            self.check()
            if not busy:
                return
        raise AssertionError("the members never come to rest")

    def tick(self, count: int = 1, of: Iterable[int] | None = None) -> None:
        """Time passes, for all members or for some."""
        for _ in range(count):
            self.now_ms += TICK_MS
            for member in self.running():
                if of is None or member.config.id in of:
                    member.raft.tick(self.now_ms)
            self.settle()

    def leader(self) -> Member | None:
        """The leader of the highest term."""
        leaders = [member for member in self.running() if member.raft.role is Role.LEADER]
        return max(leaders, key=lambda member: member.raft.term, default=None)

    # What must hold.

    def check(self) -> None:
        """Assert the promises."""
        holders = []
        for member in self.running():
            raft = member.raft
            raft.check()
            if raft.role is Role.LEADER:
                assert self.leaders.setdefault(raft.term, member.config.id) == member.config.id, "two leaders in a term"
                if raft.has_lease(self.now_ms):
                    holders.append(member)
            assert member.applied == self.committed[: len(member.applied)]
        assert len(holders) <= 1, "two leases"
        if holders:
            assert holders[0].raft.commit_index >= len(self.committed), "a lease, and newer commits elsewhere"
