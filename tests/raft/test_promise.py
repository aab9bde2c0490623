"""A member that has answered a leader votes for nobody else for an election's time (thesis, sections 4.2.3 and 6.4.1).

The leader's lease rests on that. So the promise outlives all that the member hears meanwhile: that there is a later
term, from whomever (here from one that had been cut off, and answered an old message), makes it forget its leader, and
not what it has promised to it. Only a hand-over ends it, until the leader is answered that it was given up.
"""

from __future__ import annotations

import pytest

from redraft.ids import Index, NodeId, Term
from redraft.raft.config import RaftConfig
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import (
    NO_HANDOVER,
    AnyMessage,
    AppendReply,
    ConfState,
    HardState,
    Heartbeat,
    HeartbeatReply,
    SnapshotMeta,
    TimeoutNow,
    Vote,
    VoteReply,
)
from redraft.raft.node import RaftNode
from redraft.raft.status import Role

LEADER, FOLLOWER, OTHER = NodeId(1), NodeId(2), NodeId(3)
TERM, LATER = Term(5), Term(6)
TICKS = 10

NEWS = [
    AppendReply(OTHER, FOLLOWER, LATER, Index(0), 0, rejected=True),
    HeartbeatReply(OTHER, FOLLOWER, LATER, 0),
    VoteReply(OTHER, FOLLOWER, LATER, False, False),
    VoteReply(OTHER, FOLLOWER, LATER, False, True),
]


def started() -> RaftNode:
    """It was there before, in the same term."""
    storage = MemoryStorage()
    storage.start = SnapshotMeta(conf=ConfState(voters=(LEADER, FOLLOWER, OTHER)))
    storage.write(HardState(TERM), [])
    return RaftNode(RaftConfig(FOLLOWER, election_ticks=TICKS), storage, Index(0))


def follower(given_up: int = 0) -> RaftNode:
    """It was started long ago, and has just answered its leader, who has given up so many hand-overs."""
    raft = started()
    for _ in range(TICKS):
        raft.tick(0)
        raft.step(Heartbeat(LEADER, FOLLOWER, TERM, Index(0), 0, given_up=given_up))
    said(raft)
    return raft


def said(raft: RaftNode) -> list[AnyMessage]:
    messages: list[AnyMessage] = []
    while raft.has_ready():
        ready = raft.ready()
        messages += [*ready.urgent, *ready.messages]
        raft.advance(ready)
    return messages


def votes(raft: RaftNode, vote: Vote) -> bool:
    raft.step(vote)
    return any(isinstance(each, VoteReply) and each.granted for each in said(raft))


def vote(term: int, *, pre: bool = False, handover: int = NO_HANDOVER) -> Vote:
    return Vote(OTHER, FOLLOWER, Term(term), Index(9), Term(5), pre, handover)


def test_a_promise_may_have_been_made_before_a_restart() -> None:
    restarted = started()
    for tick in range(TICKS):
        for term in (TERM, LATER):
            assert not votes(restarted, vote(term)), f"after {tick} of {TICKS} ticks"
        restarted.tick(0)
    assert votes(restarted, vote(LATER))


@pytest.mark.parametrize("pre", [True, False])
@pytest.mark.parametrize("term", [LATER, LATER + 1])
@pytest.mark.parametrize("news", NEWS, ids=lambda news: type(news).__name__)
def test_a_promise_outlives_the_news_of_a_later_term(news: AnyMessage, term: int, pre: bool) -> None:
    raft = follower()
    for tick in range(TICKS):
        if tick == 3:
            raft.step(news)
            assert (raft.term, raft.leader_id) == (LATER, 0)
        assert not votes(raft, vote(term, pre=pre)), f"after {tick} of {TICKS} ticks"
        raft.tick(0)
    assert votes(raft, vote(term, pre=pre))


def test_a_leader_that_hands_over_has_ended_its_leases_and_with_them_the_promise() -> None:
    raft = follower()
    assert not votes(raft, vote(LATER))
    assert votes(raft, vote(LATER, handover=0))


def test_who_has_heard_that_a_hand_over_was_given_up_takes_no_part_in_it() -> None:
    raft = follower(given_up=1)
    assert not votes(raft, vote(LATER, handover=0))
    raft.step(TimeoutNow(LEADER, FOLLOWER, TERM, 0))
    assert (raft.role, raft.term) == (Role.FOLLOWER, TERM)
    raft.step(Heartbeat(LEADER, FOLLOWER, TERM, Index(0), 0, given_up=0))
    assert not votes(raft, vote(LATER, handover=0)), "a late message does not make it forget"
    assert votes(raft, vote(LATER, handover=1))


def test_the_successor_whom_the_leader_still_wants_campaigns() -> None:
    raft = follower(given_up=1)
    raft.step(TimeoutNow(LEADER, FOLLOWER, TERM, 1))
    assert {message.handover for message in said(raft) if isinstance(message, Vote)} == {1}
    assert (raft.role, raft.term) == (Role.CANDIDATE, LATER)


def test_who_has_slept_reads_first_what_came_behind_the_hand_over() -> None:
    raft = follower()
    raft.step(TimeoutNow(LEADER, FOLLOWER, TERM, 0))
    raft.step(Heartbeat(LEADER, FOLLOWER, TERM, Index(0), 0, given_up=0))
    raft.step(Heartbeat(LEADER, FOLLOWER, TERM, Index(0), 0, given_up=1))
    assert not any(isinstance(message, Vote) for message in said(raft))
    assert (raft.role, raft.term) == (Role.FOLLOWER, TERM)


def test_hand_overs_are_given_up_in_one_term_only() -> None:
    raft = follower(given_up=1)
    raft.step(Heartbeat(OTHER, FOLLOWER, LATER, Index(0), 0))
    said(raft)
    assert votes(raft, vote(LATER + 1, handover=0))


def test_a_hand_over_may_have_been_given_up_before_a_restart() -> None:
    for ask in (vote(LATER, handover=0), TimeoutNow(LEADER, FOLLOWER, TERM, 0)):
        raft = started()
        for tick in range(TICKS):
            raft.step(Heartbeat(LEADER, FOLLOWER, TERM, Index(0), 0))
            raft.step(ask)
            said(raft)
            assert (raft.role, raft.term) == (Role.FOLLOWER, TERM), f"after {tick} of {TICKS} ticks"
            raft.tick(0)
        raft.step(ask)
        said(raft)
        assert raft.term == LATER


def test_the_promise_holds_however_long_the_leader_has_been_answered() -> None:
    raft = follower()
    for _ in range(3 * TICKS):
        raft.tick(0)
        raft.step(Heartbeat(LEADER, FOLLOWER, TERM, Index(0), 0))
        assert not votes(raft, vote(LATER))
