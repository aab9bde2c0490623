"""One member of a Raft group: `propose`, `tick`, `ready`, `advance`; no IO, no clock, no thread.

Theory: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (the paper), and Ongaro's thesis.
The split between this core and its driver is etcd's: the core only says in a `Ready` what must be made durable and what
may be applied; the driver does it and says so with `advance`.

This stage is a group with one voter, which is its own majority; the road of an entry is already the whole one:

1. `campaign`: the term is raised and the vote cast for oneself. Both must be durable before the election is won (paper,
   figure 2, "persistent state"), so the node leads only after that Ready was advanced;
2. a new leader appends a no-op, since an entry of an earlier term is committed only by one of its own (section 5.4.2);
3. `propose` appends; `ready` hands the entry out to be made durable; `advance` counts the leader's own acknowledgement;
4. what a majority has durable is committed (section 5.3), and handed out to be applied, once.

Invariants (`check`): the commit index never goes back, nor passes the last durable index; entries are handed out once
and in order; a term's vote is durable before it counts.

What this leaves out, and what comes with the replicated cluster: votes of others, replication, snapshots, membership
changes, read index. A configuration of more than one voter is refused rather than half served.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from redraft.ids import NO_NODE, Index, NodeId, Term
from redraft.raft.config import RaftConfig
from redraft.raft.errors import EntryTooBigError, NotLeaderError, RaftError, UncommittedFullError
from redraft.raft.log import Log, LogStorage
from redraft.raft.messages import Entry, EntryKind, HardState
from redraft.raft.ready import Ready


class Role(enum.Enum):
    """What a member is in its term."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Status(NamedTuple):
    """What INFO and tests show."""

    id: NodeId
    role: Role
    term: Term
    leader: NodeId
    commit_index: Index
    applied_index: Index
    last_index: Index
    stable_index: Index


class RaftNode:
    """A member of one group. `applied` is the last index whose effect the state machine has already."""

    def __init__(self, config: RaftConfig, storage: LogStorage, applied: Index) -> None:
        hard_state, conf = storage.initial_state()
        if conf.voters and conf.voters != (config.id,):
            raise RaftError(f"a group of {len(conf.voters)} voters: this version serves groups with one")
        self._config = config
        self.term = hard_state.term
        self._vote = hard_state.vote
        self.role = Role.FOLLOWER
        self.leader_id = NO_NODE
        self._log = Log(storage, hard_state.commit, applied)
        self._persisted = HardState(self.term, self._vote, self._log.committed)
        self._applied = applied
        self._uncommitted_bytes = 0
        self._sizes: dict[Index, int] = {}
        self._elapsed_ticks = 0

    # Looking in.

    @property
    def commit_index(self) -> Index:
        """Everything up to here is on a majority's disks."""
        return self._log.committed

    @property
    def last_index(self) -> Index:
        """The last entry of the log, durable or not."""
        return self._log.last_index

    def status(self) -> Status:
        """A summary."""
        return Status(
            self._config.id, self.role, self.term, self.leader_id, self._log.committed, self._applied,
            self._log.last_index, self._log.stable,
        )  # fmt: skip

    # Input.

    def tick(self) -> None:
        """A tick of the group's clock has passed; a member without a leader for `election_ticks` campaigns."""
        if self.role is Role.FOLLOWER:
            self._elapsed_ticks += 1
            if self._elapsed_ticks >= self._config.election_ticks:
                self.campaign()

    def campaign(self) -> None:
        """Stand for election in a new term (paper, section 5.2)."""
        if self.role is Role.LEADER:
            return
        self.role = Role.CANDIDATE
        self.term = Term(self.term + 1)
        self._vote = self._config.id
        self.leader_id = NO_NODE
        self._elapsed_ticks = 0

    def propose(self, data: bytes, kind: EntryKind = EntryKind.NORMAL) -> Index:
        """Append an entry; the index that it has. Raises NotLeaderError, EntryTooBigError, UncommittedFullError."""
        if self.role is not Role.LEADER:
            raise NotLeaderError(self.leader_id)
        size = len(data)
        if size > self._config.max_entry_bytes:
            raise EntryTooBigError(f"an entry of {size} bytes; the limit is {self._config.max_entry_bytes}")
        if self._uncommitted_bytes and self._uncommitted_bytes + size > self._config.max_uncommitted_bytes:
            raise UncommittedFullError(f"{self._uncommitted_bytes} bytes are proposed and not committed")
        return self._append(data, kind)

    def _append(self, data: bytes, kind: EntryKind) -> Index:
        index = Index(self._log.last_index + 1)
        self._log.append(Entry(index, self.term, kind, data))
        self._uncommitted_bytes += len(data)
        self._sizes[index] = len(data)
        return index

    # Output.

    def has_ready(self) -> bool:
        """Whether `ready` would return anything to do."""
        return self._log.has_unstable() or self._log.has_committed() or self._must_persist_vote()

    def ready(self) -> Ready:
        """What is to be done now. Entries are handed out once, also while an earlier Ready is still being persisted."""
        entries = self._log.take_unstable()
        must_sync = bool(entries) or self._must_persist_vote()
        hard_state = HardState(self.term, self._vote, self._log.committed)
        committed = self._log.take_committed(self._config.max_committed_bytes_per_ready)
        return Ready(hard_state if hard_state != self._persisted else None, entries, committed, must_sync)

    def advance(self, ready: Ready) -> None:
        """A Ready is done: what it asked to be durable is. In the order in which they were taken."""
        if ready.hard_state is not None and ready.must_sync:
            self._persisted = ready.hard_state
        if ready.entries:
            self._log.stable_to(ready.entries[-1].index)
        if (
            self.role is Role.CANDIDATE
            and self._persisted.term == self.term
            and self._persisted.vote == self._config.id
        ):
            self._become_leader()
        if self.role is Role.LEADER:
            self._maybe_commit()

    def applied_to(self, index: Index) -> None:
        """The state machine has applied everything up to `index`."""
        assert self._applied <= index <= self._log.applying
        self._applied = index

    def _must_persist_vote(self) -> bool:
        return (self.term, self._vote) != (self._persisted.term, self._persisted.vote)

    def _become_leader(self) -> None:
        self.role = Role.LEADER
        self.leader_id = self._config.id
        self._uncommitted_bytes = 0
        self._sizes.clear()
        self._append(b"", EntryKind.NOOP)

    def _maybe_commit(self) -> None:
        """Commit what the majority, this one voter, has durable, if its last entry is of this term (section 5.4.2)."""
        candidate = self._log.stable
        if candidate <= self._log.committed or self._log.term(candidate) != self.term:
            return
        for index in range(self._log.committed + 1, candidate + 1):
            self._uncommitted_bytes -= self._sizes.pop(Index(index), 0)
        self._log.committed = candidate

    def check(self) -> None:
        """Assert the invariants."""
        log = self._log
        assert self._applied <= log.applying <= log.committed <= log.stable <= log.last_index
        assert self._uncommitted_bytes == sum(self._sizes.values()) >= 0
        assert self.role is not Role.LEADER or not self._must_persist_vote()
