"""What is fsynced before anything is said of it: all by `appendfsync always`, term and vote by any."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from redraft.ids import FIRST_SHARD_GROUP, Index, NodeId, Term
from redraft.node.node import Persist
from redraft.raft.config import RaftConfig
from redraft.raft.messages import ConfState, SnapshotMeta, Vote, VoteReply
from redraft.raft.node import RaftNode
from redraft.server.persistence import Persistence
from redraft.settings import Settings
from redraft.storage.log_store import LogStore

ONE, TWO, THREE = map(NodeId, (1, 2, 3))


class Member:
    """A member of three with its log on disk, driven by hand."""

    def __init__(self, path: Path, appendfsync: str) -> None:
        self.store = LogStore(path)
        self.store.restore(FIRST_SHARD_GROUP, SnapshotMeta(conf=ConfState(voters=(ONE, TWO, THREE))))
        self.persistence = Persistence(self.store, Settings(appendfsync=appendfsync))
        self.raft = RaftNode(RaftConfig(ONE, pre_vote=False), self.store.group(FIRST_SHARD_GROUP), Index(0))

    def fsyncs_of_a_ready(self) -> int:
        """Persist what is to be persisted; how many fsyncs came before it was said to be durable."""
        before = self.persistence.fsyncs
        ready = self.raft.ready()
        self.persistence.expect_us(0)  # on a slow disk a thread does it
        assert self.persistence.write([Persist(FIRST_SHARD_GROUP, self.raft, ready)], lambda: None)
        self.raft.advance(ready)
        return self.persistence.fsyncs - before


@pytest.fixture(params=["always", "everysec", "no"])
def member(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Member]:
    member = Member(tmp_path / "log", request.param)
    yield member
    member.store.close()


def test_a_vote_that_is_given_is_durable(member: Member) -> None:
    member.raft.step(Vote(TWO, ONE, Term(5), Index(0), Term(0)))
    assert member.fsyncs_of_a_ready() == 1
    assert member.store.group(FIRST_SHARD_GROUP).hard_state.vote == TWO


def test_a_candidacy_is_durable_and_entries_are_by_always(member: Member) -> None:
    member.raft.campaign()
    assert member.fsyncs_of_a_ready() == 1
    member.raft.step(VoteReply(TWO, ONE, member.raft.term, granted=True))
    assert member.raft.leader is not None
    by_always = int(member.persistence._settings.appendfsync == "always")
    assert member.fsyncs_of_a_ready() == by_always
    member.raft.propose(b"x")
    assert member.fsyncs_of_a_ready() == by_always
