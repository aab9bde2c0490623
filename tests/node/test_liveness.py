"""Whom a node's pulse excuses, and what is on a node's own board."""

from __future__ import annotations

import pytest

from redraft.ids import CONFIG_GROUP, FIRST_SHARD_GROUP, NodeId, Term
from redraft.node.links import PulseLink, framed
from redraft.node.peers import FrameError
from redraft.node.pulse import MOST_SENDERS, WORDS, Belief, Board, Pulse, encode_pulse
from support.fleet import RAFT_TICK_MS, Fleet

ELECTION_MS = 500
ONE, TWO = NodeId(1), NodeId(2)
MS = 1_000_000


def leading() -> Fleet:
    fleet = Fleet(election_timeout=ELECTION_MS, heartbeat_interval=RAFT_TICK_MS)
    fleet.elect(1)
    return fleet


def pulse(fleet: Fleet, progress: int, stalled_ms: int, *, receiving: bool = False) -> Pulse:
    """One of node 1's."""
    raft = fleet[1].node.shard.raft
    belief = Belief(FIRST_SHARD_GROUP, raft.term, raft.leader_id)
    return Pulse(progress, stalled_ms, receiving, [belief])


def follows(fleet: Fleet, pulses: list[Pulse]) -> bool:
    """Whether node 2 believes in node 1 yet when those have come in place of everything else."""
    fleet.cut(1)
    for each in pulses:
        fleet.pass_time(RAFT_TICK_MS, paused=(1, 3))
        fleet[2].node.liveness.heard(ONE, each)
    return fleet[2].node.shard.raft.leader_id == ONE


def test_a_leader_that_is_held_up_is_excused() -> None:
    fleet = leading()
    assert follows(fleet, [pulse(fleet, 1, 100 + 50 * n) for n in range(60)])


def test_one_that_comes_round_is_to_be_heard_through_raft() -> None:
    fleet = leading()
    assert not follows(fleet, [pulse(fleet, n, 0) for n in range(60)])


def test_one_that_is_held_up_again_and_again_and_is_never_heard_is_not_excused_for_ever() -> None:
    fleet = leading()
    assert not follows(fleet, [pulse(fleet, n // 2, 150) for n in range(60)])


def test_many_pulses_that_are_read_at_once_count_as_one_round() -> None:
    """A node that was held up itself finds them in its sockets, behind Raft's messages of the same time."""
    fleet = leading()
    liveness = fleet[2].node.liveness
    liveness.spoke(ONE)
    for number in range(100):
        liveness.heard(ONE, pulse(fleet, number, 150))
    assert follows(fleet, [pulse(fleet, 100, 150) for _ in range(60)])


def test_one_that_is_held_up_for_too_long_is_not_excused() -> None:
    fleet = leading()
    assert not follows(fleet, [pulse(fleet, 1, 30_000) for n in range(60)])


def test_a_node_excuses_who_sends_it_a_large_frame_and_tells_that_node_so() -> None:
    fleet = leading()
    fleet.cut(1)
    node = fleet[2].node
    for _ in range(60):
        fleet.pass_time(RAFT_TICK_MS, paused=(1, 3))
        node.liveness.moved(ONE)
    assert node.shard.raft.leader_id == ONE
    now_ns = node.clock.monotonic_ns()
    assert node.liveness.board.pulse_for(ONE, now_ns).receiving
    assert not node.liveness.board.pulse_for(NodeId(3), now_ns).receiving
    assert not node.liveness.board.pulse_for(ONE, now_ns + 1000 * MS).receiving


def test_a_follower_that_has_received_for_long_and_is_held_up_then_is_excused() -> None:
    """It says nothing, since nothing comes but pieces of a large frame."""
    fleet = leading()
    fleet.cut(1)
    raft = fleet[1].node.shard.raft
    belief = [Belief(FIRST_SHARD_GROUP, raft.term, ONE)]
    pulses = [Pulse(number, 0, receiving=True, beliefs=belief) for number in range(60)]
    pulses += [Pulse(60, 150, receiving=False, beliefs=belief) for _ in range(60)]
    for each in pulses:
        fleet.pass_time(RAFT_TICK_MS, paused=(2, 3))
        fleet[1].node.liveness.heard(TWO, each)
    assert raft.leader is not None


def test_a_board_says_who_leads_and_for_how_long_its_writer_is_held_up() -> None:
    fleet = leading()
    node = fleet[1].node
    board = node.liveness.board = Board([0] * WORDS)
    now_ns = node.clock.monotonic_ns()
    fresh = board.pulse_for(TWO, now_ns + 2 * RAFT_TICK_MS * MS)
    term = node.shard.raft.term
    assert fresh.beliefs == [Belief(CONFIG_GROUP, term, ONE), Belief(FIRST_SHARD_GROUP, term, ONE)]
    assert not fresh.excuses
    assert board.pulse_for(TWO, now_ns + 700 * MS).stalled_ms == 700


def test_a_belief_that_does_not_fit_into_its_word_is_left_out() -> None:
    board = Board([0] * WORDS)
    board.believes(FIRST_SHARD_GROUP, Term(1), NodeId(1 << 20))
    assert board.pulse_for(TWO, 0).beliefs == []
    board.believes(FIRST_SHARD_GROUP, Term((1 << 43) - 1), NodeId((1 << 20) - 1))
    assert board.pulse_for(TWO, 0).beliefs == [Belief(FIRST_SHARD_GROUP, Term((1 << 43) - 1), NodeId((1 << 20) - 1))]


def test_a_board_tells_of_so_many_senders_and_no_more() -> None:
    board = Board([0] * WORDS)
    for sender in range(1, MOST_SENDERS + 10):
        board.receives(NodeId(sender), 1)
    assert board.pulse_for(NodeId(MOST_SENDERS), 1).receiving
    assert not board.pulse_for(NodeId(MOST_SENDERS + 1), 1).receiving


def test_what_is_no_pulse_is_a_broken_frame() -> None:
    link = PulseLink(leading()[2].node, ONE)
    whole = framed(encode_pulse(Pulse(1, 0, receiving=False, beliefs=[])))
    for byte in whole:
        link.receive(bytes([byte]))
    with pytest.raises(FrameError):
        link.receive(framed(b"\xc1"))
    with pytest.raises(FrameError):
        PulseLink(leading()[2].node, ONE).receive(b"\xff\xff\xff\xff")
