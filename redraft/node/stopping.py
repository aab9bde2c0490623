"""What a node does before it stops, so that nobody but its own clients notices.

It hands over what it leads, and goes on for a moment: commands that other nodes have sent it meanwhile are refused, not
lost, and go to its successor. Where nobody can take over, it just stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redraft.ids import NO_NODE
from redraft.raft.errors import RaftError
from redraft.raft.node import RaftNode

if TYPE_CHECKING:
    from redraft.node.node import Node

PATIENCE_MS = 2000
"""How long a hand-over may take in all."""
LINGER_MS = 200
"""How long it goes on afterwards: until the others have heard who leads."""


class Stopping:
    """One node's way out, from the first call on."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._give_up_ns = 0
        self._linger_until_ns = 0

    def may_stop(self) -> bool:
        """Whether the node can stop now; to be asked at every tick once it shall."""
        node = self._node
        if node.loading or node.shard.raft.is_alone:
            return True
        now_ns = node.clock.monotonic_ns()
        if not self._give_up_ns:
            self._give_up_ns = now_ns + PATIENCE_MS * 1_000_000
        if not self._linger_until_ns:
            handing_over = [self._hand_over(raft) for raft in (node.shard.raft, node.config.raft)]
            if any(handing_over) and now_ns < self._give_up_ns:
                return False
            # What comes back from now on is of another that stops as well: it is not sent to and fro.
            self._linger_until_ns = now_ns + LINGER_MS * 1_000_000
        return now_ns >= self._linger_until_ns

    def _hand_over(self, raft: RaftNode) -> bool:
        """Whether a group is led here, and somebody will take over."""
        leader = raft.leader
        if leader is None:
            return False
        if leader.transferee != NO_NODE:
            return True
        heirs = self._node.leadership.heirs(raft)
        if not heirs:
            return False
        try:
            self._node.leadership.hand_over(raft, max(heirs)[1])
        except RaftError:
            return False
        return True
