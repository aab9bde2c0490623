"""What a majority says, also of both halves of a joint configuration (thesis section 4.3)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence

from redraft.ids import NodeId
from redraft.raft.messages import ConfState


class VoteResult(enum.Enum):
    """How an election stands."""

    WON = "won"
    LOST = "lost"
    PENDING = "pending"


def reached(conf: ConfState, value_of: Callable[[NodeId], int]) -> int:
    """The highest value that a majority of the voters has reached, of each half. 0 without voters."""
    value = _reached(conf.voters, value_of)
    return min(value, _reached(conf.outgoing, value_of)) if conf.outgoing else value


def _reached(voters: Sequence[NodeId], value_of: Callable[[NodeId], int]) -> int:
    if not voters:
        return 0
    values = sorted(map(value_of, voters))
    return values[(len(values) - 1) // 2]


def vote_result(conf: ConfState, votes: Mapping[NodeId, bool]) -> VoteResult:
    """How an election stands after these votes; a member that is not in `votes` has not answered."""
    results = {_vote_result(half, votes) for half in (conf.voters, conf.outgoing) if half}
    if VoteResult.LOST in results or not results:
        return VoteResult.LOST
    return VoteResult.PENDING if VoteResult.PENDING in results else VoteResult.WON


def _vote_result(voters: Sequence[NodeId], votes: Mapping[NodeId, bool]) -> VoteResult:
    needed = len(voters) // 2 + 1
    granted = sum(votes.get(voter, False) for voter in voters)
    missing = sum(voter not in votes for voter in voters)
    if granted >= needed:
        return VoteResult.WON
    return VoteResult.PENDING if granted + missing >= needed else VoteResult.LOST
