"""What the leader knows of one follower, and what may be sent to it (after etcd's progress).

* PROBE: where the follower's log matches is not known; one message at a time, until one is accepted;
* REPLICATE: messages follow each other without waiting, up to a window (pipelining, thesis section 10.2.1);
* SNAPSHOT: what it needs is gone from the log; nothing is sent until it has a snapshot.

Invariants: `match` < `next`; the window is empty unless REPLICATE.
"""

from __future__ import annotations

import enum
from collections import deque

from redraft.ids import Index
from redraft.raft.config import RaftConfig
from redraft.raft.messages import NOT_TOLD, SnapshotMeta


class ProgressState(enum.Enum):
    """See the module."""

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


class Progress:
    """One follower (or learner)."""

    __slots__ = (
        "_inflight", "_inflight_bytes", "active", "awaiting", "commit_sent", "drift_ms", "held_until_ms", "match",
        "next", "promise_ms", "round", "snapshot", "state",
    )  # fmt: skip

    def __init__(self, next_index: Index) -> None:
        self.match = Index(0)
        """Everything up to here is durable there, and as in the leader's log."""
        self.next = next_index
        """The first entry to send."""
        self.state = ProgressState.PROBE
        self.awaiting = False
        """While probing: a message is not answered yet."""
        self.active = True
        """It was heard of since the last check of the quorum."""
        self.round = 0
        """The newest heartbeat round that it answered."""
        self.promise_ms, self.drift_ms = NOT_TOLD, 0
        """What it said with that answer of its settings."""
        self.held_until_ms = -1
        """Until when it votes for nobody else, by the leader's clock; -1 if that is not known of any time."""
        self.commit_sent = Index(0)
        """The commit index that it was told."""
        self.snapshot: SnapshotMeta | None = None
        """In SNAPSHOT: the one that it was told to install."""
        self._inflight: deque[tuple[Index, int]] = deque()
        self._inflight_bytes = 0

    def probe(self) -> None:
        """Find out anew where the logs match: where that was being done, from where it was. (With no match known, the
        first entry of all, which is most likely gone, would have to be asked for.)"""
        if self.state is ProgressState.PROBE:
            self.awaiting = False
            return
        self.next = Index(max(self.match, self.snapshot.index if self.snapshot else 0) + 1)
        self._enter(ProgressState.PROBE)

    def wait_for_snapshot(self) -> None:
        """Entries that it needs are gone."""
        self._enter(ProgressState.SNAPSHOT)

    def _enter(self, state: ProgressState) -> None:
        self.state = state
        self.awaiting = False
        self.snapshot = None
        self._inflight.clear()
        self._inflight_bytes = 0

    def paused(self, config: RaftConfig) -> bool:
        """Whether nothing with entries may be sent now."""
        if self.state is ProgressState.REPLICATE:
            return (
                len(self._inflight) >= config.max_inflight_appends or self._inflight_bytes >= config.max_inflight_bytes
            )
        return self.awaiting or self.state is ProgressState.SNAPSHOT

    def in_flight(self) -> int:
        """Messages with entries that are not answered yet."""
        return len(self._inflight)

    def sent(self, last: Index, size_bytes: int) -> None:
        """Entries up to `last` were sent."""
        if self.state is ProgressState.REPLICATE:
            self._inflight.append((last, size_bytes))
            self._inflight_bytes += size_bytes
            self.next = Index(last + 1)
        else:
            self.awaiting = True

    def accepted(self, index: Index) -> bool:
        """It has everything up to `index`; whether that is news."""
        news = index > self.match
        self.match = Index(max(self.match, index))
        self.next = Index(max(self.next, index + 1))
        while self._inflight and self._inflight[0][0] <= index:
            self._inflight_bytes -= self._inflight.popleft()[1]
        if self.state is ProgressState.PROBE:
            self._enter(ProgressState.REPLICATE)
            self.next = Index(self.match + 1)
        elif self.state is ProgressState.SNAPSHOT and self.snapshot and self.match >= self.snapshot.index:
            self._enter(ProgressState.PROBE)
            self.next = Index(self.match + 1)
        return news

    def rejected(self, index: Index, hint: Index) -> bool:
        """It lacks the entry at `index`; try behind `hint`. False for an answer that was overtaken by others."""
        if self.state is ProgressState.SNAPSHOT:
            return False
        if self.state is ProgressState.REPLICATE:
            if index <= self.match:
                return False
            self.probe()
            return True
        if index != self.next - 1:
            return False
        if index <= self.match:
            # It has forgotten what it had acknowledged, or an old answer is late. Both ways nothing is known of it now.
            self.match = Index(0)
        self.next = Index(max(min(index, hint + 1), self.match + 1))
        self.awaiting = False
        return True

    def check(self) -> None:
        """Assert the invariants."""
        assert self.match < self.next
        assert self._inflight_bytes == sum(size for _, size in self._inflight)
        assert self.state is ProgressState.REPLICATE or not self._inflight
