"""A group member's parameters."""

from __future__ import annotations

import msgspec

from redraft.ids import NodeId


class RaftConfig(msgspec.Struct, frozen=True):
    """Parameters of one member; times in ticks."""

    id: NodeId
    election_ticks: int = 10
    heartbeat_ticks: int = 1
    max_entry_bytes: int = 1 << 30
    max_uncommitted_bytes: int = 64 << 20
    max_committed_bytes_per_ready: int = 16 << 20
