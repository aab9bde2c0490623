"""A node whose disk was put back to an older copy is recognised by what the others remember of it, does not vote or
count until it has caught up, and is an ordinary member then. Nothing that was acknowledged is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from redraft.ids import NodeId
from redraft.node.peers import ClockWord, Frame, Peers
from redraft.raft.membership import ChangeKind, ConfChange, MemberChange
from support.fleet import Fleet, say


def write(fleet: Fleet, name: str, count: int) -> None:
    """So many writes, each acknowledged."""
    client = fleet[fleet.leader()].connect()
    for number in range(count):
        assert say(fleet, client, f"SET {name}{number} {number}") == [b"OK"]
    client.hang_up()


def read_all(fleet: Fleet, name: str, count: int) -> None:
    """They are all there."""
    client = fleet[fleet.leader()].connect()
    for number in range(count):
        assert say(fleet, client, f"GET {name}{number}") == [b"%d" % number]
    client.hang_up()


def states(fleet: Fleet) -> list[tuple[int, bool]]:
    """Of each node that is up: what it has applied, and whether it is forgetful."""
    up = [world.node for node, world in fleet.worlds.items() if node not in fleet.down]
    return [(node.shard.applied.index, bool(node.memory.forgotten())) for node in up]


def forgetful_members(fleet: Fleet, of: int) -> list[int]:
    statuses = fleet[of].node.members.statuses()
    return [status.id for status in statuses if status.forgetful]


def all_alike(fleet: Fleet) -> None:
    """All nodes are ordinary members that have applied the same."""
    assert len(set(states(fleet))) == 1, states(fleet)
    assert not states(fleet)[0][1]


def test_a_node_that_is_put_back_beside_its_leader_catches_up_and_counts_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    fleet = Fleet(3)
    fleet.elect(1)
    write(fleet, "a", 10)
    put_back = fleet[3].copy()
    write(fleet, "b", 20)
    fleet.pass_time(100)
    fleet.kill(3)
    put_back()
    fleet.start(3)
    fleet.pass_time(50)
    said = [record.message for record in caplog.records]
    assert sum("this node has forgotten" in each and "shard 1" in each for each in said) == 1
    assert any("node 3 has forgotten" in each for each in said)
    fleet.pass_time(1000)
    all_alike(fleet)
    assert any("node 3 has caught up in shard 1" in each for each in [record.message for record in caplog.records])
    fleet.kill(2)
    write(fleet, "c", 10)
    read_all(fleet, "b", 20)
    read_all(fleet, "c", 10)


def test_a_node_that_was_started_since_the_copy_is_known_by_that(caplog: pytest.LogCaptureFixture) -> None:
    """Node 2 was down while nodes 1 and 3 acknowledged, and knows only that node 3 was started once more."""
    fleet = Fleet(3)
    fleet.elect(1)
    write(fleet, "a", 10)
    fleet.kill(3)
    put_back = fleet[3].copy()
    fleet.start(3)
    fleet.pass_time(300)
    fleet.kill(2)
    write(fleet, "b", 20)
    fleet.kill(3)
    put_back()
    fleet.kill(1)
    fleet.start(2)
    fleet.start(3)
    fleet.pass_time(10_000)
    assert not any(world.node.serves for world in fleet.worlds.values() if world.node.id != 1)
    assert forgetful_members(fleet, 2) == [3] == forgetful_members(fleet, 3)
    assert "catching up" in fleet[3].node.memory.status()
    fleet.start(1)
    fleet.pass_time(5000)
    read_all(fleet, "b", 20)
    write(fleet, "c", 10)
    fleet.pass_time(2000)
    all_alike(fleet)
    assert forgetful_members(fleet, fleet.leader()) == []
    assert fleet[3].node.memory.status() == ""


def test_a_vote_of_a_node_that_is_put_back_while_it_ran_does_not_elect_who_lacks_what_it_acknowledged() -> None:
    """Node 2 had heard of what node 3 acknowledged, and does not have it."""
    fleet = Fleet(3)
    fleet.elect(1)
    write(fleet, "a", 10)
    put_back = fleet[3].copy()
    fleet._break(NodeId(1), NodeId(2))
    write(fleet, "b", 20)
    fleet.pass_time(100)
    fleet.kill(2)
    fleet.kill(3)
    put_back()
    fleet.kill(1)
    fleet.cuts.clear()
    fleet.start(2)
    fleet.start(3)
    fleet.pass_time(10_000)
    assert not any(fleet[node].node.serves for node in (2, 3))
    fleet.start(1)
    fleet.pass_time(5000)
    read_all(fleet, "b", 20)
    write(fleet, "c", 1)
    fleet.pass_time(2000)
    all_alike(fleet)


def test_a_forgetful_node_that_is_started_again_has_not_forgotten_that_it_is_one() -> None:
    fleet = Fleet(3)
    fleet.elect(1)
    write(fleet, "a", 10)
    put_back = fleet[3].copy()
    write(fleet, "b", 20)
    fleet.pass_time(100)
    fleet.kill(2)
    fleet.kill(3)
    put_back()
    fleet.start(3)
    fleet.pass_time(300)
    assert fleet[3].node.shard.raft.forgetful
    fleet.kill(1)
    fleet.kill(3)
    fleet.start(3)
    assert fleet[3].node.shard.raft.forgetful
    fleet.start(2)
    fleet.pass_time(10_000)
    assert not any(fleet[node].node.serves for node in (2, 3))
    fleet.start(1)
    fleet.pass_time(5000)
    read_all(fleet, "b", 20)
    fleet.pass_time(1000)
    all_alike(fleet)


def test_nodes_that_lost_nothing_are_not_taken_for_forgetful() -> None:
    fleet = Fleet(3)
    fleet.elect(1)
    for turn in range(6):
        write(fleet, f"{turn}-", 5)
        node = 1 + turn % 3
        fleet.kill(node)
        fleet.pass_time(3000)
        write(fleet, f"{turn}+", 5)
        fleet.start(node)
        fleet.pass_time(1000)
        for each in fleet.worlds:
            assert forgetful_members(fleet, each) == []
    all_alike(fleet)


def test_of_two_nodes_the_one_that_forgot_votes_for_the_one_that_did_not() -> None:
    fleet = Fleet(2)
    fleet.elect(1)
    write(fleet, "a", 10)
    put_back = fleet[2].copy()
    write(fleet, "b", 20)
    fleet.pass_time(100)
    fleet.kill(2)
    put_back()
    fleet.pass_time(3000)
    assert not fleet[1].node.serves
    fleet.start(2)
    fleet.pass_time(5000)
    assert fleet.leader() == 1
    read_all(fleet, "b", 20)
    write(fleet, "c", 1)
    fleet.pass_time(1000)
    all_alike(fleet)


def test_a_leader_that_is_put_back_does_not_lead_by_its_old_log() -> None:
    fleet = Fleet(2)
    fleet.elect(1)
    write(fleet, "a", 10)
    put_back = fleet[1].copy()
    write(fleet, "b", 20)
    fleet.pass_time(100)
    fleet.kill(1)
    put_back()
    fleet.start(1)
    fleet.pass_time(5000)
    assert fleet.leader() == 2
    read_all(fleet, "b", 20)
    fleet.pass_time(1000)
    all_alike(fleet)


def test_where_most_have_forgotten_the_best_log_goes_on_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """As after a power cut of all nodes with appendfsync everysec; one of them does not come back."""
    fleet = Fleet(3)
    fleet.elect(1)
    write(fleet, "a", 10)
    fleet.pass_time(100)
    put_back_2 = fleet[2].copy()
    write(fleet, "b", 5)
    put_back_1 = fleet[1].copy()
    write(fleet, "c", 5)
    fleet.pass_time(300)
    remembered = [fleet[node].node.memory.take_unsaved() for node in (1, 2)]
    for node in (1, 2, 3):
        fleet.kill(node)
    for node, put_back, promises in zip((1, 2), (put_back_1, put_back_2), remembered, strict=True):
        put_back()
        fleet[node].promises = promises
        fleet.start(node)
    fleet.pass_time(10_000)
    assert fleet.leader() == 1
    read_all(fleet, "a", 10)
    read_all(fleet, "b", 5)
    write(fleet, "d", 1)
    fleet.pass_time(1000)
    all_alike(fleet)
    assert "is lost" in fleet[1].node.memory.status()
    assert any("most voters of shard 1 have forgotten" in record.message for record in caplog.records)


def test_where_all_have_forgotten_a_little_all_go_on_with_the_best_log() -> None:
    fleet = Fleet(3)
    fleet.elect(1)
    write(fleet, "a", 10)
    fleet.pass_time(100)
    put_back = {}
    for node in (3, 1, 2):
        put_back[node] = fleet[node].copy()
        write(fleet, f"{node}-", 3)
    fleet.pass_time(300)
    remembered = {node: fleet[node].node.memory.take_unsaved() for node in (1, 2, 3)}
    for node in (1, 2, 3):
        fleet.kill(node)
    for node in (1, 2, 3):
        put_back[node]()
        fleet[node].promises = remembered[node]
        fleet.start(node)
    fleet.pass_time(10_000)
    read_all(fleet, "a", 10)
    read_all(fleet, "3-", 3)
    read_all(fleet, "1-", 3)
    write(fleet, "d", 1)
    fleet.pass_time(1000)
    all_alike(fleet)


def test_nodes_that_tell_nothing_of_themselves_are_believed_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are of an older version."""
    take_frames = Peers.take_frames

    def without_standings(self: Peers, word: Callable[[], ClockWord]) -> list[tuple[NodeId, bytes]]:
        for frame in self._queues.values():
            frame.standings.clear()
        return take_frames(self, word)

    monkeypatch.setattr(Peers, "take_frames", without_standings)
    assert not Frame()
    fleet = Fleet(3)
    fleet.elect(1)
    write(fleet, "a", 5)
    fleet.kill(3)
    write(fleet, "b", 5)
    fleet.start(3)
    fleet.pass_time(1000)
    fleet.kill(1)
    fleet.pass_time(5000)
    read_all(fleet, "b", 5)


