"""What works on the image beside flushes: digests, and snapshots that take its place."""

from __future__ import annotations

import pytest

from redraft.errors import DamagedDataError
from redraft.ids import Index, NodeId, Term
from redraft.node.peers import Frame, decode_frame
from redraft.raft.messages import AppendReply, ConfState, InstallSnapshot, SnapshotMeta
from support.fleet import Fleet
from support.world import DictStorage

VOTERS = tuple(NodeId(node) for node in (1, 2, 3))


def digest(fleet: Fleet, node: int) -> dict[bytes, object]:
    client = fleet[node].connect()
    client.ask("REDRAFT DIGEST")
    fleet[node].finish()
    [flat] = client.replies()
    return dict(zip(flat[::2], flat[1::2], strict=True))


def test_replicas_have_the_same_digest_as_of_the_same_entry(fleet: Fleet) -> None:
    client = fleet[1].connect()
    client.ask("SET k v", "RPUSH l a b c", "SADD s x y z", "SET gone v PX 1")
    fleet.pass_time(1000)
    before = digest(fleet, 1)
    assert before[b"keys"] == 3
    assert before == digest(fleet, 2) == digest(fleet, 3)
    client.ask("LSET l 1 B")
    fleet.pass_time(1000)
    after = digest(fleet, 3)
    assert after == digest(fleet, 1)
    assert after[b"digest"] != before[b"digest"]
    assert int(str(after[b"applied-index"])) > int(str(before[b"applied-index"]))


def brought(fleet: Fleet, node: int) -> Frame:
    """A snapshot is at a node, and the leader says that it shall be installed."""
    world = fleet[node]
    term = world.node.shard.raft.term
    meta = SnapshotMeta(Index(world.node.shard.applied.index + 1000), term, ConfState(voters=VOTERS))
    world.node.prepared_snapshot = meta.index
    message = InstallSnapshot(NodeId(1), NodeId(node), Term(term), meta, 0)
    return Frame(raft=[(world.node.shard.group, message)])


@pytest.mark.parametrize("command", ["BGSAVE", "REDRAFT DIGEST"])
def test_no_snapshot_is_installed_while_a_thread_works_on_the_image(fleet: Fleet, command: str) -> None:
    fleet[1].connect().ask("SET k v")
    fleet.pass_time(1000)
    world = fleet[2]
    world.connect().ask(command)
    world.settle()
    if command == "REDRAFT DIGEST":
        world.run_jobs()  # the flush; the digest itself is in a thread now
    assert world.jobs
    frame = brought(fleet, 2)
    world.node.incoming.receive_frame(NodeId(1), frame)
    assert not world.node.shard.raft.installs
    while world.jobs:
        world.run_jobs()
    world.node.incoming.receive_frame(NodeId(1), frame)
    assert world.node.shard.raft.installs


def test_nothing_begins_to_use_the_image_when_a_snapshot_is_about_to_take_its_place(fleet: Fleet) -> None:
    fleet[1].connect().ask("SET k v")
    fleet.pass_time(1000)
    world = fleet[2]
    world.node.incoming.receive_frame(NodeId(1), brought(fleet, 2))
    world.node.flusher.request()
    world.node.end_tick(idle=True)
    assert world.node.flusher.writer is None
    assert not world.node.flusher.uses_image()


def test_who_has_a_snapshot_says_so_again(fleet: Fleet) -> None:
    """The leader asks again when an answer was lost, and sends nothing more before it has one."""
    fleet[1].connect().ask("SET k v")
    fleet.pass_time(1000)
    world = fleet[2]
    raft = world.node.shard.raft
    meta = SnapshotMeta(raft.commit_index, raft.term, ConfState(voters=VOTERS))
    message = InstallSnapshot(NodeId(1), NodeId(2), raft.term, meta, 0)
    world.node.incoming.receive_frame(NodeId(1), Frame(raft=[(world.node.shard.group, message)]))
    world.settle()
    told = [message for _, data in world.frames for _, message in decode_frame(data).raft]
    assert [(type(each), each.index, each.rejected) for each in told if isinstance(each, AppendReply)] == [
        (AppendReply, meta.index, False)
    ]


def test_who_finds_its_image_damaged_gives_up_leading_and_makes_it_anew(fleet: Fleet) -> None:
    client = fleet[1].connect()
    client.ask("SET k v", "SADD s x y z")
    fleet.pass_time(1000)
    fleet[1].connect().ask("BGSAVE")
    fleet[1].finish()
    storage = fleet[1].node.flusher._storage
    assert isinstance(storage, DictStorage)
    storage.records.clear()
    fleet[1].node.flusher.image_is_damaged(DamagedDataError("the data is damaged"))
    fleet.pass_time(1000)
    fleet[1].finish()
    assert fleet[1].node.shard.raft.leader is None
    assert fleet[1].node.shard.raft.leader_id in (2, 3)
    assert fleet[1].node.config.raft.leader is None
    assert len(storage.records) == 2
    assert not fleet[1].node.flusher.makes_anew
