"""Who is of the cluster, and where, as one node knows it: from the config table, from its groups, and from those who
have told it themselves.

What this leaves out: changing it (`node.membership`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from redraft.ids import NO_NODE, NodeId

if TYPE_CHECKING:
    from redraft.node.node import Node


class MemberStatus(NamedTuple):
    """One node, as the one that is asked knows it."""

    id: NodeId
    address: str
    role: str
    """leader, voter or learner; joining or leaving while that is under way."""
    match_index: int | None
    """What it has durable; only the leader knows."""
    lag: int | None
    """Entries that it lacks."""
    state: str
    """probe, replicate or snapshot; empty where that is not known."""
    reachable: bool | None
    snapshot: str
    """SENT/ALL bytes while it is sent a snapshot; else empty. Only the leader knows."""
    forgetful: bool
    """It has forgotten what it had acknowledged, and does not count until it has caught up."""


class Members:
    """The nodes of the cluster, this one among them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.configured: dict[NodeId, str] = {}
        """Addresses from the command line, which count more than the table's."""
        self.first_known: dict[NodeId, str] = {}
        """Where nodes were when this one was made; until the table tells."""
        self.heard: dict[NodeId, str] = {}
        """Where nodes that have a link to here, or had one, said that they are."""
        self.address_here = ""
        """Where this node is to be reached."""
        self.incarnation = ""
        """Of this node's directory."""
        self.met: dict[NodeId, str] = {}
        """The incarnations of the nodes that this one has met, ever."""
        self.remember: Callable[[NodeId, str], None] = lambda node, incarnation: None
        """Makes one of them durable; the server's."""

    def address(self, node: NodeId) -> str:
        """Where a node is; empty when that is not known."""
        if node == self._node.id and self.address_here:
            return self.address_here
        heard = self.heard.get(node, "")
        record = self._node.config.table.nodes.get(node)
        known = record.address if record is not None else heard or self.first_known.get(node, "")
        if node in self._node.incoming.linked_from():
            known = heard or known  # newer than the table of a node that is behind
        return self.configured.get(node) or known

    def others(self) -> dict[NodeId, str]:
        """The nodes that this one should have links to, and where they are.

        Until a new node has a table, it can answer who sends it one only if it knows that node from when it joined: its
        log begins with the voters of the beginning, and those may all be gone. And who has a link to here wants
        answers, though this node may not have heard yet that it is of the cluster.
        """
        node = self._node
        members = {*node.config.raft.conf.members(), *node.shard.raft.conf.members()}
        members.update(node.config.table.nodes if node.config.table.version else self.first_known)
        members.update(peer for peer in node.incoming.linked_from() if not self.is_gone(peer))
        return {each: address for each in sorted(members) if each != node.id and (address := self.address(each))}

    def statuses(self) -> list[MemberStatus]:
        """Of all members, in the order of their ids."""
        raft = self._node.shard.raft
        leader = raft.leader
        found = []
        for node in sorted({*raft.conf.members(), *self._node.config.table.nodes}):
            progress = leader.followers.get(node) if leader is not None else None
            match: int | None = None if progress is None else progress.match
            if node == raft.id:
                match = raft.status().stable_index
            found.append(
                MemberStatus(
                    node,
                    self.address(node),
                    self._role(node),
                    match,
                    None if match is None else max(0, raft.last_index - match),
                    "" if progress is None else progress.state.value,
                    None if progress is None and node != raft.id else self._node.peers.linked(node) or node == raft.id,
                    "" if (sending := self._node.sending_snapshots.get(node)) is None else f"{sending[0]}/{sending[1]}",
                    self._node.memory.is_forgetful(node),
                )
            )
        return found

    def _role(self, node: NodeId) -> str:
        raft, table = self._node.shard.raft, self._node.config.table
        conf = raft.conf
        if node == raft.leader_id:
            return "leader"
        if node in table.leaving() or (node in conf.outgoing and node not in conf.voters):
            return "leaving"
        if node in conf.voters:
            return "joining" if conf.outgoing and node not in conf.outgoing else "voter"
        return "learner" if node in conf.members() else "joining"

    def refusal(self, peer: NodeId, incarnation: str) -> str:
        """Why a node that says who it is, and has proved to know the secret, is not listened to; empty if it is.

        The first time that a node is met its incarnation is kept: one that comes back with another has lost its data,
        and its votes and acknowledgements with it.
        """
        record = self._node.config.table.nodes.get(peer)
        if self.is_gone(peer):
            return f"node {peer} was removed from the cluster"
        known = (record.incarnation if record is not None else "") or self.met.get(peer, "")
        if not known:
            self.remember(peer, incarnation)
            self.met[peer] = incarnation
        elif known != incarnation:
            return f"node {peer} has other data than it had; remove it, and have it join anew, on an empty directory"
        return ""

    def is_stranger(self, peer: NodeId) -> bool:
        """Whether a node never was a member, and this one would know of it: who hears the leader of the config group
        hears of new members at once. Who does not may be behind, and must hear those that it does not know."""
        config, shard = self._node.config, self._node.shard
        known = {*config.table.nodes, *config.raft.conf.members(), *shard.raft.conf.members()}
        return peer not in known and not self.is_gone(peer) and config.raft.leader_id != NO_NODE

    def was_removed(self) -> bool:
        """Whether this node is of the cluster no more, as far as it has heard."""
        return self.is_gone(self._node.id)

    def is_gone(self, node: NodeId) -> bool:
        """Whether a node was of the cluster once and is no more, as far as this one has heard."""
        table = self._node.config.table
        return 0 < node <= table.last_node and node not in table.nodes

    def gone(self, most: int) -> list[NodeId]:
        """Those that are gone, the last of them."""
        last = self._node.config.table.last_node
        return [node for each in range(1, last + 1) if self.is_gone(node := NodeId(each))][-most:]