def test_most_of_one_half_do_not_go_on_without_those_who_remember_in_the_other() -> None:
    """Node 4 is being added. Two of the three voters before that have forgotten, but no majority of the four."""
    fleet = Fleet(4, outgoing=(1, 2, 3))
    fleet.elect(1)
    write(fleet, "a", 10)
    fleet.pass_time(100)
    put_back = {node: fleet[node].copy() for node in (1, 2)}
    fleet.cut(3)
    write(fleet, "b", 10)
    fleet.pass_time(300)
    remembered = {node: fleet[node].node.memory.take_unsaved() for node in (1, 2)}
    for node in (1, 2, 3, 4):
        fleet.kill(node)
    fleet.cuts.clear()
    for node in (1, 2):
        put_back[node]()
        fleet[node].promises = remembered[node]
    for node in (1, 2, 3):
        fleet.start(node)
    fleet.pass_time(20_000)
    assert [fleet[node].node.shard.raft.forgetful for node in (1, 2, 3)] == [True, True, False]
    assert not any(fleet[node].node.serves for node in (1, 2, 3))
    fleet.start(4)
    fleet.pass_time(5000)
    read_all(fleet, "b", 10)
    write(fleet, "c", 1)
    fleet.pass_time(1000)
    all_alike(fleet)


