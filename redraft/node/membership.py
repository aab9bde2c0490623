"""Who is in the cluster: joining, leaving, promotion, hand-over, and what the nodes are doing.

Changes are made by the leader; a command that asks for one is passed on to it like any other, and is answered when the
change is applied there. A node joins as a learner, is sent what it lacks, and becomes a voter by itself once it lacks
little. Addresses are part of the replicated state, so that every node can dial every other.

Invariant: a session waits here for at most one change, and is blocked meanwhile.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from redraft.commands.table import Reply
from redraft.errors import CommandError
from redraft.ids import Index, NodeId
from redraft.node.context import NO_REPLY
from redraft.node.session import Blocked, Session
from redraft.raft.errors import NotLeaderError, RaftError
from redraft.raft.membership import ChangeKind, ConfChange, MemberChange
from redraft.raft.progress import ProgressState
from redraft.resp.reply import OK
from redraft.shard.shard import UNKNOWN_OUTCOME

if TYPE_CHECKING:
    from redraft.node.node import Node
    from redraft.raft.node import RaftNode

log = logging.getLogger("redraft.cluster")

PROMOTION_TICKS = 10
"""Raft ticks between two looks whether a learner has caught up."""


class MemberStatus(NamedTuple):
    """One node, as the one that is asked knows it."""

    id: NodeId
    address: str
    role: str
    """leader, voter or learner; joining or leaving in a joint configuration."""
    match_index: int | None
    """What it has durable; only the leader knows."""
    lag: int | None
    """Entries that it lacks."""
    state: str
    """probe, replicate or snapshot; empty where that is not known."""
    reachable: bool | None


class Membership:
    """The members of one node's group."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._waiting: list[tuple[Index, Session, Reply]] = []
        """Sessions that are answered when the entry is applied."""
        self._ticks = 0
        self.configured: dict[NodeId, str] = {}
        """Addresses from the command line."""
        self.first_known: dict[NodeId, str] = {}
        """Where nodes were when this one was made; until the log tells."""
        self.announced = ""
        """This node's own address."""

    # Looking.

    def address(self, node: NodeId) -> str:
        """Where a node is; empty when that is not known."""
        known = self._node.shard.keyspace.addresses.get(node, "")
        if node == self._node.id:
            return self.announced or known
        return self.configured.get(node) or known or self.first_known.get(node, "")

    def others(self) -> dict[NodeId, str]:
        """The nodes that this one should have links to."""
        members = self._node.shard.raft.conf.members()
        return {node: address for node in members if node != self._node.id and (address := self.address(node))}

    def members(self) -> list[MemberStatus]:
        """All members, in the order of their ids."""
        raft = self._node.shard.raft
        leader = raft.leader
        found = []
        for node in raft.conf.members():
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
                )
            )
        return found

    def _role(self, node: NodeId) -> str:
        raft = self._node.shard.raft
        conf = raft.conf
        if node == raft.leader_id:
            return "leader"
        if node in conf.voters:
            return "joining" if conf.outgoing and node not in conf.outgoing else "voter"
        return "leaving" if node in conf.outgoing else "learner"

    # Changing.

    def join(self, session: Session, address: str) -> Reply:
        """Admit a new node as a learner: what it needs to know."""
        raft = self._leading()
        taken = [node for node in raft.conf.members() if self.address(node) == address]
        if taken:
            raise CommandError(f"ERR {address} is node {taken[0]} already; remove it first if it lost its data")
        for node in raft.conf.members():
            self._tell_address(node, self.address(node))
        number = NodeId(max([*raft.conf.members(), *self._node.shard.keyspace.addresses]) + 1)
        self._tell_address(number, address)
        index = self._change(ConfChange((MemberChange(ChangeKind.ADD_LEARNER, number),)))
        log.warning("node %d at %s joins", number, address)
        addresses = [word for member in raft.conf.members() for word in (member, self.address(member).encode())]
        reply = [number, self._node.cluster.id.encode(), [*raft.first_conf.voters], addresses]
        return self._wait(session, index, reply)

    def remove(self, session: Session, node: NodeId) -> Reply:
        """Take a node out of the cluster; it need not be there."""
        self._check_known(node)
        return self._wait(session, self._change(ConfChange((MemberChange(ChangeKind.REMOVE, node),))), OK)

    def promote(self, session: Session, node: NodeId) -> Reply:
        """Make a learner a voter."""
        self._check_known(node)
        if self._leading().conf.is_voter(node):
            raise CommandError(f"ERR node {node} is a voter already")
        return self._wait(session, self._change(ConfChange((MemberChange(ChangeKind.ADD_VOTER, node),))), OK)

    def transfer(self, node: NodeId) -> Reply:
        """Hand leadership over; it is done when the nodes say so."""
        raft = self._leading()
        if node == raft.id:
            return OK
        # What came in before is proposed before; what comes in from now on is held for the successor.
        self._node.propose()
        try:
            raft.transfer_leader(node)
        except RaftError as error:
            raise CommandError(f"ERR {error}") from error
        self._node.follow_raft()
        return OK

    def _leading(self) -> RaftNode:
        raft = self._node.shard.raft
        if raft.leader is None:
            raise CommandError("CLUSTERDOWN this node does not lead")
        return raft

    def _check_known(self, node: NodeId) -> None:
        if node not in self._leading().conf.members():
            raise CommandError(f"ERR node {node} is not a member")

    def _change(self, change: ConfChange) -> Index:
        try:
            return self._leading().change_members(change)
        except NotLeaderError as error:
            raise CommandError(f"CLUSTERDOWN {error}") from error
        except RaftError as error:
            raise CommandError(f"ERR {error}") from error

    def _tell_address(self, node: NodeId, address: str) -> None:
        """Have everybody know a node's address."""
        keyspace = self._node.shard.keyspace
        if address and keyspace.addresses.get(node) != address:
            command = self._node.table.find(b"redraft|address")
            assert command is not None
            argv = [b"REDRAFT", b"ADDRESS", b"%d" % node, address.encode()]
            self._node.shard.add_write(None, command, argv, 0)

    def _wait(self, session: Session, index: Index, reply: Reply) -> Reply:
        self._waiting.append((index, session, reply))
        self._node.block(session, Blocked("members", on_cancel=lambda: self._forget(session)))
        return NO_REPLY

    def _forget(self, session: Session) -> None:
        self._waiting = [each for each in self._waiting if each[1] is not session]

    # As things happen.

    def applied(self) -> None:
        """More was applied: answer those whose change is."""
        if not self._waiting:
            return
        applied = self._node.shard.applied.index
        done = [each for each in self._waiting if each[0] <= applied]
        self._waiting = [each for each in self._waiting if each[0] > applied]
        for _, session, reply in done:
            self._node.unblock(session, reply)

    def leadership_lost(self) -> None:
        """Whether the changes under way are made is not known here."""
        waiting, self._waiting = self._waiting, []
        for _, session, _ in waiting:
            self._node.unblock(session, CommandError(UNKNOWN_OUTCOME))

    def tick(self) -> None:
        """A Raft tick: learners that have caught up become voters."""
        raft = self._node.shard.raft
        if raft.leader is None or not raft.conf.learners:
            return
        self._ticks += 1
        if self._ticks % PROMOTION_TICKS:
            return
        for learner in raft.conf.learners:
            progress = raft.leader.followers[learner]
            caught_up = progress.state is ProgressState.REPLICATE and progress.match
            if caught_up and self._node.peers.linked(learner):
                try:
                    raft.change_members(ConfChange((MemberChange(ChangeKind.ADD_VOTER, learner),)))
                    log.warning("node %d has caught up and becomes a voter", learner)
                except RaftError as error:
                    log.debug("node %d is not promoted yet: %s", learner, error)
                return
