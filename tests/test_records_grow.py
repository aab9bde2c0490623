"""Nodes of two versions understand each other in an upgrade, and the older one reads a newer one's snapshots:
records grow at their end only, and what is behind the end that a version knows is passed over."""

from __future__ import annotations

import msgspec
import pytest

from redraft.cluster import config_group, table
from redraft.cluster.config_group import Proposal
from redraft.cluster.table import (
    Admit,
    Announce,
    Drop,
    Found,
    Left,
    NodeRecord,
    Retire,
    Rise,
    ShardRecord,
    Survive,
    Table,
)
from redraft.ids import FIRST_SHARD_GROUP, Index, NodeId, Term
from redraft.keyspace import keyspace, waiters
from redraft.keyspace.keyspace import KeyspaceMeta
from redraft.keyspace.waiters import Waiter
from redraft.node import links, peers, standing
from redraft.node.links import Introduction
from redraft.node.peers import Answer, ClockWord, Frame, Interrupt, ReadIndex, Request
from redraft.node.standing import GroupStanding, Remembered, Standing, Start
from redraft.raft import membership, messages
from redraft.raft.membership import ChangeKind, ConfChange, MemberChange
from redraft.raft.messages import (
    Append,
    AppendReply,
    ConfState,
    Entry,
    HardState,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Position,
    SnapshotMeta,
    TimeoutNow,
    Vote,
    VoteReply,
)
from redraft.server import snapshot_files, snapshots
from redraft.server.snapshot_files import File
from redraft.server.snapshots import Contents
from redraft.shard import shard
from redraft.shard.shard import AppliedPoint, FlushPoint
from redraft.storage import image
from redraft.storage.image import ImageMeta
from redraft.values import thresholds
from redraft.values.thresholds import Thresholds

MODULES = (
    messages, membership, links, peers, table, config_group, keyspace, waiters, thresholds, shard, image, snapshots,
    snapshot_files, standing,
)  # fmt: skip
NOT_SENT = {messages.Message, config_group.Decided}
"""One is only the base of others, one never leaves its process."""

ONE, TWO, TERM, AT = NodeId(1), NodeId(2), Term(3), Index(4)
ENTRY = Entry(AT, TERM)
NODE = NodeRecord("a:1", "i")
SHARD = ShardRecord(((0, 9),), (ONE,))
CHANGE = MemberChange(ChangeKind.ADD_VOTER, ONE)
META = KeyspaceMeta([1], 2, 16)

RECORDS: list[msgspec.Struct] = [
    Vote(ONE, TWO, TERM, AT, TERM), VoteReply(ONE, TWO, TERM, True), Append(ONE, TWO, TERM, AT, TERM, [ENTRY], AT, 1),
    AppendReply(ONE, TWO, TERM, AT, 1), Heartbeat(ONE, TWO, TERM, AT, 1), HeartbeatReply(ONE, TWO, TERM, 1),
    InstallSnapshot(ONE, TWO, TERM, SnapshotMeta(AT, TERM), 1), TimeoutNow(ONE, TWO, TERM), ENTRY, HardState(),
    ConfState((ONE, TWO)), SnapshotMeta(AT, TERM), CHANGE, ConfChange((CHANGE,)),
    Introduction("life"),
    Frame(), Request(1, 2, 0, 3, b"*1\r\n$4\r\nPING\r\n"), Answer(1, 2, b"+OK\r\n"), Interrupt(1, 2, True),
    ReadIndex(1, AT), ClockWord(1, 2), Proposal(ONE, 1, Drop(ONE)),
    Found({ONE: NODE}), Announce(ONE, "a:1", "i"), Admit("a:1", "i"), Retire(ONE), Left(FIRST_SHARD_GROUP, ONE),
    Drop(ONE), Survive(ONE), Rise(2), Table(1, {ONE: NODE}, {FIRST_SHARD_GROUP: SHARD}, ONE), NODE, SHARD,
    META, Waiter(1, 0, [b"key"], [b"BLPOP", b"key", b"0"], b"list", 0), Thresholds(), AppliedPoint(AT, TERM),
    FlushPoint(AppliedPoint(AT, TERM), META), ImageMeta(1, 4, b"state"), Contents(SnapshotMeta(AT, TERM), []),
    File("name", 1, 2), Position(TERM, AT), Start("t", {1: Position(TERM, AT)}), Remembered("t", 1, Position(TERM, AT)),
    GroupStanding(1, TERM, Position(TERM, AT), Position(TERM, AT), (ONE,)), Standing((Start("t"),), "t", ()),
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_what_a_newer_version_adds_at_the_end_is_passed_over(record: msgspec.Struct) -> None:
    longer = [*msgspec.msgpack.decode(msgspec.msgpack.encode(record)), "of a newer version", 7]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(longer), type=type(record)) == record


def test_every_record_is_among_them() -> None:
    found = {
        each
        for module in MODULES
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, msgspec.Struct) and each.__module__ == module.__name__
    }
    assert found - NOT_SENT == {type(record) for record in RECORDS}
