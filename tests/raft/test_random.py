"""After any proposals, writes, crashes and restarts, what was committed is there, and is applied once and in order.

The driver is as bad as Ready's contract allows: it has several Readies under way, writes them late, forgets all that
needed no fsync, and dies at any moment, with or without having advanced what it wrote. Hypothesis prints the steps of
a failing run, and a blob that repeats it.
"""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from redraft.ids import Index, NodeId
from redraft.raft.config import RaftConfig
from redraft.raft.errors import NotLeaderError, UncommittedFullError
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import Entry
from redraft.raft.node import RaftNode
from redraft.raft.ready import Ready
from redraft.raft.status import Role


class Driver(RuleBasedStateMachine):
    """One member, its disk, its state machine (the list of applied entries) and that machine's image on disk."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = MemoryStorage()
        self.image = Index(0)
        self.unwritten: deque[Ready] = deque()
        self.written: deque[Ready] = deque()
        self.applied: list[Entry] = []
        self.committed: list[Entry] = []
        """Every entry that was ever committed, by index from 1; nothing in it may change."""
        self.handed_out = 0
        """The last entry that the present member has or has handed out to be written."""
        self.proposals = 0
        self.highest_term = 0

    @initialize(
        max_uncommitted_bytes=st.sampled_from([1, 20, 1 << 20]),
        max_committed_bytes_per_ready=st.sampled_from([0, 10, 1 << 20]),
        leads=st.booleans(),
    )
    def begin(self, max_uncommitted_bytes: int, max_committed_bytes_per_ready: int, leads: bool) -> None:
        self.config = RaftConfig(
            NodeId(1),
            election_ticks=2,
            max_uncommitted_bytes=max_uncommitted_bytes,
            max_committed_bytes_per_ready=max_committed_bytes_per_ready,
        )
        self.node = RaftNode(self.config, self.disk, Index(0))
        if leads:
            self.elect()

    @rule()
    def campaign(self) -> None:
        self.node.campaign()

    @rule()
    def tick(self) -> None:
        self.node.tick(0)

    @rule(sizes=st.lists(st.integers(0, 8), min_size=1, max_size=4))
    def propose(self, sizes: list[int]) -> None:
        for size_bytes in sizes:
            self.propose_one(size_bytes)

    def propose_one(self, size_bytes: int) -> None:
        data = b"%0*d" % (size_bytes, self.proposals) if size_bytes else b""
        last = self.node.last_index
        try:
            index = self.node.propose(data)
        except NotLeaderError:
            assert self.node.role is not Role.LEADER
            assert self.node.last_index == last
        except UncommittedFullError:
            assert self.node.last_index == last > self.node.commit_index
        else:
            assert index == last + 1
            self.proposals += 1

    @rule()
    def take_ready(self) -> None:
        had_ready = self.node.has_ready()
        ready = self.node.ready()
        assert had_ready == bool(ready.entries or ready.committed or ready.must_sync)
        self.unwritten.append(ready)
        for entry in ready.entries:
            self.handed_out += 1
            assert entry.index == self.handed_out
        for entry in ready.committed:
            assert entry.index == len(self.applied) + 1
            assert entry.index <= self.disk.last_index()
            self.applied.append(entry)
        if ready.committed:
            self.node.applied_to(ready.committed[-1].index)

    @precondition(lambda self: self.unwritten)
    @rule()
    def write(self) -> None:
        ready = self.unwritten.popleft()
        if ready.must_sync:
            self.disk.write(ready.hard_state, ready.entries)
        self.written.append(ready)

    @precondition(lambda self: self.written)
    @rule()
    def advance(self) -> None:
        self.node.advance(self.written.popleft())

    @rule()
    def elect(self) -> None:
        self.node.campaign()
        self.settle()

    @rule()
    def settle(self) -> None:
        while self.unwritten or self.written or self.node.has_ready():
            if not self.unwritten and not self.written:
                self.take_ready()
            if self.unwritten:
                self.write()
            self.advance()

    @precondition(lambda self: self.applied)
    @rule()
    def flush(self) -> None:
        self.image = Index(len(self.applied))

    @precondition(lambda self: self.image > self.disk.start.index)
    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        self.disk.compact(Index(data.draw(st.integers(self.disk.start.index, self.image))))

    @rule()
    def crash(self) -> None:
        self.unwritten.clear()
        self.written.clear()
        del self.applied[self.image :]
        self.handed_out = self.disk.last_index()
        self.node = RaftNode(self.config, self.disk, self.image)

    @rule()
    def restart(self) -> None:
        while self.unwritten:
            self.write()
        self.crash()

    @invariant()
    def everything_committed_stays_committed(self) -> None:
        if not hasattr(self, "node"):
            return
        self.node.check()
        first, last = self.disk.first_index(), self.disk.last_index()
        stored = self.disk.entries(first, Index(last + 1), 1 << 30) if first <= last else []
        known = self.committed[first - 1 :]
        assert stored[: len(known)] == known
        self.committed += stored[len(known) : max(0, self.node.commit_index - first + 1)]
        assert self.applied == self.committed[: len(self.applied)]

    @invariant()
    def terms_never_fall_on_disk(self) -> None:
        term = self.disk.hard_state.term
        assert term >= self.highest_term
        self.highest_term = term

    @invariant()
    def a_leader_has_its_vote_on_disk(self) -> None:
        if hasattr(self, "node") and self.node.role is Role.LEADER:
            state = self.disk.hard_state
            assert (state.term, state.vote) == (self.node.term, self.config.id)

    def teardown(self) -> None:
        """In the end a member that starts once more applies all that was ever committed."""
        if not hasattr(self, "node"):
            return
        self.crash()
        self.node.campaign()
        while self.node.has_ready():
            self.take_ready()
            self.write()
            self.advance()
            self.everything_committed_stays_committed()
        assert self.node.role is Role.LEADER
        assert self.applied == self.committed
        assert len(self.applied) == self.node.last_index


TestAnyDriver = Driver.TestCase
TestAnyDriver.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
