"""Raft's times come from each node's settings, which may differ, and change while the node runs."""

from __future__ import annotations

import logging

import pytest

from redraft.raft.node import RaftNode
from redraft.raft.status import Role
from support.fleet import RAFT_TICK_MS, Fleet, say
from support.world import World


@pytest.fixture
def fleet() -> Fleet:
    fleet = Fleet()
    fleet.elect()
    return fleet


def groups(world: World) -> tuple[RaftNode, RaftNode]:
    return world.node.config.raft, world.node.shard.raft


def lease_left_ms(fleet: Fleet, node: int = 1) -> int:
    return fleet[node].node.shard.raft.lease_until_ms - fleet[node].clock.ns // 1_000_000


def test_a_lease_is_as_long_as_its_followers_promise(fleet: Fleet) -> None:
    """The leader would keep to one for three seconds, the others for half of one."""
    client, other = fleet[1].connect(), fleet[3].connect()
    say(fleet, client, "SET k old")
    assert say(fleet, client, "CONFIG SET election-timeout 3000") == [b"OK"]
    fleet.pass_time(RAFT_TICK_MS)
    assert fleet[1].node.serves
    assert lease_left_ms(fleet) == 9 * RAFT_TICK_MS - 100
    fleet.cut(1)
    for _ in range(3000 // RAFT_TICK_MS):
        fleet.pass_time(RAFT_TICK_MS)
        serving = [node for node in (1, 2, 3) if fleet[node].node.leadership.permission() is not None]
        assert len(serving) <= 1
    assert fleet[1].node.shard.raft.role is Role.LEADER, "it has not missed its majority for long enough"
    assert say(fleet, other, "SET k new") == [b"OK"]
    assert say(fleet, client, "GET k") == []


def test_what_a_leader_promises_less_than_its_followers_counts(fleet: Fleet) -> None:
    for node in (2, 3):
        say(fleet, fleet[node].connect(), "CONFIG SET election-timeout 3000")
    fleet.pass_time(RAFT_TICK_MS)
    assert lease_left_ms(fleet) == 9 * RAFT_TICK_MS - 100


def test_the_drift_of_clocks_is_live_and_the_largest_counts(fleet: Fleet) -> None:
    say(fleet, fleet[1].connect(), "CONFIG SET max-clock-drift 200")
    fleet.pass_time(RAFT_TICK_MS)
    assert lease_left_ms(fleet) == 9 * RAFT_TICK_MS - 200
    for node in (2, 3):
        say(fleet, fleet[node].connect(), "CONFIG SET max-clock-drift 500")
    fleet.pass_time(1000)
    assert lease_left_ms(fleet) < 0
    client = fleet[1].connect()
    assert say(fleet, client, "SET k v", "GET k") == [b"OK", b"v"], "by way of a majority"


def test_the_times_of_both_groups_follow_the_settings() -> None:
    world = World()
    client = world.connect()
    assert client("CONFIG SET heartbeat-interval 20 election-timeout 300 max-clock-drift 7") == b"OK"
    for raft in groups(world):
        assert (raft.config.tick_ms, raft.config.election_ticks, raft.config.drift_ms) == (20, 15, 7)
    assert client("CONFIG SET max-uncommitted-bytes 2mb") == b"OK"
    assert {raft.config.max_uncommitted_bytes for raft in groups(world)} == {2 << 20}
    world.restart()
    assert {raft.config.promise_ms for raft in groups(world)} == {280}


def test_what_is_no_setting_stays_as_it_was(fleet: Fleet) -> None:
    before = fleet[2].node.shard.raft.config
    say(fleet, fleet[2].connect(), "CONFIG SET election-timeout 1000", "CONFIG SET election-timeout 500")
    assert fleet[2].node.shard.raft.config == before


def test_a_leader_says_once_that_nodes_differ(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    def told() -> list[str]:
        found = [record.getMessage() for record in caplog.records if "same election-timeout" in record.getMessage()]
        caplog.clear()
        return found

    caplog.set_level(logging.WARNING)
    fleet.pass_time(500)
    assert told() == []
    client = fleet[2].connect()
    say(fleet, client, "CONFIG SET election-timeout 1000")
    fleet.pass_time(500)
    (line,) = told()
    assert line.startswith("node 2 keeps to its leader for 950 ms, this node for 450")
    say(fleet, client, "CONFIG SET election-timeout 500")
    fleet.pass_time(500)
    assert told() == []
    say(fleet, client, "CONFIG SET max-clock-drift 99")
    fleet.pass_time(500)
    assert len(told()) == 1
