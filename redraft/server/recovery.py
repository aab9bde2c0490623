"""Making a cluster of one node from a survivor, when the majority of its cluster is gone for good.

Theory. A write that was acknowledged is in the logs of a majority, perhaps in this one and not yet known to be
committed here. So the survivor's log is kept whole, and everything in it counts from now on: entries are put behind it
that take all other members out, and a node that is its own majority commits all of them when it starts. What was
acknowledged by others without this one is lost; nobody can tell what that is.

From then on the node is of another cluster, with an id of its own: what is left of the old one cannot come back, since
a link between nodes of different clusters is refused on both ends (`node.links`).

The steps, each durable before the next, so that the node starts rightly whenever the power fails:

1. `node.json` has the new id and the mark `recovering`. Until the next step is done the node finds no majority.
2. The logs of both groups have a higher term and the entries that take the others out, and the config table's an entry
   that says who is left: one batch, one fsync.
3. The mark is gone. A start that finds it does step 2, if it was not done, and this one.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from msgspec import structs

from redraft.cluster.config_group import Proposal, encode_proposal
from redraft.cluster.table import Survive
from redraft.errors import DamagedDataError
from redraft.ids import CONFIG_GROUP, FIRST_SHARD_GROUP, GroupId, Index, NodeId, Term
from redraft.raft.errors import InvalidChangeError
from redraft.raft.membership import (
    LEAVE_JOINT,
    ChangeKind,
    ConfChange,
    Configurations,
    MemberChange,
    changed,
    decode_change,
    encode_change,
)
from redraft.raft.messages import ConfState, Entry, EntryKind, HardState
from redraft.server.shard_storage import point_of
from redraft.storage.directory import DataDirectory
from redraft.storage.image import Image
from redraft.storage.log_store import GroupUpdate, LogStore

SCAN_BYTES = 1 << 20
"""How much of the log is held at once when membership changes are looked for."""


class Survivor(NamedTuple):
    """What a stopped node knows of its cluster."""

    node: NodeId
    cluster_id: str
    conf: ConfState
    """The configuration at the end of its log, committed or not."""
    commit: Index
    """What is known to be committed; more may be."""
    last: Index
    last_term: Term
    term: Term

    @property
    def is_alone(self) -> bool:
        """Whether it is its own majority already, and nobody else is a member."""
        return self.conf.members() == self.conf.voters == (self.node,)


def look(directory: DataDirectory, store: LogStore, image: Image) -> Survivor:
    """What the node knows of the shard. Raises StorageError, DamagedDataError."""
    meta = image.meta()
    if meta is None:
        return _look(directory, store, FIRST_SHARD_GROUP, Index(0), ConfState())
    point = point_of(image.path, meta)
    return _look(directory, store, FIRST_SHARD_GROUP, point.applied.index, point.applied.conf)


def _look(
    directory: DataDirectory, store: LogStore, group: GroupId, applied: Index, applied_conf: ConfState
) -> Survivor:
    log, identity = store.group(group), directory.identity
    applied = max(applied, log.start.index)
    conf = applied_conf if applied_conf.members() else log.start.conf
    node = NodeId(identity.node_id)
    if not conf.members():
        conf = ConfState(voters=tuple(NodeId(number) for number in sorted(identity.first_voters)) or (node,))
    confs = Configurations(applied, conf)
    index, end = Index(applied + 1), Index(log.last_index() + 1)
    while index < end:
        entries = log.entries(index, end, SCAN_BYTES)
        for entry in entries:
            if entry.kind is EntryKind.CHANGE:
                _follow(confs, entry)
        index = Index(entries[-1].index + 1)
    last, hard = log.last_index(), log.hard_state
    cluster_id = directory.identity.cluster_id
    return Survivor(node, cluster_id, confs.current, hard.commit, last, log.term(last), hard.term)


def _follow(confs: Configurations, entry: Entry) -> None:
    try:
        confs.append(entry.index, decode_change(entry.data))
    except InvalidChangeError as error:
        raise DamagedDataError(f"the log's entry {entry.index} is a membership change that is none: {error}") from error


ANY_TABLE = b"0"
"""What the changes say of the table that they follow: the survivor's may be older than one that was followed before."""


def removals(survivor: Survivor) -> list[ConfChange]:
    """The changes that leave nobody but the survivor, each of one member: none of them needs a joint configuration."""
    conf, own = survivor.conf, survivor.node
    changes: list[ConfChange] = []
    if conf.outgoing:
        changes.append(LEAVE_JOINT)
        conf = changed(conf, LEAVE_JOINT)
    if own not in conf.voters:
        changes.append(ConfChange((MemberChange(ChangeKind.ADD_VOTER, own),), ANY_TABLE))
    others = [member for member in conf.members() if member != own]
    changes += [ConfChange((MemberChange(ChangeKind.REMOVE, member),), ANY_TABLE) for member in others]
    return changes


def recover(directory: DataDirectory, store: LogStore, image: Image) -> None:
    """Make the node a cluster of its own. Raises StorageError."""
    directory.become(structs.replace(directory.identity, cluster_id=secrets.token_hex(20), recovering=True))
    complete_recovery(directory, store, image)


def complete_recovery(directory: DataDirectory, store: LogStore, image: Image) -> bool:
    """Do what is left of a recovery, before Raft reads the log; whether there was one. Raises StorageError."""
    if not directory.identity.recovering:
        return False
    config = _look(directory, store, CONFIG_GROUP, Index(0), ConfState())
    survive = Proposal(config.node, secrets.randbits(63), Survive(config.node))
    updates = [
        _taking_over(FIRST_SHARD_GROUP, look(directory, store, image)),
        _taking_over(CONFIG_GROUP, config, encode_proposal(survive)),
    ]
    updates = [update for update in updates if update.entries]
    if updates:
        store.write(updates)
        store.sync()
    directory.become(structs.replace(directory.identity, recovering=False))
    return True


def _taking_over(group: GroupId, survivor: Survivor, last_words: bytes = b"") -> GroupUpdate:
    """What a group's log needs so that the survivor is alone in it; nothing if it is."""
    term = Term(max(survivor.term, survivor.last_term) + 1)
    data = [(EntryKind.CHANGE, encode_change(change)) for change in removals(survivor)]
    if data and last_words:
        data.append((EntryKind.NORMAL, last_words))
    entries = [Entry(Index(survivor.last + n), term, kind, each) for n, (kind, each) in enumerate(data, 1)]
    return GroupUpdate(group, HardState(term, survivor.node, survivor.commit), entries)
