"""Changes of the config table that this node asks for: until it sees in its own copy what became of each.

Any node may ask. It sends the proposal to the config group's leader, again and again until the entry is applied here: a
change that is made already is no error, so asking twice does no harm, and no answer needs to find its way back.

Invariant: a change is told of once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from redraft.cluster.config_group import Decided, Proposal
from redraft.cluster.table import Change
from redraft.errors import CommandError
from redraft.ids import NO_NODE, NodeId

if TYPE_CHECKING:
    from redraft.node.node import Node

PATIENCE_MS = 5000
"""How long a change is asked for."""
AGAIN_TICKS = 10
"""Raft ticks between two times that it is asked for."""

Done = Callable[[CommandError | None], None]


class _Asked(NamedTuple):
    proposal: Proposal
    deadline_ns: int
    done: Done


class ConfigChanges:
    """The changes under way of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._asked: dict[int, _Asked] = {}
        self._ticks = 0
        self._leader = NO_NODE

    def ask(self, change: Change, done: Done) -> None:
        """Have a change made; `done` is called with None once it is made, or with the error."""
        node = self._node
        proposal = Proposal(node.id, node.random.getrandbits(63), change)
        deadline_ns = node.clock.monotonic_ns() + PATIENCE_MS * 1_000_000
        self._asked[proposal.number] = _Asked(proposal, deadline_ns, done)
        self._send(proposal)

    def pending(self) -> bool:
        """Whether a change is under way."""
        return bool(self._asked)

    def received(self, proposal: Proposal) -> None:
        """A node asks for a change; if this one does not lead, it will ask again."""
        self._node.config.propose(proposal)

    def decided(self, decided: Decided) -> None:
        """A proposal was applied here."""
        asked = self._asked.pop(decided.proposal.number, None)
        if asked is not None:
            asked.done(CommandError(f"ERR {decided.refusal}") if decided.refusal else None)

    def tick(self) -> None:
        """A Raft tick: ask again, and give up what took too long."""
        self._ticks += 1
        leader = self._node.config.raft.leader_id
        if not self._asked or (self._ticks % AGAIN_TICKS and leader == self._leader):
            return
        self._leader = leader
        now_ns = self._node.clock.monotonic_ns()
        for number, asked in list(self._asked.items()):
            if now_ns >= asked.deadline_ns:
                del self._asked[number]
                asked.done(
                    CommandError("UNKNOWN the config group did not answer in time: the change may or may not be made")
                )
            else:
                self._send(asked.proposal)

    def _send(self, proposal: Proposal) -> None:
        node = self._node
        leader: NodeId = node.config.raft.leader_id
        if leader == node.id:
            node.config.propose(proposal)
        elif leader != NO_NODE:
            node.peers.send_proposal(leader, proposal)
