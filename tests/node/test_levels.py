"""Feature levels (design section 7): a cluster is upgraded a node at a time, and uses what is new when all know it."""

from __future__ import annotations

import pytest

from redraft.errors import StorageError
from redraft.levels import NEWEST
from support.fleet import Fleet, say
from support.newer import NEWER
from support.world import World

NOT_YET = (
    f"ERR 'setnewer' needs feature level {NEWER}, and the cluster is at {NEWEST} until all of its nodes run a version"
    " that knows it"
)
SETTLING_MS = 3000


def upgrade(fleet: Fleet, node: int) -> None:
    fleet.kill(node)
    fleet[node].level = NEWER
    fleet.start(node)
    fleet.pass_time(SETTLING_MS)


def levels(fleet: Fleet) -> list[int]:
    return [world.node.config.table.level for world in fleet.worlds.values()]


def test_a_newer_command_is_refused_until_the_last_node_is_upgraded(fleet: Fleet) -> None:
    for node in (2, 3):
        upgrade(fleet, node)
        # A node that does not know it forwards nothing that it cannot read; one that does knows the cluster's level.
        client = fleet[node].connect()
        assert [str(each) for each in say(fleet, client, "SETNEWER key 1", "setnewer key 1")] == [NOT_YET] * 2
        (answer,) = say(fleet, fleet[1].connect(), "SETNEWER key 1")
        assert str(answer).startswith("ERR unknown command 'SETNEWER'")
        assert levels(fleet) == [NEWEST] * 3
    upgrade(fleet, 1)
    assert levels(fleet) == [NEWER] * 3
    for node in (1, 2, 3):
        client = fleet[node].connect()
        assert say(fleet, client, f"SETNEWER key {node}", "GET key") == [b"OK", b"%d" % node]
    for world in fleet.worlds.values():
        assert world.node.shard.keyspace.databases[0].peek(b"key") == b"3"
    (info,) = say(fleet, fleet[1].connect(), "INFO raft")
    assert b"cluster_feature_level:%d" % NEWER in info


def test_a_transaction_with_a_newer_command_is_refused_as_a_whole(fleet: Fleet) -> None:
    upgrade(fleet, 2)
    client = fleet[2].connect()
    ok, error, aborted = say(fleet, client, "MULTI", "SETNEWER key 1", "EXEC")
    assert (ok, str(error)) == (b"OK", NOT_YET)
    assert str(aborted).startswith("EXECABORT")


def test_an_older_version_stops_on_the_data_of_a_cluster_that_uses_more(fleet: Fleet) -> None:
    for node in (1, 2, 3):
        upgrade(fleet, node)
    assert levels(fleet) == [NEWER] * 3
    fleet.kill(3)
    fleet[3].level = NEWEST
    fleet.start(3)
    with pytest.raises(StorageError, match=f"is at feature level {NEWER}, and this version knows {NEWEST}: start"):
        fleet.pass_time(SETTLING_MS)


def test_a_node_that_was_not_heard_of_holds_the_level_down(fleet: Fleet) -> None:
    fleet.pass_time(SETTLING_MS)
    fleet.kill(3)
    for node in (1, 2):
        upgrade(fleet, node)
    assert levels(fleet)[:2] == [NEWEST] * 2
    fleet.start(3)
    fleet.pass_time(SETTLING_MS)
    assert levels(fleet) == [NEWEST] * 3
    upgrade(fleet, 3)
    assert levels(fleet) == [NEWER] * 3


def test_what_the_log_holds_is_executed_before_the_level_is_known_here(fleet: Fleet) -> None:
    """The two groups have logs of their own, and a node may hear from one of them later."""
    for node in (1, 2, 3):
        upgrade(fleet, node)
    client = fleet[fleet.leader()].connect()
    assert say(fleet, client, "SETNEWER key 1") == [b"OK"]
    for world in fleet.worlds.values():
        world.node.table.allow(NEWEST)
    (answer,) = say(fleet, client, "SETNEWER key 2")
    assert str(answer) == NOT_YET
    follower = next(world for world in fleet.worlds.values() if not world.node.serves)
    follower.node.table.allow(NEWEST)
    fleet[fleet.leader()].node.table.allow(NEWER)
    assert say(fleet, client, "SETNEWER key 3") == [b"OK"]
    fleet.pass_time(SETTLING_MS)
    assert follower.node.shard.keyspace.databases[0].peek(b"key") == b"3"


def test_a_leader_that_does_not_know_the_level_yet_takes_a_transaction_from_a_node_that_does(fleet: Fleet) -> None:
    for node in (1, 2, 3):
        upgrade(fleet, node)
    leader = fleet.leader()
    client = fleet[next(node for node in (1, 2, 3) if node != leader)].connect()
    assert say(fleet, client, "MULTI", "SETNEWER key 1") == [b"OK", b"QUEUED"]
    fleet[leader].node.table.allow(NEWEST)
    assert say(fleet, client, "EXEC") == [[b"OK"]]
    # Alone it is refused; the client may ask again.
    (answer,) = say(fleet, client, "SETNEWER key 2")
    assert str(answer) == NOT_YET
    assert say(fleet, client, "GET key") == [b"1"]


def test_a_node_alone_uses_at_once_what_it_knows() -> None:
    world = World()
    world.level = NEWER
    world.restart()
    for _ in range(100):
        world.advance(50)
        world.node.raft_tick()
        world.tick()
    assert world.node.config.table.level == NEWER
    client = world.connect()
    client.ask("SETNEWER key 1")
    world.settle()
    assert client.replies() == [b"OK"]
