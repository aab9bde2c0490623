"""Which silent nodes are excused: what this node makes of the pulses of the others, and leaves for its own.

Theory. Raft takes silence for death, and a node that is only held up (see `pulse`) is silent for as long. Its pulse
excuses it: a follower that hears its leader's does not stand for election, a leader that hears its followers' does not
step down. A pulse excuses, and does no more; leases, read indexes and commits rest on Raft's own messages
(`raft.node`). Nor does it excuse everything:

* a node whose main thread comes round is expected to be heard through Raft itself, unless bytes of a large frame are
  just arriving here from it (which needs no pulse), or there from here. So a network that lets pulses through and
  nothing else keeps no leader;
* nor is one excused that has come round in as many ticks as an election timeout has without being heard: it is held up
  now and then, but what it says does not arrive;
* nor one that has been held up for `node-stall-timeout`;
* a node that believes in another leader, or in none, is none that one waits for.

A process that is gone has no pulse, and is missed as soon as it would be without.

Invariant: what is on the board was true when the main thread came round last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redraft.ids import NO_NODE, GroupId, NodeId, Term
from redraft.node.pulse import GROUPS, WORDS, Board, Pulse

if TYPE_CHECKING:
    from redraft.node.node import Node


class Heard:
    """What is known of one node's life."""

    __slots__ = ("counted", "excused_ns", "progress", "rounds")

    def __init__(self) -> None:
        self.progress = 0
        """Its newest."""
        self.counted = 0
        """The one that was counted last."""
        self.rounds = 0
        """In how many ticks here it was seen to have come round, since anything came from it but pulses."""
        self.excused_ns = 0
        """When it was excused last."""


class Liveness:
    """The pulses at one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._heard: dict[NodeId, Heard] = {}
        self._told: dict[GroupId, tuple[Term, NodeId]] = {}
        self._board = Board([0] * WORDS)
        node.settings.on_change("heartbeat-interval", self._follow_interval)
        self._follow_interval()

    # This node's own.

    @property
    def board(self) -> Board:
        """What this node's pulse reads."""
        return self._board

    @board.setter
    def board(self, board: Board) -> None:
        self._board = board
        self._told.clear()
        self._follow_interval()
        self.progressed()

    def _follow_interval(self) -> None:
        self._board.beats_every(self._node.settings.heartbeat_interval)

    def progressed(self) -> None:
        """The main thread has come round: what it has to say has left."""
        node = self._node
        self._board.progressed(node.clock.monotonic_ns())
        for group, raft in zip(GROUPS, (node.config.raft, node.shard.raft), strict=True):
            belief = raft.term, raft.leader_id
            if self._told.get(group) != belief:
                self._told[group] = belief
                self._board.believes(group, *belief)

    # The others'.

    def _of(self, peer: NodeId) -> Heard:
        heard = self._heard.get(peer)
        if heard is None:
            heard = self._heard[peer] = Heard()
        return heard

    def spoke(self, peer: NodeId) -> None:
        """A frame has come from a node, or some of its bytes: what it says arrives."""
        self._of(peer).rounds = 0

    def moved(self, peer: NodeId) -> None:
        """Bytes have come from a node, and the frame is not whole yet."""
        self.spoke(peer)
        self._board.receives(peer, self._node.clock.monotonic_ns())
        for raft in (self._node.config.raft, self._node.shard.raft):
            if raft.leader_id == peer:
                raft.hear_pulse(peer, raft.term, peer)

    def tick(self) -> None:
        """A Raft tick. What was read at once, after this node was held up itself, counts as one."""
        for known in self._heard.values():
            if known.progress != known.counted:
                known.counted = known.progress
                known.rounds += 1

    def heard(self, peer: NodeId, pulse: Pulse) -> None:
        """A node's pulse has come."""
        node, known = self._node, self._of(peer)
        known.progress = pulse.progress
        if pulse.receiving:
            # Raft's messages to it are behind a large frame, and it has none to answer.
            known.rounds = 0
        settings = node.settings
        if pulse.stalled_ms >= settings.node_stall_timeout:
            return
        held_up = pulse.stalled_ms > 0 and known.rounds <= settings.election_timeout // settings.heartbeat_interval
        if held_up or pulse.receiving:
            known.excused_ns = node.clock.monotonic_ns()
            rafts = {node.config.group: node.config.raft, node.shard.group: node.shard.raft}
            for belief in pulse.beliefs:
                if belief.group in rafts:
                    rafts[belief.group].hear_pulse(peer, belief.term, belief.leader)

    def excuses(self, peer: NodeId) -> bool:
        """Whether a node is silent and excused."""
        known = self._heard.get(peer)
        if peer == NO_NODE or known is None or not known.excused_ns:
            return False
        return self._node.clock.monotonic_ns() - known.excused_ns < self._node.settings.election_timeout * 1_000_000
