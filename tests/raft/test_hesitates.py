"""A member that hesitates lets others stand for election first; somebody leads in the end."""

from __future__ import annotations

import pytest
from raft.cluster import Cluster

from redraft.ids import NodeId


@pytest.mark.parametrize("pre_vote", [True, False])
def test_those_who_can_win_stand_though_they_hesitate_and_one_that_cannot_does_not(*, pre_vote: bool) -> None:
    """The third lacks an entry."""
    cluster = Cluster(3, pre_vote=pre_vote)
    members = [member.raft for member in cluster.members.values()]
    members[0].campaign()
    cluster.settle()
    cluster.cut = lambda message: NodeId(3) in (message.sender, message.to)
    members[0].propose(b"entry")
    cluster.settle()
    cluster.crash(cluster.members[NodeId(1)])
    cluster.cut = lambda message: False
    cluster.members[NodeId(1)].up = True
    cluster.members[NodeId(1)].start()
    members[0] = cluster.members[NodeId(1)].raft
    members[0].hesitates = members[1].hesitates = True
    for _ in range(500):
        for raft in members:
            raft.tick(-1)
        cluster.settle()
        if any(raft.leader is not None for raft in members[:2]):
            return
    raise AssertionError("nobody leads")
