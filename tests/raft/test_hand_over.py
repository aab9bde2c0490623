"""A leader hands over while its own disk is slow: who proposed is answered first, but not for ever (thesis 3.10)."""

from __future__ import annotations

from raft.cluster import Cluster, Member

from redraft.ids import NodeId
from redraft.raft.messages import TimeoutNow
from redraft.raft.status import Role

ELECTION_TICKS = 10


def slow_leader() -> tuple[Cluster, Member]:
    """The first of three leads; what it proposed is durable on the others, not on its own disk."""
    cluster = Cluster(3, election_ticks=ELECTION_TICKS)
    leader = cluster.members[NodeId(1)]
    leader.raft.campaign()
    cluster.settle()
    leader.raft.propose(b"x")
    cluster.take(leader)
    exchange(cluster, leader)
    assert leader.raft.commit_index == leader.raft.last_index
    return cluster, leader


def exchange(cluster: Cluster, leader: Member) -> None:
    """The others do all that they can; the leader reads what they answer, and sends what it has, but syncs nothing."""
    for _ in range(10):
        for member in cluster.members.values():
            while member is not leader and (member.raft.has_ready() or member.unsynced):
                if member.unsynced:
                    cluster.sync(member)
                else:
                    cluster.take(member)
        messages, cluster.network = cluster.network, []
        for message in messages:
            cluster.deliver(message)
        if leader.raft.leader is not None:
            cluster.network += leader.raft.leader.out
            leader.raft.leader.out.clear()


def test_leadership_goes_when_what_was_proposed_is_durable_at_the_old_leader_as_well() -> None:
    cluster, leader = slow_leader()
    leader.raft.transfer_leader(NodeId(2))
    exchange(cluster, leader)
    assert leader.raft.role is Role.LEADER
    cluster.sync(leader)
    cluster.take(leader)
    assert leader.applied[-1].data == b"x"
    assert any(isinstance(message, TimeoutNow) for message in cluster.network)
    cluster.settle()
    assert cluster.members[NodeId(2)].raft.role is Role.LEADER


def test_a_disk_that_hangs_does_not_keep_leadership() -> None:
    cluster, leader = slow_leader()
    leader.raft.transfer_leader(NodeId(2))
    for _ in range(ELECTION_TICKS // 2):
        assert leader.raft.role is Role.LEADER
        leader.raft.tick(0)
        exchange(cluster, leader)
    assert cluster.members[NodeId(2)].raft.role is Role.LEADER
