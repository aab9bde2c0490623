"""Connections beyond `maxclients` that may be another node's.

Other nodes come in by the port that clients use, and say who they are with their first command. They are no clients,
and a node that is full of clients must still let them in. So at a node that has others a few connections more are
accepted: whoever greets as a node and proves it (`REDRAFT PEER`, `PROOF`) is in; anybody else is told that there are
too many clients, with the first command or a second after it came.
"""

from __future__ import annotations

from redraft.node.node import Node
from redraft.server.connection import Connection

MOST_A_NODE = 2
"""So many may come at once from each of the other nodes: its link, and a snapshot."""
PATIENCE_NS = 1_000_000_000


class Surplus:
    """Those who have not said yet who they are."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._until_ns: dict[Connection, int] = {}

    def has_room(self) -> bool:
        """Whether one more may come in."""
        node = self._node
        self._forget_known()
        return not node.loading and len(self._until_ns) < MOST_A_NODE * len(node.members.others())

    def add(self, connection: Connection) -> None:
        """One more has come in."""
        connection.session.is_surplus = True
        connection.session.refresh_plain()
        self._until_ns[connection] = self._node.clock.monotonic_ns() + PATIENCE_NS

    def overdue(self) -> list[Connection]:
        """Those who have had their time."""
        if not self._until_ns:
            return []
        self._forget_known()
        now_ns = self._node.clock.monotonic_ns()
        return [connection for connection, until_ns in self._until_ns.items() if until_ns <= now_ns]

    def _forget_known(self) -> None:
        """Who is a node by now, or gone, is none of them any more."""
        for connection in [each for each in self._until_ns if each.session.link is not None or each.session.closed]:
            del self._until_ns[connection]
