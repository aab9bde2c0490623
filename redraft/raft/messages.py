"""What a Raft group writes to its log and says to its peers: frozen records, encoded with msgspec.msgpack."""

from __future__ import annotations

import enum

import msgspec

from redraft.ids import NO_NODE, Index, NodeId, Term

NO_HANDOVER = -1
"""Of an election that no leader asked for."""
NOT_TOLD = -1
"""What a version that does not tell how long it promises says of that."""


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
    promise_ms: int = 0
    """The longest promise to a leader that may not have run out; 0 in what an older version has written."""


class Position(msgspec.Struct, frozen=True, array_like=True, order=True):
    """How far a member is: a term, and an index in it."""

    term: Term = Term(0)
    index: Index = Index(0)


class ConfState(msgspec.Struct, frozen=True, array_like=True):
    """Who is in the group. While `outgoing` is not empty the group is in a joint configuration (thesis section 4.3):
    a decision needs a majority of `voters` and one of `outgoing`."""

    voters: tuple[NodeId, ...] = ()
    outgoing: tuple[NodeId, ...] = ()
    learners: tuple[NodeId, ...] = ()
    learners_next: tuple[NodeId, ...] = ()
    """Voters of `outgoing` that become learners when the joint configuration is left."""
    auto_leave: bool = False

    def members(self) -> tuple[NodeId, ...]:
        """Everybody that entries are sent to, in the order of their ids."""
        return tuple(sorted({*self.voters, *self.outgoing, *self.learners, *self.learners_next}))

    def is_voter(self, node: NodeId) -> bool:
        """Whether `node` votes, in either half of a joint configuration."""
        return node in self.voters or node in self.outgoing


class SnapshotMeta(msgspec.Struct, frozen=True, array_like=True):
    """Where a snapshot stands in the log, and the group as of it."""

    index: Index = Index(0)
    term: Term = Term(0)
    conf: ConfState = ConfState()


class Message(msgspec.Struct, frozen=True, array_like=True):
    """What one member says to another. `term` is the sender's, but for pre-votes, which tell of the term to come."""

    sender: NodeId
    to: NodeId
    term: Term


class Vote(Message, frozen=True, array_like=True, tag="vote"):
    """RequestVote (paper, figure 2)."""

    last_index: Index
    last_term: Term
    pre: bool = False
    """Only asks whether a vote would be granted (thesis section 9.6)."""
    handover: int = NO_HANDOVER
    """Which hand-over of the leader's this election is for, so that its followers need not hold on to it."""


class VoteReply(Message, frozen=True, array_like=True, tag="voted"):
    """The answer to a Vote."""

    granted: bool
    pre: bool = False


class Append(Message, frozen=True, array_like=True, tag="append"):
    """AppendEntries (paper, figure 2)."""

    prev_index: Index
    prev_term: Term
    entries: list[Entry]
    commit: Index
    round: int
    """The leader's heartbeat round; the answer has it too, which is what leases and read indexes count."""
    given_up: int = 0
    """How many hand-overs the leader has given up in this term: who answers takes no part in those any more."""


class AppendReply(Message, frozen=True, array_like=True, tag="appended"):
    """The answer to an Append or InstallSnapshot: everything up to `index` is durable here; or, when `rejected`, the
    entry before those that were sent, at `index`, is not in this log."""

    index: Index
    round: int
    rejected: bool = False
    hint_index: Index = Index(0)
    """When rejected: the last entry here that may be in the leader's log, and its term."""
    hint_term: Term = Term(0)
    index_term: Term = Term(0)
    """The term of the entry at `index` here, for the leader to compare with its own; 0 where it is not told."""
    is_committed: bool = False
    """When rejected: the entry at `hint_index` is committed here, so a leader's log must have it."""
    promise_ms: int = NOT_TOLD
    drift_ms: int = 0
    """As a HeartbeatReply's."""


class Heartbeat(Message, frozen=True, array_like=True, tag="beat"):
    """An AppendEntries without a look at the log, so that it is answered also where entries wait."""

    commit: Index
    """As far as the receiver is known to have the entries."""
    round: int
    whole_commit: Index = Index(0)
    """All that the leader knows to be committed: by it the receiver can tell how far behind it is."""
    given_up: int = 0
    """As an Append's."""
    commit_term: Term = Term(0)
    """The term of the entry at `commit`, for the receiver to compare with its own; 0 where it is not told."""


class HeartbeatReply(Message, frozen=True, array_like=True, tag="beaten"):
    """The answer to a Heartbeat."""

    round: int
    promise_ms: int = NOT_TOLD
    """How long the sender votes for nobody else, from when it heard this round, by its own clock."""
    drift_ms: int = 0
    """By how much the sender's settings say that two clocks may drift apart meanwhile."""


class InstallSnapshot(Message, frozen=True, array_like=True, tag="snapshot"):
    """A snapshot for a follower that needs entries which are gone (paper, section 7). The driver has brought the
    snapshot itself to the receiver before it hands this message to the core there."""

    meta: SnapshotMeta
    round: int
    given_up: int = 0
    """As an Append's."""


class TimeoutNow(Message, frozen=True, array_like=True, tag="now"):
    """Campaign at once: the leader hands over (thesis section 3.10)."""

    handover: int = 0
    """Which hand-over this is: how many the leader has given up before it in this term."""


AnyMessage = Vote | VoteReply | Append | AppendReply | Heartbeat | HeartbeatReply | InstallSnapshot | TimeoutNow
