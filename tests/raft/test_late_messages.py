"""Messages of the leader that come late, twice or out of order, when what they tell of is committed here, or let go of.

They change nothing and are answered with what is known. (Jepsen's #53: nodes crashed on them.)
"""

from __future__ import annotations

import itertools
from random import Random

import pytest

from redraft.ids import Index, NodeId, Term
from redraft.raft.config import RaftConfig
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import (
    Append,
    AppendReply,
    ConfState,
    Entry,
    EntryKind,
    HardState,
    Heartbeat,
    InstallSnapshot,
    SnapshotMeta,
)
from redraft.raft.node import RaftNode

LEADER, FOLLOWER = NodeId(1), NodeId(2)
CONF = ConfState(voters=(LEADER, FOLLOWER, NodeId(3)))
TERM = Term(5)
LAST = 8


def entry(index: int) -> Entry:
    return Entry(Index(index), TERM, EntryKind.NORMAL, b"%d" % index)


def append(prev: int, count: int, commit: int) -> Append:
    entries = [entry(index) for index in range(prev + 1, prev + count + 1)]
    return Append(LEADER, FOLLOWER, TERM, Index(prev), TERM if prev else Term(0), entries, Index(commit), 0)


def follower(compacted: int) -> tuple[RaftNode, MemoryStorage]:
    """It has eight entries, all of them committed; the first ones are gone from its log."""
    storage = MemoryStorage()
    storage.start = SnapshotMeta(conf=CONF)
    storage.write(HardState(TERM), [])
    raft = RaftNode(RaftConfig(FOLLOWER), storage, Index(0))
    raft.step(append(0, LAST, LAST))
    answers(raft, storage)
    if compacted:
        storage.compact(Index(compacted))
    return raft, storage


def answers(raft: RaftNode, storage: MemoryStorage) -> list[AppendReply]:
    """Write and apply all that is to be; what is said meanwhile."""
    said: list[AppendReply] = []
    while raft.has_ready():
        ready = raft.ready()
        storage.write(ready.hard_state, ready.entries)
        said += [each for each in (*ready.urgent, *ready.messages) if isinstance(each, AppendReply)]
        raft.advance(ready)
    raft.check()
    return said


@pytest.mark.parametrize("compacted", [0, 5, LAST])
@pytest.mark.parametrize(("prev", "count"), list(itertools.product(range(LAST), range(4))))
def test_an_append_of_what_is_committed_is_acknowledged_and_changes_nothing(
    compacted: int, prev: int, count: int
) -> None:
    if prev + count > LAST:
        return
    raft, storage = follower(compacted)
    before = (raft.commit_index, raft.last_index, storage.first_index(), storage.last_index())
    raft.step(append(prev, count, min(prev + count, LAST)))
    [reply] = answers(raft, storage)
    assert not reply.rejected
    assert prev + count <= reply.index <= LAST
    assert (raft.commit_index, raft.last_index, storage.first_index(), storage.last_index()) == before


def test_a_snapshot_of_what_is_committed_is_not_installed() -> None:
    raft, storage = follower(5)
    raft.step(InstallSnapshot(LEADER, FOLLOWER, TERM, SnapshotMeta(Index(4), TERM, CONF), 0))
    [reply] = answers(raft, storage)
    assert (reply.rejected, reply.index) == (False, LAST)
    assert storage.last_index() == LAST


@pytest.mark.parametrize("seed", range(20))
def test_appends_in_any_order_and_any_number_of_times_end_with_the_same_log(seed: int) -> None:
    random_ = Random(seed)
    storage = MemoryStorage()
    storage.start = SnapshotMeta(conf=CONF)
    storage.write(HardState(TERM), [])
    raft = RaftNode(RaftConfig(FOLLOWER), storage, Index(0))
    sent = [append(prev, 2, commit) for prev in range(0, LAST, 2) for commit in range(prev + 3)]
    late = [*sent, *random_.sample(sent, 10)]
    random_.shuffle(late)
    for message in [*late, *sent]:
        raft.step(message)
        answers(raft, storage)
        if random_.random() < 0.1 and raft.commit_index > storage.first_index():
            storage.compact(Index(random_.randint(storage.first_index(), raft.commit_index)))
    # An append that begins below the commit index is not looked into; the next heartbeat tells what is committed.
    raft.step(Heartbeat(LEADER, FOLLOWER, TERM, Index(LAST), 0))
    answers(raft, storage)
    assert (raft.commit_index, storage.last_index()) == (LAST, LAST)
    assert raft.term == TERM
    if (first := storage.first_index()) <= LAST:
        assert storage.entries(first, Index(LAST + 1), 1 << 20) == [entry(index) for index in range(first, LAST + 1)]


def test_what_the_next_leader_cuts_off_before_it_is_durable_is_not_acknowledged() -> None:
    """Both leaders' entries were read in one go, by a process that had slept."""
    raft, storage = follower(0)
    raft.step(append(LAST, 2, LAST))
    later = Term(TERM + 1)
    entries = [Entry(Index(LAST + 1), later, EntryKind.NOOP, b"")]
    raft.step(Append(NodeId(3), FOLLOWER, later, Index(LAST), TERM, entries, Index(LAST), 0))
    said = answers(raft, storage)
    assert [(each.to, each.term, each.index) for each in said] == [(NodeId(3), later, LAST + 1)]
    assert storage.last_index() == LAST + 1
