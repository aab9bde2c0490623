"""Changes of the config table from any node, in virtual time."""

from __future__ import annotations

import pytest
from msgspec import structs

from redraft.ids import NodeId
from redraft.raft.messages import ConfState
from redraft.raft.node import RaftNode
from support.fleet import Fleet
from support.world import Client


@pytest.fixture
def fleet() -> Fleet:
    """Three nodes, the first of which leads both groups; the cluster is founded."""
    fleet = Fleet()
    fleet.elect()
    fleet.pass_time(1000)
    return fleet


def say(fleet: Fleet, client: Client, line: str, *, wait_ms: int = 0) -> object:
    client.ask(line)
    fleet.settle()
    fleet.pass_time(wait_ms)
    [reply] = client.replies()
    return reply


def nodes_known_to(fleet: Fleet, node: int) -> list[int]:
    return sorted(fleet[node].node.config.table.nodes)


def test_all_nodes_have_the_same_table(fleet: Fleet) -> None:
    fleet.pass_time(1000)
    first, *others = [fleet[n].node.config.table for n in (1, 2, 3)]
    assert first.version
    assert others == [first, first]
    assert nodes_known_to(fleet, 3) == [1, 2, 3]


def test_a_follower_changes_the_table_and_the_groups_follow(fleet: Fleet) -> None:
    assert say(fleet, fleet[2].connect(), "REDRAFT REMOVE 3", wait_ms=2000) == b"OK"
    for node in (1, 2):
        assert nodes_known_to(fleet, node) == [1, 2]
        assert fleet[node].node.shard.raft.conf.voters == (1, 2)
        assert fleet[node].node.config.raft.conf.voters == (1, 2)
    assert fleet[3].node.members.was_removed()


def test_a_change_survives_the_loss_of_the_config_leader(fleet: Fleet) -> None:
    client = fleet[2].connect()
    client.ask("REDRAFT REMOVE 1")
    fleet[2].tick()
    fleet.kill(1)
    fleet.pass_time(5000)
    assert client.replies() == [b"OK"]
    assert nodes_known_to(fleet, 3) == [2, 3]


def test_who_is_out_of_the_table_has_no_vote_any_more_that_others_could_need(fleet: Fleet) -> None:
    """It stops at once; of two voters of the config group the other could then commit nothing more."""
    assert say(fleet, fleet[1].connect(), "REDRAFT REMOVE 3", wait_ms=2000) == b"OK"
    client = fleet[1].connect()
    client.ask("REDRAFT REMOVE 2")
    while not client.replies():
        fleet.pass_time(50)
        removed = fleet[2].node.members.was_removed()
        assert not (removed and fleet[1].node.config.raft.conf.is_voter(NodeId(2)))
    assert fleet[1].node.config.raft.conf.voters == (1,)


def test_a_new_node_knows_whom_to_answer_when_no_founder_is_left() -> None:
    members = Fleet()[3].node.members
    members.configured = {}
    members.first_known = {NodeId(7): "10.0.0.7:7000", NodeId(8): "10.0.0.8:7000"}
    assert members.others() == members.first_known


def test_without_a_majority_nothing_changes_and_the_client_is_told(fleet: Fleet) -> None:
    client = fleet[1].connect()
    fleet.cut(1)
    assert str(say(fleet, client, "REDRAFT REMOVE 2")) == (
        "ERR without node 2 there would be no majority, since these do not answer: 3"
    )
    client.ask("REDRAFT REPLACE 2 3")
    fleet.pass_time(6000)
    [reply] = client.replies()
    assert str(reply).startswith("UNKNOWN the config group did not answer in time")
    assert nodes_known_to(fleet, 2) == [1, 2, 3]