def test_who_is_being_removed_is_heard_as_long_as_that_is_not_committed() -> None:
    """Node 2 led after node 1, which has not noticed, with the vote that node 3 has forgotten; and has what node 3
    acknowledged to it. Then people have node 1 remove it."""
    fleet = Fleet(3)
    fleet.elect(1)
    write(fleet, "a", 10)
    fleet.kill(3)
    put_back = fleet[3].copy()
    fleet.start(3)
    fleet.pass_time(500)
    fleet.cut(1)
    fleet[3].node.shard.raft.hesitates = True
    fleet.pass_time(5000, paused=(1,))
    assert fleet[2].node.serves
    client = fleet[2].connect()
    assert say(fleet, client, "SET b 1") == [b"OK"]
    fleet.kill(3)
    put_back()
    fleet.kill(2)
    fleet.cuts.clear()
    fleet.start(3)
    fleet[1].node.shard.raft.change_members(ConfChange((MemberChange(ChangeKind.REMOVE, NodeId(2)),), b"0"))
    fleet.pass_time(20_000)
    assert fleet[3].node.shard.raft.forgetful
    assert not any(fleet[node].node.serves for node in (1, 3))
    fleet.start(2)
    fleet.pass_time(5000)
    assert say(fleet, fleet[fleet.leader()].connect(), "GET b") == [b"1"]


def test_nobody_waits_for_who_was_removed_since_the_copy() -> None:
    """The one that was put back knows of that only from the other that is left."""
    fleet = Fleet(3)
    fleet.elect(2)
    write(fleet, "a", 10)
    fleet.pass_time(1000)
    put_back = fleet[3].copy()
    client = fleet[2].connect()
    client.ask("REDRAFT REMOVE 1")
    fleet.pass_time(3000)
    assert client.replies() == [b"OK"]
    fleet.kill(1)
    write(fleet, "b", 5)
    fleet.pass_time(300)
    fleet.kill(3)
    put_back()
    fleet.pass_time(5000)
    assert not fleet[2].node.serves
    fleet.start(3)
    fleet.pass_time(10_000)
    read_all(fleet, "b", 5)
    write(fleet, "c", 1)
    fleet.pass_time(1000)
    all_alike(fleet)
