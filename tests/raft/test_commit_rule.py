"""Figure 8 of the paper: an entry of an earlier term is not committed by counting copies, but by the leader's own."""

from __future__ import annotations

from redraft.ids import Index, NodeId, Term
from redraft.raft.config import RaftConfig
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import AppendReply, ConfState, Entry, HardState, SnapshotMeta, VoteReply
from redraft.raft.node import RaftNode
from redraft.raft.status import Role

VOTERS = tuple(NodeId(n) for n in range(1, 6))


def leader_of_term_4() -> RaftNode:
    """Member 1 of (c) in the figure: entries of the terms 1 and 2, and its own no-op at index 3."""
    storage = MemoryStorage()
    storage.start = SnapshotMeta(conf=ConfState(voters=VOTERS))
    storage.write(HardState(Term(3)), [Entry(Index(1), Term(1)), Entry(Index(2), Term(2))])
    raft = RaftNode(RaftConfig(VOTERS[0], pre_vote=False), storage, Index(0))
    raft.campaign()
    persist(raft, storage)
    for voter in VOTERS[1:3]:
        raft.step(VoteReply(voter, VOTERS[0], Term(4), granted=True))
    assert raft.role is Role.LEADER
    persist(raft, storage)
    return raft


def persist(raft: RaftNode, storage: MemoryStorage) -> None:
    while raft.has_ready():
        ready = raft.ready()
        storage.write(ready.hard_state, ready.entries)
        raft.advance(ready)


def has(raft: RaftNode, voter: int, index: int) -> None:
    raft.step(AppendReply(NodeId(voter), VOTERS[0], Term(4), Index(index), 0))


def test_copies_of_an_earlier_terms_entry_commit_nothing() -> None:
    raft = leader_of_term_4()
    for voter in VOTERS[1:]:
        has(raft, voter, 2)
    assert raft.commit_index == 0


def test_an_entry_of_the_leaders_term_commits_all_before_it() -> None:
    raft = leader_of_term_4()
    has(raft, 2, 3)
    assert raft.commit_index == 0
    has(raft, 3, 3)
    assert raft.commit_index == 3
