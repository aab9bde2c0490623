"""A survivor becomes a cluster of its own: with all of its log, whenever the power fails meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from redraft.errors import DamagedDataError
from redraft.ids import FIRST_SHARD_GROUP, Index, NodeId, Term
from redraft.keyspace.keyspace import Keyspace
from redraft.raft.config import RaftConfig
from redraft.raft.membership import ChangeKind, ConfChange, MemberChange, changed, encode_change
from redraft.raft.messages import ConfState, Entry, EntryKind, HardState, SnapshotMeta
from redraft.raft.node import RaftNode
from redraft.server import recovery
from redraft.server.recovery import Survivor, complete_recovery, look, recover, removals
from redraft.server.shard_storage import DiskShardStorage
from redraft.shard.shard import AppliedPoint, FlushPoint
from redraft.storage.directory import FORMAT, DataDirectory, NodeIdentity
from redraft.storage.image import Image
from redraft.storage.log_store import GroupUpdate, LogStore

GROUP = FIRST_SHARD_GROUP
ONE, TWO, THREE, FOUR = map(NodeId, (1, 2, 3, 4))
THREE_VOTERS = ConfState(voters=(ONE, TWO, THREE))


class Opened:
    """A node's directory and its stores."""

    def __init__(self, path: Path) -> None:
        self.directory = DataDirectory(path, NodeIdentity(FORMAT, 1, "old", [1, 2, 3]))
        self.store = LogStore(self.directory.log_path)
        self.image = Image(self.directory.image_path(GROUP))

    @property
    def parts(self) -> tuple[DataDirectory, LogStore, Image]:
        return self.directory, self.store, self.image

    def close(self) -> None:
        self.image.close()
        self.store.close()
        self.directory.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Node 1 of three: entries 1 to 6 of terms 1 and 2, of which 4 are known to be committed."""
    path = tmp_path / "n1"
    opened = Opened(path)
    opened.store.restore(GROUP, SnapshotMeta(conf=THREE_VOTERS))
    entries = [Entry(Index(i), Term(1 + i // 4), EntryKind.NORMAL, b"%d" % i) for i in range(1, 7)]
    opened.store.write([GroupUpdate(GROUP, HardState(Term(4), TWO, Index(4)), entries)])
    opened.close()
    return path


def started(path: Path) -> tuple[NodeIdentity, RaftNode, list[Entry]]:
    """What a start makes of the directory, as `server.app` does it: who it is, its member, the entries it applies."""
    opened = Opened(path)
    complete_recovery(*opened.parts)
    log = opened.store.group(GROUP)
    applied = DiskShardStorage(opened.image, opened.store, GROUP).load()[1]
    raft = RaftNode(RaftConfig(NodeId(opened.directory.identity.node_id)), log, applied.index, applied.conf)
    if raft.is_alone:
        raft.campaign()
    committed: list[Entry] = []
    while raft.has_ready():
        ready = raft.ready()
        opened.store.write([GroupUpdate(GROUP, ready.hard_state, ready.entries)])
        for entry in ready.committed:
            committed.append(entry)
            if entry.kind is EntryKind.CHANGE:
                raft.apply_change(entry)
            raft.applied_to(entry.index)
        raft.advance(ready)
        raft.check()
    opened.close()
    return opened.directory.identity, raft, committed


def test_without_recovery_it_waits_for_the_others(path: Path) -> None:
    identity, raft, committed = started(path)
    assert identity.cluster_id == "old"
    assert not raft.is_alone
    assert [entry.data for entry in committed] == [b"1", b"2", b"3", b"4"]


def assert_recovered(path: Path) -> None:
    identity, raft, committed = started(path)
    assert identity.cluster_id != "old"
    assert not identity.recovering
    assert (identity.node_id, identity.first_voters) == (1, [1, 2, 3])
    assert raft.leader is not None
    assert raft.applied_conf == ConfState(voters=(ONE,))
    assert raft.term > 4
    assert [entry.data for entry in committed if entry.kind is EntryKind.NORMAL] == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_everything_in_the_log_counts_and_nobody_else_is_needed(path: Path) -> None:
    opened = Opened(path)
    recover(*opened.parts)
    assert look(*opened.parts).is_alone
    opened.close()
    assert_recovered(path)
    assert_recovered(path)


class PowerCut(BaseException):
    """The power is gone."""


STEPS = ["the new identity", "the log is written", "the log is synced", "the mark is gone"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", [True, False])
def test_a_power_cut_at_any_step(path: Path, step: str, before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Just before a step nothing of it is there, just behind it all of it."""

    def cutting(name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def cut(*arguments: Any) -> Any:
            if name != step:
                return do(*arguments)
            if not before:
                do(*arguments)
            raise PowerCut

        return cut

    opened = Opened(path)
    identities = iter(("the new identity", "the mark is gone"))
    become = opened.directory.become
    monkeypatch.setattr(opened.directory, "become", lambda identity: cutting(next(identities), become)(identity))
    monkeypatch.setattr(opened.store, "write", cutting("the log is written", opened.store.write))
    monkeypatch.setattr(opened.store, "sync", cutting("the log is synced", opened.store.sync))
    with pytest.raises(PowerCut):
        recover(*opened.parts)
    monkeypatch.undo()
    opened.close()
    if step == STEPS[0] and before:
        assert started(path)[0].cluster_id == "old", "nothing was done"
    else:
        assert_recovered(path)


def test_the_old_membership_is_never_under_the_new_id_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the steps the node has the new id and its old fellows, whom it cannot reach: it elects nobody."""
    opened = Opened(path)
    monkeypatch.setattr(recovery, "complete_recovery", lambda *parts: None)
    recover(*opened.parts)
    identity = opened.directory.identity
    assert identity.recovering
    assert look(*opened.parts).conf == THREE_VOTERS
    opened.close()


def survivor(conf: ConfState, node: NodeId = ONE) -> Survivor:
    return Survivor(node, "old", conf, Index(1), Index(1), Term(1), Term(1))


@pytest.mark.parametrize(
    "conf",
    [
        THREE_VOTERS,
        ConfState(voters=(ONE,), learners=(FOUR,)),
        ConfState(voters=(TWO, THREE), learners=(ONE,)),
        ConfState(voters=(TWO, THREE)),
        ConfState(voters=(ONE, TWO, FOUR), outgoing=(ONE, TWO, THREE), auto_leave=True),
        ConfState(voters=(TWO, THREE), outgoing=(ONE, TWO), learners_next=(ONE,), learners=(FOUR,), auto_leave=True),
    ],
)
def test_any_configuration_becomes_one_of_the_survivor(conf: ConfState) -> None:
    for change in removals(survivor(conf)):
        conf = changed(conf, change)
        assert not conf.outgoing
    assert survivor(conf).is_alone
    assert removals(survivor(conf)) == []


def test_changes_in_the_log_and_members_in_the_image_are_seen(path: Path) -> None:
    opened = Opened(path)
    storage = DiskShardStorage(opened.image, opened.store, GROUP)
    image_conf = ConfState(voters=(ONE, TWO, THREE), learners=(FOUR,))
    applied = AppliedPoint(Index(5), Term(2), 0, image_conf)
    storage.writer().finish(FlushPoint(applied, Keyspace().meta()))
    assert look(*opened.parts).conf == image_conf
    promotion = ConfChange((MemberChange(ChangeKind.ADD_VOTER, FOUR),))
    entry = Entry(Index(7), Term(4), EntryKind.CHANGE, encode_change(promotion))
    opened.store.write([GroupUpdate(GROUP, None, [entry])])
    found = look(*opened.parts)
    assert found.conf == ConfState(voters=(ONE, TWO, THREE, FOUR))
    assert (found.commit, found.last, found.last_term, found.term) == (4, 7, 4, 4)
    recover(*opened.parts)
    opened.close()
    _, raft, committed = started(path)
    assert raft.applied_conf == ConfState(voters=(ONE,))
    assert [entry.data for entry in committed if entry.kind is EntryKind.NORMAL] == [b"6"]


def test_a_change_that_cannot_be_read_is_damage(path: Path) -> None:
    opened = Opened(path)
    opened.store.write([GroupUpdate(GROUP, None, [Entry(Index(7), Term(4), EntryKind.CHANGE, b"\xc1")])])
    with pytest.raises(DamagedDataError, match="entry 7 is a membership change that is none"):
        look(*opened.parts)
    opened.close()


def test_the_mark_outlives_the_process(path: Path) -> None:
    opened = Opened(path)
    assert not complete_recovery(*opened.parts), "there was none"
    opened.directory.become(structs.replace(opened.directory.identity, recovering=True))
    opened.close()
    with DataDirectory(path) as directory:
        assert directory.identity.recovering
