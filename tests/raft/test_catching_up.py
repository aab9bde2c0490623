"""A follower that lacks entries which the leader must read from its disk: one message after the other."""

from __future__ import annotations

import pytest
from raft.cluster import Cluster

from redraft.ids import Index, NodeId
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import AnyMessage, Append, Heartbeat


class OnDisk(MemoryStorage):
    """A log of which only what is not durable yet is in memory."""

    def held_from(self) -> Index:
        return Index(self.last_index() + 1)


def behind(*, on_disk: bool) -> Cluster:
    """Three members; the third lacks twenty entries, and its link has just come back."""
    cluster = Cluster(3, max_append_bytes=1)
    for member in cluster.members.values():
        if on_disk:
            member.disk.__class__ = OnDisk
    cluster.members[NodeId(1)].raft.campaign()
    cluster.settle()
    cluster.cut = lambda message: NodeId(3) in (message.sender, message.to)
    for number in range(20):
        cluster.members[NodeId(1)].raft.propose(b"%d" % number)
        cluster.settle()
    cluster.cut = lambda message: False
    cluster.members[NodeId(1)].raft.lost(NodeId(3))
    return cluster


def most_at_once(cluster: Cluster, lost: int = 0) -> int:
    """Settle; the most messages with entries that were on their way to the third at once. That with number `lost`, from
    1 on, is lost."""
    most = number = 0
    sent: list[AnyMessage] = []

    def cut(message: AnyMessage) -> bool:
        nonlocal most, number
        if isinstance(message, Append) and message.to == NodeId(3) and message.entries:
            most = max(most, 1 + sum(isinstance(each, Append) and bool(each.entries) for each in sent))
            sent.append(message)
            number += 1
            return number == lost
        if message.sender == NodeId(3):
            sent.clear()
        return False

    cluster.cut = cut
    cluster.settle()
    return most


@pytest.mark.parametrize(("on_disk", "expected"), [(False, 19), (True, 1)])
def test_what_must_be_read_from_disk_is_sent_a_message_at_a_time(on_disk: bool, expected: int) -> None:
    cluster = behind(on_disk=on_disk)
    assert most_at_once(cluster) == expected
    assert cluster.members[NodeId(3)].raft.last_index == 21


def test_a_message_that_was_lost_is_sent_again_after_the_next_heartbeat() -> None:
    cluster = behind(on_disk=True)
    most_at_once(cluster, lost=5)
    assert cluster.members[NodeId(3)].raft.last_index < 21
    for _ in range(5):
        cluster.tick()
    assert cluster.members[NodeId(3)].raft.last_index == 21


def test_a_snapshot_that_was_asked_for_in_vain_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver may have been about to end another, which an earlier leadership had wanted."""
    cluster = behind(on_disk=False)
    leader = cluster.members[NodeId(1)]
    leader.flush()
    leader.compact()
    send, ignored = cluster._send_snapshot, []
    monkeypatch.setattr(cluster, "_send_snapshot", lambda member, follower: ignored.append(follower))
    cluster.settle()
    assert ignored == [NodeId(3)]
    monkeypatch.setattr(cluster, "_send_snapshot", send)
    cluster.tick(leader.config.heartbeat_ticks)
    assert cluster.members[NodeId(3)].raft.last_index == leader.raft.last_index


def test_a_heartbeat_tells_who_is_behind_how_much_is_committed() -> None:
    cluster = behind(on_disk=False)
    told: list[Heartbeat] = []

    def cut(message: AnyMessage) -> bool:
        if isinstance(message, Heartbeat) and message.to == NodeId(3):
            told.append(message)
        return isinstance(message, Append)

    cluster.cut = cut
    cluster.tick()
    assert [(beat.commit, beat.whole_commit) for beat in told] == [(1, 21)]
    assert cluster.members[NodeId(3)].raft.commit_index == 1
