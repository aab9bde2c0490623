"""Founding by a list: who has forgotten what it promised founds nothing, who has not met all others does nothing."""

from __future__ import annotations

import pytest

from redraft.ids import NodeId
from redraft.node.calling import Call, NodeCaller, OutcastError
from redraft.node.links import NONCE_BYTES, Introduction
from redraft.raft.status import Role
from support.fleet import Fleet, say
from support.greeting import ask
from support.processes import ReplyError


class Founders:
    """Three nodes that begin with one list; their links are made by greetings."""

    def __init__(self) -> None:
        self.fleet = Fleet()
        self.founded: list[int] = []
        for number in (1, 2, 3):
            self.begin(number, "first")

    def begin(self, number: int, incarnation: str) -> None:
        """A node with nothing in its directory."""
        node = self.fleet[number].node
        node.members.incarnation = incarnation
        node.door.introduction = Introduction(f"life of {number} {incarnation}")
        others = [each for each in self.fleet.worlds if each != number]
        node.founding.begin(others, lambda: self.founded.append(number))

    def wipe(self, number: int) -> None:
        """Its directory is emptied, and it is started by its old command."""
        world = self.fleet[number]
        fresh = Fleet()[number]
        world.log, world.config_log, world.image = fresh.log, fresh.config_log, fresh.image
        self.fleet.kill(number)
        self.fleet.start(number)
        self.begin(number, "again")

    def greet(self, caller: int, answerer: int) -> None:
        """One node dials another. Raises OutcastError."""
        call = Call(NodeCaller(self.fleet[caller].node), NodeId(answerer), b"FRAMES", b"n" * NONCE_BYTES)
        client = self.fleet[answerer].connect()
        reply = ask(client, call.answered(ask(client, call.greeting())))
        if isinstance(reply, ReplyError):
            call.refused(str(reply))
        call.accepted()
        client.hang_up()

    def meet(self, *nodes: int) -> None:
        """All of them dial each other."""
        for caller in nodes:
            for answerer in nodes:
                if caller != answerer:
                    self.greet(caller, answerer)


def roles(fleet: Fleet) -> list[Role]:
    return [fleet[number].node.shard.raft.role for number in (1, 2, 3) if NodeId(number) not in fleet.down]


def test_founders_that_have_all_met_elect_a_leader() -> None:
    founders = Founders()
    fleet = founders.fleet
    fleet.pass_time(3000)
    assert roles(fleet) == [Role.FOLLOWER] * 3
    founders.meet(1, 2, 3)
    assert sorted(founders.founded) == [1, 2, 3]
    fleet.pass_time(3000)
    assert fleet.leader() in (1, 2, 3)


def test_two_of_three_founders_do_nothing() -> None:
    """A majority of the list would do for an election; but the third may know better."""
    founders = Founders()
    fleet = founders.fleet
    fleet.kill(3)
    founders.meet(1, 2)
    client = fleet[1].connect()
    client.ask("SET k v")
    fleet.pass_time(8000)
    assert roles(fleet) == [Role.FOLLOWER] * 2
    assert str(client.replies()[0]).startswith("CLUSTERDOWN")
    fleet.start(3)
    founders.begin(3, "first")
    founders.meet(1, 2, 3)
    fleet.pass_time(3000)
    assert fleet.leader()


def test_a_founder_that_another_has_come_to_is_known_to_it() -> None:
    """Node 3 cannot reach node 1, and need not: else it would stand still for ever once node 1 is gone, beside one that
    has what was acknowledged."""
    founders = Founders()
    fleet = founders.fleet
    for caller, answerer in ((1, 2), (1, 3), (2, 3)):
        founders.greet(caller, answerer)
    assert sorted(founders.founded) == [1, 2, 3]
    fleet.elect(1)
    assert say(fleet, fleet[1].connect(), "SET k v") == [b"OK"]
    fleet.kill(1)
    fleet.pass_time(5000)
    assert say(fleet, fleet[fleet.leader()].connect(), "GET k") == [b"v"]


def test_two_founders_that_were_emptied_elect_nobody_and_the_third_tells_them() -> None:
    founders = Founders()
    fleet = founders.fleet
    founders.meet(1, 2, 3)
    fleet.elect(1)
    fleet.pass_time(1000)
    assert fleet[2].connect()("PING") == b"PONG"
    fleet.kill(1)
    for number in (2, 3):
        founders.wipe(number)
    founders.meet(2, 3)
    fleet.pass_time(5000)
    assert roles(fleet) == [Role.FOLLOWER] * 2
    fleet.start(1)
    for number in (2, 3):
        with pytest.raises(OutcastError, match=f"node 1 says: node {number} has other data than it had"):
            founders.greet(number, 1)


def test_an_emptied_founder_shows_nobody_that_it_has_nothing() -> None:
    """Not even where old data would do."""
    founders = Founders()
    reader = founders.fleet[1].connect()
    assert reader("READONLY") == b"OK"
    reader.ask("GET k")
    founders.fleet.settle()
    assert reader.replies() == []
    founders.meet(1, 2, 3)
    founders.fleet.elect(2)
    assert reader.replies() == [None]


def test_one_founder_that_was_emptied_takes_no_part_before_all_have_let_it_in() -> None:
    """Not even for a leader that it hears, and that does not know it: one of the list does."""
    founders = Founders()
    fleet = founders.fleet
    founders.meet(1, 2, 3)
    fleet.elect(1)
    fleet.pass_time(1000)
    founders.wipe(3)
    fleet.pass_time(2000)
    raft = fleet[3].node.shard.raft
    assert (raft.term, raft.last_index) == (0, 0)
    with pytest.raises(OutcastError):
        founders.greet(3, 2)
