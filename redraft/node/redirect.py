"""`redirect moved`: a client is told where the leader is, as Redis Cluster's clients expect it.

There is one shard, so all slots are the leader's. A leader counts as known while there is a link to it: clients that
are sent to a node which has just died would only come back. Until another is known they wait (`forwarding`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redraft.commands.table import Command, Kind
from redraft.errors import CommandError
from redraft.ids import NO_NODE, NodeId, Slot
from redraft.node.session import Session
from redraft.slots import key_slot

if TYPE_CHECKING:
    from redraft.node.node import Node


class Redirect:
    """Where one node sends clients."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def in_force(self) -> bool:
        """Whether clients are sent to the leader rather than served by way of this node."""
        return self._node.settings.redirect == "moved"

    @property
    def mode(self) -> str:
        """What HELLO and INFO tell clients."""
        return "cluster" if self.in_force else "standalone"

    @property
    def role(self) -> str:
        """The node's role in Redis's terms. A node that passes commands on takes writes like any master, and clients
        would not send them to a replica."""
        node = self._node
        return "master" if not self.in_force or node.loading or node.shard.raft.leader is not None else "slave"

    def leader(self) -> NodeId:
        """The leader, if it is known, has an address and can be reached; else NO_NODE."""
        node = self._node
        leader = node.shard.raft.leader_id
        if leader == NO_NODE or (leader != node.id and not node.peers.linked(leader)):
            return NO_NODE
        return leader if node.members.address(leader) else NO_NODE

    def maybe_moved(self, session: Session, command: Command, argv: list[bytes]) -> CommandError | None:
        """The answer to a command that another node has to execute; None if this one shall look after it."""
        if not self.in_force or self.may_read_here(session, command, argv):
            return None
        leader = self.leader()
        if leader in (NO_NODE, self._node.id) or (slot := maybe_slot(command, argv)) is None:
            return None
        host, port = host_and_port(self._node.members.address(leader))
        return CommandError(f"MOVED {slot} {host}:{port}")

    def may_read_here(self, session: Session, command: Command, argv: list[bytes]) -> bool:
        """Whether a command is a read of which only is demanded that it shows what this node has; one that founds the
        cluster with others may have lost what it had."""
        stale = session.reads_stale or self._node.settings.read_consistency == "stale"
        return (
            stale and not self._node.founding.under_way and command.kind is Kind.DATA_READ and not command.blocks(argv)
        )


def host_and_port(address: str) -> tuple[str, int]:
    """A node's address as clients are told it: an IPv6 address stands without brackets. Empty and 0 if not known."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port or 0)


def maybe_slot(command: Command, argv: list[bytes]) -> Slot | None:
    """The slot of a command's first key; None where it names none."""
    try:
        positions = command.key_positions(argv)
    except CommandError:
        return None
    return key_slot(argv[positions[0]]) if positions else None
