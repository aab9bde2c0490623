"""A member that has answered a leader votes for nobody else for an election's time (thesis, sections 4.2.3 and 6.4.1).

The leader's lease rests on that. So the promise outlives all that the member hears meanwhile: that there is a later
term, from whomever (here from one that had been cut off, and answered an old message), makes it forget its leader, and
not what it has promised to it. Only a hand-over ends it, until the leader is answered that it was given up.

How long that is, is the member's own setting. So each answer tells it, and a longer promise than the present setting
makes is kept, over a restart too.
"""

from __future__ import annotations

import pytest
from msgspec import structs

from redraft.ids import Index, NodeId, Term
from redraft.raft.config import RaftConfig
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import (
    NO_HANDOVER,
    AnyMessage,
    Append,
    AppendReply,
    ConfState,
    Entry,
    HardState,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
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
TICK_MS = 100
CONFIG = RaftConfig(FOLLOWER, election_ticks=TICKS, tick_ms=TICK_MS, drift_ms=30)

NEWS = [
    AppendReply(OTHER, FOLLOWER, LATER, Index(0), 0, rejected=True),
    HeartbeatReply(OTHER, FOLLOWER, LATER, 0),
    VoteReply(OTHER, FOLLOWER, LATER, False, False),
    VoteReply(OTHER, FOLLOWER, LATER, False, True),
]


def started(config: RaftConfig = CONFIG, hard_state: HardState | None = None) -> RaftNode:
    """It was there before, in the same term."""
    storage = MemoryStorage()
    storage.start = SnapshotMeta(conf=ConfState(voters=(LEADER, FOLLOWER, OTHER)))
    storage.write(hard_state or HardState(TERM), [])
    return RaftNode(config, storage, Index(0))


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


def heard(raft: RaftNode, *, round_: int = 1) -> HardState | None:
    """It hears its leader; what must be durable before it answers."""
    raft.step(Heartbeat(LEADER, FOLLOWER, raft.term, Index(0), round_))
    ready = raft.ready()
    assert len(ready.messages) == 1
    raft.advance(ready)
    return ready.hard_state if ready.must_sync else None


def ticks_until_it_votes(raft: RaftNode) -> int:
    """Asked after each tick, by a candidate with a log as good."""
    ticks = 0
    while not votes(raft, vote(raft.term + 1, pre=True)):
        raft.tick(0)
        ticks += 1
    return ticks


def test_each_answer_tells_how_long_it_promises() -> None:
    raft = started()
    missing = Append(LEADER, FOLLOWER, TERM, Index(7), TERM, [], Index(0), 3)
    there = Append(LEADER, FOLLOWER, TERM, Index(0), Term(0), [Entry(Index(1), TERM)], Index(0), 3)
    snapshot = InstallSnapshot(LEADER, FOLLOWER, TERM, SnapshotMeta(Index(9), TERM), 3)
    for message in (Heartbeat(LEADER, FOLLOWER, TERM, Index(0), 3), missing, there, snapshot):
        raft.step(message)
        (answer,) = said(raft)
        assert isinstance(answer, HeartbeatReply | AppendReply)
        # The next tick may come at once.
        assert (answer.round, answer.promise_ms, answer.drift_ms) == (3, (TICKS - 1) * TICK_MS, 30), message


def test_a_promise_that_is_longer_than_earlier_ones_is_durable_before_it_is_told() -> None:
    raft = started()
    assert heard(raft) == HardState(TERM, promise_ms=900)
    assert heard(raft) is None
    raft.reconfigure(structs.replace(CONFIG, election_ticks=30))
    assert heard(raft) == HardState(TERM, promise_ms=2900)
    raft.reconfigure(CONFIG)
    assert heard(raft) is None


def test_a_promise_outlives_a_restart_with_a_shorter_election_timeout() -> None:
    assert ticks_until_it_votes(started(CONFIG, HardState(TERM, promise_ms=2900))) == 30
    assert ticks_until_it_votes(started(CONFIG, HardState(TERM, promise_ms=100))) == TICKS
    assert ticks_until_it_votes(started(structs.replace(CONFIG, tick_ms=50), HardState(TERM, promise_ms=2900))) == 59


@pytest.mark.parametrize("again", [True, False])
def test_a_promise_outlives_an_election_timeout_that_is_lowered(again: bool) -> None:
    raft = started(structs.replace(CONFIG, election_ticks=30))
    heard(raft)
    for _ in range(5):
        raft.tick(0)
    raft.reconfigure(structs.replace(CONFIG, election_ticks=3))
    if again:
        heard(raft)
    assert 25 <= ticks_until_it_votes(raft) <= 26


def test_who_has_promised_does_not_stand_for_election_itself_before_that_has_run_out() -> None:
    raft = started(structs.replace(CONFIG, election_ticks=30))
    heard(raft)
    raft.reconfigure(structs.replace(CONFIG, election_ticks=3))
    for _ in range(29):
        raft.tick(0)
        assert raft.role is Role.FOLLOWER
    for _ in range(2):
        raft.tick(0)
    assert raft.role is Role.PRE_CANDIDATE


def test_a_promise_is_as_long_in_ticks_of_another_length() -> None:
    raft = started()
    heard(raft)
    raft.reconfigure(structs.replace(CONFIG, election_ticks=20, tick_ms=10))
    assert ticks_until_it_votes(raft) * 10 >= TICKS * TICK_MS


def test_a_promise_that_has_run_out_is_not_kept_on() -> None:
    raft = started(structs.replace(CONFIG, election_ticks=30))
    heard(raft)
    raft.reconfigure(structs.replace(CONFIG, election_ticks=3))
    for _ in range(30):
        raft.tick(0)
        raft.step(Heartbeat(LEADER, FOLLOWER, raft.term, Index(0), 1))
    assert raft.ready().hard_state == HardState(TERM, promise_ms=200)
    assert ticks_until_it_votes(raft) == 3
