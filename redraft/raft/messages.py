"""What a Raft group writes to its log and says to its peers: frozen records, encoded with msgspec.msgpack."""

from __future__ import annotations

import enum

import msgspec

from redraft.ids import NO_NODE, Index, NodeId, Term


class EntryKind(enum.IntEnum):
    """What an entry's data means."""

    NOOP = 0
    """The entry a new leader starts its term with (thesis section 6.4); its data is empty."""
    NORMAL = 1
    """The state machine's: opaque to Raft."""
    CHANGE = 2
    """A membership change (thesis chapter 4)."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One slot of the replicated log."""

    index: Index
    term: Term
    kind: EntryKind = EntryKind.NORMAL
    data: bytes = b""


class HardState(msgspec.Struct, frozen=True, array_like=True):
    """What must be durable before any message that tells of it (Raft paper, figure 2), and the commit index,
    which need not be but saves work at a restart."""

    term: Term = Term(0)
    vote: NodeId = NO_NODE
    commit: Index = Index(0)


class ConfState(msgspec.Struct, frozen=True, array_like=True):
    """Who is in the group. While `outgoing` is not empty the group is in a joint configuration (thesis section 4.3):
    a decision needs a majority of `voters` and one of `outgoing`."""

    voters: tuple[NodeId, ...] = ()
    outgoing: tuple[NodeId, ...] = ()
    learners: tuple[NodeId, ...] = ()
    learners_next: tuple[NodeId, ...] = ()
    """Voters of `outgoing` that become learners when the joint configuration is left."""
    auto_leave: bool = False


class SnapshotMeta(msgspec.Struct, frozen=True, array_like=True):
    """Where a snapshot stands in the log, and the group as of it."""

    index: Index = Index(0)
    term: Term = Term(0)
    conf: ConfState = ConfState()
