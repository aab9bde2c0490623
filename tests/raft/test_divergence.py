"""What a member is told is believed only as far as its terms were compared; where two have committed different entries,
or a leader lacks what was committed, it is found at once, and nothing that is committed gives way."""

from __future__ import annotations

import pytest
from raft.test_late_messages import CONF, FOLLOWER, LAST, LEADER, TERM, answers, append, entry, follower

from redraft.ids import Index, NodeId, Term
from redraft.raft.config import RaftConfig
from redraft.raft.errors import DivergedError
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import (
    Append,
    AppendReply,
    Entry,
    EntryKind,
    HardState,
    Heartbeat,
    InstallSnapshot,
    SnapshotMeta,
    VoteReply,
)
from redraft.raft.node import RaftNode

LATER = Term(TERM + 1)


def from_another_past(prev: int, count: int, commit: int) -> Append:
    """Entries of a leader that began to lead after entry 4, while this member has 8 of the term before."""
    entries = [Entry(Index(index), LATER, EntryKind.NORMAL, b"other") for index in range(prev + 1, prev + count + 1)]
    return Append(LEADER, FOLLOWER, LATER, Index(prev), TERM if prev <= 4 else LATER, entries, Index(commit), 0)


@pytest.mark.parametrize("compacted", [0, 3])
@pytest.mark.parametrize(("prev", "count"), [(4, 1), (4, 6), (5, 0), (5, 2), (6, 0), (LAST, 0), (LAST, 1)])
def test_a_leader_that_has_committed_something_else_stops_this_member(compacted: int, prev: int, count: int) -> None:
    raft, storage = follower(compacted)
    with pytest.raises(DivergedError):
        raft.step(from_another_past(prev, count, commit=prev + count))
    assert raft.commit_index == storage.last_index() == LAST
    assert storage.term(Index(LAST)) == TERM


@pytest.mark.parametrize(("prev", "count"), [(4, 1), (4, 6), (5, 0), (5, 2), (6, 0), (LAST, 0), (LAST, 1)])
def test_a_leader_that_has_not_committed_is_told_what_it_lacks(prev: int, count: int) -> None:
    raft, storage = follower(0)
    raft.step(from_another_past(prev, count, commit=4))
    [reply] = answers(raft, storage)
    assert (reply.rejected, reply.is_committed, reply.hint_index, reply.hint_term) == (True, True, LAST, TERM)
    assert storage.last_index() == LAST


def test_a_heartbeat_that_tells_of_another_entry_committed_stops_this_member() -> None:
    raft, _ = follower(0)
    with pytest.raises(DivergedError):
        raft.step(Heartbeat(LEADER, FOLLOWER, LATER, Index(6), 0, Index(6), commit_term=LATER))


def test_a_snapshot_of_another_past_stops_this_member() -> None:
    raft, _ = follower(0)
    with pytest.raises(DivergedError):
        raft.step(InstallSnapshot(LEADER, FOLLOWER, LATER, SnapshotMeta(Index(6), LATER, CONF), 0))


def test_an_acknowledgement_covers_what_was_compared_only() -> None:
    """The append says nothing of the entries 5 to 8, which the leader may not have."""
    raft, storage = follower(0)
    raft.step(append(2, 2, 4))
    [reply] = answers(raft, storage)
    assert (reply.index, reply.index_term) == (4, TERM)


def test_entries_behind_those_that_were_let_go_are_taken() -> None:
    raft, storage = follower(LAST)
    raft.step(append(LAST - 2, 4, LAST + 1))
    [reply] = answers(raft, storage)
    assert (reply.rejected, reply.index, reply.index_term) == (False, LAST + 2, TERM)
    assert raft.commit_index == LAST + 1


def test_a_heartbeat_commits_nothing_that_is_not_here_or_is_another() -> None:
    """This member acknowledged entry 9 before it forgot that."""
    storage = MemoryStorage()
    storage.start = SnapshotMeta(conf=CONF)
    storage.write(HardState(TERM), [entry(index) for index in range(1, LAST + 1)])
    raft = RaftNode(RaftConfig(FOLLOWER), storage, Index(0))
    raft.step(Heartbeat(LEADER, FOLLOWER, LATER, Index(LAST + 1), 0, Index(LAST + 1), commit_term=LATER))
    assert raft.commit_index == 0
    raft.step(Heartbeat(LEADER, FOLLOWER, LATER, Index(LAST), 0, Index(LAST), commit_term=LATER))
    assert raft.commit_index == 0
    raft.step(Heartbeat(LEADER, FOLLOWER, LATER, Index(LAST), 0, Index(LAST), commit_term=TERM))
    assert raft.commit_index == LAST


def leader() -> tuple[RaftNode, MemoryStorage]:
    """It leads the later term, with eight entries of the term before and its no-op; none is committed here."""
    storage = MemoryStorage()
    storage.start = SnapshotMeta(conf=CONF)
    storage.write(HardState(TERM), [entry(index) for index in range(1, LAST + 1)])
    raft = RaftNode(RaftConfig(LEADER, pre_vote=False), storage, Index(0))
    raft.campaign()
    answers(raft, storage)
    raft.step(VoteReply(FOLLOWER, LEADER, LATER, granted=True))
    answers(raft, storage)
    assert raft.leader is not None
    return raft, storage


@pytest.mark.parametrize(("index", "term"), [(LAST + 2, LATER), (LAST + 2, Term(0)), (LAST, Term(TERM - 1))])
def test_a_leader_that_lacks_what_a_follower_acknowledges_stops(index: int, term: Term) -> None:
    raft, _ = leader()
    with pytest.raises(DivergedError):
        raft.step(AppendReply(FOLLOWER, LEADER, LATER, Index(index), 0, index_term=term))


def test_a_leader_that_is_told_that_it_lacks_a_committed_entry_stops() -> None:
    raft, _ = leader()
    reply = AppendReply(FOLLOWER, LEADER, LATER, Index(LAST), 0, True, Index(LAST + 5), TERM, is_committed=True)
    with pytest.raises(DivergedError):
        raft.step(reply)


def test_a_follower_with_another_past_than_the_committed_one_does_not_count() -> None:
    """It finds that out itself, and stops."""
    raft, storage = leader()
    raft.step(AppendReply(NodeId(3), LEADER, LATER, Index(LAST + 1), 0, index_term=LATER))
    answers(raft, storage)
    assert raft.commit_index == LAST + 1
    raft.step(AppendReply(FOLLOWER, LEADER, LATER, Index(LAST), 0, index_term=Term(TERM - 1)))
    assert raft.leader is not None
    assert raft.leader.followers[FOLLOWER].match == 0


def test_an_older_version_that_tells_no_term_is_believed_as_before() -> None:
    raft, _ = leader()
    raft.step(AppendReply(FOLLOWER, LEADER, LATER, Index(LAST), 0))
    assert raft.leader is not None
    assert raft.leader.followers[FOLLOWER].match == LAST
