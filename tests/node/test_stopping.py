"""A node that is to stop hands over first."""

from __future__ import annotations

from redraft.node.stopping import LINGER_MS
from support.fleet import Fleet
from support.world import World


def test_a_node_alone_stops_at_once() -> None:
    assert World().node.stopping.may_stop()


def test_a_leader_hands_both_groups_over_and_lingers() -> None:
    fleet = Fleet()
    fleet.elect()
    fleet.pass_time(1000)
    client = fleet[2].connect()
    stopping = fleet[1].node.stopping
    assert not stopping.may_stop()
    client.ask("INCR n")
    fleet.settle()
    fleet.pass_time(100)
    assert client.replies() == [1]
    assert fleet.leader() != 1
    assert fleet[1].node.config.raft.leader is None
    assert not stopping.may_stop(), "others may not have heard yet"
    fleet.pass_time(LINGER_MS)
    assert stopping.may_stop()


def test_a_leader_whom_nobody_can_follow_stops_all_the_same() -> None:
    fleet = Fleet()
    fleet.elect()
    fleet.cut(1)
    stopping = fleet[1].node.stopping
    assert not stopping.may_stop()
    fleet.pass_time(LINGER_MS)
    assert stopping.may_stop()


def test_two_that_stop_at_once_do_not_send_leadership_to_and_fro() -> None:
    fleet = Fleet(2)
    fleet.elect()
    fleet.pass_time(1000)
    first_term = fleet[1].node.shard.raft.term
    stopped: set[int] = set()
    for _ in range(40):
        stopped |= {node for node in (1, 2) if fleet[node].node.stopping.may_stop()}
        fleet.pass_time(50)
    assert stopped == {1, 2}
    assert fleet[1].node.shard.raft.term <= first_term + 2
