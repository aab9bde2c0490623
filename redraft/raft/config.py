"""A group member's parameters."""

from __future__ import annotations

import msgspec

from redraft.ids import NodeId


class RaftConfig(msgspec.Struct, frozen=True):
    """Parameters of one member; times in ticks."""

    id: NodeId
    election_ticks: int = 10
    """A follower campaigns after between one and two times this long without a leader, at random; a leader without a
    majority for this long steps down."""
    heartbeat_ticks: int = 1
    pre_vote: bool = True
    """Ask whether an election could be won before the term is raised (thesis section 9.6)."""
    tick_ms: int = 0
    """How long a tick is, at least; 0 where that is not known, and then no lease counts."""
    drift_ms: int = 0
    """By how much two members' clocks may drift apart within an election's time."""
    max_append_bytes: int = 256 << 10
    """Entries in one message, but at least one entry. Small ones, read from disk, take 6 µs each to read and encode."""
    max_inflight_appends: int = 64
    """Messages with entries to one follower that are not answered yet."""
    max_inflight_bytes: int = 16 << 20
    max_promotion_lag: int = 4096
    """A learner may become a voter when it lacks no more entries than this."""
    max_entry_bytes: int = 1 << 30
    max_uncommitted_bytes: int = 64 << 20
    max_committed_bytes_per_ready: int = 16 << 20

    @property
    def promise_ms(self) -> int:
        """How long this member votes for nobody else after it has heard its leader. Its next tick may come at once."""
        return (self.election_ticks - 1) * self.tick_ms

    def ticks_of(self, milliseconds: int) -> int:
        """Ticks that last so long whenever the next one comes; 0 of no time."""
        return -(-milliseconds // self.tick_ms) + 1 if milliseconds and self.tick_ms else 0
