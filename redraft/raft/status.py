"""What a member tells about itself."""

from __future__ import annotations

import enum
from typing import NamedTuple

from redraft.ids import Index, NodeId, Term


class Role(enum.Enum):
    """What a member is in its term."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Status(NamedTuple):
    """What INFO and tests show."""

    id: NodeId
    role: Role
    term: Term
    leader: NodeId
    commit_index: Index
    applied_index: Index
    last_index: Index
    stable_index: Index
