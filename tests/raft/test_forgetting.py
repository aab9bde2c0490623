"""What a member that has forgotten something counts for, and when it is whole again."""

from __future__ import annotations

import pytest
from raft.cluster import Cluster

from redraft.ids import Index, NodeId, Term
from redraft.raft.config import RaftConfig
from redraft.raft.errors import DivergedError
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import (
    Append,
    ConfState,
    Entry,
    EntryKind,
    HardState,
    HeartbeatReply,
    InstallSnapshot,
    Position,
    SnapshotMeta,
)
from redraft.raft.node import RaftNode

LEADER, FORGETFUL, OTHER = NodeId(1), NodeId(2), NodeId(3)
TERM = Term(5)
FLOOR = Position(TERM, 2)


def recollecting() -> tuple[RaftNode, MemoryStorage]:
    """It has forgotten all that it had, and knows that it must have two entries."""
    storage = MemoryStorage()
    storage.start = SnapshotMeta(conf=ConfState(voters=(LEADER, FORGETFUL, OTHER)))
    storage.write(HardState(TERM), [])
    raft = RaftNode(RaftConfig(FORGETFUL), storage, Index(0))
    raft.forget()
    raft.recollect(FLOOR, TERM, may_stand=False)
    raft.advance(raft.ready())
    return raft, storage


def test_a_member_is_whole_when_what_it_had_forgotten_is_durable() -> None:
    """Were it whole before, and its power failed, it would have forgotten again what nobody would hold it to."""
    raft, storage = recollecting()
    entries = [Entry(Index(index), TERM, EntryKind.NORMAL, b"") for index in (1, 2)]
    raft.step(Append(LEADER, FORGETFUL, TERM, Index(0), Term(0), entries, Index(0), 0))
    ready = raft.ready()
    assert raft.forgetful
    storage.write(ready.hard_state, ready.entries)
    raft.advance(ready)
    assert not raft.forgetful


def test_a_member_is_whole_when_the_snapshot_is_installed_that_has_what_it_had_forgotten() -> None:
    raft, storage = recollecting()
    meta = SnapshotMeta(Index(2), TERM, ConfState(voters=(LEADER, FORGETFUL, OTHER)))
    raft.step(InstallSnapshot(LEADER, FORGETFUL, TERM, meta, 0))
    ready = raft.ready()
    assert raft.forgetful
    storage.restore(meta)
    raft.advance(ready)
    assert not raft.forgetful


def test_what_a_member_must_have_does_not_rise_while_it_catches_up() -> None:
    """Its leader's log grows all the time; and each floor was enough by itself."""
    raft, storage = recollecting()
    raft.recollect(Position(TERM, 100), TERM, may_stand=False)
    entries = [Entry(Index(index), TERM, EntryKind.NORMAL, b"") for index in (1, 2)]
    raft.step(Append(LEADER, FORGETFUL, TERM, Index(0), Term(0), entries, Index(0), 0))
    ready = raft.ready()
    storage.write(ready.hard_state, ready.entries)
    raft.advance(ready)
    assert not raft.forgetful


def test_a_leader_that_hears_another_of_its_term_stops() -> None:
    """It was put back to a disk of when it was alone, for one. It says why, as of all that is past mending."""
    storage = MemoryStorage()
    storage.start = SnapshotMeta(conf=ConfState(voters=(LEADER,)))
    raft = RaftNode(RaftConfig(LEADER), storage, Index(0))
    raft.campaign()
    while raft.has_ready():
        ready = raft.ready()
        storage.write(ready.hard_state, ready.entries)
        raft.advance(ready)
    with pytest.raises(DivergedError, match="node 3 leads term 1, and so does this node, 1: "):
        raft.step(Append(OTHER, LEADER, raft.term, Index(0), Term(0), [], Index(0), 0))


@pytest.mark.parametrize("forgets", [False, True])
def test_a_member_that_has_forgotten_something_gives_no_lease(*, forgets: bool) -> None:
    """It may have voted for another leader, and forgotten that: its answer does not tell that there is none."""
    cluster = Cluster(3, tick_ms=100)
    leader = cluster.members[LEADER].raft
    leader.campaign()
    cluster.settle()
    cluster.cut = lambda message: True
    if forgets:
        leader.distrust(FORGETFUL, knows_it=True)
    leader.tick(10_000)
    assert leader.leader is not None
    leader.step(HeartbeatReply(FORGETFUL, LEADER, leader.term, leader.leader._rounds.newest))
    assert leader.has_lease(10_001) != forgets
