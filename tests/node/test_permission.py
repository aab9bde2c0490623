"""What may be read was allowed after it had come in: an earlier permission does not know of a later leader's writes."""

from __future__ import annotations

import hiredis
import pytest

from redraft.ids import NodeId
from redraft.node.peers import decode_frame
from redraft.raft.messages import HeartbeatReply
from support.fleet import RAFT_TICK_MS, Fleet, say
from support.world import Client

OTHERS = (NodeId(2), NodeId(3))


@pytest.fixture
def fleet() -> Fleet:
    fleet = Fleet()
    fleet.elect()
    return fleet


def end_the_lease(fleet: Fleet) -> None:
    """More time passes than the lease lasts, and nobody's Raft clock ticks."""
    for world in fleet.worlds.values():
        world.clock.ns += 450_000_000


def tick_others(fleet: Fleet) -> list[tuple[NodeId, bytes]]:
    """A tick of nodes 2 and 3, which hear each other; what they say to node 1."""
    frames, fleet.frames = fleet.frames, []
    for sender, to, data in frames:
        fleet[to].node.incoming.receive_frame(sender, decode_frame(data))
    for node in OTHERS:
        fleet[node].tick()
        fleet.frames += [(node, to, data) for to, data in fleet[node].frames]
        fleet[node].frames.clear()
    to_first = [(sender, data) for sender, to, data in fleet.frames if to == 1]
    fleet.frames = [frame for frame in fleet.frames if frame[1] != 1]
    return to_first


def lead_without_the_first(fleet: Fleet) -> None:
    """Node 1 sleeps; another leads, and acknowledges a write."""
    while not any(fleet[node].node.serves for node in OTHERS):
        for node in OTHERS:
            fleet[node].clock.ns += RAFT_TICK_MS * 1_000_000
            fleet[node].node.raft_tick()
        tick_others(fleet)
    writer = fleet[next(node for node in OTHERS if fleet[node].node.serves)].connect()
    writer.ask("SET k new")
    for _ in range(6):
        tick_others(fleet)
    assert writer.replies() == [b"OK"]
    fleet[1].clock.ns = fleet[2].clock.ns


def deliver(fleet: Fleet, frames: list[tuple[NodeId, bytes]]) -> None:
    for sender, data in frames:
        fleet[1].node.incoming.receive_frame(sender, decode_frame(data))
    fleet[1].tick()


def ask_a_majority(fleet: Fleet, client: Client, *lines: str) -> list[tuple[NodeId, bytes]]:
    """Node 1, which has no lease, is asked something; the answers of the others, on their way."""
    client.ask(*lines)
    fleet[1].tick()
    frames = [(NodeId(1), to, data) for to, data in fleet[1].frames]
    fleet[1].frames.clear()
    fleet.frames += frames
    answers = tick_others(fleet)
    assert len(answers) == len(OTHERS)
    assert client.replies() == []
    return answers


def test_a_read_behind_one_that_waits_for_a_majority_needs_a_majority_of_its_own(fleet: Fleet) -> None:
    client = fleet[1].connect()
    assert say(fleet, client, "SET k old") == [b"OK"]
    end_the_lease(fleet)
    answers = ask_a_majority(fleet, client, "GET k")
    lead_without_the_first(fleet)
    client.ask("GET k")
    fleet[1].tick()
    deliver(fleet, answers)
    # What was sent first may show what was there then; what was sent after the other's write may not.
    assert client.replies() == [b"old"]


def test_what_another_client_sent_later_needs_a_permission_of_its_own(fleet: Fleet) -> None:
    """The first client's command, executed by a read index, ends the pause that the second waits in."""
    client, other = fleet[1].connect(), fleet[1].connect()
    say(fleet, client, "SET k old", "CLIENT PAUSE 1000000 WRITE")
    say(fleet, other, "DEL nothing")
    end_the_lease(fleet)
    answers = ask_a_majority(fleet, client, "WATCH k", "CLIENT UNPAUSE")
    lead_without_the_first(fleet)
    other.ask("GET k")
    fleet[1].tick()
    deliver(fleet, answers)
    assert b"old" not in other.replies()


def test_a_read_that_comes_late_in_a_long_tick_is_not_granted_by_the_lease_as_it_was(fleet: Fleet) -> None:
    """A slow command, or a pause, makes a tick last longer than the lease."""
    client = fleet[1].connect()
    say(fleet, client, "SET k old")
    first = fleet[1]
    first.node.begin_tick()
    assert first.node.serves
    lead_without_the_first(fleet)
    first.node.receive(client.session, hiredis.pack_command((b"GET", b"k")))
    first._persist()
    first.node.end_tick()
    first._send_all()
    assert client.replies() == []


def test_who_started_anew_is_not_answered_what_it_asked_in_its_earlier_life(fleet: Fleet) -> None:
    """Both lives count their questions from one."""
    fleet.settle()
    end_the_lease(fleet)
    leader = fleet[1].node
    leader.leadership.follow()
    leader.reads.asked(NodeId(2), 1)
    fleet[1].tick()
    round_ = leader.shard.raft.leader._rounds.newest  # type: ignore[union-attr]
    leader.incoming.hears_no_more(NodeId(2))
    leader.shard.raft.step(HeartbeatReply(NodeId(3), NodeId(1), leader.shard.raft.term, round_))
    fleet[1].frames.clear()
    fleet[1].tick()
    told = [index for to, data in fleet[1].frames if to == 2 for index in decode_frame(data).read_indexes]
    assert told == []


@pytest.mark.parametrize("place", [1, 2])
def test_what_waited_for_a_read_index_has_a_turn_of_its_own(fleet: Fleet, place: int) -> None:
    """The last turn that was begun is long over; a pipeline goes on as one all the same."""
    client = fleet[place].connect()
    end_the_lease(fleet)
    client.ask("GET k", "GET j", "STRLEN k", "EXISTS k")
    fleet.tick_all()
    for world in fleet.worlds.values():
        world.clock.ns += 10_000_000
    fleet.settle()
    assert client.replies() == [None, None, 0, 0]
    assert fleet[place].node.reads._next_number <= 2
    assert fleet[place].node.reads._next_context <= 3