def test_two_nodes_do_not_leave_at_once(fleet: Fleet) -> None:
    one, other = fleet[1].connect(), fleet[2].connect()
    one.ask("REDRAFT REMOVE 3")
    other.ask("REDRAFT REMOVE 1")
    fleet.pass_time(3000)
    replies = [*one.replies(), *other.replies()]
    assert sorted(map(str, replies)) == ["ERR a change is under way: node 3 is leaving", "b'OK'"]


def test_who_was_met_is_known_again_and_an_impostor_is_not_listened_to(fleet: Fleet) -> None:
    members = fleet[1].node.members
    kept: list[tuple[int, str]] = []
    members.remember = lambda node, incarnation: kept.append((node, incarnation))
    assert members.refusal(NodeId(2), "first") == ""
    assert members.refusal(NodeId(2), "first") == ""
    assert kept == [(2, "first")]
    assert "has other data than it had" in members.refusal(NodeId(2), "second")
    # Not met yet, and not in the table yet: it has joined a moment ago.
    assert members.refusal(NodeId(4), "fourth") == ""


def test_the_table_of_an_earlier_version(fleet: Fleet) -> None:
    client = fleet[2].connect()
    assert say(fleet, client, "REDRAFT TABLE 0") == [b"version", 0, b"level", 1, b"nodes", [], b"shards", []]
    newest = fleet[2].node.config.table.version
    assert str(say(fleet, client, f"REDRAFT TABLE {newest}")) != str(say(fleet, client, "REDRAFT TABLE 0"))
    assert str(say(fleet, client, f"REDRAFT TABLE {newest + 1}")) == f"ERR this node knows the versions 0 to {newest}"


def test_nobody_is_struck_out_before_the_shard_s_leader_says_that_it_has_left(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config group's leader may have a replica of the shard that is behind: one that was made when others were
    members, and has nothing yet."""
    fleet[1].node.config.raft.transfer_leader(NodeId(2))
    fleet.pass_time(100)
    assert fleet[2].node.config.leads()
    behind, of_all = fleet[2].node.shard, RaftNode.conf.fget
    old = ConfState(voters=(NodeId(1), NodeId(2)))
    behind.applied = structs.replace(behind.applied, conf=old)
    with monkeypatch.context() as patched:
        patched.setattr(RaftNode, "conf", property(lambda raft: old if raft is behind.raft else of_all(raft)))
        patched.setattr(fleet[1].node.membership, "_place_group", lambda *_: None)
        fleet[1].connect().ask("REDRAFT REMOVE 3")
        fleet.pass_time(3000)
        assert fleet[2].node.config.table.leaving() == {3: 0}
        assert fleet[1].node.shard.raft.conf.voters == (1, 2, 3)
    fleet.pass_time(3000)
    assert nodes_known_to(fleet, 2) == [1, 2]
    assert fleet[1].node.shard.raft.conf.voters == (1, 2)


def test_a_leader_whose_table_is_old_changes_no_members(fleet: Fleet) -> None:
    """It would put back what an earlier leader has done by a newer one, and who has left would vote again."""
    shard = fleet[1].node.shard
    newer = fleet[1].node.config.table.version + 2
    shard.applied = structs.replace(shard.applied, table_version=newer)
    client = fleet[1].connect()
    client.ask("REDRAFT REMOVE 3")
    fleet.pass_time(2000)
    assert fleet[1].node.config.table.version == newer - 1
    assert shard.raft.conf.voters == (1, 2, 3)
    shard.applied = structs.replace(shard.applied, table_version=newer - 1)
    fleet.pass_time(2000)
    assert shard.raft.conf.voters == (1, 2)
    assert client.replies() == [b"OK"]


def test_every_replica_knows_by_which_table_the_members_were_changed_last(fleet: Fleet) -> None:
    before = fleet[1].node.config.table.version
    assert fleet[1].node.shard.applied.table_version == 0
    say(fleet, fleet[1].connect(), "REDRAFT REMOVE 3", wait_ms=2000)
    applied = [fleet[node].node.shard.applied for node in (1, 2)]
    assert applied[0].table_version == applied[1].table_version == before + 1
