"""What a Raft group refuses. None of these is ever a client's reply; the shard decides what to say."""

from __future__ import annotations

from redraft.errors import RedraftError
from redraft.ids import NodeId


class RaftError(RedraftError):
    """A refusal by the core."""


class NotLeaderError(RaftError):
    """Only the leader can do that; `leader` is who it is as far as this node knows (0: unknown)."""

    def __init__(self, leader: NodeId) -> None:
        super().__init__(f"not the leader; the leader is {leader or 'not known'}")
        self.leader = leader


class UncommittedFullError(RaftError):
    """Too much is proposed and not committed; try again when some of it is."""


class EntryTooBigError(RaftError):
    """The entry is larger than the group allows."""


class TransferInProgressError(RaftError):
    """Leadership is being handed over: nothing can be proposed for a moment."""


class ChangeInProgressError(RaftError):
    """One membership change at a time."""


class CompactedError(RaftError):
    """The entry was let go: it is in the snapshot."""


class UnavailableError(RaftError):
    """The entry is not there (yet)."""


class InvalidChangeError(RaftError):
    """A membership change that makes no sense for the group as it is."""


class NotCaughtUpError(RaftError):
    """The learner lacks too many entries to be a voter."""


class TransferError(RaftError):
    """Leadership cannot go to that member."""


class DivergedError(RaftError):
    """The leader's log contradicts what is committed here: one of the two has a wrong past, and nothing may go on."""
