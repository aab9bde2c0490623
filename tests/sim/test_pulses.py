"""Who is only held up keeps its lead and its followers; who is gone, or cannot be heard, does not."""

from __future__ import annotations

from typing import Any

import pytest

from redraft.raft.status import Role
from sim.asking import Asking
from sim.cluster import Cluster
from sim.events import MS, SECOND
from sim.machine import Machine, Speeds

ELECTION_MS = 500
SLOW = Speeds(fsync_ns=(2 * SECOND, 2 * SECOND))


class Group:
    """Three machines of which one leads."""

    def __init__(self, **settings: Any) -> None:
        settings = {"heartbeat_interval": 50, "election_timeout": ELECTION_MS, **settings}
        self.cluster = Cluster(3, settings=settings)
        self.cluster.start()
        self.cluster.run(4 * SECOND)
        leader = self.cluster.leader()
        assert leader is not None
        assert leader.node.serves
        self.leader = leader
        self.followers = [machine for machine in self.cluster.machines.values() if machine is not leader]
        self.term = leader.node.shard.raft.term
        self.replies: list[Any] = []

    def ask(self, machine: Machine, *command: Any) -> None:
        Asking(self.cluster, machine, command, self.replies.append)

    def ask_all(self) -> None:
        """Every node a write and a read."""
        for machine in self.cluster.machines.values():
            self.ask(machine, "SET", "k", "v")
            self.ask(machine, "GET", "k")

    def hold_up(self, *machines: Machine, seconds: float) -> None:
        """Let them do nothing else for a time."""
        for machine in machines:
            machine.hold_up()
        self.cluster.run(int(seconds * SECOND))
        for machine in machines:
            machine.resume()

    def leads_still(self) -> bool:
        """Whether nobody else does, or has since."""
        terms = {machine.node.shard.raft.term for machine in self.cluster.machines.values()}
        return self.leader.node.shard.raft.role is Role.LEADER and terms == {self.term}


def test_a_leader_that_is_held_up_for_ten_seconds_keeps_its_lead_and_answers_everybody() -> None:
    group = Group()
    group.ask_all()
    group.hold_up(group.leader, seconds=10)
    group.cluster.run(SECOND)
    assert group.leads_still()
    assert group.replies.count(b"OK") == 3
    assert len(group.replies) == 6
    assert set(group.replies) <= {b"OK", b"v", None}


def test_a_leader_whose_followers_are_held_up_keeps_its_lead_and_refuses_nobody() -> None:
    group = Group()
    group.cluster.run(100 * MS)
    group.ask(group.leader, "SET", "k", "v")
    group.hold_up(*group.followers, seconds=3)
    group.ask_all()
    group.hold_up(*group.followers, seconds=10)
    group.cluster.run(SECOND)
    assert group.leads_still()
    assert group.replies.count(b"OK") == 4
    assert len(group.replies) == 7
    assert set(group.replies) <= {b"OK", b"v", None}


def test_a_command_that_holds_all_of_them_up_costs_nobody_the_lead() -> None:
    group = Group()
    group.ask_all()
    group.hold_up(*group.cluster.machines.values(), seconds=12)
    group.cluster.run(SECOND)
    assert group.leads_still()
    assert group.replies.count(b"OK") == 3


@pytest.mark.parametrize("inline", [True, False])
def test_fsyncs_of_two_seconds_cost_nobody_the_lead(inline: bool) -> None:
    group = Group()
    for machine in group.cluster.machines.values():
        machine.inline, machine.speeds = inline, SLOW
    if inline:
        # Else all of them are held up at once, and nobody's clock ticks.
        for machine in group.followers:
            machine.speeds = Speeds()
    for _ in range(3):
        group.ask_all()
        group.cluster.run(1500 * MS)
    group.cluster.run(15 * SECOND)
    assert group.leads_still()
    assert group.replies.count(b"OK") == 9


def test_reads_do_not_wait_for_an_fsync_in_a_thread() -> None:
    group = Group()
    for machine in group.cluster.machines.values():
        machine.inline, machine.speeds = False, SLOW
    group.ask(group.leader, "SET", "k", "v")
    group.cluster.run(1500 * MS)
    group.ask(group.leader, "GET", "k")
    group.cluster.run(20 * MS)
    assert group.replies == [None]


def test_who_is_held_up_for_longer_than_the_timeout_loses_its_lead() -> None:
    group = Group(node_stall_timeout=5000)
    group.leader.hold_up()
    group.cluster.run(4900 * MS)
    assert group.cluster.leader() is group.leader
    group.cluster.run(3 * ELECTION_MS * MS)
    assert group.cluster.leader() in group.followers


def test_a_disk_that_hangs_costs_the_lead_after_the_timeout() -> None:
    group = Group(node_stall_timeout=5000)
    for machine in group.cluster.machines.values():
        machine.inline = False
    group.leader.speeds = Speeds(fsync_ns=(100 * SECOND, 100 * SECOND))
    group.ask(group.leader, "SET", "k", "v")
    group.cluster.run(4900 * MS)
    assert group.leads_still()
    group.cluster.run(4 * ELECTION_MS * MS)
    assert group.cluster.leader() in group.followers


def test_who_is_gone_is_missed_after_an_election_timeout() -> None:
    group = Group()
    group.leader.kill()
    group.cluster.run(3 * ELECTION_MS * MS)
    assert group.cluster.leader() in group.followers


def test_who_is_cut_off_is_missed_and_steps_down_while_it_is_held_up_now_and_then() -> None:
    group = Group()
    for follower in group.followers:
        group.cluster.cut(group.leader.number, follower.number)
    for _ in range(6):
        group.hold_up(group.leader, seconds=0.2)
        group.cluster.run(300 * MS)
    assert group.leader.node.shard.raft.role is not Role.LEADER
    assert group.cluster.leader() in group.followers


def test_a_leader_of_which_only_the_pulse_arrives_is_not_followed_for_long() -> None:
    """Its links are deaf and do not break; what it is held up by now and then does not excuse that for ever."""
    group = Group()
    for link in group.leader.keeper.links.values():
        assert link.connection is not None
        link.connection.wires[0]._cut = True
    for _ in range(10):
        group.hold_up(group.leader, seconds=0.4)
        group.cluster.run(60 * MS)
    group.cluster.run(3 * ELECTION_MS * MS)
    assert group.cluster.leader() in group.followers


def test_a_value_that_is_on_its_way_for_seconds_costs_nobody_the_lead() -> None:
    """It is on each link for four seconds and on each disk for three, and heartbeats wait behind it."""
    group = Group(max_uncommitted_bytes=1 << 20)
    network = group.cluster.network
    for machine in group.cluster.machines.values():
        machine.speeds = Speeds(byte_ns=30_000)
    network.byte_ns = 40_000
    group.ask(group.leader, "SET", "large", "x" * 100_000)
    group.cluster.run(4 * SECOND)
    for number in range(20):
        group.ask(group.followers[0], "SET", number, number)
        group.cluster.run(500 * MS)
    group.cluster.run(10 * SECOND)
    assert group.leads_still()
    assert group.replies == [b"OK"] * 21
